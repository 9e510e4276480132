"""Who stands by a Patient, and which remembered answers are asked again: the same on every backend (RULES B10, B12)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from syncd.ledger.ledger import Ledger
from syncd.model.snapshot import Note
from syncd.model.words import Tombstone
from tests.ledger.made import claim_study, done, event, mark, parked, publish, record

OURS, THEIRS = "Patient/pat-1", "Patient/his_1"
UNLIKE = "safe: 0010,0030 RULES B10 as {} says otherwise"
DIFFERS = Note(tag="0010,0030", rule="RULES B10", done="published all the same", safety=True)


def set_aside(ledger: Ledger, uid: str, reason: str, detail: str = "") -> None:
    mark(ledger, event(uid))
    claim = claim_study(ledger, uid)
    assert claim is not None
    ledger.outcomes.commit(done(claim, parked=parked(uid, reason, detail=detail)))


@pytest.fixture
def referring(ledger: Ledger) -> Iterator[Ledger]:
    """Studies of two Patients: ours, and somebody else's, by whose identifier one of them was found."""
    publish(ledger, "1.1", "1.2", "1.3", subject=OURS)
    publish(ledger, "1.4", subject=THEIRS, raw={"patient": "pat-4", "named": True, "references": ["Device/d"]})
    publish(ledger, "1.5", subject=THEIRS, raw={"patient": "pat-5"})
    yield ledger


@pytest.mark.parametrize(
    ("reason", "detail", "stands"),
    [
        ("patient-mismatch", f"birth date and sex of study 1.1 contradict {OURS} (the subject of study 1.2)", False),
        ("values-strict", UNLIKE.format(OURS), False),
        ("values-strict", "safe: 0020,0060 RULES B9", True),
        ("refused", "", True),
    ],
)
def test_who_contradicts_a_patient_stands_by_it_no_more(ledger: Ledger, reason: str, detail: str, stands: bool) -> None:
    """RULES B10: and is asked again, by whoever changes that Patient, and by the next FHIR inventory."""
    publish(ledger, "1.1", "1.2", subject=OURS)
    set_aside(ledger, "1.1", reason, detail)
    assert ledger.references.find_study_under(OURS, but="1.2") == ("1.1" if stands else "")
    assert ledger.references.find_study_under(OURS, but="1.1") == "1.2"
    assert ledger.references.find_doubted("", most=9) == ([] if stands else ["1.1"])
    assert ledger.marks.add_mismatched("Patient/pat-11") == ledger.marks.add_mismatched("Patient/pat-") == 0
    assert ledger.marks.add_mismatched(OURS) == (not stands)


def test_what_is_withdrawn_stands_by_nobody(referring: Ledger) -> None:
    mark(referring, event("1.4"))
    claim = claim_study(referring, "1.4")
    assert claim is not None
    gone = record("1.4", subject=THEIRS, retracted=Tombstone.WITHDRAWN.value, status="cancelled")
    referring.outcomes.commit(done(claim, record=gone))
    assert referring.references.find_study_under(THEIRS, but="1.5") == ""
    assert referring.references.find_study_under(THEIRS, but="") == "1.5"


def test_every_subject_is_asked_for_once(referring: Ledger) -> None:
    ask = referring.references
    assert ask.subjects("", most=1) == [THEIRS] and ask.subjects(THEIRS, most=9) == [OURS]
    assert ask.patients([OURS, THEIRS]) == {THEIRS: frozenset({"pat-4"})}
    assert [uid for uid, _ in ask.find_referring("", "1.9")] == ["1.4"]


def test_what_is_noted_of_somebody_elses_patient_is_asked_again(referring: Ledger) -> None:
    """RULES B12: they may have corrected it, and nothing tells of that; whoever changes ours marks the others himself."""
    for uid, subject in (("1.1", OURS), ("1.4", THEIRS), ("1.5", THEIRS)):
        mark(referring, event(uid))
        claim = claim_study(referring, uid)
        assert claim is not None
        notes = (DIFFERS,) if uid != "1.5" else (Note(tag="0020,0060", rule="RULES B9", done="left out", safety=True),)
        referring.outcomes.commit(done(claim, record=record(uid, subject=subject), safety=notes))
    set_aside(referring, "1.2", "patient-mismatch")
    assert referring.references.find_doubted("", most=9) == ["1.2", "1.4"]
    assert referring.references.find_doubted("", most=1) == ["1.2"] and referring.references.find_doubted("1.2", most=1) == [
        "1.4"
    ]
