"""Whose word stands against ours, and when we stop contradicting it (RULES C4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncd.model.work import Intent, ParkedStudy, StudyRecord
from syncd.plan.contest import RESOURCE, differing_elements, was_written_since
from syncd.plan.decide import Absent, Current, Deleted, Known, Park, Silence, Skip, Write, decide
from tests.plan.test_decide import GOAL, INTENT, OLDER, RECORD, found

CONTESTED = ParkedStudy(study_uid="1.2.3", reason="contested", digest="another", target_version="8")


def decided(current: Current, fought_over: set[str], **known: Any) -> Write | Skip | Park:
    memory: dict[str, Any] = {"record": RECORD, "intent": None, "parked": None, **known}
    known_now = Known(**memory, current=current, read_fhir=True, installation_id="syncd", fought_over=frozenset(fought_over))
    action = decide(GOAL, known_now)
    assert isinstance(action, Write | Skip | Park)
    return action


def test_an_edit_of_ours_is_put_back_and_named() -> None:
    """RULES C4: each element that somebody else changed, so that it can be remembered."""
    action = decided(found("5", status="registered", numberOfSeries=7), set())
    assert isinstance(action, Write)
    assert (action.decision, action.corrects) == ("Update", ("numberOfSeries", "status"))


def test_a_third_correction_of_the_same_element_is_not_made() -> None:
    """RULES C4: park `contested`; another element that was never fought over is no reason to go on."""
    action = decided(found("9", status="registered", numberOfSeries=7), {"numberOfSeries"})
    assert isinstance(action, Park)
    assert (action.reason, action.target_version) == ("contested", "9")
    assert "numberOfSeries" in action.detail and "status" not in action.detail


def test_another_element_than_the_one_fought_over_is_corrected() -> None:
    """RULES C4: the *same* element."""
    assert isinstance(decided(found("9", numberOfSeries=7), {"status"}), Write)


def test_what_equals_ours_again_is_no_quarrel() -> None:
    """RULES C4: un-parks when the other's value equals ours, whatever foreign elements came with it."""
    action = decided(found("9", note=[{"text": "x"}]), {"status"}, parked=CONTESTED)
    assert isinstance(action, Skip)


def test_a_deletion_is_undone_twice() -> None:
    """RULES C4: or the resource deleted."""
    first = decided(Deleted(version="5"), set())
    assert isinstance(first, Write)
    assert (first.decision, first.expected_version, first.corrects) == ("Create", "5", (RESOURCE,))
    third = decided(Deleted(version="9"), {RESOURCE})
    assert isinstance(third, Park)
    assert (third.reason, third.target_version) == ("contested", "9")


@pytest.mark.parametrize(
    ("current", "known"),
    [
        (found("3", status="registered"), {}),
        (found("4", status="registered"), {}),
        (found("5", status="registered"), {"record": OLDER}),
        (found("5", status="registered"), {"intent": replace(INTENT, digest="sent, and the reply lost")}),
        (found("5", status="registered"), {"record": None}),
        (Absent(), {}),
        (Deleted(version="3"), {}),
        (Deleted(version="9"), {"record": None}),
    ],
    ids=[
        "a restored backup",
        "the server itself left it out",
        "the archive changed meanwhile",
        "our own write may be what we see",
        "a lost ledger",
        "a wiped server",
        "a tombstone of a restored backup",
        "a tombstone of before our time",
    ],
)
def test_what_nobody_did_against_us_is_no_correction(current: Current, known: dict[str, Any]) -> None:
    """RULES C4, E3: repaired as often as it takes, and not remembered."""
    action = decided(current, {"status", RESOURCE}, **known)
    assert isinstance(action, Write)
    assert action.corrects == ()


def test_a_quarrel_is_not_gone_on_with_because_the_archive_changed() -> None:
    """RULES C4, E2: a new digest is sent, but not over what is still contested."""
    action = decided(found("9", status="registered"), {"status"}, record=OLDER, parked=CONTESTED)
    assert isinstance(action, Park) and action.reason == "contested"
    retried = replace(CONTESTED, digest="")
    assert isinstance(decided(found("9", status="registered"), set(), record=OLDER, parked=retried), Write)


def test_a_withdrawal_is_not_undone_by_a_retry() -> None:
    """RULES C4: whoever withdrew it has to take that back; an operator who retries all that is parked does not mean it."""
    parked = ParkedStudy(study_uid="1.2.3", reason="withdrawn-by-other")
    assert isinstance(decided(found("5", status="cancelled"), set(), parked=parked), Park)


@pytest.mark.parametrize("record", [None, RECORD])
@pytest.mark.parametrize("intent", [None, INTENT])
def test_a_dropped_study_is_silent_until_its_digest_changes(record: StudyRecord | None, intent: Intent | None) -> None:
    """RULES E2: neither read, sent nor parked anew."""
    dropped = ParkedStudy(study_uid="1.2.3", reason="refused", digest=GOAL.digest, dropped=True)

    def action(parked: ParkedStudy) -> object:
        memory: dict[str, Any] = {"record": record, "intent": intent, "parked": parked, "current": None}
        return decide(GOAL, Known(**memory, read_fhir=True, installation_id="syncd"))

    assert action(dropped) == Silence()
    assert action(replace(dropped, digest="older")) != Silence()


@pytest.mark.parametrize(
    ("recorded", "current", "later"),
    [("4", "5", True), ("4", "4", False), ("4", "3", False), ("9", "10", True), ("a", "b", True), ("a", "a", False)],
)
def test_versions_are_compared_as_numbers_where_they_are(recorded: str, current: str, later: bool) -> None:
    """RULES E3: a version below the ledger's means a restored backup."""
    assert was_written_since(recorded, current) is later


def test_what_servers_decorate_is_no_difference() -> None:
    """RULES B3."""
    ours = {"id": "1", "subject": {"reference": "Patient/p"}, "status": "available"}
    theirs = {**ours, "meta": {"versionId": "7"}, "subject": {"reference": "http://s/fhir/Patient/p/_history/2"}}
    assert differing_elements(ours, theirs, base_url="http://s/fhir") == frozenset()
    assert differing_elements(ours, {**theirs, "status": "registered", "note": []}, base_url="http://s/fhir") == {
        "status",
        "note",
    }
