"""What the tables pass, the model libraries pass: so a library need not parse every study (RULES B1).

Resources are drawn from the tables themselves, every element of every structure, each value one that its rule lets pass, the
odder the better; whatever the tables find no fault with is put before the library.
"""

from __future__ import annotations

from functools import cache
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from syncd.mapping.check import check
from syncd.mapping.check.check import problems
from syncd.mapping.check.model_libraries import model_faults
from syncd.mapping.check.tables import SHAPES, Element
from tests.mapping.check.test_check import broken
from tests.mapping.studies import golden_study, mapped

LIBRARIES = ("r4", "r4b", "r5")

POOL: tuple[Any, ...] = (
    True, False, 0, 1, 2147483647,
    "0001", "9999", "1582-10", "2024-02-29", "0001-01-01", "9999-12-31", "2026-03-01T00:00:00Z", "2026-03-01T23:59:59+14:00",
    "2026-03-01T09:15:00-13:59", "2016-12-31T23:59:60Z", "2026-03-01T09:15:00.1Z", "2026-03-01T09:15:00.123456789012+01:00",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-13:59", "2026-03-01T09:15:00-00:00",
    "a", "A-1.b", "-", ".", "1" * 64, "a b", "é", "山田", "\u00a0x", "\u2028", "x" * 5000, " x ",
    "a\tb\r\nc", "\x7f", "\u200b", "\ufeff",
    "\U0001f600", "null", "<b>", "%", "a|b", "#a", "http://a", "https://h.test/a?b=c&d=%20#e",
    "http://é.test/", "http://[", "urn:x",
    "urn:oid:1.2.3", "urn:oid:0.0", "urn:uuid:00000000-0000-0000-0000-000000000000", "ftp://x", "mailto:x@y", "a:b", "http://h/Patient/1",
    "text/plain", "application/dicom", "application/fhir+json", "a/b",
)  # fmt: skip
"""What may trouble a parser, of any type; each element takes of it what its rule lets pass."""

DEEPEST = 4
"""Structures in structures; below, only what is required."""

_MAY_BE_EMPTY = ("CodeableConcept", "Coding")


def _values(element: Element) -> st.SearchStrategy[Any]:
    """What the element's rule and its targets let pass."""
    assert element.rule is not None
    fault = element.rule(object())
    bound = fault.removeprefix("must be one of ").split(", ") if fault.startswith("must be one of ") else []
    return st.sampled_from([each for each in (*POOL, *bound) if not element.rule(each)])


@cache
def structures(name: str, version: str, depth: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    """An object of the table `name` with some of its elements, and all that are required."""
    required, optional = {}, {}
    for key, element in SHAPES[version].structures[name].items():
        if key == "resourceType":
            required[key] = st.just(name)
        elif element.required or depth < DEEPEST:
            one = _of(element, version, depth)
            (required if element.required else optional)[key] = (
                st.lists(one, min_size=1, max_size=2) if element.many else one
            )
    return st.fixed_dictionaries(required, optional=optional).map(lambda made: _standing_together(made, name))


def _of(element: Element, version: str, depth: int) -> st.SearchStrategy[Any]:
    if element.rule:
        return _values(element)
    if element.targets:
        literal = st.sampled_from(
            [f"{kind}/a-1" for kind in sorted(element.targets)] + ["urn:x", "#a", "http://h.test/Patient/1"]
        )
        return st.tuples(structures(element.structure, version, depth + 1), literal).map(
            lambda drawn: {**drawn[0], "reference": drawn[1]}
        )
    return structures(element.structure, version, depth + 1)


def _standing_together(made: dict[str, Any], name: str) -> dict[str, Any]:
    """Without what may not stand there beside the rest of it."""
    if name == "Coding" and "system" not in made:
        made.pop("code", None)
    if name == "Period":
        made.pop("end", None)
    if name in ("Extension", "NameExtension"):
        for surplus in [key for key in made if key.startswith("value")][1:]:
            del made[surplus]
        if len(made) == 1:
            made["valueCode" if name == "NameExtension" else "valueString"] = "ABC"
    if name == "Reference" and not made.keys() & {"reference", "identifier", "display"}:
        made["display"] = "a"
    return made or {"text" if name == "CodeableConcept" else "display": "a"} if name in _MAY_BE_EMPTY else made


def tables_find(resource: dict[str, Any], version: str) -> tuple[list[tuple[str, str]], bool]:
    walk = check._Walk(SHAPES[version])
    return check._structure(resource, resource["resourceType"], walk), walk.knows_all


@pytest.mark.parametrize("version", LIBRARIES)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_library_refuses_what_the_tables_pass(version: str, data: st.DataObject) -> None:
    """RULES B1: else a study would be refused by a library in one process and not in the next."""
    kind = data.draw(st.sampled_from(sorted(SHAPES[version].resources)))
    resource = data.draw(structures(kind, version))
    faults, knows_all = tables_find(resource, version)
    assert knows_all
    assume(not faults)
    assert model_faults(resource, fhir_version=version) == []


@pytest.mark.parametrize("version", LIBRARIES)
def test_a_library_parses_a_sample_and_whatever_the_tables_do_not_know(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES B1: what is ours costs no parsing; a hook's or another writer's element, and a fault, do."""
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(check, "model_faults", lambda resource, fhir_version: asked.append(resource) or [])
    monkeypatch.setattr(check, "_checked", count())
    monkeypatch.setattr(check, "SAMPLE", 10)
    sound = mapped(golden_study(), dialect=version)
    for _ in range(20):
        assert problems(sound, fhir_version=version) == ()
    assert asked == [sound, sound]
    strange = [
        broken(sound, ("note",), [{"text": "another's"}]),
        broken(sound, ("series", 0, "_started"), {"id": "a"}),
        broken(sound, ("extension",), [{"url": "urn:x", "valueInteger": 1}]),
        broken(sound, ("status",), "foo"),
    ]
    for resource in strange:
        problems(resource, fhir_version=version)
    assert asked[2:] == strange
