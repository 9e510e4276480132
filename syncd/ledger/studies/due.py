"""Which studies are to be worked on next.

The most urgent row among a million is found without sorting them: due rows are read priority by priority, each by a walk
along one index. `due` is never before `not_before`, so whoever looks for due rows need not look at backoffs (RULES C6).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, func, or_, select

from syncd.ledger.db.rows import field_names
from syncd.ledger.db.schema import STUBBORN, copies, dirty
from syncd.ledger.studies.records import archives_with_copies
from syncd.model.words import Priority
from syncd.model.work import OWN_ATTEMPTS, DirtyRow

WORTH = 20.0
"""How many times longer than it took a look at waiting rows is believed: at most a twentieth of the time goes into it."""


def priorities(connection: Connection) -> Iterator[int]:
    """The priorities that pending rows have, in order; each is one step in the index, however many rows there are."""
    last = -1
    while (found := connection.execute(_NEXT_PRIORITY, {"last": last}).scalar()) is not None:
        yield found
        last = found


_NEXT_PRIORITY = select(func.min(dirty.c.priority)).where(dirty.c.priority > bindparam("last"))
COLUMNS = tuple(dirty.c[name] for name in field_names(DirtyRow))
"""What is read of a row, in the order of the noun's fields."""

_DUE = (
    select(*COLUMNS)
    .where(dirty.c.priority == bindparam("level"), dirty.c.due <= bindparam("now"))
    .where(or_(dirty.c.claim_epoch.is_(None), dirty.c.claim_epoch != bindparam("epoch")))
    .order_by(dirty.c.due, dirty.c.study_uid)
    .limit(bindparam("most"))
)
_NEWEST = (
    # All backwards, so that the index gives the order by itself: among studies of one day, nobody cares which is first.
    select(*COLUMNS)
    # An expression, so that no planner takes the index by due time and sorts what it finds there.
    .where(dirty.c.priority == bindparam("level"), dirty.c.due + 0.0 <= bindparam("now"))
    .where(or_(dirty.c.claim_epoch.is_(None), dirty.c.claim_epoch != bindparam("epoch")))
    .order_by(dirty.c.study_date.desc(), dirty.c.due.desc(), dirty.c.study_uid.desc())
    .limit(bindparam("most"))
)
_WITHIN = ~exists().where(
    copies.c.study_uid == dirty.c.study_uid, copies.c.archive.not_in(bindparam("within", expanding=True))
)
_DUE_WITHIN = _DUE.where(
    _WITHIN,
    dirty.c.due >= bindparam("after_due"),
    or_(dirty.c.due > bindparam("after_due"), dirty.c.study_uid >= bindparam("after_uid")),
)
_NEWEST_WITHIN = _NEWEST.where(
    _WITHIN,
    dirty.c.study_date <= bindparam("after_date"),
    or_(
        dirty.c.study_date < bindparam("after_date"),
        dirty.c.due < bindparam("after_due"),
        (dirty.c.due == bindparam("after_due")) & (dirty.c.study_uid <= bindparam("after_uid")),
    ),
)
_NOT_STUBBORN = dirty.c.attempts <= OWN_ATTEMPTS
_ORDERS = {
    # (old studies, only those within): in which order due rows are read
    (False, False): _DUE,
    (False, True): _DUE_WITHIN,
    (True, False): _NEWEST,
    (True, True): _NEWEST_WITHIN,
}
_ORDERS_NOT_STUBBORN = {key: order.where(_NOT_STUBBORN) for key, order in _ORDERS.items()}
_DUE_STUBBORN = (
    select(*COLUMNS)
    .where(STUBBORN, dirty.c.due <= bindparam("now"))
    .where(or_(dirty.c.claim_epoch.is_(None), dirty.c.claim_epoch != bindparam("epoch")))
    .order_by(dirty.c.due, dirty.c.study_uid)
    .limit(bindparam("most"))
)
_DUE_STUBBORN_WITHIN = _DUE_STUBBORN.where(_WITHIN)


def find_due(
    connection: Connection,
    *,
    limit: int,
    now: float,
    epoch: int,
    within: Collection[str] | None,
    passed: Passed,
    most_backfill: int | None = None,
    stubborn: int | None = None,
) -> list[Row[Any]]:
    """Up to `limit` due rows, most urgent first: by priority, due time, then UID; at backfill priority the newest
    StudyDate first, and not more than `most_backfill` (RULES A9).

    `within`: only studies of which no copy lies in another archive than these (RULES C8). With `stubborn`, rows that
    failed often are not among them: at most so many of those come after them (RULES C6)."""
    elsewhere = within is not None and not archives_with_copies(connection).issubset(within)
    orders = _ORDERS if stubborn is None else _ORDERS_NOT_STUBBORN
    rows: list[Row[Any]] = []
    for level in priorities(connection):
        backfill, most = level >= Priority.BACKFILL, limit - len(rows)
        if backfill and most_backfill is not None:
            most = min(most, most_backfill)
        wanted = {"level": level, "now": now, "epoch": epoch, "most": most}
        if not most:
            continue
        if elsewhere and within is not None:
            rows += passed.beyond(level, connection, wanted, within=within, stubborn=stubborn is None)
        else:
            rows += connection.execute(orders[backfill, False], wanted)
        if len(rows) >= limit:
            break
    if stubborn:
        further = {"now": now, "epoch": epoch, "most": stubborn}
        if elsewhere and within is not None:
            rows += connection.execute(_DUE_STUBBORN_WITHIN, {**further, "within": sorted(within)})
        else:
            rows += connection.execute(_DUE_STUBBORN, further)
    return rows


class Passed:
    """How far the due rows were found to wait for an archive that cannot be read.

    A hundred thousand of them may stand before the one that can be worked on, and looking at each of them takes a second:
    so the rows that were passed are not looked at again before `WORTH` times as long as the look took. What becomes due
    later stands behind them, and is found at once; but an old study may stand before them by its date, and waits for the
    next look."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._within: frozenset[str] = frozenset()
        self._stubborn = True
        self._last: dict[int, _Place] = {}
        self._until: dict[int, float] = {}

    def beyond(
        self,
        level: int,
        connection: Connection,
        wanted: Mapping[str, Any],
        *,
        within: Collection[str],
        stubborn: bool = True,
    ) -> Sequence[Row[Any]]:
        """The first due rows of the priority `level` that lie `within`; `stubborn`: also those that failed often."""
        if (self._within, self._stubborn) != (frozenset(within), stubborn):
            self._within, self._stubborn = frozenset(within), stubborn
            self._last.clear()
        began = self._monotonic()
        fresh = level not in self._last or began >= self._until[level]
        backfill = level >= Priority.BACKFILL
        begin, end = (_NEWEST_BEGIN, _NEWEST_END) if backfill else (_DUE_BEGIN, _Place(due=wanted["now"], uid=""))
        place = begin if fresh else self._last[level]
        after = {**wanted, "after_due": place.due, "after_uid": place.uid, "within": sorted(self._within)}
        if backfill:
            after["after_date"] = place.date
        orders = _ORDERS if stubborn else _ORDERS_NOT_STUBBORN
        rows = connection.execute(orders[backfill, True], after).all()
        if fresh:
            self._until[level] = began + WORTH * (self._monotonic() - began)
        # Everything before the first row that was found waits; if none was found, everything that was due waits.
        self._last[level] = _Place(due=rows[0].due, uid=rows[0].study_uid, date=rows[0].study_date) if rows else end
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A place in the order in which due rows are read."""

    due: float
    uid: str
    date: str = ""


_DUE_BEGIN = _Place(due=-1.0, uid="")
_NEWEST_BEGIN, _NEWEST_END = _Place(due=1e300, uid="", date="99999999"), _Place(due=-1.0, uid="")
