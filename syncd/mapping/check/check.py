"""Whether a resource of ours is fit to be sent (RULES B1): several checks, of which none suffices.

The table check knows names, types, required elements, codes, ids and ranges, empty strings and lists, control characters,
codes without a system; for R6 it has the eight invariants besides. Of what stands in the tables nothing is left that a
model library (`model_libraries`) would refuse, which the tests prove for every version that has one; and parsing costs
three times as much as the tables. So a library is asked where the tables do not know an element (a hook's, another
writer's), beside what they found, and for one resource in `SAMPLE`. A study may have ten thousand instances: paths are put
together only for what is wrong. A problem names element and rule, never the value (RULES S1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any

from syncd.mapping.check.invariants_r6 import broken_invariants
from syncd.mapping.check.model_libraries import Fault as _Fault
from syncd.mapping.check.model_libraries import import_models, model_faults
from syncd.mapping.check.tables import SHAPES, Element, Shapes
from syncd.mapping.values.moments import in_order
from syncd.mapping.values.primitives import date_time, text

SAMPLE = 100
"""Of so many resources one is parsed by a model library though the tables know all of it; the first of a process is."""

_checked = count()


@dataclass(slots=True)
class _Walk:
    """One resource on its way through the tables; `knows_all`: each of its elements stands there."""

    shapes: Shapes
    knows_all: bool = True


def problems(resource: dict[str, Any], *, fhir_version: str = "r4") -> tuple[str, ...]:
    """What is wrong with a resource that we made, as `path: rule`, in a stable order; empty if it may be sent."""
    shapes = SHAPES[fhir_version]
    resource_type = resource.get("resourceType")
    if resource_type not in shapes.resources:
        return ("resourceType: not a type that syncd writes",)
    walk = _Walk(shapes)
    faults = _structure(resource, resource_type, walk)
    if fhir_version == "r6" and resource_type == "ImagingStudy" and not faults:
        faults = [("", rule) for rule in broken_invariants(resource)]
    if faults or not walk.knows_all or next(_checked) % SAMPLE == 0:
        faults += model_faults(resource, fhir_version=fhir_version)
    return tuple(dict.fromkeys(f"{resource_type}{path}: {rule}" for path, rule in faults))


def prepare(fhir_version: str) -> None:
    """What checking needs, before many threads check."""
    import_models(sorted(SHAPES[fhir_version].resources), fhir_version=fhir_version)


def _structure(value: object, name: str, walk: _Walk) -> list[_Fault]:
    """The faults of one object by the table `name`; an empty list in the common case, before any path is made."""
    if not isinstance(value, dict):
        return [("", "must be an object")]
    if not value:
        return [("", "an object must not be empty")]
    shape = walk.shapes.structures[name]
    faults: list[_Fault] = []
    for key, content in value.items():
        element = shape.get(key)
        if element is None:
            found = _check_value(content) or _check_defined(key, name, walk)
        elif element.rule is not None and not element.many:
            rule = element.rule(content)
            found = [("", rule)] if rule else []
        elif element.many:
            found = _items(content, element, walk)
        else:
            found = _one(content, element, walk)
        if found:
            faults += _below(f".{key}", found)
    faults += [
        (f".{key}", "a required element is missing")
        for key in walk.shapes.required[name]
        if key not in value and f"_{key}" not in value
    ]
    return faults + _beside(value, name)


def _one(content: object, element: Element, walk: _Walk) -> list[_Fault]:
    if element.rule is not None:
        rule = element.rule(content)
        return [("", rule)] if rule else []
    faults = _structure(content, element.structure, walk)
    if element.targets and not faults:
        faults = _target(content, element.targets)
    return faults


def _items(content: object, element: Element, walk: _Walk) -> list[_Fault]:
    if not isinstance(content, list):
        return [("", "must be a list")]
    if not content:
        return [("", "a list must not be empty")]
    faults: list[_Fault] = []
    for index, item in enumerate(content):
        found = _one(item, element, walk)
        if found:
            faults += _below(f"[{index}]", found)
    return faults


def _beside(value: dict[str, Any], name: str) -> list[_Fault]:
    """Rules on what must stand together in one object."""
    if name == "Coding" and "code" in value and "system" not in value:
        return [(".code", "a code needs a system")]
    if name == "Reference" and not value.keys() & {"reference", "identifier", "display"}:
        return [("", "a reference needs reference, identifier or display")]
    if name == "Period" and "start" in value and "end" in value and not _is_in_order(value["start"], value["end"]):
        return [("", "a period's end must be comparable with its start, and not before it")]
    if name in ("Extension", "NameExtension"):
        values = sum(key.startswith("value") or key == "extension" for key in value)
        return [] if values == 1 else [("", "an extension needs exactly one value, or extensions")]
    return []


def _is_in_order(start: object, end: object) -> bool:
    """Both are told already where they are no dateTimes at all."""
    return bool(date_time(start) or date_time(end)) or in_order(str(start), str(end))


def _target(content: object, targets: frozenset[str]) -> list[_Fault]:
    """A literal reference to a local resource names one of the types allowed there."""
    literal = content.get("reference", "") if isinstance(content, dict) else ""
    resource_type, slash, _ = literal.partition("/")
    if not slash or ":" in resource_type or resource_type.startswith("#") or resource_type in targets:
        return []
    return [(".reference", "names a resource type that is not allowed here")]


def _check_defined(key: str, name: str, walk: _Walk) -> list[_Fault]:
    """Whether FHIR defines an element that is not in the table, where no model library would tell."""
    shapes = walk.shapes
    if shapes.further is None:
        walk.knows_all = False
        return []
    plain = key.removeprefix("_")
    if plain in shapes.structures[name] or plain in shapes.further[name]:
        return []
    if name in ("Extension", "NameExtension") and (plain.startswith("value") or plain in ("id", "extension")):
        return []
    return [("", "holds an element that FHIR does not define")]


def _check_value(content: object) -> list[_Fault]:
    """What holds for every FHIR value: nothing is empty, no text holds control characters."""
    if isinstance(content, dict):
        if not content:
            return [("", "an object must not be empty")]
        return [fault for key, inner in content.items() for fault in _below(f".{key}", _check_value(inner))]
    if isinstance(content, list):
        if not content:
            return [("", "a list must not be empty")]
        return [fault for index, inner in enumerate(content) for fault in _below(f"[{index}]", _check_value(inner))]
    if content is None:
        return [("", "must not be null")]
    rule = text(content) if isinstance(content, str) else ""
    return [("", rule)] if rule else []


def _below(step: str, faults: Iterable[_Fault]) -> list[_Fault]:
    return [(f"{step}{path}", rule) for path, rule in faults]
