"""How the ledger stands, for people and for metrics: counts, the daemon's heartbeat, the latest decisions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection, delete, select, text

from syncd.ledger.db.rows import to_noun, to_row
from syncd.ledger.db.schema import history
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.owner.glance import HEARTBEAT, Glance
from syncd.ledger.owner.standing import find_standing
from syncd.ledger.studies import corrections
from syncd.ledger.studies.records import save_fact
from syncd.model.audit import Standing
from syncd.model.overview import Counts, FailingStudy, Heartbeat
from syncd.model.work import HistoryLine

T = TypeVar("T")

HISTORY_AGE = 90 * 86400.0
"""Seconds after which a history line goes (RULES E8)."""

PRUNED_AT_ONCE = 500
"""Old history lines removed per heartbeat: a slice that delays nobody."""


class Overview:
    """`ledger.overview`: each method one transaction or one short read."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def ask(self, question: Callable[[Glance], T]) -> T:
        """The answer to what `status` asks, of one state of the ledger."""
        return self._transactions.read(lambda connection: question(at_a_glance(connection)))

    def counts(self, now: float) -> Counts:
        return self.ask(lambda glance: glance.counts(now))

    def beat(self, heartbeat: Heartbeat) -> None:
        self._transactions.own(lambda tx: _beat(tx, heartbeat))

    def heartbeat(self) -> Heartbeat | None:
        return self.ask(Glance.heartbeat)

    def history(self, study_uid: str) -> list[HistoryLine]:
        """The study's last decisions, latest first."""
        return self._transactions.read(lambda connection: _history_of(connection, study_uid))

    def find_failing(self, limit: int = 100) -> list[FailingStudy]:
        """Pending studies whose last try failed, with its reason, those that failed most first (RULES C6)."""
        return self.ask(lambda glance: glance.find_failing(limit))

    def standing(self, study_uids: Sequence[str]) -> dict[str, Standing]:
        """All that is known of each of these studies, for people and for comparisons."""
        return self._transactions.read(lambda connection: find_standing(connection, study_uids))


def _beat(tx: Transaction, heartbeat: Heartbeat) -> None:
    """Keep the heartbeat, and let a slice of the oldest history and corrections go."""
    save_fact(tx, HEARTBEAT, to_row(heartbeat))
    old = select(history.c.id).where(history.c.at < heartbeat.at - HISTORY_AGE).order_by(history.c.at)
    tx.connection.execute(delete(history).where(history.c.id.in_(old.limit(PRUNED_AT_ONCE).scalar_subquery())))
    corrections.prune(tx, now=heartbeat.at)


def at_a_glance(connection: Connection) -> Glance:
    """What `status` asks, on a connection of ours."""
    return Glance(lambda statement, parameters: [tuple(row) for row in connection.execute(text(statement), parameters)])


def _history_of(connection: Connection, study_uid: str) -> list[HistoryLine]:
    """The study's decisions, latest first."""
    lines = select(history).where(history.c.study_uid == study_uid).order_by(history.c.id.desc())
    return [to_noun(HistoryLine, row) for row in connection.execute(lines)]
