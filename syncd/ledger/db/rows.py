"""Nouns to rows and back, and reading many keys in slices.

The columns are the fields of the dataclasses, so a row is translated by name, and, where it is read by `Nouns`, by
position; only `Mapping` fields and enums need care, and `schema.CanonicalJson` takes the first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import islice
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Row, Table, select

from syncd.ledger.db.schema import upsert
from syncd.ledger.db.statements import Statement, among

KEYS_AT_ONCE = 500
"""Keys in one `IN (…)`: far below SQLite's limit of 32,766 parameters, and enough to make the round trip cheap."""

T = TypeVar("T")


def field_names(kind: type) -> tuple[str, ...]:
    names = _FIELDS.get(kind)
    if names is None:
        names = _FIELDS[kind] = tuple(field.name for field in fields(kind))
    return names


_FIELDS: dict[type, tuple[str, ...]] = {}


def to_row(noun: Any) -> dict[str, Any]:
    """The columns of a frozen dataclass; not `asdict`, which would copy every nested value."""
    return {name: getattr(noun, name) for name in field_names(type(noun))}


def to_noun(kind: type[T], row: Row[Any] | Mapping[str, Any]) -> T:
    """The dataclass that `row` holds; further columns of the row are left alone."""
    values = row._mapping if isinstance(row, Row) else row
    return kind(**{name: values[name] for name in field_names(kind)})


def slices(keys: Iterable[str]) -> Iterator[list[str]]:
    """`keys`, each once, in lists that one statement takes."""
    distinct = iter(dict.fromkeys(keys))
    while part := list(islice(distinct, KEYS_AT_ONCE)):
        yield part


class Nouns(Generic[T]):
    """A table whose rows are the nouns `kind`, of which each names its study in `study_uid`."""

    def __init__(self, kind: type[T], table: Table, *, order: Sequence[str] = ()) -> None:
        """`order`: the columns by which those of one study are in order, where it has several."""
        self._kind, self._table, self._names = kind, table, field_names(kind)
        wanted = select(*(table.c[name] for name in self._names)).where(among(table.c.study_uid, "uids"))
        self._of = Statement(wanted.order_by(*(table.c[name] for name in order)))

    def of(self, connection: Connection, study_uids: Collection[str]) -> list[T]:
        """Those of these studies, however many."""
        if not study_uids:
            return []
        return [self.noun(row) for row in self._of.rows(connection, {"uids": study_uids})]

    def noun(self, row: Sequence[Any]) -> T:
        """Of the values of its columns, in their order."""
        return self._kind(**dict(zip(self._names, row, strict=True)))

    def keep(self, connection: Connection, nouns: Iterable[T], **further: Any) -> None:
        """Insert them, or put them in the place of what has their keys; `further` columns are the same for all."""
        upsert(connection, self._table, rows=[{**to_row(one), **further} for one in nouns])
