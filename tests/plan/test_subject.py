"""Which Patient is the subject (RULES B4)."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.plan.subject import NoMatch, RefusePatient, UsePatient, choose

OURS = {"id": "pat-1", "gender": "female", "birthDate": "1970-05-06"}


def patient(resource_id: str = "his-1", **elements: str) -> dict[str, Any]:
    return {"id": resource_id, "gender": "female", "birthDate": "1970-05-06", **elements}


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ([], NoMatch()),
        ([patient("pat-1")], NoMatch()),
        ([patient()], UsePatient(resource_id="his-1")),
        ([patient(), patient("pat-1")], UsePatient(resource_id="his-1")),
        ([patient(gender="male")], UsePatient(resource_id="his-1")),
        ([patient(birthDate="1970", gender="male")], UsePatient(resource_id="his-1")),
        ([patient(birthDate="1971-01-01", gender="unknown")], UsePatient(resource_id="his-1")),
    ],
)
def test_exactly_one_foreign_patient_is_used(candidates: list[dict[str, Any]], expected: object) -> None:
    """RULES B4: one left → use it; a single contradiction may be a typing error."""
    assert choose(candidates, OURS, own_id="pat-1") == expected


def test_several_patients_are_ambiguous() -> None:
    """RULES B4: two patients are never merged by guessing."""
    choice = choose([patient("a"), patient("b")], OURS, own_id="pat-1")
    assert isinstance(choice, RefusePatient)
    assert choice.reason == "patient-ambiguous"


def test_birth_date_and_gender_together_contradict() -> None:
    """RULES B4: patient-mismatch."""
    choice = choose([patient(birthDate="1999-01-01", gender="male")], OURS, own_id="pat-1")
    assert isinstance(choice, RefusePatient)
    assert choice.reason == "patient-mismatch"
