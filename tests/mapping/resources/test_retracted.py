"""What is left of an ImagingStudy that is taken back (MAPPING D.2, F.3; RULES B7)."""

from __future__ import annotations

import pytest

from syncd.mapping.check.check import problems
from syncd.mapping.resources.imagingstudy import available_study, registered_study
from syncd.mapping.resources.imagingstudy import withdrawn_study as retracted
from syncd.mapping.resources.retracted import remains, retracted_status
from tests.mapping.studies import POLICY, golden_study

SUBJECT = {"reference": "Patient/p"}


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
def test_identifiers_subject_and_status_are_kept_and_nothing_else(status: str) -> None:
    """MAPPING F.3: no series, modality, counts, endpoints; what is left is a valid resource."""
    snapshot, policy = golden_study(), POLICY
    found = retracted(snapshot, subject=SUBJECT, policy=policy, status=status)
    before = registered_study(snapshot, subject=SUBJECT, policy=policy)
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


@pytest.mark.parametrize("version", ["r4", "r4b", "r5", "r6"])
def test_what_the_server_holds_is_cut_down_to_the_same_form(version: str) -> None:
    """MAPPING F.3, RULES D2: a study that is gone is written as one whose images are all rejected."""
    snapshot, policy = golden_study(), POLICY
    status = retracted_status(in_error=False, fhir_version=version)
    shown = available_study(snapshot, subject=SUBJECT, policy=policy, dialect=version)
    expected = retracted(snapshot, subject=SUBJECT, policy=policy, status=status, dialect=version)
    found = remains(shown, status=status, identifiers=shown["identifier"], policy=policy, dialect=version)
    assert found == expected
    assert not problems(found, fhir_version=version)


def test_an_identifier_that_we_did_not_write_is_not_ours() -> None:
    """RULES C3: only the study's own UID is known without a memory."""
    shown = available_study(golden_study(), subject=SUBJECT, policy=POLICY)
    theirs = {"system": "http://his.test", "value": "7"}
    current = {**shown, "identifier": [theirs, *shown["identifier"]]}
    for known in (shown["identifier"], ()):
        found = remains(current, status="cancelled", identifiers=known, policy=POLICY, dialect="r4")
        assert found["identifier"] == (known or shown["identifier"][:1])
