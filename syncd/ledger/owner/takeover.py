"""What the owner does once, when it has opened the ledger: a new epoch, and times that a clock set back made absurd.

An epoch voids the claims of every owner before; a process that finds another epoch than its own must not write any more
(RULES E4). The wall clock may be set back while nobody looks: what was to be done in a minute would then wait for an
hour, so on load no time lies further ahead than the program itself would set it.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import ColumnElement, Connection, or_, select, update

from syncd.errors import LedgerRefused
from syncd.ledger.db.schema import dirty, feed_seen, feeds, rejections, sequences
from syncd.ledger.db.session_lock import TAKEN_OVER
from syncd.ledger.db.writer import Transaction
from syncd.ledger.owner.clock_steps import follow_since_last_beat
from syncd.ledger.studies import outbox
from syncd.ledger.studies.marks import next_in
from syncd.model.work import LONGEST_BACKOFF, LONGEST_STREAM

_EPOCH = select(sequences.c.value).where(sequences.c.name == "epoch").with_for_update()
"""The first statement of every writing transaction. On PostgreSQL its row lock is what `BEGIN IMMEDIATE` is on SQLite: one
such transaction at a time, and each sees what those before it committed, the next owner's epoch included."""


def take_over(tx: Transaction, *, now: float) -> int:
    """Begin a new epoch and bring all times within reason (RULES E5); returns the epoch."""
    follow_since_last_beat(tx, now=now)
    _within_reason(tx.connection, now=now)
    return next_in(tx.connection, "epoch")


def guard(epoch: Callable[[], int | None]) -> Callable[[Connection], None]:
    """The writer's way in: nobody else writes now, and the epoch is still this process's, where it has one."""

    def check(connection: Connection) -> None:
        current, mine = connection.execute(_EPOCH).scalar_one(), epoch()
        if mine is not None and current != mine:
            raise LedgerRefused(TAKEN_OVER)

    return check


def _within_reason(connection: Connection, *, now: float) -> None:
    # Marked, or told of an instance, in what is now the future: the clock was set back. Other due times may lie far
    # ahead by intention (a refused study is tried again daily).
    set_back = or_(dirty.c.first_marked > now, dirty.c.last_event > now)
    latest = now + LONGEST_STREAM
    connection.execute(update(dirty).where(set_back, dirty.c.due > latest).values(due=latest))
    backed_off = dirty.c.not_before > now + LONGEST_BACKOFF
    connection.execute(update(dirty).where(backed_off, dirty.c.due <= dirty.c.not_before).values(due=now + LONGEST_BACKOFF))
    connection.execute(update(dirty).where(backed_off).values(not_before=now + LONGEST_BACKOFF))
    for column in (dirty.c.first_marked, dirty.c.last_event, dirty.c.streaming_since, feeds.c.moved_at):
        _not_after(connection, column, now)
    _not_after(connection, feed_seen.c.first_seen, now)
    _not_after(connection, rejections.c.first_missing_at, now)
    outbox.within_reason(connection, now=now)


def _not_after(connection: Connection, column: ColumnElement[float], now: float) -> None:
    connection.execute(update(column.table).where(column > now).values({column: now}))
