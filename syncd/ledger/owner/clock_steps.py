"""The wall clock was set: what the ledger keeps in its time is moved along (RULES E5).

Set back by an hour, what is due in a minute would wait for an hour and a minute, and what was seen a second ago would
lie in the future; both are moved by what the clock was moved. Set forward, everything that waits is due, once and at
its usual pace, which harms nobody; but a time of grace that began a second ago would be over, so where these began is
moved along. What was written between the step and its discovery is in the new time already: a look too early is cheap,
one that comes too late is not, so what cannot be told apart is taken for the older.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, update

from syncd.ledger.db.schema import (
    copies,
    corrections,
    dirty,
    feed_seen,
    feeds,
    outbox,
    records,
    rejections,
    retraction_charges,
    unselected,
)
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.owner.overview import at_a_glance

GRACE_BEGAN = (
    feeds.c.moved_at,
    feed_seen.c.first_seen,
    rejections.c.first_missing_at,
    retraction_charges.c.charged_at,
)
"""When a time of grace began: of a late number (RULES A3), of a note that is missing (RULES B7), of the day that the brake
counts (RULES D3)."""

HAPPENED = (
    dirty.c.first_marked,
    dirty.c.last_event,
    dirty.c.streaming_since,
    copies.c.first_seen,
    copies.c.counted_at,
    records.c.published_at,
    unselected.c.since,
    corrections.c.at,
    outbox.c.made_at,
    *GRACE_BEGAN,
)
"""Times that lie in the past by their meaning; 0 says never."""

PLANNED = (dirty.c.due, dirty.c.not_before, outbox.c.due)
"""Times that may lie ahead; the first is never before the second."""


class ClockSteps:
    """`ledger.clock_steps`: one transaction."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def follow(self, by: float) -> None:
        """The wall clock was set forward by `by` seconds (back: negative): times that we keep move along (RULES E5)."""
        now = self._transactions.now()
        self._transactions.own(lambda tx: _follow(tx, by=by, now=now))


def _follow(tx: Transaction, *, by: float, now: float) -> None:
    """The clock was set forward by `by` seconds (back: negative), and shows `now`."""
    if by < 0:
        for column in (*HAPPENED, *PLANNED):
            _move(tx, column, column > now, by=by)
    else:
        for column in GRACE_BEGAN:
            _move(tx, column, (column > 0) & (column <= now - by), by=by)


def follow_since_last_beat(tx: Transaction, *, now: float) -> None:
    """A daemon lived here in what is now the future: the clock was set back, by that much at least, while none ran."""
    last = at_a_glance(tx.connection).heartbeat()
    if last is not None and last.at > now:
        _follow(tx, by=now - last.at, now=now)


def _move(tx: Transaction, column: ColumnElement[float], which: ColumnElement[bool], *, by: float) -> None:
    tx.connection.execute(update(column.table).where(which).values({column: column + by}))
