"""What somebody else changed of ours, and we put back: the memory that ends a quarrel (RULES C4).

Two programs that each know better would write in turn for ever, and every turn would look like a repair. So each
correction is remembered for a week, element by element, in the transaction of the record that it led to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, bindparam, delete, func, select

from syncd.ledger.db.schema import corrections, upsert
from syncd.ledger.db.statements import Statement, among
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
        found = self._transactions.read(lambda connection: find_fought_over(connection, [study_uid], now=now))
        return found.get(study_uid, frozenset())


def keep(tx: Transaction, corrected: Iterable[tuple[str, str]], *, now: float) -> None:
    """Remember that these elements, each with its study's UID before it, were corrected now."""
    rows = [{"study_uid": study_uid, "element": element, "at": now} for study_uid, element in corrected]
    upsert(tx.connection, corrections, rows=rows)


_FOUGHT_OVER = Statement(
    select(corrections.c.study_uid, corrections.c.element)
    .where(among(corrections.c.study_uid, "uids"), corrections.c.at > bindparam("since"))
    .group_by(corrections.c.study_uid, corrections.c.element)
    .having(func.count() >= MOST_CORRECTIONS)
)


def find_fought_over(connection: Connection, study_uids: Collection[str], *, now: float) -> dict[str, frozenset[str]]:
    """By study, the elements that were corrected as often as they ever are; studies without any are left out."""
    found: dict[str, frozenset[str]] = {}
    for study_uid, element in _FOUGHT_OVER.rows(connection, {"uids": study_uids, "since": now - CONTEST_WINDOW}):
        found[study_uid] = found.get(study_uid, frozenset()) | {element}
    return found


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
