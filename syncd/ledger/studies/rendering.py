"""Which mapping and settings rendered what is published, and whether the rest is rendered again (RULES B3).

Every record keeps the fingerprint of what rendered it, and today's is told at each start. How many are of another one
can be said at any moment: they are counted as they are written, by fingerprint, and never looked through (E8).
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, exists, func, select

from syncd.ledger.db.schema import dirty, intents, records
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.studies.records import fact, save_fact
from syncd.model.words import Priority
from syncd.model.work import MarkKind, StudyRecord

TALLY = "fingerprint"
_FACT = "rendering"

_UNMARKED_AT_ONCE = 1000
"""Marks taken back per transaction: others get their turn in between."""


class Rendering:
    """One of the ledger's doors (`Ledger.rendering`): every method is short reads and transactions."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def begin(self, fingerprint: str, *, held: bool) -> None:
        """Today's fingerprint; `held`: what is of another one stays as it is until it changes. Marks that were made for
        nothing else are taken back then."""
        self._transactions.own(lambda tx: _begin(tx, fingerprint, held=held))
        while held and self._transactions.own(_unmark):
            pass

    def sample(self, fingerprint: str, *, size: int) -> list[str]:
        """The UIDs of up to `size` records of another fingerprint, spread evenly over all of them."""
        return self._transactions.read(lambda connection: _sample(connection, fingerprint, size=size))


def count_record(tx: Transaction, record: StudyRecord, *, before: str | None) -> None:
    """A record was written; `before` is the fingerprint that the study's had until now (None: there was none)."""
    if record.fingerprint == before:
        return
    if before is not None:
        tx.count(TALLY, word=before, by=-1)
    tx.count(TALLY, word=record.fingerprint, by=1)


def _begin(tx: Transaction, fingerprint: str, *, held: bool) -> None:
    told = {"fingerprint": fingerprint, "held": held}
    if fact(tx.connection, _FACT) != told:
        save_fact(tx, _FACT, told)


def _unmark(tx: Transaction) -> int:
    """What was sent and not confirmed yet keeps its mark: it must be read (RULES C5)."""
    begun = exists().where(intents.c.study_uid == dirty.c.study_uid)
    only_for_this = (dirty.c.reason == MarkKind.RERENDER.value) & (dirty.c.priority == Priority.BACKFILL)
    slice_ = select(dirty.c.study_uid).where(only_for_this, ~begun).limit(_UNMARKED_AT_ONCE)
    number = tx.connection.execute(delete(dirty).where(dirty.c.study_uid.in_(slice_.scalar_subquery()))).rowcount
    tx.count("dirty", by=-number)
    return number


def _sample(connection: Connection, fingerprint: str, *, size: int) -> list[str]:
    other, named = records.c.fingerprint != bindparam("fingerprint"), {"fingerprint": fingerprint}
    number = connection.execute(select(func.count()).select_from(records).where(other), named).scalar_one()
    place = (func.row_number().over(order_by=records.c.study_uid) - 1).label("place")
    placed = select(records.c.study_uid, place).where(other).subquery()
    # The n-th of `size` equal parts begins where n * number / size first reaches a whole step.
    begins = (placed.c.place * size) % max(number, 1) < size
    wanted = select(placed.c.study_uid).where(begins).order_by(placed.c.study_uid).limit(size)
    return list(connection.execute(wanted, named).scalars())
