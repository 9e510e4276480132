"""The decision as a table: what we want, remember and see → what is done, and why (RULES C2–C5, E2, E7)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncd.model.work import Intent, ParkedStudy, StudyRecord
from syncd.plan.decide import (
    CREATE_ONLY,
    Absent,
    Current,
    Deleted,
    Found,
    Known,
    NeedRead,
    Park,
    Skip,
    Write,
    decide,
    goal_of,
)
from syncd.plan.ownership import owned_values

TAG = {"tag": [{"system": "urn:syncd:installation", "code": "syncd"}]}
RESOURCE: dict[str, Any] = {
    "resourceType": "ImagingStudy",
    "id": "1.2.3",
    "meta": TAG,
    "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}],
    "status": "available",
    "subject": {"reference": "Patient/p"},
}
GOAL = goal_of(RESOURCE, fingerprint="f1")
RECORD = StudyRecord(
    study_uid="1.2.3",
    resource_id="1.2.3",
    version="4",
    last_updated="",
    digest=GOAL.digest,
    fingerprint="f1",
    status="available",
    raw={},
    owned=owned_values(RESOURCE),
)
OLDER = replace(RECORD, digest="older")
INTENT = Intent(
    study_uid="1.2.3", resource_id="1.2.3", digest=GOAL.digest, expected_version="4", owned=owned_values(RESOURCE)
)
REFUSED = ParkedStudy(study_uid="1.2.3", reason="refused", digest=GOAL.digest)


def found(version: str = "4", **changes: Any) -> Found:
    return Found(resource={**RESOURCE, **changes}, version=version, last_updated="")


def decided(
    *,
    record: StudyRecord | None = None,
    intent: Intent | None = None,
    parked: ParkedStudy | None = None,
    current: Current | None = None,
    read_fhir: bool = False,
) -> Write | Skip | Park | NeedRead:
    return decide(
        GOAL,
        Known(record=record, intent=intent, parked=parked, current=current, read_fhir=read_fhir, installation_id="syncd"),
    )


def test_an_unchanged_study_costs_no_write_and_no_read() -> None:
    """RULES B3, C5: equal to what was confirmed, decided from the ledger alone."""
    assert decided(record=RECORD) == Skip(reason="unchanged")


@pytest.mark.parametrize(
    "known",
    [{}, {"record": RECORD, "intent": INTENT}, {"record": RECORD, "read_fhir": True}],
    ids=["never written", "a reply may be lost", "a mark says so"],
)
def test_what_the_ledger_cannot_tell_is_read_first(known: dict[str, Any]) -> None:
    """RULES C2, C5: nothing is written blindly."""
    assert decided(**known) == NeedRead()


def test_a_change_is_written_under_the_version_that_was_confirmed() -> None:
    """RULES C4: If-Match with the recorded version, foreign parts kept without reading."""
    action = decided(record=replace(OLDER, foreign={"note": [{"text": "x"}]}))
    assert isinstance(action, Write)
    assert (action.decision, action.expected_version) == ("Update", "4")
    assert action.resource["note"] == [{"text": "x"}]


@pytest.mark.parametrize(
    ("current", "version"),
    [(Absent(), CREATE_ONLY), (Deleted(version="6"), "6")],
    ids=["absent", "tombstone"],
)
@pytest.mark.parametrize("record", [None, RECORD])
def test_what_is_not_there_is_created_and_never_unconditionally(
    current: Current, version: str, record: StudyRecord | None
) -> None:
    """RULES C2, C6: create-only where nothing is, the tombstone's version where something was."""
    action = decided(record=record, current=current, read_fhir=True)
    assert isinstance(action, Write)
    assert (action.decision, action.expected_version) == ("Create", version)


def test_a_foreign_resource_is_left_alone() -> None:
    """RULES C2: another writer's ImagingStudy is never written over."""
    theirs = found(meta={})
    action = decided(current=theirs)
    assert isinstance(action, Park)
    assert (action.reason, action.target_version) == ("foreign-imagingstudy", "4")


def test_another_installations_resource_is_left_alone() -> None:
    """RULES C2: owned-elsewhere."""
    action = decided(current=found(meta={"tag": [{"system": "urn:syncd:installation", "code": "siteb"}]}))
    assert isinstance(action, Park)
    assert action.reason == "owned-elsewhere"


def test_a_lost_ledger_takes_back_what_carries_our_tag_without_rewriting_equals() -> None:
    """RULES E7."""
    assert isinstance(decided(current=found()), Skip)
    action = decided(current=found(status="registered"))
    assert isinstance(action, Write)
    assert action.expected_version == "4"


def test_a_lost_reply_is_recognised() -> None:
    """RULES C5: equal to the intent → recorded, nothing sent."""
    action = decided(record=OLDER, intent=INTENT, current=found(version="5"))
    assert isinstance(action, Skip)
    assert action.found == found(version="5")


def test_what_a_human_withdrew_stays_withdrawn() -> None:
    """RULES C4: a foreign status of entered-in-error or cancelled is never undone by itself."""
    action = decided(record=RECORD, current=found(status="entered-in-error", version="9"), read_fhir=True)
    assert isinstance(action, Park)
    assert action.reason == "withdrawn-by-other"


def test_what_we_withdrew_ourselves_is_no_human_s_word() -> None:
    """RULES C4, C5: the reply to our own withdrawal was lost; it is recognised, and undone when the images return."""
    intent = replace(INTENT, owned={**owned_values(RESOURCE), "status": "cancelled"})
    action = decided(record=RECORD, intent=intent, current=found(status="cancelled", version="5"))
    assert isinstance(action, Write)
    assert action.expected_version == "5"


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled", "inactive"])
def test_what_a_human_withdrew_otherwise_than_we_did_stays_so(status: str) -> None:
    """RULES C4: also where the ledger remembers a withdrawal of our own by another word."""
    ours = "cancelled" if status != "cancelled" else "entered-in-error"
    action = decided(record=replace(OLDER, status=ours), current=found(status=status, version="9"), read_fhir=True)
    assert isinstance(action, Park)
    assert action.reason == "withdrawn-by-other"


def test_what_was_refused_is_not_sent_again() -> None:
    """RULES E2: parked is not a storm."""
    assert isinstance(decided(record=OLDER, parked=REFUSED), Park)
    assert isinstance(decided(record=OLDER, parked=replace(REFUSED, digest="another")), Write)


def test_what_is_parked_again_keeps_what_the_server_said() -> None:
    """RULES E2, README.md `parked show`: nothing was sent, so the answer to the last try is the one there is."""
    action = decided(record=OLDER, parked=replace(REFUSED, detail="no", outcome={"issue": []}))
    assert action == Park(reason="refused", detail="no", digest=GOAL.digest, outcome={"issue": []})


def test_what_stood_in_the_way_is_looked_at_again() -> None:
    """RULES E2: parked is not deaf: once the other resource changed or went, it is judged anew."""
    blocked = replace(REFUSED, reason="foreign-imagingstudy", target_version="4")
    assert decided(parked=blocked) == NeedRead()
    assert isinstance(decided(parked=blocked, current=found(version="4", meta={})), Park)
    assert isinstance(decided(parked=blocked, current=Absent()), Write)


def test_an_intent_is_no_ownership() -> None:
    """RULES C2, C3: what was only intended may have been prevented by another writer's resource."""
    theirs = found(meta={}, description="theirs")
    action = decided(intent=INTENT, current=theirs)
    assert isinstance(action, Park)
    assert action.reason == "foreign-imagingstudy"


def test_what_was_intended_and_is_there_is_ours_whatever_became_of_its_tag() -> None:
    """RULES C5: equal to the intent → recorded."""
    assert isinstance(decided(intent=INTENT, current=found(meta={})), Skip)


def test_a_goal_without_a_record_is_sent_over_our_own_older_write() -> None:
    """RULES C5: the reply was lost and the archive went on: our tag and the intent say whose it is."""
    older = replace(INTENT, digest="older")
    action = decided(intent=older, current=found(version="2", status="registered"))
    assert isinstance(action, Write)
    assert (action.decision, action.expected_version) == ("Update", "2")


def test_a_refusal_that_names_no_version_holds_whatever_the_server_says() -> None:
    """RULES E2: also after a read; and another digest is tried."""
    assert isinstance(decided(parked=REFUSED, current=found(), read_fhir=True), Park)
    assert isinstance(decided(parked=replace(REFUSED, digest="other"), current=Absent()), Write)


@pytest.mark.parametrize("current", [Absent(), Deleted(version="7"), found(version="5")])
def test_what_blocked_us_is_judged_anew_when_its_version_moved(current: Current) -> None:
    """RULES E2: sends only if digest or target version changed."""
    blocked = replace(REFUSED, reason="withdrawn-by-other", target_version="4")
    assert not isinstance(decided(record=RECORD, parked=blocked, current=current, read_fhir=True), Park)


def test_a_tombstone_of_the_version_that_blocked_us_still_blocks() -> None:
    """RULES E2: the same version is the same obstacle."""
    blocked = replace(REFUSED, reason="foreign-imagingstudy", target_version="4")
    assert isinstance(decided(parked=blocked, current=Deleted(version="4")), Park)


DSTU2: dict[str, Any] = {
    "resourceType": "ImagingStudy",
    "id": "1.2.3",
    "meta": TAG,
    "uid": "urn:oid:1.2.3",
    "patient": {"reference": "Patient/p"},
    "availability": "ONLINE",
    "numberOfSeries": 0,
    "numberOfInstances": 0,
}
WITHDRAWN = {**DSTU2, "availability": "UNAVAILABLE"}


@pytest.mark.parametrize(
    ("remembered", "goal", "server", "action", "why"),
    [
        ("available", DSTU2, WITHDRAWN, Park, "withdrawn-by-other"),
        ("cancelled", DSTU2, WITHDRAWN, Write, "differs on the server"),
        ("available", WITHDRAWN, WITHDRAWN, Skip, "the server already says so"),
        ("available", WITHDRAWN, DSTU2, Write, "differs on the server"),
        ("available", DSTU2, {**DSTU2, "availability": "NEARLINE"}, Write, "differs on the server"),
        ("available", DSTU2, DSTU2, Skip, "the server already says so"),
    ],
    ids=["a human withdrew it", "we did", "both did", "we do", "another word for there", "equal"],
)
def test_in_dstu2_unavailable_is_the_word_for_withdrawn(
    remembered: str, goal: dict[str, Any], server: dict[str, Any], action: type, why: str
) -> None:
    """RULES C4, MAPPING M: a version without a status decides as the others do."""
    made = decide(
        goal_of(goal, fingerprint="f1", fhir_version="dstu2"),
        Known(
            record=replace(OLDER, status=remembered, owned=owned_values(DSTU2, fhir_version="dstu2")),
            intent=None,
            parked=None,
            current=Found(resource=server, version="4", last_updated=""),
            read_fhir=True,
            installation_id="syncd",
        ),
    )
    assert (type(made), getattr(made, "reason", "")) == (action, why)


@pytest.mark.parametrize("kind", ["withdrawn", "deleted", "kept", "theirs"])
def test_what_was_taken_back_is_read_before_it_is_shown_again(kind: str) -> None:
    """RULES D2: a tombstone, or another writer's word, is nothing to write over blindly."""
    assert decided(record=replace(RECORD, retracted=kind)) == NeedRead()


@pytest.mark.parametrize(("kind", "expected"), [("withdrawn", Write), ("theirs", Park)])
def test_only_our_own_withdrawal_is_undone(kind: str, expected: type) -> None:
    """RULES C4: the ledger remembers the same status in both cases; whose word it was makes the difference."""
    record = replace(OLDER, status="cancelled", retracted=kind)
    assert isinstance(decided(record=record, current=found(status="cancelled", version="9")), expected)


def test_what_was_deleted_comes_back_with_what_others_had_written() -> None:
    """RULES D2: the tombstone keeps the foreign part."""
    record = replace(OLDER, status="cancelled", retracted="deleted", foreign={"note": [{"text": "x"}]})
    action = decided(record=record, current=Deleted(version="6"))
    assert isinstance(action, Write)
    assert (action.decision, action.expected_version, action.resource["note"]) == ("Create", "6", [{"text": "x"}])
    assert action.foreign == {"note": [{"text": "x"}]}
