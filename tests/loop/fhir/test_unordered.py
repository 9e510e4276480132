"""A FHIR server of another kind than HAPI (docs/fhir-servers.md): versions without order, 200 for a creation, no create-only
form, no tombstones. Everything ends equal, and what is equal is not written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.errors import ServerReset, Transient
from syncd.loop.companions.target import probe
from syncd.loop.fhir import inventory
from syncd.model.words import Decision, ParkedReason, Tombstone
from syncd.publish.server import GET_THEN_PUT, VERSION_IN_BODY
from tests.fakes.fhir_medplum import FakeMedplum
from tests.loop.fhir.test_inventory import walked
from tests.loop.retracting import back, deciding, shown, vanish
from tests.loop.world import ENDPOINT, OTHER, STUDY, World, puts, refused


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    site = new_world()
    site.fhir = FakeMedplum(clock=site.clock)  # type: ignore[assignment]
    return site


def _held(world: World) -> FakeMedplum:
    assert isinstance(world.fhir, FakeMedplum)
    return world.fhir


def _conditions(world: World, resource_type: str = "ImagingStudy") -> list[Mapping[str, str]]:
    return [
        {name: text for name, text in one.headers.items() if name.startswith("if-")} for one in world.writes(resource_type)
    ]


def test_it_is_found_to_have_no_create_only_form(world: World) -> None:
    """RULES C2: a form that refused the sentinel which another form had written created nothing."""
    world.connect()
    target = world.ledger.facts.target()
    assert target is not None and target.create_form == GET_THEN_PUT
    assert {one["id"] for one in _held(world).resources("Endpoint")} == {target.sentinel_id, ENDPOINT}


def test_the_form_is_the_same_where_the_sentinel_is_there_already(world: World, tmp_path: Path) -> None:
    """RULES E3, E7: a lost ledger, or a crash before the proof was kept; no trial is left behind."""
    world.connect()
    before = {one["id"] for one in _held(world).resources("Endpoint")}
    world.lose_ledger(tmp_path)
    world.connect(accept_target=True)
    target = world.ledger.facts.target()
    assert target is not None and target.create_form == GET_THEN_PUT
    assert {one["id"] for one in _held(world).resources("Endpoint")} == before


def test_a_form_that_was_believed_too_easily_is_proved_again(world: World) -> None:
    """RULES C2: a ledger of an earlier version says that the version in the body is heeded; no Endpoint could be written."""
    world.connect()
    target = world.ledger.facts.target()
    assert target is not None
    world.ledger.facts.save_target(replace(target, create_form=VERSION_IN_BODY))
    world.ledger.marks.forget_target_state()
    del _held(world).held["Endpoint", ENDPOINT]
    world.connect()
    target = world.ledger.facts.target()
    assert target is not None and target.create_form == GET_THEN_PUT
    assert ("Endpoint", ENDPOINT) in _held(world).held


def test_a_form_that_is_not_understood_any_more_is_proved_again(world: World) -> None:
    """RULES C2: the server was exchanged below its data; its breaker's probe proves anew, so nobody waits for ever."""
    world.connect()
    target = world.ledger.facts.target()
    assert target is not None
    world.ledger.facts.save_target(replace(target, create_form="if-match-0"))
    world.connect()
    world.store()
    world.settle()
    world.poll()
    with pytest.raises(Transient, match="refuses to create Patient, though it is not there"):
        world.turn()
    probe(world.context)
    target = world.ledger.facts.target()
    assert target is not None and target.create_form == GET_THEN_PUT
    assert world.turn().decision is Decision.CREATE
    assert world.study()["status"] == "available"


def test_a_study_is_read_then_written_then_left_alone(world: World) -> None:
    """RULES B3, C2, C4: one GET before the first write; updates under the version told; an equal one costs nothing."""
    world.published()
    assert _conditions(world) == [{}]
    first = world.study()["meta"]["versionId"]
    asked = len(world.fhir.requests)
    world.mark()
    assert world.turn().decision is Decision.SKIP
    assert len(world.fhir.requests) == asked
    world.store(instance=2)
    world.settle()
    world.poll()
    assert world.turn().decision is Decision.UPDATE
    assert _conditions(world) == [{}, {"if-match": f'W/"{first}"'}]
    assert world.study()["numberOfInstances"] == 2


def test_what_somebody_created_meanwhile_is_not_overwritten(world: World) -> None:
    """RULES C2: the GET before the PUT sees it."""
    world.store()
    world.settle()
    world.poll()
    world.connect()
    theirs = {"resourceType": "ImagingStudy", "id": STUDY, "status": "available", "subject": {"display": "x"}}
    world.put(theirs)
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == ParkedReason.FOREIGN_IMAGINGSTUDY
    assert world.study()["subject"] == {"display": "x"}


def test_a_conflict_is_begun_again_and_keeps_what_the_other_wrote(world: World) -> None:
    """RULES C3, C4: 412."""
    world.published()
    world.put({**world.study(), "note": [{"text": "theirs"}]})
    world.store(instance=2)
    world.settle()
    world.poll()
    assert world.turn().decision is Decision.UPDATE
    assert (world.study()["note"], world.study()["numberOfInstances"]) == ([{"text": "theirs"}], 2)


def test_tags_and_labels_of_others_survive_though_the_server_forgets_what_is_left_out(world: World) -> None:
    """RULES B2, C3."""
    world.published()
    label, tag = {"system": "urn:label", "code": "z"}, {"system": "urn:other", "code": "x"}
    held = world.study()
    world.put({**held, "meta": {**held["meta"], "security": [label], "tag": [*held["meta"]["tag"], tag]}})
    for instance in (2, 3):
        world.store(instance=instance)
        world.settle()
        world.poll()
        world.turn()
    meta = world.study()["meta"]
    assert (meta["security"], tag in meta["tag"], len(meta["tag"])) == ([label], True, 2)


def test_a_wiped_server_is_noticed_by_the_sentinel(world: World) -> None:
    """RULES C6, E3: no answer of its own tells of a reset; the missing sentinel does."""
    world.published()
    world.published(OTHER, PatientID="P2")
    _held(world).wipe()
    with pytest.raises(ServerReset):
        world.context.check_sentinel()
    world.connect()
    for study in (STUDY, OTHER):
        world.turn(study)
    assert {one["id"] for one in _held(world).resources("ImagingStudy")} == {STUDY, OTHER}
    assert walked(world) == {}


def test_an_update_of_what_vanished_creates_it_and_asks_for_the_rest(world: World) -> None:
    """RULES C6: 404 to a conditional PUT; the FHIR inventory follows."""
    world.published()
    world.remove(f"ImagingStudy/{STUDY}")
    world.store(instance=2)
    world.settle()
    world.poll()
    assert world.turn().decision is Decision.CREATE
    assert world.study()["numberOfInstances"] == 2
    assert world.ledger.verification.why_wanted() == "a study of ours was missing on the FHIR server"


def test_a_restored_backup_is_repaired_study_by_study(world: World) -> None:
    """RULES E3, docs/guarantees.md: no version is below another, so that no backup is told; what differs is drift."""
    world.published()
    world.published(OTHER, PatientID="P2")
    backup = _held(world).backup()
    world.store(instance=2)
    world.settle()
    world.poll()
    world.turn()
    world.clock.advance(100)
    _held(world).restore(backup)
    assert walked(world) == {"drifted": 1}
    assert world.turn().decision is Decision.UPDATE
    assert world.study()["numberOfInstances"] == 2
    world.clock.advance(100)
    assert walked(world) == {}


def test_an_inventory_finds_edits_and_deletions(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES C9, E8: over several pages; equal is not marked."""
    monkeypatch.setattr("syncd.publish.server.PAGE", "1")
    uids = [f"{STUDY}.{number}" for number in range(4)]
    for number, uid in enumerate(uids):
        world.published(uid, PatientID=f"P{number}")
    world.clock.advance(100)
    assert walked(world) == {}
    world.put({**world.study(uids[1]), "description": "theirs"})
    world.remove(f"ImagingStudy/{uids[2]}")
    assert walked(world) == {"drifted": 1, "missing": 1}
    assert inventory.tick(world.context, interval=1e9) is None


@pytest.mark.parametrize("on_delete", ["cancelled", "delete"])
def test_a_study_is_taken_back_and_returns(world: World, on_delete: str) -> None:
    """RULES D1, D2: a deletion leaves no tombstone to write over."""
    vanish(deciding(shown(world), on_delete))
    outcome = world.turn()
    assert outcome.record is not None
    if on_delete == "delete":
        assert outcome.record.retracted == Tombstone.DELETED
        assert _held(world).resources("ImagingStudy") == []
    else:
        assert world.study()["status"] == "cancelled"
    assert back(world).decision is (Decision.CREATE if on_delete == "delete" else Decision.UPDATE)
    assert world.study()["status"] == "available"


def test_a_lost_reply_is_recognised(world: World) -> None:
    """RULES C5: by what is there."""
    world.store()
    world.settle()
    world.poll()
    world.connect()
    world.fhir.lose_reply_of(puts())
    with pytest.raises(Exception, match="FHIR server"):
        world.turn()
    assert world.turn().decision is Decision.SKIP
    assert len(world.writes()) == 1


def test_a_tombstone_without_a_version_is_written_over(world: World) -> None:
    """RULES C2: other servers of this kind answer 410 and name no version; nothing can be demanded of it."""
    world.published()
    world.remove(f"ImagingStudy/{STUDY}")
    gone = refused(410)
    world.fhir.rules.append(
        lambda request: (
            gone
            if request.method == "GET" and request.path.endswith(f"/{STUDY}") and not _held(world).resources("ImagingStudy")
            else None
        )
    )
    world.mark(read_fhir=True)
    assert world.turn().decision is Decision.CREATE
    assert _conditions(world)[-1] == {}
