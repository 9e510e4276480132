"""Nouns to rows and back, and reading many keys in slices.

The columns are the fields of the dataclasses, so a row is translated by name; only `Mapping` fields and enums need care,
and `schema.CanonicalJson` takes the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Row

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
