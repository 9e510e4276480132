"""Provenances that are still owed (RULES B8): they come with a record, in its transaction, and go when the server has them.

The ledger's second door for them (`Ledger.trail`), of the same kind: every method is one transaction or one short read.
A debt that is given up leaves a line in its study's history, for people, and nothing that anything waits for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, or_, select, update

from syncd.ledger.db.rows import to_noun, to_row
from syncd.ledger.db.schema import history, owed_provenance, upsert
from syncd.ledger.db.transactions import Ways
from syncd.ledger.db.writer import Transaction
from syncd.model.provenance import Occasion, OwedProvenance

DAY = 86400.0
"""Seconds: no debt is put off for longer."""

_OF_STUDY = (
    select(owed_provenance)
    .where(owed_provenance.c.study_uid == bindparam("uid"))
    .order_by(owed_provenance.c.recorded, owed_provenance.c.provenance_id)
)
_DUE = (
    select(owed_provenance)
    .where(owed_provenance.c.due <= bindparam("now"))
    .order_by(owed_provenance.c.due, owed_provenance.c.provenance_id)
    .limit(bindparam("most"))
)
_SETTLED = delete(owed_provenance).where(
    owed_provenance.c.provenance_id == bindparam("id"), owed_provenance.c.version == bindparam("version")
)


class Trail:
    """One of the ledger's doors: every method is one transaction or one short read."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways

    def of_study(self, study_uid: str) -> list[OwedProvenance]:
        """All that is owed for a study, the oldest first."""
        return self._ways.read(lambda connection: _nouns(connection.execute(_OF_STUDY, {"uid": study_uid})))

    def due(self, limit: int, *, now: float) -> list[OwedProvenance]:
        """Up to `limit` debts whose time has come."""
        return self._ways.read(lambda connection: _nouns(connection.execute(_DUE, {"now": now, "most": limit})))

    def settle(self, paid: OwedProvenance) -> None:
        """The server has it."""
        self._ways.own(lambda tx: _settle(tx, paid))

    def put_off(self, owed: OwedProvenance) -> None:
        """Another attempt, when `owed.due` says so."""
        self._ways.own(lambda tx: _put_off(tx, owed))

    def give_up(self, owed: OwedProvenance, reason: str) -> None:
        """The server will never take it; the study's history says why."""
        now = self._ways.now()
        self._ways.own(lambda tx: _give_up(tx, owed, reason, now=now))


def keep(tx: Transaction, debts: Sequence[OwedProvenance]) -> None:
    """Owed from the transaction that keeps the record on."""
    upsert(tx.connection, owed_provenance, rows=[{**to_row(one), "occasion": one.occasion.value} for one in debts])


def within_reason(connection: Connection, *, now: float) -> None:
    """On load: a clock that was set back must not put a debt off for a month (RULES E5), and whoever was to pay what is
    new is dead."""
    far = owed_provenance.c.due > now + DAY
    connection.execute(update(owed_provenance).where(or_(far, owed_provenance.c.attempts == 0)).values(due=now))


def _settle(tx: Transaction, paid: OwedProvenance) -> None:
    # By version, too: the same content may have been written once more meanwhile, and that debt is another one.
    tx.connection.execute(_SETTLED, {"id": paid.provenance_id, "version": paid.version})


def _put_off(tx: Transaction, owed: OwedProvenance) -> None:
    still = owed_provenance.c.provenance_id == owed.provenance_id, owed_provenance.c.version == owed.version
    tx.connection.execute(update(owed_provenance).where(*still).values(attempts=owed.attempts, due=owed.due))


def _give_up(tx: Transaction, owed: OwedProvenance, reason: str, *, now: float) -> None:
    _settle(tx, owed)
    line = {"study_uid": owed.study_uid, "at": now, "decision": "Provenance", "reason": reason, "correlation_id": ""}
    tx.connection.execute(history.insert(), line)


def _nouns(rows: Iterable[Row[Any]]) -> list[OwedProvenance]:
    found = (to_noun(OwedProvenance, row) for row in rows)
    return [replace(one, occasion=Occasion(one.occasion), sources=tuple(one.sources)) for one in found]
