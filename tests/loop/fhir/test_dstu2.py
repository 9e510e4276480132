"""A whole site whose FHIR server speaks DSTU2: no status, no Endpoint, versions compared in the body (MAPPING M)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from syncd.errors import Transient
from syncd.loop.companions.target import probe
from syncd.model.words import Decision
from syncd.model.work import LONGEST_STREAM, MarkKind
from tests.fakes.fhir import FakeFhir
from tests.fakes.http import Request, Response
from tests.loop.rejecting import EXPIRED, NOTES, SAFETY, delete, due, images, note, settled, uid
from tests.loop.world import OTHER, SETTLE, STUDY, SYSTEM, World, puts

NewWorld = Callable[..., World]
ORDER = [{"reference": "DiagnosticOrder/order-17"}]
ALL = {STUDY: [uid(number) for number in (1, 2, 3)]}


@pytest.fixture
def world(new_world: NewWorld) -> World:
    return new_world(fhir_version="dstu2")


def _foreign(**elements: Any) -> dict[str, Any]:
    """Another program's ImagingStudy of the same study."""
    counts = {"numberOfSeries": 0, "numberOfInstances": 0}
    who = {"uid": f"urn:oid:{STUDY}", "patient": {"display": "somebody"}}
    return {"resourceType": "ImagingStudy", "id": STUDY, **who, **counts, **elements}


def _ready(world: World, **tags: Any) -> None:
    world.store(**tags)
    world.settle()
    world.poll()


def _grown(world: World) -> None:
    """A second series is there and stable."""
    world.store(series=2)
    world.settle()
    world.mark()


def _edited(world: World, **elements: Any) -> None:
    """Another program changes our ImagingStudy."""
    world.put({**world.study(), **elements})


def _meanwhile(world: World, act: Callable[[], None]) -> None:
    """Somebody acts once, between our decision and our write."""

    def rule(request: Request) -> Response | None:
        if puts()(request):
            world.fhir.rules.clear()
            act()
        return None

    world.fhir.rules.append(rule)


def test_the_first_start_proves_the_form_and_writes_a_basic(world: World) -> None:
    """RULES C2, E3: the sentinel is a Basic; `If-Match` is overlooked there, the version in the body is not."""
    context = world.connect()
    target = world.ledger.facts.target()
    assert target is not None
    assert (target.fhir_version, target.create_form) == ("dstu2", "version-in-body")
    assert [one["id"] for one in world.fhir.resources("Basic")] == [target.sentinel_id]
    assert not world.asked("Endpoint")
    context.check_sentinel()
    before = len(world.fhir.requests)
    world.connect()
    assert {one.method for one in world.fhir.requests[before:]} == {"GET"}


def test_a_stable_study_is_published_and_an_unchanged_one_costs_no_write(world: World) -> None:
    """RULES B3, C1, C2, MAPPING M: ONLINE and OIDs; the ledger says `available`; the type is DSTU2's."""
    outcome = world.published()
    said = world.study()
    assert (said["uid"], said["availability"], said["numberOfInstances"]) == (f"urn:oid:{STUDY}", "ONLINE", 1)
    assert said["url"] == f"https://pacs.test/dicom-web/studies/{STUDY}"
    assert outcome.record is not None and outcome.record.subject == said["patient"]["reference"]
    (request,) = world.writes()
    assert (request.headers["content-type"], request.headers["accept"]) == ("application/json+fhir",) * 2
    assert json.loads(request.body)["meta"]["versionId"] == "0"
    for wanted in ({}, {"kind": MarkKind.VERIFY, "read_fhir": True}):
        world.mark(**wanted)
        assert world.turn().decision is Decision.SKIP
    assert len(world.writes()) == len(world.writes("Patient")) == 1


def test_studies_are_looked_up_together_by_what_dstu2_can_search_for(world: World) -> None:
    """RULES C2, MAPPING M: one search for all by `study`; `identifier` is no parameter there."""
    world.store(STUDY)
    world.store(OTHER)
    world.settle()
    world.poll()
    assert {one.decision for one in world.work()} == {Decision.CREATE}
    asked = [dict(parse_qsl(one.body.decode())) for one in world.asked("ImagingStudy/_search")]
    names = [f"{STUDY},{OTHER}", f"urn:oid:{STUDY},urn:oid:{OTHER}"]
    assert [(one.get("_id"), one.get("study")) for one in asked] == [(names[0], None), (None, names[1])]


def test_a_study_that_arrives_is_not_written_but_keeps_its_mark(world: World) -> None:
    """RULES A5, A6: DSTU2 cannot say `registered`; it is asked again, and written once it is stable."""
    world.store()
    world.poll()
    outcome = world.turn()
    assert (outcome.decision, outcome.done) == (Decision.WAIT, False)
    assert "arriving" in outcome.reason
    row = world.ledger.marks.find(STUDY)
    assert row is not None and row.due == world.clock() + SETTLE
    assert not world.writes() and not world.writes("Patient")
    world.settle()
    world.poll()
    assert world.turn().decision is Decision.CREATE
    assert world.ledger.marks.find(STUDY) is None


def test_a_stream_without_end_is_published_after_ten_minutes(world: World) -> None:
    """RULES A5."""
    for number in range(int(LONGEST_STREAM / 20) + 1):
        world.store(instance=number)
        world.poll()
        world.clock.advance(20)
    assert world.turn().decision is Decision.CREATE
    assert world.study()["availability"] == "ONLINE"


def test_what_comes_later_is_one_write_under_the_version_that_was_confirmed(world: World) -> None:
    """RULES A2, C4."""
    world.published()
    _grown(world)
    assert world.turn().decision is Decision.UPDATE
    assert world.study()["numberOfSeries"] == 2
    assert [json.loads(one.body)["meta"]["versionId"] for one in world.writes()] == ["0", "1"]


def test_what_is_rejected_becomes_unavailable_and_returns(world: World) -> None:
    """RULES B7, MAPPING M: UNAVAILABLE is DSTU2's word for withdrawn; said once; the ledger says `cancelled`."""
    images(world, 1, 2, 3)
    settled(world)
    for title, number in ((SAFETY, 1), (EXPIRED, 2)):
        note(world, title, ALL, number=number)
        settled(world)
        said = world.study()
        assert (said["availability"], said["numberOfInstances"]) == ("UNAVAILABLE", 0)
        assert not {"series", "url", "modalityList"} & said.keys()
    record = world.ledger.records.find(STUDY)
    assert record is not None and record.status == "cancelled"
    assert len(world.writes()) == 2
    for number in (1, 2):
        delete(world, number, series=NOTES)
    world.mark()
    world.turn()
    world.clock.advance(901)
    due(world)
    assert (world.study()["availability"], world.study()["numberOfInstances"]) == ("ONLINE", 3)


def test_a_conflict_starts_again_and_keeps_what_the_other_wrote(world: World) -> None:
    """RULES C3, C4: told by the version in the body alone."""
    world.published()
    _grown(world)
    world.put({"resourceType": "DiagnosticOrder", "id": "order-17"})
    _meanwhile(world, lambda: _edited(world, order=ORDER))
    outcome = world.turn()
    assert outcome.decision is Decision.UPDATE
    assert (world.study()["order"], world.study()["numberOfSeries"]) == (ORDER, 2)
    assert outcome.record is not None and outcome.record.foreign == {"order": ORDER}


def test_an_edit_of_what_is_ours_is_put_right(world: World) -> None:
    """RULES C3: description, counts, modalities and addresses are the archive's, and OFFLINE is no withdrawal."""
    world.published()
    ours = world.study()
    _edited(world, description="x", numberOfSeries=7, modalityList=[], url="https://theirs.test", availability="OFFLINE")
    world.mark(kind=MarkKind.VERIFY, read_fhir=True)
    assert world.turn().decision is Decision.UPDATE
    assert {**world.study(), "meta": {}} == {**ours, "meta": {}}


def test_what_a_human_withdrew_stays_withdrawn(world: World) -> None:
    """RULES C4: UNAVAILABLE, set by another writer."""
    world.published()
    _edited(world, availability="UNAVAILABLE")
    _grown(world)
    world.mark(kind=MarkKind.VERIFY, read_fhir=True)
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "withdrawn-by-other"
    assert world.study()["availability"] == "UNAVAILABLE"


@pytest.mark.parametrize("theirs", [STUDY, "theirs"], ids=["under our id", "under another id"])
def test_another_writers_study_is_left_alone(world: World, theirs: str) -> None:
    """RULES C2, C9: found by `_id` or by its UID."""
    world.put(_foreign(id=theirs))
    _ready(world)
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "foreign-imagingstudy"
    assert len(world.writes()) == 1  # theirs


def test_a_study_that_appears_before_our_first_write_is_left_alone(world: World) -> None:
    """RULES C2: create-only by the version in the body."""
    _ready(world)
    _meanwhile(world, lambda: world.put(_foreign(description="theirs")))
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "foreign-imagingstudy"
    assert world.study()["description"] == "theirs"


def test_over_a_tombstone_its_version_is_named(world: World) -> None:
    """RULES C2, C6: before the first write, and deleted behind our back."""
    world.put(_foreign())
    world.remove(f"ImagingStudy/{STUDY}")
    _ready(world)
    assert world.turn().reason == "over a tombstone"
    assert json.loads(world.writes()[-1].body)["meta"]["versionId"] == "2"
    world.remove(f"ImagingStudy/{STUDY}")
    _grown(world)
    outcome = world.turn()
    assert (outcome.decision, outcome.reason) == (Decision.CREATE, "deleted on the server")
    assert world.study()["numberOfSeries"] == 2


def test_a_lost_reply_is_recognised_without_a_second_write(world: World) -> None:
    """RULES C5."""
    _ready(world)
    world.connect()
    world.fhir.lose_reply_of(puts())
    with pytest.raises(Transient):
        world.turn()
    outcome = world.turn()
    assert (outcome.decision, len(world.writes())) == (Decision.SKIP, 1)
    assert outcome.record is not None and (outcome.record.foreign, outcome.record.status) == ({}, "available")


def test_a_lost_ledger_rewrites_nothing_that_is_equal(world: World, tmp_path: Path) -> None:
    """RULES E3, E7: the Basic names us; our tag and the UID name the study, whatever id it has."""
    world.published()
    ours = {**world.study(), "id": "kept"}
    world.remove(f"ImagingStudy/{STUDY}")
    del ours["meta"]["versionId"]
    world.put(ours)
    sent = len(world.writes())
    world.lose_ledger(tmp_path)
    world.connect(accept_target=True)
    world.sweep()
    outcome = world.turn()
    assert (outcome.decision, len(world.writes())) == (Decision.SKIP, sent)
    assert outcome.record is not None and outcome.record.resource_id == "kept"


def test_a_wiped_server_is_filled_again(world: World) -> None:
    """RULES C6, E3: the missing Basic is the sign; an update that is answered 201 too."""
    world.published()
    world.fhir.wipe()
    probe(world.context)
    assert len(world.fhir.resources("Basic")) == 1
    assert world.turn().decision is Decision.CREATE
    world.fhir.wipe()
    _grown(world)
    world.work()
    assert world.study()["numberOfSeries"] == 2
    assert len(world.fhir.resources("Basic")) == 1


def test_a_server_that_was_upgraded_is_written_to_in_the_new_version(world: World) -> None:
    """RULES E3: an R4 server at the same address holds no Basic of ours, so everything is written again, in R4."""
    world.published()
    address, world.fhir = world.fhir.url, FakeFhir(clock=world.clock)
    world.fhir.url = address
    world.connect()
    target = world.ledger.facts.target()
    assert target is not None and (target.fhir_version, target.create_form) == ("r4", "if-match-0")
    assert world.turn().decision is Decision.CREATE
    assert world.study()["status"] == "available"


def test_a_patient_that_replaced_another_is_followed(world: World) -> None:
    """RULES B4: DSTU2's link says `replace`."""
    identifier = [{"system": SYSTEM, "value": "P"}]
    link = [{"other": {"reference": "Patient/left"}, "type": "replace"}]
    world.put({"resourceType": "Patient", "id": "left"})
    world.put({"resourceType": "Patient", "id": "merged", "identifier": identifier, "link": link})
    world.published()
    assert world.study()["patient"] == {"reference": "Patient/left"}
    assert len(world.writes("Patient")) == 2  # theirs


def test_a_patient_that_vanished_is_written_again(world: World) -> None:
    """RULES B4, C6: 400 names a reference of ours; there are no Endpoints to look after."""
    world.published()
    patient = world.study()["patient"]["reference"]
    del world.fhir.store.versions["ImagingStudy", STUDY], world.fhir.store.versions["Patient", patient.partition("/")[2]]
    _grown(world)
    world.work()
    assert world.study()["patient"] == {"reference": patient}


def test_without_patients_the_subject_is_words(new_world: NewWorld) -> None:
    """RULES B4, MAPPING M: no logical references; nothing is looked up or written."""
    world = new_world(fhir_version="dstu2", patient="logical")
    outcome = world.published()
    assert world.study()["patient"] == {"display": f"P ({SYSTEM})"}
    assert outcome.record is not None and outcome.record.subject == ""
    assert not world.asked("Patient")


def test_a_study_that_is_gone_becomes_unavailable_and_returns(world: World) -> None:
    """RULES D1, MAPPING F.3, M: our part cut down to who and what it was; a human's words stay; back under the same id."""
    world.published()
    _edited(world, clinicalInformation="theirs")
    (study,) = world.orthanc.index.all("Study")
    world.delete(study.id)
    world.sweep()
    world.mark()
    outcome = world.turn()
    assert outcome.decision is Decision.RETRACT, outcome
    said = world.study()
    assert (said["uid"], said["availability"]) == (f"urn:oid:{STUDY}", "UNAVAILABLE")
    assert (said["numberOfSeries"], said["numberOfInstances"]) == (0, 0)
    assert said["patient"] and said["clinicalInformation"] == "theirs" and "series" not in said
    _ready(world)
    world.turn()
    assert (world.study()["availability"], world.study()["numberOfInstances"]) == ("ONLINE", 1)
