"""Two people are never one Patient, on any path (RULES B4, B10)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import Transient
from syncd.loop.fhir import inventory
from syncd.loop.steps import Step, observe
from syncd.model.outcome import Outcome
from syncd.model.words import Decision
from tests.fakes.http import Response
from tests.ledger.made import copies_of
from tests.loop.world import OTHER, SECOND, STUDY, SYSTEM, World, puts

NewWorld = Callable[..., World]

THIRD = "1.2.276.3"
ANNA = {"PatientName": "Hello^Anna", "PatientBirthDate": "19700101", "PatientSex": "F"}
BERT = {"PatientName": "World^Bert", "PatientBirthDate": "19331111", "PatientSex": "M"}
OLDER, NEWER = {"StudyDate": "20200101"}, {"StudyDate": "20210101"}


def arrived(world: World, study: str, **tags: Any) -> Outcome:
    """A stable study has its turn, whatever comes of it."""
    world.store(study, **tags)
    world.settle()
    world.poll()
    return world.turn(study)


def corrected(world: World, study: str, **tags: Any) -> Outcome:
    """Its images were exchanged for others that say something else of the patient; the marks that follow are worked off."""
    world.delete(copies_of(world.ledger, study)[0].orthanc_id)
    world.store(study, **tags)
    world.settle()
    world.poll()
    return world.turn(study)


def ours(world: World) -> dict[str, Any]:
    (found,) = (one for one in world.fhir.resources("Patient") if one["id"].startswith("pat-"))
    return found


def is_parked(world: World, study: str) -> bool:
    entry = world.ledger.records.find_parked(study)
    assert entry is None or entry.reason == "patient-mismatch"
    return entry is not None


@pytest.fixture(params=[SYSTEM, ""], ids=["with system", "without system"])
def site(request: pytest.FixtureRequest, world: World) -> World:
    """PatientIDs of the archive, in a system or in none."""
    world.policy = replace(world.policy, archive=replace(world.policy.archive, patient_id_system=request.param))
    return world


@pytest.mark.parametrize(("first", "second"), [(OLDER, NEWER), (NEWER, OLDER)], ids=["later is newer", "later is older"])
def test_the_study_that_came_later_is_parked(site: World, first: dict[str, str], second: dict[str, str]) -> None:
    """PS3.3 C.7.1.1: an ID identifies only with its issuer. The Patient stays the first one's, whichever is greater."""
    site.published(STUDY, **ANNA, **first)
    outcome = arrived(site, OTHER, **BERT, **second)
    assert outcome.parked is not None and outcome.parked.reason == "patient-mismatch"
    assert STUDY in outcome.parked.detail and OTHER in outcome.parked.detail
    assert "1970" not in outcome.parked.detail and "Hello" not in outcome.parked.detail
    assert (ours(site)["birthDate"], len(site.writes("Patient"))) == ("1970-01-01", 1)
    assert [one["id"] for one in site.fhir.resources("ImagingStudy")] == [STUDY]


def test_what_the_server_holds_is_compared_not_what_the_ledger_remembers(world: World, tmp_path: Path) -> None:
    """RULES B10, E7: a lost ledger knows of nobody; the server shows whose the Patient is, and a study under it."""
    world.published(STUDY, **ANNA, **OLDER)
    world.lose_ledger(tmp_path)
    world.connect(accept_target=True)
    outcome = arrived(world, OTHER, **BERT, **NEWER)
    assert outcome.parked is not None and STUDY in outcome.parked.detail
    assert (ours(world)["birthDate"], ours(world)["meta"]["versionId"]) == ("1970-01-01", "1")


@pytest.mark.parametrize("announced", [True, False])
def test_a_study_still_on_its_way_holds_its_patient(world: World, announced: bool) -> None:
    """RULES B10: the first study wrote the Patient and is in no record yet."""
    world.store(STUDY, **ANNA, **OLDER)
    if not announced:
        world.settle()
    world.poll()
    world.fhir.rules.append(lambda request: Response(status=503) if puts()(request) else None)
    with pytest.raises(Transient, match="503"):
        world.turn(STUDY)
    world.fhir.rules.clear()
    assert ours(world)["gender"] == "female" and not world.fhir.resources("ImagingStudy")
    assert arrived(world, OTHER, **BERT, **NEWER).parked is not None
    world.settle()
    assert world.turn(STUDY).record is not None


def test_an_unchanged_study_asks_and_writes_nothing(world: World) -> None:
    """RULES B3: of what says the same, nothing is read; of what says it otherwise, the Patient once."""
    world.published(STUDY, **ANNA, **OLDER)
    world.published(OTHER, **ANNA | {"PatientName": "Hello^A"}, **NEWER)
    asked = len(world.asked("/Patient"))
    for study in (STUDY, OTHER) * 3:
        world.mark(study)
        assert world.turn(study).decision is Decision.SKIP
    assert [one.method for one in world.asked("/Patient")[asked:]] == ["GET"]


@pytest.mark.parametrize(
    ("other", "tag"),
    [
        ({"PatientBirthDate": "19710101"}, "0010,0030"),
        ({"PatientSex": "M"}, "0010,0040"),
        ({"PatientName": "Quite^Another"}, "0010,0010"),
    ],
    ids=["birth date", "sex", "name"],
)
def test_one_value_that_differs_is_published_with_a_note(world: World, other: dict[str, str], tag: str) -> None:
    """RULES B10: one value alone may be a slip; the other studies of the Patient are noted, too."""
    before = world.published(STUDY, **ANNA, **OLDER).record
    outcome = world.published(OTHER, **ANNA | other, **NEWER)
    assert "RULES B10" in outcome.ended.noted
    (again,) = [one for one in world.work() if one.study_uid == STUDY]
    assert again.decision is Decision.SKIP
    assert before is not None and again.record is not None and again.record.notes == before.notes + 1
    assert not world.ledger.marks.page()


def test_a_correction_of_the_only_study_corrects_the_patient(world: World) -> None:
    """RULES B4: the study that wrote it, birth date and sex both corrected in the archive."""
    world.published(STUDY, **ANNA)
    assert corrected(world, STUDY, **BERT).record is not None
    assert ours(world)["birthDate"] == "1933-11-11"


def test_a_correction_that_another_study_does_not_share_waits_for_it(world: World) -> None:
    """RULES B10: it looks like another person, until every study of the Patient says so; then nothing stays parked."""
    for number, study in enumerate((STUDY, OTHER, THIRD)):
        world.published(study, **ANNA, StudyDate=f"2024010{number + 1}")
    assert corrected(world, STUDY, **BERT, StudyDate="20240101").decision is Decision.PARK
    assert corrected(world, THIRD, **BERT, StudyDate="20240103").decision is Decision.PARK
    assert ours(world)["birthDate"] == "1970-01-01"
    corrected(world, OTHER, **BERT, StudyDate="20240102")
    world.work()
    assert ours(world)["birthDate"] == "1933-11-11"
    assert not any(is_parked(world, study) for study in (STUDY, OTHER, THIRD))
    assert not world.ledger.marks.page()


def test_a_correction_of_the_published_one_lets_the_parked_one_in(world: World) -> None:
    """RULES E2: parked is not deaf: the Patient says something else now."""
    world.published(STUDY, **ANNA, **OLDER)
    arrived(world, OTHER, **BERT, **NEWER)
    corrected(world, STUDY, **BERT, **OLDER)
    world.work()
    assert not is_parked(world, OTHER)
    assert world.ledger.records.find(OTHER) is not None


def test_a_correction_of_the_parked_one_lets_it_in(world: World) -> None:
    """README, patient-mismatch: correct whichever is wrong."""
    world.published(STUDY, **ANNA, **OLDER)
    arrived(world, OTHER, **BERT, **NEWER)
    assert corrected(world, OTHER, **ANNA, **NEWER).record is not None
    assert not is_parked(world, OTHER)


def test_a_patient_that_nobody_stands_by_is_free(world: World) -> None:
    """RULES B10: the first study got its right PatientID; the second one's is right."""
    world.published(STUDY, **ANNA, **OLDER)
    arrived(world, OTHER, **BERT, **NEWER)
    corrected(world, STUDY, **ANNA, **OLDER, PatientID="RIGHT")
    world.mark(OTHER)
    assert world.turn(OTHER).record is not None
    by_id = {one["identifier"][0]["value"]: one["birthDate"] for one in world.fhir.resources("Patient")}
    assert by_id == {"P": "1933-11-11", "RIGHT": "1970-01-01"}


def test_after_a_reset_those_who_used_the_patient_come_first(world: World) -> None:
    """RULES C6, B10: the server holds nothing to compare with; what was parked waits for what was published."""
    world.published(OTHER, **ANNA, **OLDER)
    arrived(world, STUDY, **BERT, **NEWER)
    world.fhir.wipe()
    world.ledger.marks.forget_target_state()
    world.connect()
    assert world.turn(STUDY).decision is Decision.PARK
    world.turn(OTHER)
    assert (ours(world)["gender"], is_parked(world, STUDY)) == ("female", True)


def test_a_study_under_way_hears_that_its_patient_is_another_person_now(world: World) -> None:
    """RULES E1, B10: told to use the Patient, it is in no record yet when the only other study is corrected."""
    world.published(STUDY, **ANNA, **NEWER)
    told: list[Step] = []

    def correct_meanwhile(step: Step) -> None:
        if step is Step.SUBJECT_RESOLVED and not told:
            told.append(step)
            corrected(world, STUDY, **BERT, **NEWER)

    observe(correct_meanwhile)
    try:
        arrived(world, OTHER, **ANNA, **OLDER)
    finally:
        observe(None)
    assert ours(world)["gender"] == "male"
    world.work()
    assert is_parked(world, OTHER)


@pytest.mark.parametrize("system", [SYSTEM, ""])
def test_series_of_two_people_in_one_study_are_parked(world: World, system: str) -> None:
    """RULES B10: within one study; both series are named, and no Patient is written."""
    world.store(STUDY, **ANNA)
    world.store(STUDY, series=2, **BERT)
    world.settle()
    world.poll()
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "patient-mismatch"
    assert f"{STUDY}.1 and {STUDY}.2" in outcome.parked.detail
    assert not world.fhir.resources("Patient") and not world.writes()


def test_series_of_one_study_that_differ_in_one_value_are_published_without_it(world: World) -> None:
    """RULES B9: left out, and noted."""
    world.store(STUDY, **ANNA)
    world.store(STUDY, series=2, **ANNA | {"PatientBirthDate": "19331111"})
    world.settle()
    world.poll()
    assert "RULES B10" in world.turn().ended.noted
    assert "birthDate" not in ours(world) and ours(world)["gender"] == "female"


def test_issuers_that_differ_within_a_study_share_no_patient(world: World) -> None:
    """PS3.3 C.7.1.1, RULES B10: nobody knows whose number it is."""
    world.published(OTHER, **ANNA)
    world.store(STUDY, IssuerOfPatientID="A", **ANNA)
    world.store(STUDY, series=2, IssuerOfPatientID="B", **ANNA)
    world.settle()
    world.poll()
    assert "RULES B10" in world.turn().ended.noted
    assert world.study()["subject"] != world.study(OTHER)["subject"]
    (own,) = (
        one for one in world.fhir.resources("Patient") if f"Patient/{one['id']}" == world.study()["subject"]["reference"]
    )
    assert "identifier" not in own


def test_copies_of_two_people_are_parked(world: World) -> None:
    """RULES B10, C8: between archives."""
    world.with_second()
    world.store(STUDY, **ANNA)
    world.store(STUDY, at=SECOND, **BERT)
    world.settle()
    world.poll_all()
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "patient-mismatch"


def test_a_remembered_foreign_patient_is_judged(world: World) -> None:
    """RULES B4, B10: the study was corrected after its subject was found."""
    world.put(
        {
            "resourceType": "Patient",
            "id": "his-1",
            "identifier": [{"system": SYSTEM, "value": "P"}],
            "birthDate": "1970-01-01",
            "gender": "female",
        }
    )
    world.published(STUDY, **ANNA)
    outcome = corrected(world, STUDY, **BERT)
    assert outcome.parked is not None and "Patient/his-1" in outcome.parked.detail
    assert len(world.writes("Patient")) == 1  # theirs


def test_one_value_of_a_foreign_patient_that_differs_is_noted(world: World) -> None:
    """RULES B10."""
    world.put({"resourceType": "Patient", "id": "his-1", "identifier": [{"system": SYSTEM, "value": "P"}], "gender": "male"})
    assert "RULES B10" in world.published(STUDY, **ANNA).ended.noted


def test_a_doubt_keeps_nothing_from_being_withdrawn(world: World) -> None:
    """RULES D1: gone is gone, whoever it was."""
    world.published(STUDY, **ANNA, **OLDER)
    world.published(OTHER, **ANNA, **NEWER)
    assert corrected(world, OTHER, **BERT, **NEWER).decision is Decision.PARK
    world.delete(copies_of(world.ledger, OTHER)[0].orthanc_id)
    world.sweep()
    world.mark(OTHER)
    assert world.turn(OTHER).decision is Decision.RETRACT


@pytest.mark.parametrize("fhir_version", ["dstu2", "r4b", "r5"])
def test_every_fhir_version_judges(new_world: NewWorld, fhir_version: str) -> None:
    """RULES B10."""
    world = new_world(fhir_version=fhir_version)
    world.published(STUDY, **ANNA, **OLDER)
    outcome = arrived(world, OTHER, **BERT, **NEWER)
    assert outcome.parked is not None and outcome.parked.reason == "patient-mismatch"
    assert corrected(world, STUDY, **BERT, **OLDER).record is not None
    assert ours(world)["birthDate"] == "1933-11-11"


def doubts(world: World) -> dict[str, set[str]]:
    return {one.study_uid: {note.tag for note in one.notes} for one in world.ledger.safety.page()}


ANNA_2 = ANNA | {"PatientBirthDate": "19710101"}
UNKNOWN = {"PatientName": "Hello^Anna", "PatientBirthDate": "", "PatientSex": ""}


@pytest.mark.parametrize("values", ["lenient", "safe"])
def test_one_value_of_the_only_study_may_be_corrected(new_world: NewWorld, values: str) -> None:
    """RULES B10: nobody else says otherwise, so nothing is in doubt, and a safe site publishes it."""
    world = new_world(values=values)
    world.published(STUDY, **ANNA)
    assert corrected(world, STUDY, **ANNA_2).record is not None
    world.work()
    assert (ours(world)["birthDate"], doubts(world)) == ("1971-01-01", {})


@pytest.mark.parametrize("corrects", [STUDY, OTHER], ids=["the older", "the newer"])
def test_a_doubt_goes_with_the_correction_of_either(world: World, corrects: str) -> None:
    """README, `audit --notes`: correct the DICOM, and they leave the list; whichever of the two was wrong."""
    world.published(STUDY, **ANNA, **OLDER)
    world.published(OTHER, **ANNA_2, **NEWER)
    world.work()
    assert doubts(world) == {STUDY: {"0010,0030"}}  # the newer speaks for the Patient, and says what that one says
    corrected(world, corrects, **(ANNA_2 | OLDER if corrects == STUDY else ANNA | NEWER))
    world.work()
    assert doubts(world) == {}


def test_a_value_of_a_study_that_is_gone_is_corrected_by_those_that_are_left(world: World) -> None:
    """RULES B4, B10: the greatest study, which was wrong, was deleted: the one that is left speaks for the Patient."""
    world.published(STUDY, **ANNA, **OLDER)
    world.published(OTHER, **ANNA_2, **NEWER)
    world.work()
    world.delete(copies_of(world.ledger, OTHER)[0].orthanc_id)
    world.sweep()
    world.mark(OTHER)
    assert world.turn(OTHER).decision is Decision.RETRACT
    world.mark(STUDY, read_fhir=True)
    world.turn(STUDY)
    assert (ours(world)["birthDate"], doubts(world)) == ("1970-01-01", {})


def test_a_safe_site_lets_in_what_every_study_says_now(new_world: NewWorld) -> None:
    """RULES B10: as for two people, the last correction frees the Patient, and whoever waited for it is asked again."""
    world = new_world(values="safe")
    world.published(STUDY, **ANNA, **OLDER)
    world.published(OTHER, **ANNA, **NEWER)
    third = arrived(world, THIRD, **ANNA_2, StudyDate="20220101")
    assert third.parked is not None and third.parked.detail.startswith("safe: 0010,0030 RULES B10")
    assert corrected(world, STUDY, **ANNA_2, **OLDER).parked is not None
    assert corrected(world, OTHER, **ANNA_2, **NEWER).parked is None
    world.work()
    assert not any(world.ledger.records.find_parked(study) for study in (STUDY, OTHER, THIRD))
    assert (ours(world)["birthDate"], doubts(world)) == ("1971-01-01", {})


def test_after_a_reset_a_safe_site_asks_first_those_who_used_the_patient(new_world: NewWorld) -> None:
    """RULES C6, B10: what was parked does not take the Patient that is gone."""
    world = new_world(values="safe")
    world.published(OTHER, **ANNA, **OLDER)
    arrived(world, STUDY, **ANNA_2, **NEWER)
    world.fhir.wipe()
    world.ledger.marks.forget_target_state()
    world.connect()
    assert world.turn(STUDY).decision is Decision.PARK
    assert world.turn(OTHER).record is not None
    assert ours(world)["birthDate"] == "1970-01-01"


@pytest.mark.parametrize("bridge", [OLDER, {"StudyDate": "20200601"}], ids=["oldest", "between"])
def test_a_study_that_knows_nobody_does_not_stand_between_two_people(world: World, bridge: dict[str, str]) -> None:
    """RULES B10: a study without birth date and sex contradicts nobody, and must not make the Patient forget whose it is,
    nor let it become another person's."""
    world.published(THIRD, **UNKNOWN, **bridge)
    world.published(STUDY, **ANNA, **OLDER)
    world.work()
    world.mark(THIRD, read_fhir=True)
    world.turn(THIRD)
    outcome = arrived(world, OTHER, **BERT, **NEWER)
    assert outcome.parked is not None and outcome.parked.reason == "patient-mismatch"
    assert (ours(world)["birthDate"], ours(world)["gender"]) == ("1970-01-01", "female")


def test_what_the_patient_learns_is_held_against_those_who_were_there(world: World) -> None:
    """RULES B10: each said one thing, and neither contradicted the other; the third says both."""
    world.published(STUDY, PatientName="Hello^Anna", PatientSex="F", **OLDER)
    world.published(THIRD, PatientName="Hello^Anna", PatientBirthDate="19330101", StudyDate="20200601")
    world.published(OTHER, PatientName="Hello^Anna", PatientBirthDate="19330101", PatientSex="M", **NEWER)
    world.work()
    assert doubts(world) == {STUDY: {"0010,0040"}}


def test_the_study_that_speaks_may_become_an_older_one(world: World) -> None:
    """RULES B4: "or that study itself": its StudyDate was corrected together with a name; and those it was greater than
    may speak now."""
    world.published(STUDY, **ANNA, **OLDER)
    world.published(OTHER, **ANNA | {"PatientName": "Hello^Ann"}, **NEWER)
    corrected(world, OTHER, **ANNA | {"PatientName": "Hello^Annette"}, StudyDate="20190101")
    world.work()
    assert ours(world)["name"][0]["given"] == ["Anna"]


@pytest.mark.parametrize("values", ["lenient", "safe"])
def test_a_foreign_patient_that_was_corrected_leaves_no_doubt(new_world: NewWorld, values: str) -> None:
    """RULES B12: it was their Patient that was wrong; the next FHIR inventory asks again."""
    world = new_world(values=values)
    theirs = {"resourceType": "Patient", "id": "his-1", "identifier": [{"system": SYSTEM, "value": "P"}]}
    world.put(theirs | {"gender": "male"})
    outcome = arrived(world, STUDY, **ANNA)
    assert (outcome.parked is not None) is (values == "safe")
    world.put(theirs | {"gender": "female"})
    world.ledger.verification.want("a test")
    while inventory.tick(world.context, interval=86400.0) is None:
        pass
    world.work()
    assert (world.ledger.records.find_parked(STUDY), doubts(world)) == (None, {})
    assert world.study()["subject"]["reference"] == "Patient/his-1"
