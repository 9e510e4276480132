"""Many rows by one statement, rendered once: what is prepared for each row costs more than the row itself.

SQLAlchemy builds a set of parameters for every row, name by name, which takes ten times as long as SQLite needs to keep it.
Where thousands of rows come at once, as from the change feed or an inventory, the driver gets them as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.sql.base import Executable

from syncd.ledger.db.schema import upsert_statement


def execute_many(connection: Connection, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
    """Carry out `statement` for each of `rows`, which name its parameters; it is one that is built once. Values are texts,
    numbers, truth or None: nothing is translated."""
    if not rows:
        return
    text, names, constants = _rendered(connection.dialect, statement, tuple(rows[0]))
    whole = [{**constants, **row} for row in rows] if constants or not names else rows
    if not names:
        connection.exec_driver_sql(text, whole)
    elif len(names) == 1:
        connection.exec_driver_sql(text, [(row[names[0]],) for row in whole])
    else:
        connection.exec_driver_sql(text, list(map(itemgetter(*names), whole)))


def upsert_many(connection: Connection, table: Table, *, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`, or update those whose primary key exists, as `schema.upsert` does; values as in `execute_many`."""
    if rows:
        execute_many(connection, upsert_statement(connection.dialect.name, table, tuple(rows[0])), rows)


@lru_cache(maxsize=64)
def _rendered(dialect: Dialect, statement: Any, told: tuple[str, ...]) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """The text, each row telling these values; the names of its parameters in order, none where the driver takes them by
    name; and what it says itself."""
    compiled = statement.compile(dialect=dialect, column_keys=told)
    constants = {name: one.value for name, one in compiled.binds.items() if not one.required and one.value is not None}
    return str(compiled), tuple(compiled.positiontup or ()), constants
