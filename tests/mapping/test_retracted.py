"""What is left of an ImagingStudy that is taken back (MAPPING D.2, F.3; RULES B7)."""

from __future__ import annotations

import pytest

from syncd.mapping.check import problems
from syncd.mapping.imagingstudy import registered
from syncd.mapping.imagingstudy import withdrawn as retracted
from syncd.mapping.retracted import retracted_status
from tests.mapping.studies import POLICY, golden_study

SUBJECT = {"reference": "Patient/p"}


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
def test_identifiers_subject_and_status_are_kept_and_nothing_else(status: str) -> None:
    """MAPPING F.3: no series, modality, counts, endpoints; what is left is a valid resource."""
    snapshot, policy = golden_study(), POLICY
    found = retracted(snapshot, subject=SUBJECT, policy=policy, status=status)
    before = registered(snapshot, subject=SUBJECT, policy=policy)
    assert found.keys() == {"resourceType", "id", "meta", "identifier", "status", "subject"}
    assert {**found, "status": "registered"} == {name: before[name] for name in found}
    assert found["status"] == status
    assert not problems(found)


@pytest.mark.parametrize(
    ("in_error", "version", "status"),
    [
        (True, "r4", "entered-in-error"),
        (True, "r6", "entered-in-error"),
        (False, "r4", "cancelled"),
        (False, "r4b", "cancelled"),
        (False, "r5", "cancelled"),
        (False, "r6", "inactive"),
        (True, "dstu2", "cancelled"),
        (False, "dstu2", "cancelled"),
    ],
)
def test_the_word_for_it_depends_on_reason_and_version(in_error: bool, version: str, status: str) -> None:
    """RULES B7, MAPPING D.2."""
    assert retracted_status(in_error=in_error, fhir_version=version) == status
