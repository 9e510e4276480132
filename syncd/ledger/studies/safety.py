"""Published studies of which something is in doubt: who the patient is, a side, a site, an order (RULES B9 to B11).

What is noted of safety must be seen by somebody, so it outlives the publication: one row per study with its notes (tag,
rule, what was done; never a value, RULES S1), moved in the transaction that records what is published now. It costs
nothing where nothing changed, because a publication reads what is kept along with the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select

from syncd.ledger.db.rows import to_row
from syncd.ledger.db.schema import safety_notes, upsert
from syncd.ledger.db.statements import Statement, among
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.model.snapshot import Note
from syncd.model.words import SHOWN
from syncd.model.work import DoubtfulStudy, StudyRecord

TALLY = "safety"
"""How many studies have such notes; counted, so that nothing counts them (RULES E8)."""

_PAGE = (
    select(safety_notes)
    .where(safety_notes.c.study_uid > bindparam("after"))
    .order_by(safety_notes.c.study_uid)
    .limit(bindparam("most"))
)
_NONE = Statement(delete(safety_notes).where(among(safety_notes.c.study_uid, "uids")))


class SafetyNotes:
    """One of the ledger's doors (`Ledger.safety`)."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def page(self, after: str = "", limit: int = 500) -> list[DoubtfulStudy]:
        """A page in the order of UIDs; the next one begins after its last UID."""
        return self._transactions.read(lambda connection: _page(connection, after=after, limit=limit))


Told = tuple[StudyRecord, Sequence[Note] | None, Sequence[Any] | None]
"""A record, what is in doubt of it (None: nothing is known of that), and what was kept of it until now (None: nothing)."""


def keep(tx: Transaction, told: Iterable[Told], *, now: float) -> None:
    """Make what is kept of each study its doubts. Nothing is in doubt of what its record says is not shown any more."""
    noted, settled = [], []
    for record, doubts, before in told:
        known = doubts if record.retracted in SHOWN else ()
        rows = [_row(note) for note in known or ()]
        if known is None or rows == (before or []):
            continue
        tx.count(TALLY, by=bool(rows) - bool(before))
        if rows:
            noted.append({"study_uid": record.study_uid, "notes": rows, "since": now})
        else:
            settled.append(record.study_uid)
    upsert(tx.connection, safety_notes, rows=noted)
    if settled:
        _NONE.run(tx.connection, {"uids": settled})


def _page(connection: Connection, *, after: str, limit: int) -> list[DoubtfulStudy]:
    return [_noun(row) for row in connection.execute(_PAGE, {"after": after, "most": limit})]


def _noun(row: Row[Any]) -> DoubtfulStudy:
    notes = tuple(Note(**note, safety=True) for note in row.notes)
    return DoubtfulStudy(study_uid=row.study_uid, notes=notes, since=row.since)


def _row(note: Note) -> dict[str, str]:
    return {name: value for name, value in to_row(note).items() if name != "safety"}
