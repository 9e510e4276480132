"""Whose study it is: Patients looked up, written once, and only by the greatest study (RULES B4)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from syncd.model.words import Decision
from tests.loop.world import STUDY, SYSTEM, World, puts, refused

NewWorld = Callable[..., World]


def _theirs(resource_id: str = "his-1", **elements: Any) -> dict[str, Any]:
    """A Patient of the hospital's own system with the same identifier."""
    return {
        "resourceType": "Patient",
        "id": resource_id,
        "identifier": [{"system": SYSTEM, "value": "P"}],
        **elements,
    }


def _subject(world: World, study: str = STUDY) -> dict[str, Any]:
    return dict(world.study(study)["subject"])


def test_our_patient_is_written_once_for_many_studies(world: World) -> None:
    """RULES B4: never once per study."""
    for number in range(1, 5):
        world.published(f"1.2.276.{number}", StudyDate=f"2024010{number}")
    (patient,) = world.fhir.resources("Patient")
    assert len(world.writes("Patient")) == 1
    assert _subject(world)["reference"] == f"Patient/{patient['id']}"
    assert patient["identifier"][0]["system"] == SYSTEM


def test_only_the_greatest_study_changes_our_patient(world: World) -> None:
    """RULES B4: an older study with an older name does not rename the patient."""
    world.published("1.2.276.2", StudyDate="20240105", PatientName="New^Name")
    world.published("1.2.276.1", StudyDate="20240101", PatientName="Old^Name")
    world.published("1.2.276.3", StudyDate="20240106", PatientName="Newest^Name")
    names = [json.loads(one.body)["name"][0]["family"] for one in world.writes("Patient")]
    assert names == ["New", "Newest"]


def test_the_greatest_study_speaks_for_the_patient_also_when_it_changed_nothing(world: World) -> None:
    """RULES B4: the ledger keeps the key of the greatest study, not of the last one that wrote."""
    world.published("1.2.276.1", StudyDate="20240101", PatientName="Right^Name")
    world.published("1.2.276.3", StudyDate="20240103", PatientName="Right^Name")
    world.published("1.2.276.2", StudyDate="20240102", PatientName="Wrong^Name")
    (patient,) = world.fhir.resources("Patient")
    assert patient["name"][0]["family"] == "Right"
    assert len(world.writes("Patient")) == 1


def test_the_search_hides_the_patient_id_and_is_never_cached(world: World) -> None:
    """RULES B4, C9: by POST, no-cache, and a hit confirmed by GET."""
    world.put(_theirs())
    world.published()
    (search,) = world.asked("/Patient/_search")
    assert (search.method, search.headers["cache-control"]) == ("POST", "no-cache")
    assert parse_qs(search.body.decode())["identifier"] == [f"{SYSTEM}|P"]
    assert [one.method for one in world.asked("/Patient/his-1")] == ["PUT", "GET"]


def test_an_exact_match_is_used_and_never_written(world: World) -> None:
    """RULES B4: foreign Patients are never written."""
    world.put(_theirs())
    world.published()
    assert _subject(world)["reference"] == "Patient/his-1"
    assert len(world.writes("Patient")) == 1  # theirs


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ([_theirs("a"), _theirs("b")], "patient-ambiguous"),
        ([_theirs(birthDate="1999-01-01", gender="male")], "patient-mismatch"),
    ],
)
def test_a_doubtful_patient_parks_the_study(world: World, others: list[dict[str, Any]], reason: str) -> None:
    """RULES B4: nobody's study is put under another's name."""
    for other in others:
        world.put(other)
    world.store(PatientBirthDate="19700506", PatientSex="F")
    world.settle()
    world.poll()
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == reason
    assert not world.writes()


@pytest.mark.parametrize(
    ("policy", "theirs", "reference", "patients"),
    [
        ("create", False, True, 1),
        ("match", False, False, 0),
        ("match", True, True, 1),
        ("logical", True, False, 1),
        ("logical", False, False, 0),
    ],
)
def test_the_policy_decides_what_the_subject_is(
    new_world: NewWorld, policy: str, theirs: bool, reference: bool, patients: int
) -> None:
    """docs/settings.md, POLICY__PATIENT: exact match else our own; match else logical; logical."""
    world = new_world(patient=policy)
    if theirs:
        world.put(_theirs())
    world.published()
    subject = _subject(world)
    assert ("reference" in subject) is reference
    assert reference or subject["identifier"]["value"] == "P"
    assert len(world.fhir.resources("Patient")) == patients
    assert bool(world.asked("/Patient/_search")) is (policy != "logical")


def test_without_a_patient_id_nothing_is_searched(world: World) -> None:
    """RULES B4, MAPPING I-11: such a Patient is never shared between studies."""
    world.published(PatientID="")
    world.published("1.2.276.2", PatientID="")
    assert not world.asked("/Patient/_search")
    assert len(world.fhir.resources("Patient")) == 2


def test_without_a_system_nothing_is_searched(world: World) -> None:
    """RULES B4: a number alone finds the patients of every system that gave it."""
    world.policy = replace(world.policy, archive=replace(world.policy.archive, patient_id_system=""))
    world.published()
    assert not world.asked("/Patient/_search")
    assert len(world.fhir.resources("Patient")) == 1


def test_a_remembered_subject_is_not_searched_again(world: World) -> None:
    """RULES B4: two requests once per study and patient."""
    world.published()
    searched = len(world.asked("/Patient"))
    world.store(series=2)
    world.settle()
    world.mark()
    assert world.turn().decision is Decision.UPDATE
    assert len(world.asked("/Patient")) == searched


def test_the_id_of_our_patient_taken_by_another_parks_the_study(world: World) -> None:
    """RULES B4: foreign Patients are never written, also not under our id."""
    world.published()
    ours = world.fhir.resources("Patient")[0]["id"]
    world.lose_patient(ours)
    world.put({"resourceType": "Patient", "id": ours, "name": [{"text": "theirs"}]})
    world.store("1.2.276.2")
    world.settle()
    world.poll()
    outcome = world.turn("1.2.276.2")
    assert outcome.parked is not None and outcome.parked.reason == "reference-refused"
    assert world.fhir.resources("Patient")[0]["name"] == [{"text": "theirs"}]


def test_a_patient_that_is_refused_parks_its_study(world: World) -> None:
    """RULES C6: the refusal of the Patient is the study's own trouble; its neighbours go on."""
    world.context  # noqa: B018 - the sentinel is written first
    world.fhir.answer_instead(puts("Patient"), refused(422))
    world.store()
    world.settle()
    world.poll()
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "refused"
    world.published("1.2.276.2", PatientID="P2")


def _further(value: str) -> list[dict[str, Any]]:
    """An item of Other Patient IDs Sequence (0010,1002)."""
    return [
        {
            "PatientID": value,
            "IssuerOfPatientIDQualifiersSequence": [{"UniversalEntityID": "1.2.99", "UniversalEntityIDType": "ISO"}],
        }
    ]


def _numbers(world: World) -> list[str]:
    (patient,) = world.fhir.resources("Patient")
    return [one["value"] for one in patient["identifier"]]


def test_our_patient_keeps_the_identifier_that_only_an_older_study_names(world: World) -> None:
    """RULES B9, J.1: the greatest study speaks for the name, none for all of the numbers; looked at again, nothing is
    written."""
    world.published("1.2.276.1", StudyDate="20240101", PatientName="Old^Name", OtherPatientIDsSequence=_further("P2"))
    world.published("1.2.276.2", StudyDate="20240102", PatientName="New^Name", OtherPatientIDsSequence=_further("P3"))
    (patient,) = world.fhir.resources("Patient")
    assert (_numbers(world), patient["name"][0]["family"]) == (["P", "P3", "P2"], "New")
    for study in ("1.2.276.1", "1.2.276.2"):
        world.mark(study)
        world.turn(study)
    assert len(world.writes("Patient")) == 2


def test_an_older_study_that_comes_later_adds_its_identifier_and_nothing_else(world: World) -> None:
    """RULES B4, B9: the order of arrival makes no difference."""
    world.published("1.2.276.2", StudyDate="20240102", PatientName="New^Name")
    world.published("1.2.276.1", StudyDate="20240101", PatientName="Old^Name", OtherPatientIDsSequence=_further("P2"))
    (patient,) = world.fhir.resources("Patient")
    assert (_numbers(world), patient["name"][0]["family"]) == (["P", "P2"], "New")
    world.published("1.2.276.3", StudyDate="20240103", PatientName="Newest^Name")
    assert _numbers(world) == ["P", "P2"]
    assert len(world.writes("Patient")) == 3


def test_our_patient_keeps_its_identifiers_after_a_lost_ledger(world: World, tmp_path: Path) -> None:
    """RULES B9, E7: they are read from the server, for the ledger keeps nothing of a person."""
    world.published("1.2.276.1", StudyDate="20240101", OtherPatientIDsSequence=_further("P2"))
    world.lose_ledger(tmp_path)
    world.connect(accept_target=True)
    world.published("1.2.276.2", StudyDate="20240102", PatientName="New^Name")
    assert _numbers(world) == ["P", "P2"]


def test_an_identifier_that_was_taken_off_our_patient_stays_off(world: World) -> None:
    """RULES B9: a wrong one is removed on the FHIR server, once no study in the archive names it any more."""
    world.published("1.2.276.1", StudyDate="20240101", OtherPatientIDsSequence=_further("P2"))
    (patient,) = world.fhir.resources("Patient")
    world.put({**patient, "identifier": patient["identifier"][:1]})
    world.published("1.2.276.2", StudyDate="20240102", PatientName="New^Name")
    assert _numbers(world) == ["P"]
