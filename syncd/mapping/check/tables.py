"""The structures of each FHIR version as the check reads them: made once from the tables of the versions.

A version's table is R4's with elements replaced or (empty text) taken away. For R4, R4B and R5 a model library knows what
else FHIR defines. For R6 and DSTU2 there is none, so their tables are closed: `further` names what FHIR defines besides,
and anything else is a fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from syncd.mapping.check import dstu2, owed, r4, r5_r6
from syncd.mapping.check.r4 import BINDINGS, Table
from syncd.mapping.values.primitives import RULES, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One element: a primitive with its `rule`, or a `structure`; `targets` of a literal reference."""

    many: bool
    required: bool
    rule: Rule | None = None
    structure: str = ""
    targets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """One version: the elements of each structure, those required, the resource types that we write; `further` elements
    where the table is closed, else None."""

    structures: Mapping[str, Mapping[str, Element]]
    required: Mapping[str, tuple[str, ...]]
    resources: frozenset[str]
    further: Mapping[str, frozenset[str]] | None = None


def _element(written: str) -> Element:
    kind = written.rstrip("*!")
    name, _, detail = kind.partition(":")
    cardinality = written[len(kind) :]
    rule = BINDINGS[detail] if name == "code" and detail else RULES.get(name)
    return Element(
        many="*" in cardinality,
        required="!" in cardinality,
        rule=rule,
        structure="" if rule else name,
        targets=frozenset(detail.split("|")) if name == "Reference" and detail else frozenset(),
    )


def _merge_tables(table: Table, changes: Table) -> Table:
    """`table` with the elements of `changes`; an element that is empty there is not defined any more."""
    names = dict.fromkeys([*table, *changes])
    joined = {name: {**table.get(name, {}), **changes.get(name, {})} for name in names}
    return {name: {key: kind for key, kind in elements.items() if kind} for name, elements in joined.items()}


def _shapes(table: Table, *, further: Mapping[str, str] | None = None) -> Shapes:
    structures = {name: {key: _element(kind) for key, kind in elements.items()} for name, elements in table.items()}
    return Shapes(
        structures=structures,
        required={name: tuple(key for key, one in shape.items() if one.required) for name, shape in structures.items()},
        resources=frozenset(name for name, elements in table.items() if "resourceType" in elements),
        further=None if further is None else {name: frozenset(further.get(name, "").split()) for name in table},
    )


_R4 = _merge_tables(r4.R4, owed.R4)
_R5 = _merge_tables(_merge_tables(_R4, r5_r6.R5), owed.R5)
_R6 = _merge_tables(_R5, r5_r6.R6)

SHAPES: Mapping[str, Shapes] = {
    "dstu2": _shapes(_merge_tables(r4.R4, dstu2.DSTU2), further=dstu2.FURTHER),
    "r4": _shapes(_R4),
    "r4b": _shapes(_R4),
    "r5": _shapes(_R5),
    "r6": _shapes(_R6, further={**r5_r6.R6_FURTHER, **owed.R6_FURTHER}),
}
"""FHIR version → its structures."""
