"""A Practitioner for somebody whom a code identifies (MAPPING J.2).

A name is not enough: two people may have one name, so nobody gets a resource without an identifier under a system (the
C.5 designator rule), and its id follows from that identifier alone. Everybody else stays words, or a logical reference
(`people`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from syncd.mapping.dialects.registry import dialect
from syncd.mapping.dialects.statement import Json, without_empty
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.values.people import display, human_names
from syncd.mapping.values.systems import scheme_system
from syncd.model.ids import hashed_id
from syncd.model.snapshot import Person, StudySnapshot

DIGITS = 40


def practitioner_id(person: Person) -> str:
    """`prac-` and a digest of the first identifier that has a system; empty where there is none, or nothing to show."""
    found = _identifiers(person)
    if not found or not display(person.name):
        return ""
    key = json.dumps([found[0]["system"], found[0]["value"]], ensure_ascii=False, separators=(",", ":"))
    return hashed_id("prac-", key=key, digits=DIGITS)


def practitioners_of(snapshot: StudySnapshot, *, policy: MappingPolicy, fhir_version: str) -> tuple[Json, ...]:
    """Everybody in the study who is identified, each once, as the study first names them."""
    if policy.practitioner_from_name != "resource":
        return ()
    found: dict[str, Json] = {}
    for person in _everybody(snapshot):
        resource_id = practitioner_id(person)
        if resource_id and resource_id not in found:
            found[resource_id] = _practitioner(person, resource_id, policy=policy, fhir_version=fhir_version)
    return tuple(found.values())


def _practitioner(person: Person, resource_id: str, *, policy: MappingPolicy, fhir_version: str) -> Json:
    names = human_names([person.name])
    return without_empty(
        {
            "resourceType": "Practitioner",
            "id": resource_id,
            "meta": dialect(fhir_version).meta(policy),
            "identifier": _identifiers(person),
            "name": _NAMES.get(fhir_version, list)(names),
        }
    )


def _only_name(names: list[Json]) -> Json:
    """DSTU2: one HumanName, whose family name is a list."""
    name = names[0]
    return name | {"family": [name["family"]]} if "family" in name else name


_NAMES: Mapping[str, Callable[[list[Json]], object]] = {"dstu2": _only_name}
"""How a version writes `name`, where it is not the list of R4."""


def _identifiers(person: Person) -> list[Json]:
    """(0040,1101) under the systems of C.5; a code without one identifies nobody here."""
    made = [{"system": scheme_system(code), "value": code.value} for code in person.identifiers if code.value]
    return list({(one["system"], one["value"]): one for one in made if one["system"]}.values())


def _everybody(snapshot: StudySnapshot) -> Iterator[Person]:
    if snapshot.referrer is not None:
        yield snapshot.referrer
    yield from snapshot.interpreters
    for series in snapshot.series:
        yield from series.performing_physicians
        yield from series.operators
