"""Whose study it is (RULES B4, B10; MAPPING B and J.1): an id names one person only, and two people are never one Patient.

Two headers contradict each other where birth date and sex both differ. A word that is no plain sex, or a date that is only
a part, may be called a contradiction or not: then the study may be parked, and may be published.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from tests import oracle_values as values
from tests.oracle_agree import agreed, carried
from tests.oracle_answers import Among, either
from tests.oracle_archive import Copy, Header

Key = tuple[str, ...]
Person = tuple[str, str]
"""(birth date, sex)."""


def patient_key(copy: Copy) -> Key:
    """Who the patient is: (system, assigner, value); of the study alone where there is no PatientID (I case 11)."""
    value = _id(copy)
    return (*next(iter(issuers(copy)), ("", "")), value) if value else ("noid", copy.uid)


def issuers(copy: Copy) -> list[tuple[str, str]]:
    """The different issuers that its images name for the PatientID."""
    return list(dict.fromkeys(said for header in copy.headers if any(said := _issuer(header))))


def _id(copy: Copy) -> str:
    return next((value for header in copy.headers if (value := header.text(0x00100020))), "")


def _issuer(header: Header) -> tuple[str, str]:
    return values.issuer(header.items(0x00100024), header.text(0x00100021))


def people(copies: Iterable[Copy]) -> set[Person]:
    """Everybody whom the images name, as far as birth date and sex tell."""
    return {
        (values.birth_date(header.text(0x00100030)), values.gender(header.text(0x00100040)))
        for copy in copies
        for header in copy.headers
    }


def contradict(some: set[Person], others: set[Person], *, surely: bool) -> bool:
    """Whether two of them are two people (B4)."""
    return any(_differ(one, other, surely=surely) for one, other in product(some, others))


def _differ(one: Person, other: Person, *, surely: bool) -> bool:
    (born, sex), (other_born, other_sex) = one, other
    if not all((born, sex, other_born, other_sex)) or sex == other_sex or born == other_born:
        return False
    plain = {sex, other_sex} == {"male", "female"} and not (born.startswith(other_born) or other_born.startswith(born))
    return plain if surely else True


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquaintance:
    """What all studies of one patient say together. `written_by`: the greatest, which writes the Patient (B4)."""

    written_by: Copy
    copies: tuple[Copy, ...]


def acquainted(studies: Iterable[tuple[tuple[str, str, str], Copy]]) -> Mapping[Key, Acquaintance]:
    """Of (sort key, copy) of each published study."""
    by_key: dict[Key, list[Copy]] = {}
    for _, copy in sorted(studies, key=lambda one: one[0]):
        by_key.setdefault(patient_key(copy), []).append(copy)
    return {key: Acquaintance(written_by=found[-1], copies=tuple(found)) for key, found in by_key.items()}


def subject(copy: Copy) -> dict[str, Any]:
    """The identifier that names the patient; where the images' issuers differ, none of them is said."""
    value, named = _id(copy), issuers(copy)
    system, assigner = named[0] if len(named) == 1 else ("", "")
    kinds = carried(copy.headers, 0x00400035)
    kind = kinds[0][0] if len(kinds) == 1 else "MR"
    told = (kind, system, value) if value else None
    return {
        "subject.identifier": told if len(named) < 2 else either(None, told),
        "subject.identifier.assigner": assigner if value else None,
    }


def patient(known: Acquaintance) -> dict[str, Any]:
    """What our own Patient says: the greatest study's, and the other ids of all (J.1)."""
    headers, everybody = known.written_by.headers, [header for copy in known.copies for header in copy.headers]
    primary = (next(iter(issuers(known.written_by)), ("", ""))[0], _id(known.written_by))
    own, all_ids = (_other_ids(some, primary=primary) for some in (headers, everybody))
    return {
        "subject.identifier.secondary": Among(least=own | {one for one in all_ids if one[0]}, most=all_ids),
        "subject.name": _name(headers),
        "subject.gender": _one(headers, everybody, 0x00100040, values.gender),
        "subject.birthDate": _one(headers, everybody, 0x00100030, values.birth_date),
    }


def _other_ids(headers: list[Header], *, primary: tuple[str, str]) -> frozenset[tuple[str, str]]:
    others = (item for header in headers for item in header.items(0x00101002))
    found = ((_issuer(item)[0], value) for item in others if (value := item.text(0x00100020)))
    return frozenset(pair for pair in found if pair != primary)


def _name(headers: list[Header]) -> Any:
    """B9 does not name the name: where spellings differ, one that is there, or none."""
    said = [tuple(values.names(one[0])) for one in carried(headers, 0x00100010)]
    return either(*said) if len(said) < 2 else either(None, *said)


def _one(headers: list[Header], everybody: list[Header], tag: int, how: Any) -> Any:
    """What the greatest study's images agree on; where another study differs, it may be left out."""
    told = how(next(iter(agreed(headers, tag)), ""))
    said = {how(one.text(tag)) for one in everybody if one.text(tag)}
    return told if len(said) < 2 else either(None, told)
