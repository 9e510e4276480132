"""PN → HumanName, and everybody else in the study as a reference (MAPPING C.2, J.2).

The difficulty is a name's three groups: alphabetic, ideographic and phonetic spell one name, so each becomes a HumanName
of its own, marked by the representation extension unless a lone alphabetic group makes it plain. People other than the
patient are a logical reference where an identification code has a system, else only what to show; whether such a code also
makes a Practitioner is the site's choice (`practitioner`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from syncd.mapping.systems import NAME_REPRESENTATION, scheme_system
from syncd.model.snapshot import NameGroup, Person, PersonName


def human_names(names: Iterable[PersonName]) -> list[dict[str, Any]]:
    """One HumanName per group that says something; the first of all is `official`."""
    found = [human for name in names for human in _of_one_name(name)]
    if found:
        found[0] = {"use": "official"} | found[0]
    return found


def display(name: PersonName) -> str:
    """The name as one text: alphabetic if there is one, else ideographic, else phonetic."""
    return (
        _western(name.alphabetic or NameGroup())
        or _eastern(name.ideographic or NameGroup())
        or _eastern(name.phonetic or NameGroup())
    )


def practitioner(person: Person) -> dict[str, Any] | None:
    """A reference to somebody who has no resource here; None without anything to show."""
    shown = display(person.name)
    if not shown:
        return None
    for code in person.identifiers:
        system = scheme_system(code)
        if system and code.value:
            return {
                "type": "Practitioner",
                "identifier": {"system": system, "value": code.value},
                "display": shown,
            }
    return {"display": shown}


def _of_one_name(name: PersonName) -> list[dict[str, Any]]:
    groups = (
        ("ABC", name.alphabetic, _western),
        ("IDE", name.ideographic, _eastern),
        ("SYL", name.phonetic, _eastern),
    )
    said = [(code, group, text(group)) for code, group, text in groups if group is not None and text(group)]
    lone_alphabetic = [code for code, _, _ in said] == ["ABC"]
    return [_human_name(group, text=text, representation="" if lone_alphabetic else code) for code, group, text in said]


def _human_name(group: NameGroup, *, text: str, representation: str) -> dict[str, Any]:
    name: dict[str, Any] = {}
    if representation:
        name["extension"] = [{"url": NAME_REPRESENTATION, "valueCode": representation}]
    name["text"] = text
    if group.text:
        return name
    if group.family:
        name["family"] = group.family
    for element, parts in (
        ("given", [group.given, group.middle]),
        ("prefix", [group.prefix]),
        ("suffix", [group.suffix]),
    ):
        if any(parts):
            name[element] = [part for part in parts if part]
    return name


def _western(group: NameGroup) -> str:
    parts = (group.prefix, group.given, group.middle, group.family, group.suffix)
    return group.text or " ".join(part for part in parts if part)


def _eastern(group: NameGroup) -> str:
    """ "family given"; a group of anything else only (a prefix, say) is still shown rather than lost."""
    parts = (group.family, group.given)
    return group.text or " ".join(part for part in parts if part) or _western(group)
