"""Several archives at once: one ImagingStudy of all copies, and nobody's outage is another's (RULES A4, C6, C8, D1)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from syncd.loop.study.read import look
from syncd.model.ids import ArchiveName
from syncd.model.outcome import Outcome
from syncd.model.words import Decision
from tests.ledger.made import copies_of
from tests.loop.world import ENDPOINT, MAIN, OTHER, SECOND, STUDY, SYSTEM, World

pytestmark = pytest.mark.usefixtures("impatient")

SECOND_ENDPOINT = "second-wado-rs"
KEEP = {"Keep": ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"], "Force": True, "KeepSource": False}


@pytest.fixture
def both(world: World) -> World:
    return world.with_second()


def _endpoints(element: dict[str, Any]) -> list[str]:
    return [one["reference"].removeprefix("Endpoint/") for one in element.get("endpoint", ())]


def _published(world: World, study: str = STUDY) -> Outcome:
    """Everything stored so far is stable, marked and published."""
    world.settle()
    world.poll_all()
    outcome = world.turn(study)
    assert outcome.record is not None, outcome
    return outcome


def _asked(world: World, name: ArchiveName) -> int:
    return len(world.fake(name).requests)


# -- one study of all copies -------------------------------------------------------------------------------------------


def test_copies_in_two_archives_are_one_study(both: World) -> None:
    """RULES C8, MAPPING E: each series whole from the copy with most of it; what lives elsewhere names that archive."""
    for instance in (1, 2):
        both.store(series=1, instance=instance)
    both.store(series=2)
    both.store(series=1, at=SECOND)
    both.store(series=3, at=SECOND)
    both.store(series=3, instance=2, at=SECOND)
    outcome = _published(both)
    resource = both.study()
    assert (resource["numberOfSeries"], resource["numberOfInstances"]) == (3, 5)
    assert _endpoints(resource) == [ENDPOINT]
    assert {one["uid"]: _endpoints(one) for one in resource["series"]} == {
        f"{STUDY}.1": [],
        f"{STUDY}.2": [],
        f"{STUDY}.3": [SECOND_ENDPOINT],
    }
    assert {copy.archive for copy in copies_of(both.ledger, STUDY)} == {MAIN, SECOND}
    assert "C8" in outcome.ended.noted
    assert {one["id"] for one in both.fhir.resources("Endpoint")} >= {ENDPOINT, SECOND_ENDPOINT}


def test_an_unchanged_study_of_two_archives_costs_no_write(both: World) -> None:
    """RULES B3: the order in which the archives are read makes no difference."""
    both.store(series=1)
    both.store(series=2, at=SECOND)
    _published(both)
    both.mark()
    assert both.turn().decision is Decision.SKIP
    both.mark(read_fhir=True)
    assert both.turn().decision is Decision.SKIP
    assert len(both.writes()) == 1


def test_issuers_may_make_one_patient_of_two_numbers(world: World) -> None:
    """RULES C8: the same patient = equal (system, value) after issuer mapping."""
    world.with_second(patient_id_system="", issuers={"HOSP": SYSTEM})
    world.store(PatientID="P")
    world.store(PatientID="P", IssuerOfPatientID="HOSP", series=2, at=SECOND)
    _published(world)
    assert world.study()["numberOfSeries"] == 2


@pytest.mark.parametrize(
    ("here", "there", "second"),
    [
        ({"PatientID": "P"}, {"PatientID": "Q"}, {}),
        ({"PatientID": "P"}, {"PatientID": "P"}, {"patient_id_system": "http://other.test"}),
        ({"PatientID": "P"}, {"PatientID": "P"}, {"patient_id_system": ""}),
        ({"PatientID": ""}, {"PatientID": ""}, {}),
    ],
    ids=["another number", "another system", "no system", "no number at all"],
)
def test_copies_that_nobody_can_tell_to_be_one_patients_are_set_aside(
    world: World, here: dict[str, str], there: dict[str, str], second: dict[str, str]
) -> None:
    """RULES C8: parked `patient-conflict`, asked again each minute; one copy gone, it is published."""
    world.with_second(**second)
    world.store(**here)
    copy = world.store(**there, at=SECOND)
    world.settle()
    world.poll_all()
    outcome = world.turn()
    assert outcome.parked is not None
    assert (outcome.parked.reason, outcome.done, outcome.turn.due) == ("patient-conflict", False, world.clock() + 60)
    assert not world.writes()
    world.delete(copy, at=SECOND)
    assert world.turn().decision is Decision.CREATE
    assert world.ledger.records.find_parked(STUDY) is None


def test_a_conflict_is_seen_while_the_study_still_arrives(both: World) -> None:
    """RULES A6, C8: nothing is announced for a patient that it may not be."""
    both.store(PatientID="P")
    both.store(PatientID="Q", at=SECOND)
    both.poll_all()
    outcome = both.turn()
    assert outcome.parked is not None and outcome.parked.reason == "patient-conflict"
    assert not both.writes()


def test_what_is_announced_leads_to_the_archive_with_most_of_it(both: World) -> None:
    """RULES A6, MAPPING E; while one copy still arrives, the study does."""
    both.store()
    both.settle()
    both.store(at=SECOND)
    both.store(series=2, at=SECOND)
    both.poll_all()
    outcome = both.turn()
    assert (both.study()["status"], outcome.done) == ("registered", False)
    assert _endpoints(both.study()) == [SECOND_ENDPOINT]


def test_an_endpoint_of_ours_never_becomes_another_writers(both: World, tmp_path: Any) -> None:
    """RULES C3, E7: also of a series that has moved home since, and with the ledger lost."""
    both.store(series=1)
    copy = both.store(series=2, at=SECOND)
    _published(both)
    both.store(series=2)
    both.delete(copy, at=SECOND)
    (tmp_path / "other").mkdir()
    both.lose_ledger(tmp_path / "other")
    both.connect(accept_target=True)
    both.settle()
    for name in both.archives:
        both.sweep(name)
    assert both.turn().decision is Decision.UPDATE
    assert "second" not in json.dumps(both.study())


def test_the_first_publication_asks_every_archive(both: World) -> None:
    """RULES C8: the inventory of the archive that comes last need not be waited for; one that is away is not."""
    both.store(series=1)
    both.store(OTHER, PatientID="P2")
    both.store(series=2, at=SECOND)
    both.settle()
    both.poll(MAIN)
    assert both.turn().decision is Decision.CREATE
    assert both.study()["numberOfSeries"] == 2
    assert {copy.archive for copy in copies_of(both.ledger, STUDY)} == {MAIN, SECOND}
    both.second.away = True
    assert both.turn(OTHER).decision is Decision.CREATE


# -- studies that move -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [True, False], ids=["the feed told", "only the lookup tells"])
def test_a_study_that_moved_converges(both: World, told: bool) -> None:
    """RULES D1: deleted in one archive, stored in the other: one ImagingStudy, the same subject, the other's Endpoint."""
    copy = both.store()
    _published(both)
    subject = both.study()["subject"]
    both.store(at=SECOND)
    both.delete(copy)
    both.settle()
    if told:
        both.poll_all()
    both.mark()
    outcome = both.turn()
    assert (outcome.decision, outcome.done) == (Decision.UPDATE, True)
    (kept,) = copies_of(both.ledger, STUDY)
    assert kept.archive == SECOND
    (resource,) = both.fhir.resources("ImagingStudy")
    assert (resource["status"], resource["subject"], _endpoints(resource)) == ("available", subject, [SECOND_ENDPOINT])


def test_a_copy_that_is_gone_takes_its_series_along(both: World) -> None:
    """RULES D1: gone in one archive = that copy gone; the study lives on in the other."""
    both.store(series=1)
    copy = both.store(series=2, at=SECOND)
    _published(both)
    both.delete(copy, at=SECOND)
    both.mark()
    assert both.turn().decision is Decision.UPDATE
    assert [one["uid"] for one in both.study()["series"]] == [f"{STUDY}.1"]
    assert [one.archive for one in copies_of(both.ledger, STUDY)] == [MAIN]


def test_gone_is_only_what_no_archive_holds(both: World) -> None:
    """RULES D1: each archive is asked, and answers in the same pass."""
    copy = both.store()
    _published(both)
    both.delete(copy)
    both.mark()
    before = {name: _asked(both, name) for name in both.archives}
    seen = look(both.task())
    assert (seen.headers, [one.orthanc_id for one in seen.gone]) == ((), [copy])
    for name, count in before.items():
        asked = [request.path for request in both.fake(name).requests[count:]]
        assert [path for path in asked if path in ("/tools/lookup", "/system")] == ["/tools/lookup", "/system"]


def _modify(world: World, orthanc_id: str, *, at: ArchiveName, **asked: Any) -> dict[str, Any]:
    answer = world.fake(at).handle("POST", f"/studies/{orthanc_id}/modify", body=json.dumps(asked).encode())
    assert answer.status == 200, answer.body
    world.fake(at).index.forget_unstable()
    return dict(answer.json)


def test_a_patient_id_corrected_in_one_archive_conflicts_until_it_is_in_the_other(world: World) -> None:
    """RULES C8, D1: the subject follows once both agree; one ImagingStudy all along."""
    world.second.__init__("1.12.7", clock=world.clock, name="second")  # type: ignore[misc]
    both = world.with_second()
    copies = {MAIN: both.store(PatientID="P1"), SECOND: both.store(PatientID="P1", series=2, at=SECOND)}
    _published(both)
    before = both.study()["subject"]
    _modify(both, copies[MAIN], at=MAIN, Replace={"PatientID": "P2"}, **KEEP)
    both.mark()
    outcome = both.turn()
    assert outcome.parked is not None and outcome.parked.reason == "patient-conflict"
    assert both.study()["subject"] == before, "the last good publication stays"
    _modify(both, copies[SECOND], at=SECOND, Replace={"PatientID": "P2"}, **KEEP)
    assert both.turn().decision is Decision.UPDATE
    (resource,) = both.fhir.resources("ImagingStudy")
    assert resource["subject"] != before
    assert (resource["numberOfSeries"], both.ledger.records.find_parked(STUDY)) == (2, None)


def test_an_anonymised_copy_in_the_other_archive_is_a_study_of_its_own(both: World) -> None:
    """RULES C1, C8: a new StudyInstanceUID and another patient; the first study is not touched."""
    copy = both.store(PatientID="P1")
    _published(both)
    made = _modify(both, copy, at=MAIN, Replace={"PatientID": "ANON", "PatientName": "Anon"}, Force=True)
    another = both.archive.study(made["ID"]).study_uid
    both.store(another, PatientID="ANON", at=SECOND)
    both.settle()
    both.poll_all()
    for row in both.ledger.marks.page():
        both.turn(row.study_uid)
    subjects = {one["id"]: one["subject"]["reference"] for one in both.fhir.resources("ImagingStudy")}
    assert len(subjects) == len(set(subjects.values())) == 2
    assert len(copies_of(both.ledger, another)) == 2


def test_a_study_that_is_split_across_archives_and_merged_again_converges(both: World) -> None:
    """RULES C8, D1: a series moves away and comes back; one ImagingStudy each, with all that is there."""
    whole = both.store(series=1)
    both.store(series=2)
    _published(both)
    both.delete(whole)
    both.store(series=1)
    both.store(series=2, at=SECOND)
    _published(both)
    assert {one["uid"]: _endpoints(one) for one in both.study()["series"]} == {
        f"{STUDY}.1": [],
        f"{STUDY}.2": [SECOND_ENDPOINT],
    }
    (there,) = (copy for copy in copies_of(both.ledger, STUDY) if copy.archive == SECOND)
    both.store(series=2)
    both.delete(there.orthanc_id, at=SECOND)
    _published(both)
    assert [_endpoints(one) for one in both.study()["series"]] == [[], []]
    assert len(both.fhir.resources("ImagingStudy")) == 1
