"""Where to read next, and what of a page is new: RULES A3 row by row."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from syncd.feed.follow import LATE_WINDOW, OVERLAP, OVERLAP_MAX, Done, Read, Regressed, absorb, next_read
from syncd.model.change import Change, ChangePage
from syncd.model.ids import ArchiveName
from syncd.model.words import ArchiveState
from syncd.model.work import FeedPosition

NOW = 1_700_000_000.0
LONG_AGO = NOW - 10 * LATE_WINDOW


def change(seq: int, *, date: str = "20260301T101500", change_type: str = "NewInstance") -> Change:
    return Change(seq=seq, change_type=change_type, resource_type="Instance", resource_id=f"r{seq}", date=date)


def page(seqs: Iterable[int], *, done: bool = True, last: int | None = None, malformed: int = 0) -> ChangePage:
    changes = tuple(change(seq) for seq in seqs)
    return ChangePage(changes=changes, done=done, last=last if last is not None else changes[-1].seq, malformed=malformed)


def position(
    cursor: int, *, high_water: int | None = None, moved_at: float = LONG_AGO, seen: dict[int, float] | None = None
) -> FeedPosition:
    return FeedPosition(
        archive=ArchiveName("main"),
        state=ArchiveState.OK,
        cursor=cursor,
        high_water=cursor if high_water is None else high_water,
        moved_at=moved_at,
        seen={seq: (change(seq), first_seen) for seq, first_seen in (seen or {}).items()},
    )


@pytest.mark.parametrize(
    ("where", "high_water", "step"),
    [
        pytest.param(position(5000), 5000, Done(), id="nothing new, nothing owed"),
        pytest.param(position(5000, moved_at=NOW - 59), 5000, Read(since=4000), id="late numbers may still come"),
        pytest.param(position(5000, moved_at=NOW - 60), 5000, Done(), id="none came within the window"),
        pytest.param(position(5000), 5001, Read(since=4000), id="something new: from behind the cursor"),
        pytest.param(position(300), 301, Read(since=0), id="never below the first number"),
        pytest.param(position(5000), 4999, Regressed(), id="the mark lies below the cursor"),
        pytest.param(
            position(5000, seen={2500: NOW - 59, 5000: NOW}),
            5001,
            Read(since=1499),
            id="1,000 behind where the cursor stood a window ago",
        ),
        pytest.param(
            position(5000, seen={2500: NOW - 60, 5000: NOW - 60}), 5001, Read(since=4000), id="seen before the window"
        ),
        pytest.param(
            position(50_000, seen={20_000: NOW - 1}), 50_001, Read(since=50_000 - OVERLAP_MAX), id="10,000 at most"
        ),
        pytest.param(position(5000, moved_at=NOW + 3600), 5000, Read(since=4000), id="the clock was put back"),
    ],
)
def test_each_poll_asks_only_for_what_may_be_new(
    where: FeedPosition, high_water: int, step: Done | Read | Regressed
) -> None:
    """RULES A3, A4."""
    assert next_read(where, high_water=high_water, now=NOW) == step


def test_a_page_gives_what_was_not_seen_and_moves_the_cursor() -> None:
    """RULES A3: what lies in the overlap is not fresh again."""
    taken = absorb(position(3, seen={1: NOW - 5, 3: NOW - 5}), page([1, 2, 3, 4, 6]), high_water=6, now=NOW)
    assert [each.seq for each in taken.fresh] == [2, 4, 6]
    assert (taken.position.cursor, taken.position.high_water, taken.position.moved_at) == (6, 6, NOW)
    assert sorted(taken.position.seen) == [1, 2, 3, 4, 6]
    assert taken.next is None
    assert not taken.vanished
    assert not taken.position.sweep_wanted


def test_reading_goes_on_from_the_page_until_done() -> None:
    """RULES A3: without overlap, while `Done` is false."""
    taken = absorb(position(0), page([1, 2], done=False), high_water=9, now=NOW)
    assert taken.next == 2
    assert taken.position.cursor == 2
    assert not taken.vanished


def test_an_empty_poll_changes_nothing() -> None:
    """docs/cases.md: an empty poll writes nothing; also when the overlap is read again."""
    before = position(5, moved_at=NOW - 10, seen={4: NOW - 10, 5: NOW - 10})
    taken = absorb(before, page([4, 5]), high_water=5, now=NOW)
    assert taken.position is before
    assert taken.fresh == ()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(page([3, 4]), id="the newest entries are gone"),
        pytest.param(ChangePage(changes=(), done=True, last=9), id="the log is empty"),
    ],
)
def test_entries_that_vanished_move_the_cursor_and_want_a_sweep(answer: ChangePage) -> None:
    """RULES A3: pages that end below the high-water mark; docs/cases.md: an emptied log is not a reset."""
    taken = absorb(position(4, seen={3: NOW, 4: NOW}), answer, high_water=9, now=NOW)
    assert taken.vanished
    assert taken.position.cursor == 9
    assert taken.position.sweep_wanted
    assert isinstance(next_read(taken.position, high_water=9, now=NOW + LATE_WINDOW), Done)


def test_an_empty_page_is_no_place_in_the_feed() -> None:
    """docs/orthanc.md: `Last` of an empty page is the highest number ever; entries stored meanwhile come with the next
    poll."""
    taken = absorb(position(5), ChangePage(changes=(), done=True, last=8), high_water=5, now=NOW)
    assert taken.position.cursor == 5


def test_a_gap_does_not_stall_and_is_still_filled_late() -> None:
    """docs/cases.md: a gap in the numbers does not stall; a gap filled late is still seen."""
    first = absorb(position(0), page([1, 2, 4]), high_water=4, now=NOW)
    assert first.position.cursor == 4
    step = next_read(first.position, high_water=4, now=NOW + 30)
    assert isinstance(step, Read)
    assert step.since < 3
    late = absorb(first.position, page([1, 2, 3, 4]), high_water=4, now=NOW + 30)
    assert [each.seq for each in late.fresh] == [3]
    assert late.position.cursor == 4


def test_a_number_with_another_content_is_suspicious_and_nothing_is_taken() -> None:
    """RULES A4: a re-read number with other content may be another index."""
    before = position(5, seen={4: NOW, 5: NOW})
    other = ChangePage(changes=(change(4), change(5, date="20260302T000000"), change(6)), done=True, last=6)
    taken = absorb(before, other, high_water=6, now=NOW)
    assert taken.contradicted
    assert taken.fresh == ()
    assert taken.position is before
    assert taken.next is None


def test_unreadable_entries_are_told_once_and_their_neighbours_survive() -> None:
    """docs/cases.md: a malformed entry is recorded, a sweep is requested, and its neighbours survive."""
    answer = page([1, 3], malformed=1)
    first = absorb(position(0), answer, high_water=3, now=NOW)
    assert [each.seq for each in first.fresh] == [1, 3]
    assert first.unreadable == 1
    assert first.position.sweep_wanted
    again = absorb(first.position, answer, high_water=3, now=NOW + 1)
    assert again.unreadable == 0
    assert again.position is first.position


def test_a_page_of_unreadable_entries_alone_moves_the_cursor() -> None:
    """RULES A2: an entry that cannot be read does not stop the next one."""
    taken = absorb(position(7), ChangePage(changes=(), done=False, last=9, malformed=2), high_water=20, now=NOW)
    assert taken.position.cursor == 9
    assert taken.next == 9


def test_unknown_types_move_the_cursor() -> None:
    """docs/cases.md: unknown change types are ignored; only-ignored changes still move the cursor."""
    odd = ChangePage(changes=(change(8, change_type="NewKindOfChange"),), done=True, last=8)
    assert absorb(position(7), odd, high_water=8, now=NOW).position.cursor == 8


def test_only_the_stretch_that_may_be_read_again_is_remembered() -> None:
    """RULES A3, E8: the memory of what was seen stays bounded."""
    where = position(0)
    for start in range(0, 30_000, 500):
        where = absorb(where, page(range(start + 1, start + 501)), high_water=start + 500, now=NOW).position
    assert len(where.seen) == OVERLAP_MAX
    later = absorb(where, page([30_001]), high_water=30_001, now=NOW + LATE_WINDOW).position
    assert sorted(later.seen) == list(range(30_001 - OVERLAP, 30_002))


def test_a_mark_below_the_highest_ever_is_a_suspicion_also_behind_a_cursor_that_was_put_back() -> None:
    """RULES A3, A4: an archive indexed anew is read from its overlap on; another, smaller one may stand there meanwhile."""
    position = FeedPosition(archive=ArchiveName("main"), state=ArchiveState.OK, cursor=0, high_water=96)
    assert next_read(position, high_water=21, now=1_700_000_000.0) == Regressed()
