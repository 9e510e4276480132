"""Contract: what is in doubt of published studies is kept, moved and counted with the publication (RULES B9, E8)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event as happening

from syncd.ledger.ledger import Ledger
from syncd.model.snapshot import Note
from syncd.model.words import Decision, Tombstone
from syncd.model.work import DoubtfulStudy
from tests.ledger.made import NOW, Clock, done, mark, only, parked, publish, record, resync

SIDE = Note(tag="0020,0060", rule="C.6", done="laterality omitted", safety=True)
PERSON = Note(tag="0010,0020", rule="I-11", done="no PatientID", safety=True)


def say(ledger: Ledger, uid: str, *notes: Note, **changes: Any) -> None:
    """The study is looked at once more, and this is in doubt of it."""
    mark(ledger, resync(uid))
    told = {"record": record(uid), "safety": notes, **changes}
    ledger.outcomes.commit(done(only(ledger, now=NOW + 60), Decision.UPDATE, **told))


def listed(ledger: Ledger) -> dict[str, tuple[Note, ...]]:
    return {one.study_uid: one.notes for one in ledger.safety.page()}


def test_doubts_are_kept_with_the_publication_and_counted(ledger: Ledger, clock: Clock) -> None:
    """RULES B9: kept per study (tag, rule, done), so that it can be listed."""
    publish(ledger, "1.1", "1.2")
    say(ledger, "1.1", SIDE, PERSON)
    assert ledger.safety.page() == [DoubtfulStudy(study_uid="1.1", notes=(SIDE, PERSON), since=NOW)]
    clock.now += 5
    say(ledger, "1.1", SIDE, PERSON)
    assert ledger.safety.page()[0].since == NOW, "as it was: since then"
    say(ledger, "1.1", PERSON)
    assert ledger.safety.page() == [DoubtfulStudy(study_uid="1.1", notes=(PERSON,), since=NOW + 5)]
    assert ledger.overview.counts(NOW).safety == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"safety": ()},
        {"record": record("1.1", retracted=Tombstone.WITHDRAWN.value), "safety": None},
        {"record": record("1.1", retracted=Tombstone.DELETED.value), "safety": None},
    ],
    ids=["corrected", "withdrawn", "deleted"],
)
def test_a_study_leaves_the_list_in_the_transaction_that_records_it(ledger: Ledger, changes: dict[str, Any]) -> None:
    """RULES B9: corrected, or not shown any more."""
    publish(ledger, "1.1")
    say(ledger, "1.1", SIDE)
    say(ledger, "1.1", **changes)
    assert (listed(ledger), ledger.overview.counts(NOW).safety) == ({}, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"record": None, "safety": None},
        {"record": None, "safety": None, "parked": parked("1.1")},
        {"record": record("1.1", retracted=Tombstone.KEPT.value), "safety": None},
    ],
    ids=["nothing was said", "set aside", "gone, and kept as it is"],
)
def test_what_is_published_stays_in_doubt_until_it_is_said_anew(ledger: Ledger, changes: dict[str, Any]) -> None:
    """RULES B9: FHIR shows it as before."""
    publish(ledger, "1.1")
    say(ledger, "1.1", SIDE)
    say(ledger, "1.1", **changes)
    assert (listed(ledger), ledger.overview.counts(NOW).safety) == ({"1.1": (SIDE,)}, 1)


def test_pages_reach_every_study_once(ledger: Ledger) -> None:
    """RULES E6, E8: keyset pages."""
    uids = [f"1.{number:02}" for number in range(7)]
    publish(ledger, *uids)
    for uid in uids:
        say(ledger, uid, SIDE)
    reached: list[str] = []
    while page := ledger.safety.page(after=reached[-1] if reached else "", limit=3):
        reached += [one.study_uid for one in page]
    assert reached == uids


@pytest.mark.parametrize("notes", [(), (SIDE,)], ids=["plain", "in doubt"])
def test_an_unchanged_study_costs_no_statement(file_ledger: Ledger, notes: tuple[Note, ...]) -> None:
    """RULES B9: read along with the rest, and written only where it differs."""
    publish(file_ledger, "1.1")
    say(file_ledger, "1.1", *notes)
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    happening.listen(file_ledger._engine, "before_cursor_execute", note)
    say(file_ledger, "1.1", *notes)
    happening.remove(file_ledger._engine, "before_cursor_execute", note)
    writing = [one for one in seen if not one.lstrip().startswith("SELECT")]
    assert not [one for one in writing if "safety_notes" in one or "'fingerprint'" in one]
    assert sum("safety_notes" in one for one in seen) == 1, "read once, with everything else"
