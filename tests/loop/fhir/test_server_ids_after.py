"""Ids that the server chose, in everything that comes after the publication (RULES C1, FHIR__IDS)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from syncd.errors import ConfigurationError
from syncd.loop.fhir import inventory as verify
from syncd.model.words import Decision
from syncd.publish.assigned import KEY
from tests.fakes.http import Request
from tests.loop.companions.test_companions import KINDS, TAGS, WANTED
from tests.loop.outbox.test_provenance import correct, paid
from tests.loop.retracting import back, deciding, shown, tombstone, vanish
from tests.loop.world import STUDY, SYSTEM, World

NewWorld = Callable[..., World]
DAY = 86400.0


@pytest.fixture
def strict(world: World) -> World:
    world.fhir.refuses_ids = 405
    return world


def _held(world: World, resource_type: str = "ImagingStudy") -> dict[str, Any]:
    (found,) = world.fhir.resources(resource_type)
    return found


def _walked(world: World) -> Mapping[str, int]:
    world.ledger.verification.want("asked for")
    for _ in range(50):
        inventory = verify.tick(world.context, interval=DAY)
        if inventory is not None:
            return {kind: number for kind, number in inventory.found.items() if number}
    raise AssertionError("the inventory does not end")


def test_what_is_gone_is_withdrawn_under_the_servers_id(strict: World) -> None:
    """RULES D2, F.3: and shown again under the same id when it returns."""
    shown(strict)
    name = _held(strict)["id"]
    assert vanish(strict).turn().decision is Decision.RETRACT
    assert (_held(strict)["id"], _held(strict)["status"], tombstone(strict)) == (
        name,
        "cancelled",
        ("cancelled", "withdrawn"),
    )
    strict.clock.advance(3600.0)
    assert back(strict).decision is Decision.UPDATE
    assert (_held(strict)["id"], _held(strict)["status"]) == (name, "available")


def test_a_deletion_goes_to_the_servers_id(strict: World) -> None:
    """RULES D2, POLICY__ON_DELETE=delete: ours is deleted, and comes back under another name."""
    shown(deciding(strict, "delete"))
    name = _held(strict)["id"]
    assert vanish(strict).turn().decision is Decision.RETRACT
    assert strict.fhir.resources("ImagingStudy") == []
    (deleted,) = [one for one in strict.fhir.requests if one.method == "DELETE"]
    assert deleted.path == f"/fhir/ImagingStudy/{name}"
    assert tombstone(strict)[1] == "deleted"
    strict.clock.advance(3600.0)
    assert back(strict).decision is Decision.CREATE
    assert (_held(strict)["id"] != name, _held(strict)["status"]) == (True, "available")


def test_a_provenance_names_what_the_server_holds(strict: World) -> None:
    """RULES B8, C1: target and agent by the server's ids; a Provenance has no identifier, so our id is a tag."""
    strict.published()
    correct(strict)
    paid(strict)
    told, study, device = _held(strict, "Provenance"), _held(strict), _held(strict, "Device")
    assert told["id"].isdecimal()
    assert told["target"][0]["reference"].split("/_history/")[0] == f"ImagingStudy/{study['id']}"
    assert told["agent"][0]["who"]["reference"] == f"Device/{device['id']}"
    assert "identifier" not in told
    assert [one["system"] for one in told["meta"]["tag"]].count(KEY) == 1


def test_a_provenance_whose_reply_was_lost_is_not_doubled(strict: World) -> None:
    """RULES C5, B8."""
    strict.published()
    correct(strict)
    strict.fhir.lose_reply_of(lambda request: request.method == "POST" and request.path == "/fhir/Provenance")
    for _ in range(3):
        strict.clock.advance(600.0)
        paid(strict)
    assert len(strict.fhir.resources("Provenance")) == 1
    assert not strict.ledger.outbox.of_study(STUDY)


def test_the_fhir_inventory_knows_the_servers_names(strict: World) -> None:
    """RULES C5, C9: nothing is missing, strange or doubled because it has another name there."""
    shown(strict)
    strict.clock.advance(100.0)
    assert _walked(strict) == {}
    strict.remove(f"ImagingStudy/{_held(strict)['id']}")
    assert _walked(strict) == {"missing": 1}
    assert strict.turn().decision is Decision.CREATE
    strict.clock.advance(100.0)
    assert _walked(strict) == {}


def test_names_that_were_forgotten_are_found_before_anything_is_taken_for_lost(strict: World) -> None:
    """RULES E3, E7: a restored backup forgets every name, but the server still holds most of them."""
    shown(strict)
    names = {one: {r["id"] for r in strict.fhir.resources(one)} for one in ("ImagingStudy", "Patient", "Endpoint", "Basic")}
    strict.ledger.marks.forget_target_state()
    strict.context.check_sentinel()
    assert strict.turn().decision is Decision.SKIP
    assert {one: {r["id"] for r in strict.fhir.resources(one)} for one in names} == names


def test_companions_are_referred_to_by_the_servers_ids(new_world: NewWorld) -> None:
    """RULES C1, MAPPING J.6."""
    world = new_world(**WANTED)
    world.fhir.refuses_ids = 405
    world.published(**TAGS)
    there = {f"{one}/{held['id']}" for one in KINDS for held in world.fhir.resources(one)}
    assert {one.partition("/")[0] for one in there} == set(KINDS)
    study = _held(world)
    told = [one["actor"]["reference"] for one in study["series"][0]["performer"] if "reference" in one["actor"]]
    told += [study["referrer"]["reference"], study["procedureReference"]["reference"]]
    assert len(told) == 3 and set(told) == there
    step = _held(world, "Procedure")
    assert step["subject"]["reference"] == study["subject"]["reference"]


def test_what_was_adopted_is_not_deleted(strict: World) -> None:
    """RULES C2, D2: an announced study keeps its name and is only withdrawn."""
    patient = strict.post({"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": "P1"}]})
    study = {"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}
    theirs = strict.post({"resourceType": "ImagingStudy", "identifier": [study], "status": "registered",
                          "subject": {"reference": f"Patient/{patient}"}})  # fmt: skip
    shown(deciding(strict, "delete"), PatientID="P1")
    record = strict.ledger.records.find(STUDY)
    assert record is not None and (record.resource_id, record.adopted) == (theirs, True)
    outcome = vanish(strict).turn()
    assert (outcome.decision, _held(strict)["id"], _held(strict)["status"]) == (Decision.RETRACT, theirs, "cancelled")


def test_dstu2_takes_our_ids_or_none(new_world: NewWorld) -> None:
    """FHIR__IDS=server: refused at start, for an update there could not be made conditional."""
    world = new_world(fhir_version="dstu2")
    world.ids = "server"
    with pytest.raises(ConfigurationError, match="SYNCD_FHIR__IDS"):
        world.connect()
    assert [one for one in world.fhir.requests if _writes(one)] == []


def _writes(request: Request) -> bool:
    return request.method in ("PUT", "POST", "DELETE")
