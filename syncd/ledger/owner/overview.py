"""How the ledger stands, for people and for metrics: counts, the daemon's heartbeat, the latest decisions.

Counts come from tallies that every transaction moves, not from counting: the overview of a million studies costs as much
as that of ten, and may be asked every few seconds (RULES E8).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, select

from syncd.ledger.db.rows import to_noun, to_row
from syncd.ledger.db.schema import dirty, history, tallies
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.owner.standing import find_standing
from syncd.ledger.studies import corrections, outbox, rendering, safety
from syncd.ledger.studies.claims import priorities
from syncd.ledger.studies.records import fact, save_fact
from syncd.model.audit import Standing
from syncd.model.words import Priority
from syncd.model.work import Counts, FailingStudy, Heartbeat, HistoryLine

HISTORY_AGE = 90 * 86400.0
"""Seconds after which a history line goes (RULES E8)."""

PRUNED_AT_ONCE = 500
"""Old history lines removed per heartbeat: a slice that delays nobody."""


class Overview:
    """`ledger.overview`: each method one transaction or one short read."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def counts(self, now: float) -> Counts:
        return self._transactions.read(lambda connection: _counts(connection, now=now))

    def beat(self, heartbeat: Heartbeat) -> None:
        self._transactions.own(lambda tx: _beat(tx, heartbeat))

    def heartbeat(self) -> Heartbeat | None:
        return self._transactions.read(heartbeat)

    def history(self, study_uid: str) -> list[HistoryLine]:
        """The study's last decisions, latest first."""
        return self._transactions.read(lambda connection: _history_of(connection, study_uid))

    def find_failing(self, limit: int = 100) -> list[FailingStudy]:
        """Pending studies whose last try failed, with its reason, those that failed most first (RULES C6)."""
        return self._transactions.read(lambda connection: _find_failing(connection, limit=limit))

    def standing(self, study_uids: Sequence[str]) -> dict[str, Standing]:
        """All that is known of each of these studies, for people and for comparisons."""
        return self._transactions.read(lambda connection: find_standing(connection, study_uids))


def _counts(connection: Connection, *, now: float) -> Counts:
    """All from one state of the ledger; rows being worked on count as dirty and due."""
    numbers = {(row.kind, row.word): row.number for row in connection.execute(select(tallies)) if row.number}
    due = {
        level: connection.execute(
            select(func.count()).select_from(dirty).where(dirty.c.priority == level, dirty.c.due <= now)
        ).scalar_one()
        for level in priorities(connection)
    }
    outdated, held = rendering.count_outdated(connection, numbers)
    return Counts(
        dirty=numbers.get(("dirty", ""), 0),
        due=sum(due.values()),
        oldest_mark=connection.execute(select(func.min(dirty.c.first_marked))).scalar() or 0.0,
        published={word: number for (kind, word), number in sorted(numbers.items()) if kind == "published"},
        parked={word: number for (kind, word), number in sorted(numbers.items()) if kind == "parked"},
        backfill=due.get(Priority.BACKFILL, 0),
        unselected={word: number for (kind, word), number in sorted(numbers.items()) if kind == "unselected"},
        dropped=numbers.get(("dropped", ""), 0),
        safety=numbers.get((safety.TALLY, ""), 0),
        outdated=outdated,
        held=held,
        outbox=outbox.queues(numbers),
    )


def _beat(tx: Transaction, heartbeat: Heartbeat) -> None:
    """Keep the heartbeat, and let a slice of the oldest history and corrections go."""
    save_fact(tx, "heartbeat", to_row(heartbeat))
    old = select(history.c.id).where(history.c.at < heartbeat.at - HISTORY_AGE).order_by(history.c.at)
    tx.connection.execute(delete(history).where(history.c.id.in_(old.limit(PRUNED_AT_ONCE).scalar_subquery())))
    corrections.prune(tx, now=heartbeat.at)


def heartbeat(connection: Connection) -> Heartbeat | None:
    value = fact(connection, "heartbeat")
    return None if value is None else Heartbeat(**value)


def _find_failing(connection: Connection, *, limit: int) -> list[FailingStudy]:
    """Pending studies whose last try failed, those that failed most first. For a person's command only: it looks at
    every pending row."""
    last = select(history.c.reason).where(history.c.study_uid == dirty.c.study_uid).order_by(history.c.id.desc()).limit(1)
    rows = (
        select(
            dirty.c.study_uid, dirty.c.attempts, dirty.c.first_marked, dirty.c.due, last.scalar_subquery().label("reason")
        )
        .where(dirty.c.attempts > 0)
        .order_by(dirty.c.attempts.desc(), dirty.c.first_marked, dirty.c.study_uid)
        .limit(limit)
    )
    return [
        FailingStudy(
            study_uid=row.study_uid, attempts=row.attempts, since=row.first_marked, due=row.due, reason=row.reason or ""
        )
        for row in connection.execute(rows)
    ]


def _history_of(connection: Connection, study_uid: str) -> list[HistoryLine]:
    """The study's decisions, latest first."""
    lines = select(history).where(history.c.study_uid == study_uid).order_by(history.c.id.desc())
    return [to_noun(HistoryLine, row) for row in connection.execute(lines)]
