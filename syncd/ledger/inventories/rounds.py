"""Where the slow rounds over what was published stand, and their pages (`Ledger.rounds`).

A round looks at everything once a day, a slice at a time, and goes on where it was after a restart. Its position is a fact
of the ledger; the pages are keyset pages, so that a million rows are never held (RULES E8).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, select

from syncd.ledger.db.rows import to_noun, to_row
from syncd.ledger.db.schema import companions
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.studies.records import fact, save_fact
from syncd.model.work import Companion


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """`after` is the last key looked at, `began` when the round began (seconds since the epoch), `over` its end."""

    after: str = ""
    began: float = 0.0
    over: bool = False


class Rounds:
    """One of the ledger's doors: every method is one transaction or one short read."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def position(self, name: str) -> Round:
        value = self._transactions.read(lambda connection: fact(connection, f"round {name}"))
        return Round() if value is None else Round(**value)

    def move(self, name: str, position: Round) -> None:
        self._transactions.own(lambda tx: save_fact(tx, f"round {name}", to_row(position)))

    def companions(self, resource_type: str, *, after: str, limit: int) -> list[Companion]:
        """A page of our companions of a type, in the order of their ids."""
        page = {"kind": resource_type, "after": after, "most": limit}
        return self._transactions.read(
            lambda connection: [to_noun(Companion, row) for row in connection.execute(_COMPANIONS, page)]
        )


_COMPANIONS = (
    select(companions)
    .where(companions.c.resource_type == bindparam("kind"), companions.c.resource_id > bindparam("after"))
    .order_by(companions.c.resource_id)
    .limit(bindparam("most"))
)
