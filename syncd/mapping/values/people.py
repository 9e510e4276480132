"""PN → HumanName, and everybody else in the study as a reference (MAPPING C.2, J.2).

A name has three groups: alphabetic, ideographic and phonetic spell one name, so each becomes a HumanName of its own,
marked by the representation extension unless a lone alphabetic group makes it plain. People other than the patient are
a logical reference where an identification code has a system, else only what to show; whether such a code also makes a
Practitioner is the site's choice (`practitioner`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from syncd.mapping.values.systems import NAME_REPRESENTATION, PARTICIPATION_TYPE, URI, is_oid, scheme_system
from syncd.model.snapshot import Equipment, Institution, NameGroup, Person, PersonName

Others = Iterable[tuple[str, dict[str, Any] | None]]
"""Functions and actors; None for what cannot be shown."""


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


def complete_performers(performers: Iterable[dict[str, Any]], others: Others) -> list[dict[str, Any]]:
    """The performers, and behind them those of `others` that can be shown and whose function nobody has yet."""
    made = list(performers)
    taken = {function_of(one) for one in made}
    return made + [performer(actor, function=name) for name, actor in others if actor is not None and name not in taken]


def function_of(performer: dict[str, Any]) -> str:
    """The code of its participation type; empty where it has none."""
    return str(performer["function"]["coding"][0]["code"]) if "function" in performer else ""


def performer(actor: dict[str, Any], *, function: str) -> dict[str, Any]:
    """Somebody or something that took part, with a code of HL7's participation types."""
    return {"function": {"coding": [{"system": PARTICIPATION_TYPE, "code": function}]}, "actor": actor}


def device(equipment: Equipment | None) -> dict[str, Any] | None:
    """A logical reference to the device by its UID, and its make in words; None without either."""
    if equipment is None:
        return None
    shown = " ".join(part for part in (equipment.manufacturer, equipment.model) if part) or equipment.station
    made: dict[str, Any] = {"type": "Device"}
    if is_oid(equipment.uid):
        made["identifier"] = {"system": URI, "value": f"urn:oid:{equipment.uid}"}
    if shown:
        made["display"] = shown
    return made if len(made) > 1 else None


def organization(institution: Institution | None) -> dict[str, Any] | None:
    """An organisation by its code, where that has a system, and its name; None without either."""
    if institution is None:
        return None
    code = institution.code
    system = scheme_system(code) if code else ""
    shown = institution.name or (code.meaning if code else "")
    made: dict[str, Any] = {"type": "Organization"}
    if code and code.value and system:
        made["identifier"] = {"system": system, "value": code.value}
    if shown:
        made["display"] = shown
    return made if len(made) > 1 else None


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
