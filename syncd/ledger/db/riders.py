"""What is true already and is written with the next transaction, whoever begins it.

A new Patient is remembered when the server confirmed it, and nobody needs that on the disk before the next intent is: a
process that is killed in between looks again. So it waits here, is answered from here, and leaves when a transaction that
holds it is committed; one that fails takes nothing along.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table

from syncd.ledger.db.schema import upsert
from syncd.ledger.db.statements import Values

Key = tuple[Any, ...]
Boarded = Sequence[tuple[Table, Key, Values]]


class Riders:
    """Rows that wait, by table and primary key; any thread may call any method."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: dict[Table, dict[Key, Values]] = {}

    def __bool__(self) -> bool:
        return any(self._waiting.values())

    def put(self, table: Table, row: Values) -> None:
        """In place of what waits under the same key. A row names every column of the table."""
        key = tuple(row[column.name] for column in table.primary_key)
        with self._guard:
            self._waiting.setdefault(table, {})[key] = row

    def find(self, table: Table, key: Key) -> Values | None:
        """Asked before the table: what is not here any more is there."""
        with self._guard:
            return self._waiting.get(table, {}).get(key)

    def of(self, table: Table) -> list[Values]:
        """All that wait to be written there."""
        with self._guard:
            return list(self._waiting.get(table, {}).values())

    def board(self, connection: Connection) -> Boarded:
        """Write what waits, a statement for each table; nobody leaves before `arrive`."""
        with self._guard:
            boarded = [(table, key, row) for table, rows in self._waiting.items() for key, row in rows.items()]
        for table in dict.fromkeys(table for table, _, _ in boarded):
            upsert(connection, table, rows=[row for other, _, row in boarded if other is table])
        return boarded

    def arrive(self, boarded: Boarded) -> None:
        """The transaction is committed. What took a place meanwhile waits for the next one."""
        with self._guard:
            for table, key, row in boarded:
                if self._waiting[table].get(key) is row:
                    del self._waiting[table][key]
