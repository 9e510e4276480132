"""A FHIR server that insists on ids of its own: the same site, the same guarantees (RULES C1, FHIR__IDS)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import SyncdError, Transient
from syncd.loop.companions.target import restore
from syncd.loop.connect import connect_dry
from syncd.loop.study.reconcile import reconcile
from syncd.loop.study.task import Task
from syncd.model.words import Decision
from syncd.model.work import MarkKind
from syncd.publish.assigned import ASSIGNED, KEY
from tests.fakes.http import Request
from tests.ledger.made import claim_study
from tests.loop.world import ENDPOINT, OTHER, STUDY, SYSTEM, World, refused


@pytest.fixture(params=[405, 404, 400, 422])
def insisting(world: World, request: pytest.FixtureRequest) -> World:
    """A server that refuses our ids, each time by another answer."""
    world.fhir.refuses_ids = request.param
    return world


@pytest.fixture
def strict(world: World) -> World:
    world.fhir.refuses_ids = 405
    return world


def _held(world: World) -> dict[str, Any]:
    (found,) = world.fhir.resources("ImagingStudy")
    return found


def _verified(world: World, study: str = STUDY) -> Decision:
    world.mark(study, kind=MarkKind.VERIFY, read_fhir=True)
    return world.turn(study).decision


def creates(resource_type: str) -> Callable[[Request], bool]:
    return lambda request: request.method == "POST" and request.path == f"/fhir/{resource_type}"


def _created(world: World) -> int:
    return sum(one.method == "POST" and not one.path.endswith("_search") for one in world.fhir.requests)


def test_auto_finds_out_that_our_ids_are_refused(insisting: World) -> None:
    """RULES C1: auto = client unless the server shows that it refuses client ids."""
    outcome = insisting.published()
    target = insisting.ledger.facts.target()
    assert target is not None and target.create_form == ASSIGNED
    held = _held(insisting)
    assert held["id"].isdecimal()
    assert outcome.record is not None
    assert (outcome.record.resource_id, outcome.record.adopted) == (STUDY, False)


def test_references_name_what_the_server_holds(strict: World) -> None:
    """RULES C1, B4, B5: subject and endpoints lead to the Patient and the Endpoint by their ids there."""
    strict.published(PatientID="P1")
    held = _held(strict)
    patients = {f"Patient/{one['id']}" for one in strict.fhir.resources("Patient")}
    endpoints = {f"Endpoint/{one['id']}" for one in strict.fhir.resources("Endpoint") if _key(one).endswith(ENDPOINT)}
    assert {held["subject"]["reference"]} == patients
    assert {one["reference"] for one in held["endpoint"]} == endpoints
    assert len(endpoints) == 1


def _key(resource: dict[str, Any]) -> str:
    return next(str(item["value"]) for item in resource["identifier"] if item["system"] == KEY)


def test_an_unchanged_study_costs_no_write(strict: World) -> None:
    """RULES B3: what the server renamed is compared in our ids."""
    strict.published()
    before = len(strict.fhir.requests)
    assert _verified(strict) is Decision.SKIP
    assert {one.method for one in strict.fhir.requests[before:]} <= {"GET", "POST"}
    assert _created(strict) == 4  # sentinel, Endpoint, Patient, study


def test_updates_go_to_the_servers_id_under_its_version(strict: World) -> None:
    """RULES C1, C4: then PUT by id; foreign elements survive, and nothing is made twice."""
    strict.published()
    strict.put({**_held(strict), "note": [{"text": "seen"}]})
    strict.store(series=2)
    strict.settle()
    strict.mark()
    assert strict.turn().decision is Decision.UPDATE
    held = _held(strict)
    assert (held["numberOfSeries"], held["note"]) == (2, [{"text": "seen"}])
    (put,) = [one for one in strict.writes() if one.headers.get("if-match") == 'W/"2"']
    assert put.path.endswith(held["id"])
    assert len(strict.fhir.resources("Patient")) == 1


@pytest.mark.parametrize("resource_type", ["Endpoint", "Patient", "ImagingStudy"])
def test_a_lost_reply_to_a_create_makes_no_second_one(strict: World, resource_type: str) -> None:
    """RULES C5: the name got lost with the reply, and is found again by our id, which the resource carries."""
    strict.fhir.lose_reply_of(creates(resource_type))
    for _ in range(3):
        try:
            strict.published() if strict.ledger.marks.find(STUDY) is None else strict.turn()
            break
        except SyncdError:
            continue
    held = _held(strict)
    assert held["status"] == "available"
    assert [len(strict.fhir.resources(one)) for one in ("Endpoint", "Patient", "ImagingStudy")] == [2, 1, 1]
    record = strict.ledger.records.find(STUDY)
    assert record is not None and record.resource_id == STUDY
    assert strict.ledger.companions.own_id("ImagingStudy", held["id"]) == STUDY


def test_a_lost_ledger_finds_every_name_again(strict: World, tmp_path: Path) -> None:
    """RULES E7: nothing is rewritten, and nothing counts as adopted."""
    strict.published()
    strict.lose_ledger(tmp_path)
    strict.connect(accept_target=True)
    held = strict.fhir.backup()
    strict.sweep()
    outcome = strict.turn()
    assert (outcome.decision, outcome.reason) == (Decision.SKIP, "the server already says so")
    assert outcome.record is not None and outcome.record.resource_id == STUDY
    assert strict.fhir.backup() == held  # conditional creates were answered with what is there


def test_after_a_reset_everything_has_new_names(strict: World) -> None:
    """RULES C6, E3."""
    strict.published()
    strict.fhir.wipe()
    restore(strict.context)
    assert strict.turn().decision is Decision.CREATE
    assert [len(strict.fhir.resources(one)) for one in ("Endpoint", "Patient", "ImagingStudy")] == [2, 1, 1]
    assert _verified(strict) is Decision.SKIP


def test_what_was_deleted_gets_another_name(strict: World) -> None:
    """RULES C6, C4: such a server need not bring an old id back; the third time it is contested all the same."""
    strict.published()
    names = [_held(strict)["id"]]
    for _ in range(2):
        strict.remove(f"ImagingStudy/{names[-1]}")
        assert _verified(strict) is Decision.CREATE
        names.append(_held(strict)["id"])
    assert len(set(names)) == 3
    assert _verified(strict) is Decision.SKIP


def test_somebody_elses_study_is_adopted_or_left_alone(strict: World) -> None:
    """RULES C2: the conditional create would have answered with theirs; it is not even sent."""
    patient = strict.post({"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": "P1"}]})
    subject = {"reference": f"Patient/{patient}"}
    identifier = [{"system": "urn:dicom:uid", "value": f"urn:oid:{one}"} for one in (STUDY, OTHER)]
    for one, status in zip(identifier, ("registered", "available"), strict=True):
        strict.post({"resourceType": "ImagingStudy", "identifier": [one], "status": status, "subject": subject})
        strict.store(one["value"].removeprefix("urn:oid:"), PatientID="P1")
    strict.settle()
    strict.poll()
    strict.connect()
    adopted, left = strict.turn(STUDY), strict.turn(OTHER)
    assert adopted.record is not None and adopted.record.adopted is True
    assert adopted.record.resource_id.isdecimal()
    assert left.parked is not None and left.parked.reason == "foreign-imagingstudy"
    assert len(strict.fhir.resources("ImagingStudy")) == 2
    assert len(strict.fhir.resources("Patient")) == 1


def test_one_that_appears_between_the_lookup_and_the_create_is_not_doubled(strict: World) -> None:
    """RULES C1, C2: If-None-Exist, which a server without client ids needs for what create-only does elsewhere."""
    strict.store(PatientID="P1")
    strict.settle()
    strict.poll()
    strict.connect()
    identifier = [{"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}]

    def quicker(request: Request) -> None:
        if creates("ImagingStudy")(request):
            strict.fhir.rules.clear()
            strict.post({"resourceType": "ImagingStudy", "identifier": identifier, "status": "available",
                         "subject": {"display": "x"}})  # fmt: skip

    strict.fhir.rules.append(quicker)
    outcome = strict.turn()
    assert outcome.parked is not None and outcome.parked.reason == "foreign-imagingstudy"
    assert len(strict.fhir.resources("ImagingStudy")) == 1


def test_a_dry_look_keeps_no_name(strict: World) -> None:
    """README.md, resync --dry-run: decided as in a real run, from a name that is read and not kept."""
    strict.published()
    strict.mark(kind=MarkKind.VERIFY, read_fhir=True)
    claim = claim_study(strict.ledger, STUDY)
    assert claim is not None
    outcome = reconcile(Task(claim=claim, context=connect_dry(strict.site, strict.ledger), dry=True)).outcome
    assert outcome.decision is Decision.SKIP


def test_client_insists_on_our_ids(strict: World) -> None:
    """docs/settings.md, FHIR__IDS=client: then the refusal is told, and nothing is created."""
    strict.ids = "client"
    with pytest.raises(SyncdError):
        strict.connect()
    assert _created(strict) == 0


@pytest.mark.parametrize("how", ["the setting", "the CapabilityStatement"])
def test_a_server_that_takes_our_ids_can_be_asked_for_its_own(world: World, how: str) -> None:
    """docs/settings.md, FHIR__IDS=server; C1: or the server says that it refuses them."""
    if how == "the setting":
        world.ids = "server"
    else:
        world.fhir.says_ids = False
    world.published()
    assert _held(world)["id"].isdecimal()
    assert world.writes() == []


def test_what_has_our_id_already_keeps_it(world: World) -> None:
    """README.md: the setting was changed later; what is there is updated where it is, only what is new gets other ids."""
    world.published()
    world.ids = "server"
    world.connect()
    world.store(series=2)
    world.settle()
    world.mark()
    assert world.turn().decision is Decision.UPDATE
    world.published(OTHER, PatientID="P2")
    assert sorted(one["id"] == STUDY for one in world.fhir.resources("ImagingStudy")) == [False, True]
    assert world.study()["numberOfSeries"] == 2


def test_names_are_not_lost_on_the_way(strict: World) -> None:
    """RULES C6: a server that does not say which id it gave is asked for it."""
    strict.published()
    answer = strict.fhir.answer

    def silent(request: Request) -> Any:
        reply = answer(request)
        if creates("ImagingStudy")(request):
            return type(reply)(status=reply.status)
        return reply

    strict.fhir.answer = silent  # type: ignore[method-assign]
    strict.store(OTHER, PatientID="P2")
    strict.settle()
    strict.poll()
    assert strict.turn(OTHER).decision is Decision.CREATE
    assert _verified(strict, OTHER) is Decision.SKIP


def test_a_create_that_fails_is_no_create(strict: World) -> None:
    """RULES C6: answers to the POST mean what those to a PUT mean."""
    strict.connect()
    strict.store()
    strict.settle()
    strict.poll()
    strict.fhir.answer_instead(creates("ImagingStudy"), refused(503))
    with pytest.raises(Transient):
        strict.turn()
    strict.fhir.answer_instead(creates("ImagingStudy"), refused(422))
    outcome = strict.turn()
    assert outcome.parked is not None and outcome.parked.reason == "refused"
