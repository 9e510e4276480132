"""Whose ImagingStudy may become ours (RULES C2, POLICY__ADOPT)."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.plan.adoption import may_adopt
from syncd.plan.decide import Found, Known, Park, Write, decide
from tests.plan.test_decide import GOAL, RECORD, RESOURCE

ANNOUNCED: dict[str, Any] = {
    "resourceType": "ImagingStudy",
    "id": "ris-7",
    "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}, {"system": "urn:ris", "value": "7"}],
    "status": "registered",
    "subject": {"reference": "Patient/p"},
    "note": [{"text": "urgent"}],
}
BY_IDENTIFIER = {"identifier": {"system": "urn:pid", "value": "P1"}}


def decided(theirs: dict[str, Any], adopt: str, **known: Any) -> Write | Park:
    current = Found(resource=theirs, version="3", last_updated="")
    memory: dict[str, Any] = {"record": None, "intent": None, "parked": None, **known}
    action = decide(GOAL, Known(**memory, current=current, read_fhir=True, installation_id="syncd", adopt=adopt))
    assert isinstance(action, Write | Park)
    return action


@pytest.mark.parametrize(
    ("changes", "registered"),
    [
        ({}, True),
        ({"subject": {"reference": "http://s/fhir/Patient/p/_history/1"}}, True),
        ({"subject": {"reference": "Patient/q"}}, False),
        ({"subject": BY_IDENTIFIER}, False),
        ({"subject": None}, False),
        ({"status": "available"}, False),
        ({"status": "cancelled"}, False),
        ({"series": [{"uid": "1.2.3.4"}]}, False),
    ],
    ids=["announced", "absolute", "another patient", "a logical one", "none", "available", "cancelled", "with series"],
)
def test_only_an_announcement_of_the_same_patient_is_adopted(changes: dict[str, Any], registered: bool) -> None:
    """RULES C2: `registered`, no series and the same subject, or by POLICY__ADOPT=always."""
    theirs = {**ANNOUNCED, **changes}
    asked = {
        one: may_adopt(theirs, RESOURCE, adopt=one, base_url="http://s/fhir") for one in ("registered", "always", "never")
    }
    assert asked == {"registered": registered, "always": True, "never": False}


@pytest.mark.parametrize(
    ("theirs", "ours", "same"),
    [
        (BY_IDENTIFIER, BY_IDENTIFIER, True),
        (BY_IDENTIFIER, {"identifier": {"system": "urn:pid", "value": "P2"}}, False),
        ({"identifier": {"value": "P1"}}, {"identifier": {"value": "P1"}}, False),
        ({"display": "Sam"}, {"display": "Sam"}, False),
    ],
    ids=["same identifier", "another", "without a system", "names only"],
)
def test_logical_subjects_are_the_same_by_identifier_with_a_system(
    theirs: dict[str, Any], ours: dict[str, Any], same: bool
) -> None:
    """RULES C8: without a system, equal values name no common patient."""
    assert may_adopt({**ANNOUNCED, "subject": theirs}, {**RESOURCE, "subject": ours}, adopt="registered") is same


def test_what_is_adopted_keeps_what_its_writer_said() -> None:
    """RULES C2, C3: foreign elements survive, our tag comes to it, under the version that was read."""
    action = decided(ANNOUNCED, "registered")
    assert isinstance(action, Write)
    assert (action.decision, action.expected_version, action.adopted) == ("Update", "3", True)
    assert action.resource["note"] == ANNOUNCED["note"]
    assert {"system": "urn:ris", "value": "7"} in action.resource["identifier"]
    assert action.resource["meta"]["tag"] == RESOURCE["meta"]["tag"]
    assert action.resource["status"] == "available"
    assert action.corrects == ()


@pytest.mark.parametrize("adopt", ["registered", "always", "never"])
def test_what_another_installation_published_is_never_adopted(adopt: str) -> None:
    """RULES C2: parked `owned-elsewhere`."""
    theirs = {**ANNOUNCED, "meta": {"tag": [{"system": "urn:syncd:installation", "code": "siteb"}]}}
    action = decided(theirs, adopt)
    assert isinstance(action, Park) and action.reason == "owned-elsewhere"


def test_an_order_that_was_withdrawn_is_not_adopted_by_itself() -> None:
    """RULES C4: not by `always` either: a foreign `entered-in-error` is never undone."""
    action = decided({**ANNOUNCED, "status": "entered-in-error"}, "always")
    assert isinstance(action, Park) and action.reason == "withdrawn-by-other"


def test_a_record_of_one_resource_does_not_make_another_ours() -> None:
    """RULES C2: ours is gone, and somebody else's names the study: that is decided as a first meeting."""
    action = decided({**ANNOUNCED, "status": "available"}, "registered", record=RECORD)
    assert isinstance(action, Park) and action.reason == "foreign-imagingstudy"
