"""Several Orthanc studies under one StudyInstanceUID, and none (RULES C8, D1)."""

from __future__ import annotations

import json

from syncd.model.words import Decision
from syncd.model.work import MarkKind
from tests.ledger.made import copies_of
from tests.loop.world import STUDY, World


def _references(world: World) -> str:
    return str(world.study()["subject"]["reference"])


def test_a_corrected_patient_id_changes_the_subject(world: World) -> None:
    """RULES D1, MAPPING I case 51: the old Orthanc id answers 404, the lookup names the new one; one ImagingStudy, another
    subject."""
    world.published()
    before = _references(world)
    (old,) = copies_of(world.ledger, STUDY)
    asked = {"Replace": {"PatientID": "P2"}, "Keep": ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]}
    body = json.dumps({**asked, "Force": True, "KeepSource": False}).encode()
    answer = world.orthanc.handle("POST", f"/studies/{old.orthanc_id}/modify", body=body)
    assert answer.status == 200
    world.orthanc.index.forget_unstable()
    world.mark(kind=MarkKind.RESYNC)
    outcome = world.turn()
    assert outcome.decision is Decision.UPDATE
    assert _references(world) != before
    assert [copy.orthanc_id for copy in copies_of(world.ledger, STUDY)] == [answer.json["ID"]] != [old.orthanc_id]
    assert len(world.fhir.resources("ImagingStudy")) == 1


def test_two_copies_of_one_patient_are_one_study(world: World) -> None:
    """RULES C8: the union of both; the patient is the same by (system, value), however it is spelt."""
    world.store(PatientID="P")
    world.store(PatientID="P\0", series=2)
    world.settle()
    world.poll()
    assert len(copies_of(world.ledger, STUDY)) == 2
    assert world.turn().done
    assert (world.study()["numberOfSeries"], world.study()["numberOfInstances"]) == (2, 2)


def test_two_patients_in_one_study_are_a_conflict_that_resolves(world: World) -> None:
    """RULES C8, D1, MAPPING I case 50: parked, looked at again each minute, published once one copy is gone."""
    world.store(PatientID="P")
    other = world.store(PatientID="P2")
    world.settle()
    world.poll()
    outcome = world.turn()
    assert outcome.parked is not None
    assert (outcome.parked.reason, outcome.done, outcome.turn.due) == ("patient-conflict", False, world.clock() + 60)
    assert not world.writes()
    world.delete(other)
    outcome = world.turn()
    assert (outcome.decision, outcome.done) == (Decision.CREATE, True)
    assert world.ledger.records.find_parked(STUDY) is None
    assert len(copies_of(world.ledger, STUDY)) == 1


def test_what_vanished_before_it_was_published_leaves_nothing(world: World) -> None:
    """RULES D1: the lookup answers that there is no copy."""
    world.delete(world.store())
    world.store()
    orthanc_id = world.store()
    world.poll()
    world.delete(orthanc_id)
    outcome = world.turn()
    assert (outcome.decision, outcome.done) == (Decision.SKIP, True)
    assert copies_of(world.ledger, STUDY) == ()
    assert not world.writes()


def test_a_parked_study_that_vanishes_is_parked_no_more(world: World) -> None:
    """RULES E2: proven gone un-parks."""
    orthanc_id = world.store()
    world.settle()
    world.poll()
    world.put({"resourceType": "ImagingStudy", "id": STUDY, "status": "available", "subject": {"display": "theirs"}})
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "foreign-imagingstudy"
    assert world.ledger.overview.counts(world.clock()).parked == {"foreign-imagingstudy": 1}
    world.delete(orthanc_id)
    world.mark()
    assert world.turn().done
    assert world.ledger.overview.counts(world.clock()).parked == {}
