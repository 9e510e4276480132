"""What somebody else changed of ours, and we put back: the memory that ends a quarrel (RULES C4).

Two programs that each know better would write in turn for ever, and every turn would look like a repair. So each
correction is remembered for a week, element by element, in the transaction of the record that it led to.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, func, select

from syncd.ledger.db.schema import corrections, upsert
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.model.work import CONTEST_WINDOW, MOST_CORRECTIONS

PRUNED_AT_ONCE = 500
"""Old corrections removed per heartbeat: a slice that delays nobody."""


class Corrections:
    """`ledger.corrections`: what is fought over, in one short read."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def find_fought_over(self, study_uid: str) -> frozenset[str]:
        """Elements of the study that were corrected so often lately that they are not corrected again (RULES C4)."""
        now = self._transactions.now()
        return self._transactions.read(lambda connection: _find_fought_over(connection, study_uid, now=now))


def keep(tx: Transaction, study_uid: str, elements: Iterable[str], *, now: float) -> None:
    """Remember that these elements were corrected now."""
    rows = [{"study_uid": study_uid, "element": element, "at": now} for element in elements]
    upsert(tx.connection, corrections, rows=rows)


def _find_fought_over(connection: Connection, study_uid: str, *, now: float) -> frozenset[str]:
    """Elements that were corrected as often as they ever are."""
    wanted = (
        select(corrections.c.element)
        .where(corrections.c.study_uid == study_uid, corrections.c.at > now - CONTEST_WINDOW)
        .group_by(corrections.c.element)
        .having(func.count() >= MOST_CORRECTIONS)
    )
    return frozenset(connection.execute(wanted).scalars())


def forget(tx: Transaction, study_uid: str) -> None:
    tx.connection.execute(delete(corrections).where(corrections.c.study_uid == study_uid))


def forget_all(tx: Transaction) -> None:
    """Another server, or one that lost everything: nobody has fought over anything there."""
    tx.connection.execute(delete(corrections))


def prune(tx: Transaction, *, now: float) -> None:
    """Let a slice of what counts no more go."""
    old = select(corrections.c.at).where(corrections.c.at <= now - CONTEST_WINDOW).order_by(corrections.c.at)
    newest = select(func.max(old.limit(PRUNED_AT_ONCE).subquery().c.at)).scalar_subquery()
    tx.connection.execute(delete(corrections).where(corrections.c.at <= newest))
