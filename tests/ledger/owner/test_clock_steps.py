"""Contract: the wall clock was set, while an owner runs or while none does, and what is kept follows (RULES E5)."""

from __future__ import annotations

import pytest

from syncd.errors import LedgerRefused
from syncd.ledger.ledger import Ledger
from syncd.model.overview import Heartbeat
from syncd.model.study.rejection import Rejection
from syncd.model.work import DirtyRow
from tests.ledger.made import MAIN, NOW, SETTLE, Clock, event, mark, next_due, only, position, resync, waits

HOUR, DAY = 3600.0, 86_400.0
NOTE = Rejection(
    note_uid="1.9.1",
    source_uid="1.9",
    target_uid="1.9",
    title="113037",
    patient="p",
    instances=("1.9.2",),
    first_missing_at=NOW,
)


@pytest.fixture
def busy(ledger: Ledger) -> Ledger:
    """One study arrives, one backs off, one waits until tomorrow; a note is missing since now."""
    ledger.feed.commit_intake(position(3, seen=(3,)), marks=[], copies=[], settle_after=SETTLE)
    ledger.rejections.keep("1.9", [NOTE])
    mark(ledger, event("1.1"), event("1.2"), event("1.3"))
    endings = {
        "1.1": {"due": NOW + SETTLE},
        "1.2": {"due": NOW, "attempts": 9, "not_before": NOW + 300},
        "1.3": {"due": NOW + DAY},
    }
    for claim in ledger.claims.take(9, now=NOW):
        if claim.row.study_uid in endings:
            ledger.outcomes.commit(waits(claim, **endings[claim.row.study_uid]))
    return ledger


def test_set_back_everything_moves_with_the_clock(busy: Ledger, clock: Clock) -> None:
    """RULES E5: backoffs, due times, first marks, streams, the feed's overlap, missing notes."""
    clock.now = NOW - HOUR
    busy.clock_steps.follow(-HOUR)
    rows = {row.study_uid: row for row in busy.marks.page()}
    assert {uid: row.due for uid, row in rows.items() if uid != "1.9"} == {
        "1.1": clock.now + SETTLE,
        "1.2": clock.now + 300,
        "1.3": clock.now + DAY,
    }
    assert (rows["1.2"].not_before, rows["1.2"].attempts) == (clock.now + 300, 9)
    assert {(row.first_marked, row.last_event, row.streaming_since) for row in rows.values() if row.last_event} == {
        (clock.now, clock.now, clock.now)
    }
    assert _graces(busy) == {clock.now}


def test_what_was_marked_in_the_new_time_is_not_put_off(busy: Ledger, clock: Clock) -> None:
    """RULES E5: between the step and its discovery; early is cheap, late is not."""
    clock.now = NOW - HOUR
    mark(busy, resync("1.4"))
    clock.now += 1
    busy.clock_steps.follow(-HOUR - 1)
    assert busy.claims.take(1, now=clock.now)[0].row.study_uid == "1.4"


def test_set_forward_only_times_of_grace_move(busy: Ledger, clock: Clock) -> None:
    """RULES A3, B7, E5: what waited is due once, but nothing that began a second ago is over."""
    before = {row.study_uid: row for row in busy.marks.page()}
    clock.now = NOW + DAY + 1
    busy.clock_steps.follow(DAY)
    assert {row.study_uid: row for row in busy.marks.page()} == before
    assert _graces(busy) == {NOW + DAY}
    busy.clock_steps.follow(2.5)
    assert _graces(busy) == {NOW + DAY}, "what was written since is left alone"


def test_never_stays_never(ledger: Ledger, clock: Clock) -> None:
    """RULES E5: 0 is no time."""
    mark(ledger, resync("1.1"))
    ledger.feed.commit_intake(position(3), marks=[], copies=[], settle_after=SETTLE)
    clock.now = NOW + DAY
    ledger.clock_steps.follow(DAY)
    (row,) = ledger.marks.page()
    found = ledger.feed.position(MAIN)
    assert found is not None
    assert (row.last_event, row.streaming_since, row.not_before, row.attempts) == (0.0, 0.0, 0.0, 0)


def test_a_clock_set_back_while_no_daemon_ran_is_told_by_the_last_heartbeat(ledger: Ledger, url: str, clock: Clock) -> None:
    """RULES E5: marked long ago and due in a minute; nothing else tells that this minute is an hour."""
    clock.now = NOW - DAY
    mark(ledger, event("1.1"))
    clock.now = NOW
    ledger.outcomes.commit(waits(only(ledger), due=NOW + SETTLE))
    ledger.overview.beat(_beat(NOW))
    ledger.close()
    clock.now = NOW - HOUR
    with Ledger.open(url, clock=clock) as again:
        assert next_due(again) == clock.now + SETTLE


def test_an_ordinary_restart_moves_nothing(ledger: Ledger, url: str, clock: Clock) -> None:
    """RULES C6, E5: the last heartbeat lies in the past."""
    mark(ledger, event("1.1"))
    ledger.outcomes.commit(waits(only(ledger), due=NOW + DAY, attempts=3, not_before=NOW + 200))
    ledger.overview.beat(_beat(NOW))
    before: list[DirtyRow] = ledger.marks.page()
    ledger.close()
    clock.now += 5
    with Ledger.open(url, clock=clock) as again:
        assert again.marks.page() == before


def test_only_the_owner_moves_times(ledger: Ledger, url: str) -> None:
    """RULES E4: beside it, nobody knows what is under way."""
    guest = Ledger.open_guest(url)
    with pytest.raises(LedgerRefused):
        guest.clock_steps.follow(-HOUR)
    guest.close()


def _beat(at: float) -> Heartbeat:
    return Heartbeat(pid=1, at=at, started_at=at, version="1", web="", archives={}, target={})


def _graces(ledger: Ledger) -> set[float]:
    found = ledger.feed.position(MAIN)
    assert found is not None
    (note,) = ledger.rejections.find_concerning("1.9")
    return {found.moved_at, found.seen[3][1], note.first_missing_at}
