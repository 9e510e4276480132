"""Our resources beside the studies, and the ids that a server gave them.

The server holds them already when they come here, and a process that is killed before they are on the disk finds them
there again; so they may wait for the owner's next transaction, and are answered from memory until then.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Table, bindparam, select

from syncd.ledger.db.rows import field_names, to_row
from syncd.ledger.db.schema import assigned_ids, companions, upsert
from syncd.ledger.db.statements import Statement, Values, among
from syncd.ledger.db.transactions import Transactions
from syncd.model.work import Companion

_COLUMNS = tuple(companions.c[name] for name in field_names(Companion))
_FIND = Statement(
    select(*_COLUMNS).where(companions.c.resource_type == bindparam("kind"), among(companions.c.resource_id, "ids"))
)
_ASSIGNED = Statement(
    select(assigned_ids.c.assigned_id).where(
        assigned_ids.c.resource_type == bindparam("kind"), assigned_ids.c.own_id == bindparam("id")
    )
)
_OWN = Statement(
    select(assigned_ids.c.own_id).where(
        assigned_ids.c.resource_type == bindparam("kind"), assigned_ids.c.assigned_id == bindparam("id")
    )
)


class Companions:
    """`ledger.companions`: each method one transaction or one short read. What is kept `later` is found at once, and goes
    with the owner's next transaction; without that it is on the disk when the method returns."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def find(self, resource_type: str, resource_id: str) -> Companion | None:
        return self.find_several(resource_type, [resource_id]).get(resource_id)

    def find_several(self, resource_type: str, resource_ids: Collection[str]) -> dict[str, Companion]:
        """Those of these that we wrote, by id."""
        waiting = {one: self._transactions.riders.find(companions, (resource_type, one)) for one in resource_ids}
        found = {one: Companion(**row) for one, row in waiting.items() if row is not None}
        if rest := [one for one in waiting if one not in found]:
            found |= self._transactions.read(lambda connection: _find(connection, resource_type, rest))
        return found

    def save(self, companion: Companion, *, later: bool = False) -> None:
        self._keep(companions, to_row(companion), later=later)

    def assigned_id(self, resource_type: str, own_id: str) -> str | None:
        """The id that a server which insists on its own gave to ours (RULES C1)."""
        waiting = self._transactions.riders.find(assigned_ids, (resource_type, own_id))
        return str(waiting["assigned_id"]) if waiting is not None else self._first(_ASSIGNED, resource_type, own_id)

    def own_id(self, resource_type: str, assigned_id: str) -> str | None:
        """Which of our ids the server's stands for."""
        for row in self._transactions.riders.of(assigned_ids):
            if (row["resource_type"], row["assigned_id"]) == (resource_type, assigned_id):
                return str(row["own_id"])
        return self._first(_OWN, resource_type, assigned_id)

    def keep_assigned(self, resource_type: str, own_id: str, assigned_id: str, *, later: bool = False) -> None:
        row = {"resource_type": resource_type, "own_id": own_id, "assigned_id": assigned_id}
        self._keep(assigned_ids, row, later=later)

    def _keep(self, table: Table, row: dict[str, str], *, later: bool) -> None:
        if not all(map(_is_storable, row.values())):
            # Its error is the caller's, and no other transaction's.
            self._transactions.own(lambda tx: upsert(tx.connection, table, rows=[row]))
            return
        self._transactions.ride(table, row)
        if not later:
            self._transactions.own(lambda tx: None)

    def _first(self, statement: Statement, resource_type: str, id_: str) -> str | None:
        wanted: Values = {"kind": resource_type, "id": id_}
        rows = self._transactions.read(lambda connection: statement.rows(connection, wanted))
        return str(rows[0][0]) if rows else None


def _find(connection: Connection, resource_type: str, resource_ids: Collection[str]) -> dict[str, Companion]:
    names = field_names(Companion)
    rows: list[dict[str, Any]] = [
        dict(zip(names, row, strict=True)) for row in _FIND.rows(connection, {"kind": resource_type, "ids": resource_ids})
    ]
    return {row["resource_id"]: Companion(**row) for row in rows}


def _is_storable(text: str) -> bool:
    """Whether every database takes it: one has no NUL, none has half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
