"""Is this the server that we published to, and does it hold our Endpoints (RULES E3, B3, B5, C6)?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import ConfigurationError, LedgerRefused, TargetPaused, Unsuitable
from syncd.loop.companions.target import probe
from syncd.loop.connect import connect, public_policy
from syncd.model.words import Decision
from syncd.model.work import Target
from tests.fakes.fhir import FakeFhir
from tests.fakes.http import Request, Response, json_response
from tests.loop.world import ENDPOINT, MAIN, STUDY, World, puts

NewWorld = Callable[..., World]


def _target(world: World) -> Target:
    target = world.ledger.facts.target()
    assert target is not None
    return target


def test_the_first_start_proves_the_server_and_writes_the_endpoint(world: World) -> None:
    """RULES C2, E3, B5."""
    context = world.connect()
    target = _target(world)
    assert (target.url, target.create_form, context.server.create_form) == (world.fhir.url, "if-match-0", "if-match-0")
    sentinel = next(one for one in world.fhir.resources("Endpoint") if one["id"] == target.sentinel_id)
    assert (sentinel["status"], sentinel["meta"]["tag"][0]["code"]) == ("off", "syncd")
    assert [one["id"] for one in world.fhir.resources("Endpoint")] == [target.sentinel_id, ENDPOINT]


def test_a_second_start_writes_nothing(world: World) -> None:
    """RULES E3, B3: the sentinel is asked for, nothing is sent."""
    world.connect()
    before = len(world.fhir.requests)
    world.connect()
    assert {one.method for one in world.fhir.requests[before:]} == {"GET"}


def test_a_crash_between_intent_and_sentinel_is_no_other_installation(world: World) -> None:
    """RULES E3: the id is committed before it is sent."""
    world.fhir.lose_reply_of(puts("Endpoint"))
    with pytest.raises(Exception, match=r"reached|answer"):
        world.connect()
    first = _target(world)
    assert first.create_form == ""
    world.connect()
    assert _target(world).sentinel_id == first.sentinel_id


def test_a_foreign_sentinel_needs_the_operators_word(world: World, tmp_path: Path) -> None:
    """RULES E3, E7: a lost ledger, or two installations with one id: exit 4 until accepted."""
    world.connect()
    first = _target(world)
    world.lose_ledger(tmp_path)
    with pytest.raises(LedgerRefused, match="--accept-target"):
        world.connect()
    assert world.ledger.facts.target() is None
    world.connect(accept_target=True)
    assert _target(world).sentinel_id == first.sentinel_id


def test_another_installation_id_beside_us_is_nobodys_business(new_world: NewWorld) -> None:
    """RULES E3: two installations, each with its own id, share a server."""
    one, other = new_world(), new_world(installation_id="siteb", endpoint_prefix="siteb")
    one.connect()
    other.fhir = one.fhir
    other.connect()
    assert {resource["id"] for resource in one.fhir.resources("Endpoint")} >= {ENDPOINT, f"siteb{ENDPOINT}"}


def test_the_same_server_under_another_address_is_taken_along(world: World) -> None:
    """RULES E3: the sentinel is there."""
    world.published()
    sent = len(world.writes())
    world.fhir.url = "http://renamed.invalid/fhir"
    world.connect()
    assert _target(world).url == world.fhir.url
    world.mark()
    assert world.turn().decision is Decision.SKIP
    assert len(world.writes()) == sent


def test_another_server_at_another_address_needs_the_operators_word(world: World) -> None:
    """RULES E3: exit 4 until accepted, then every record is verified before it is believed."""
    world.published()
    world.fhir = FakeFhir(clock=world.clock)
    world.fhir.url = "http://another.invalid/fhir"
    with pytest.raises(LedgerRefused, match="another server"):
        world.connect()
    assert not world.writes("Endpoint")
    world.connect(accept_target=True)
    assert world.turn().decision is Decision.CREATE
    assert world.study()["status"] == "available"
    assert _target(world).url == world.fhir.url


def test_a_wiped_server_at_the_same_address_is_filled_again(world: World) -> None:
    """RULES C6, E3: a missing sentinel at the same URL is a reset."""
    world.published()
    first = _target(world)
    world.fhir.wipe()
    world.connect()
    assert _target(world).sentinel_id != first.sentinel_id
    assert {one["id"] for one in world.fhir.resources("Endpoint")} == {ENDPOINT, _target(world).sentinel_id}
    outcome = world.turn()
    assert (outcome.decision, outcome.reason) == (Decision.CREATE, "missing on the server")


def test_the_probe_of_a_wiped_server_fills_it_again(world: World) -> None:
    """RULES E3: asked after the breaker closes."""
    world.published()
    world.fhir.wipe()
    probe(world.context)
    assert ENDPOINT in [one["id"] for one in world.fhir.resources("Endpoint")]
    row = world.ledger.marks.find(STUDY)
    assert row is not None and row.read_fhir


def test_a_foreign_endpoint_at_our_id_is_the_operators_matter(world: World) -> None:
    """RULES B5: exit 2, saying so; the other's Endpoint stays as it is."""
    theirs = {
        "resourceType": "Endpoint",
        "id": ENDPOINT,
        "status": "active",
        "connectionType": {"code": "dicom-wado-rs"},
        "payloadType": [{"text": "x"}],
        "address": "https://theirs.test",
    }
    world.put(theirs)
    with pytest.raises(ConfigurationError, match="SYNCD_POLICY__ENDPOINT_PREFIX"):
        world.connect()
    kept = next(one for one in world.fhir.resources("Endpoint") if one["id"] == ENDPOINT)
    assert kept["address"] == "https://theirs.test"


@pytest.mark.parametrize(
    ("change", "decision"),
    [
        ({"accession_system": "http://unused.test"}, Decision.SKIP),
        ({"patient_id_system": "http://new.test"}, Decision.UPDATE),
    ],
    ids=["no difference", "another identifier system"],
)
def test_changed_settings_render_everything_again(world: World, change: dict[str, str], decision: Decision) -> None:
    """RULES B3: another fingerprint makes every study dirty; only a changed essence is written."""
    world.published()
    world.policy = replace(world.policy, archive=replace(world.policy.archive, **change))
    context = world.connect()
    row = world.ledger.marks.find(STUDY)
    assert row is not None
    assert world.turn().decision is decision
    assert world.ledger.records.count_outdated(context.fingerprint) == 0
    world.connect()
    assert world.ledger.marks.find(STUDY) is None


def test_unchanged_settings_render_nothing_again(world: World) -> None:
    """RULES B3."""
    world.published()
    world.connect()
    assert world.ledger.marks.find(STUDY) is None


@pytest.mark.parametrize(
    ("version", "setting", "error"),
    [
        ("stu3", "auto", Unsuitable),
        ("r4", "dstu2", ConfigurationError),
        ("dstu2", "r4", ConfigurationError),
        ("r5", "r4", ConfigurationError),
        ("r4", "r5", ConfigurationError),
    ],
)
def test_a_server_of_another_version_is_not_written_to(
    world: World, version: str, setting: str, error: type[Exception]
) -> None:
    """What is not supported is waited for, a contradiction of the settings is exit 2."""
    world.fhir = FakeFhir(version, clock=world.clock)
    with pytest.raises(error) as raised:
        connect(replace(world.site, fhir_version=setting), world.ledger)
    assert isinstance(raised.value, Unsuitable) is (error is Unsuitable)
    assert not [one for one in world.fhir.requests if one.method == "PUT"]


@pytest.mark.parametrize(
    "answer",
    [
        Response(status=200, headers={"Content-Type": "text/html"}, body=b"<html>Welcome</html>"),
        json_response({"resourceType": "Bundle"}),
        json_response([]),
    ],
    ids=["a web page", "another resource", "no object"],
)
def test_what_is_no_fhir_server_is_named(world: World, answer: Response) -> None:
    """HTML instead of JSON is waited for, with the setting to look at."""
    world.fhir.rules.append(lambda request: answer)
    with pytest.raises(Unsuitable, match="SYNCD_FHIR__URL"):
        world.connect()


@pytest.mark.parametrize("status", [401, 403, 404, 405, 302])
def test_a_server_that_refuses_us_as_a_whole_pauses(world: World, status: int) -> None:
    """RULES C6: any other 404, 405, 401, 403: the target is paused, and the setting is named."""

    def rule(request: Request) -> Response | None:
        return Response(status=status)

    world.fhir.rules.append(rule)
    with pytest.raises(TargetPaused, match="SYNCD_FHIR__") as raised:
        world.connect()
    assert raised.value.status == status


def test_without_dicomweb_the_address_of_the_images_must_be_given(world: World) -> None:
    """No DICOMweb plugin and no PUBLIC_DICOMWEB_URL is exit 2; with the plugin its root is derived."""
    site = world.site
    bare = replace(site, policy=replace(site.policy, archive=replace(site.policy.archive, dicomweb_url="")))
    derived: Any = public_policy(bare, {MAIN: world.archive.info().dicomweb_root})
    assert derived.archive.dicomweb_url == f"{world.orthanc.url}/dicom-web"
    world.orthanc.dicomweb = False
    with pytest.raises(ConfigurationError, match="SYNCD_ARCHIVES__MAIN__PUBLIC_DICOMWEB_URL"):
        public_policy(bare, {MAIN: world.archive.info().dicomweb_root})
    assert public_policy(site, {MAIN: ""}) == site.policy


def test_a_ledger_refuses_another_installation_id(world: World) -> None:
    """RULES B2, E3: the tag on what was published is not changed behind the ledger's back."""
    world.connect()
    world.context.ledger.facts.save_installation("another")
    with pytest.raises(ConfigurationError, match="SYNCD_INSTALLATION_ID"):
        world.connect()
