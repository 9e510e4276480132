"""Following the change feed: where to read next, and what of a page is new (RULES A3). Pure: the caller reads and commits.

The idea is a cursor that only moves forward, and a short stretch behind it that is read again: with PostgreSQL as Orthanc's
index a number is taken before its transaction commits, so a lower number may become visible after a higher one. What was
seen in that stretch is remembered with the cursor, so nothing is marked twice, and a number that comes back with another
content shows that this is another index (RULES A4).

The feed is full of holes: deleting a resource takes its entries away. A hole may still be filled, or never; a page may
end below the highest number, because what was there is gone. Neither may stall the cursor, and for the latter a sweep
must look for what the vanished entries would have told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from syncd.model.change import Change, ChangePage
from syncd.model.work import FeedPosition

OVERLAP = 1000
"""Numbers behind the cursor that are read again: more than a hundred concurrent stores take before they commit."""

OVERLAP_MAX = 10_000
"""The longest stretch read again: at 4,500 changes/s (1.12) a little over two seconds, at most 3 MB of JSON."""

LATE_WINDOW = 60.0
"""Seconds in which a late number is still expected: Orthanc stores an instance in one transaction, in well under that."""

PAGE_LIMIT = 4000
"""Changes per page: 15 to 40 ms and 1.2 MB on both versions; its resources take four bulk calls to resolve."""

Seen = Mapping[int, tuple[Change, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Nothing is new, and nothing may still come behind the cursor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Ask for the changes above `since`."""

    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Regressed:
    """The highest number lies below the cursor: is this still the same index (RULES A4)?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Absorbed:
    """What a page said.

    `fresh` are the entries not seen before, in order; `position` is committed with their marks, and is the same value as
    before when the page said nothing new. `next` is where to go on, None at the end. `vanished`: entries up to the highest
    number are gone, a sweep is wanted. `contradicted`: a number came back with another content; nothing is taken then.
    `unreadable` counts entries that could not be read, told once and not at each reading of the overlap.
    """

    fresh: tuple[Change, ...]
    position: FeedPosition
    next: int | None
    vanished: bool = False
    contradicted: bool = False
    unreadable: int = 0


def next_read(position: FeedPosition, *, high_water: int, now: float) -> Done | Read | Regressed:
    """What to do in this poll, knowing the highest number `high_water`."""
    # Also behind a cursor that was put back: a smaller archive stands there before we have read up to its end again.
    if high_water < max(position.cursor, position.high_water):
        return Regressed()
    if is_done(position, high_water=high_water, now=now):
        return Done()
    return Read(since=_read_again_from(position.cursor, position.seen, now=now))


def is_done(position: FeedPosition, *, high_water: int, now: float) -> bool:
    """Whether `next_read` says so, which needs nothing of what was seen."""
    nowhere_below = high_water >= max(position.cursor, position.high_water)
    return nowhere_below and high_water == position.cursor and now - position.moved_at >= LATE_WINDOW


def absorb(position: FeedPosition, page: ChangePage, *, high_water: int, now: float) -> Absorbed:
    """Take one page; `high_water` is what this poll was told before its first page."""
    if any(_contradicts(change, position.seen) for change in page.changes):
        return Absorbed(fresh=(), position=position, next=None, contradicted=True)
    fresh = tuple(change for change in page.changes if change.seq not in position.seen)
    reached = max(position.cursor, _end_of(page))
    vanished = page.done and reached < high_water
    cursor = high_water if vanished else reached
    unreadable = page.malformed if page.last > position.cursor else 0
    return Absorbed(
        fresh=fresh,
        position=_next_position(
            position, fresh, cursor=cursor, sweep=vanished or unreadable > 0, high_water=high_water, now=now
        ),
        next=None if page.done or _is_empty(page) else page.last,
        vanished=vanished,
        unreadable=unreadable,
    )


def _next_position(
    position: FeedPosition, fresh: tuple[Change, ...], *, cursor: int, sweep: bool, high_water: int, now: float
) -> FeedPosition:
    """The position after a page; the very same value when nothing was new, so that an empty poll writes nothing."""
    highest = max(position.high_water, high_water, cursor)
    if not fresh and cursor == position.cursor and highest == position.high_water:
        return position
    seen = {**position.seen, **{change.seq: (change, _first_seen(change, position, now=now)) for change in fresh}}
    return replace(
        position,
        cursor=cursor,
        high_water=highest,
        moved_at=now if highest > position.high_water else position.moved_at,
        seen=_still_needed(seen, cursor=cursor, now=now),
        sweep_wanted=position.sweep_wanted or sweep,
    )


def _first_seen(change: Change, position: FeedPosition, *, now: float) -> float:
    """One that came late counts as seen a window ago: its place was passed before, so it does not lengthen the stretch."""
    return now if change.seq > position.cursor else now - LATE_WINDOW


def _read_again_from(cursor: int, seen: Seen, *, now: float) -> int:
    """1,000 numbers behind where the cursor stood a window ago (holes just below the first number of a burst included), but
    10,000 behind the cursor at most."""
    recent = (seq for seq, (_, first_seen) in seen.items() if 0 <= now - first_seen < LATE_WINDOW)
    passed = min(recent, default=cursor + 1) - 1
    return max(min(cursor, passed) - OVERLAP, cursor - OVERLAP_MAX, 0)


def _still_needed(seen: Seen, *, cursor: int, now: float) -> Seen:
    """What a later poll may read again. Pruned by number and not by age, as the stretch is: its lower end only rises
    from here on, as time passes or the cursor moves, so nothing that was forgotten is read again."""
    since = _read_again_from(cursor, seen, now=now)
    return {seq: seen[seq] for seq in sorted(seen) if seq > since}


def _end_of(page: ChangePage) -> int:
    """The last number the page speaks of; `last` of an empty page is not one (it is the highest ever assigned)."""
    return 0 if _is_empty(page) else page.last


def _is_empty(page: ChangePage) -> bool:
    return not page.changes and not page.malformed


def _contradicts(change: Change, seen: Seen) -> bool:
    known = seen.get(change.seq)
    return known is not None and known[0] != change
