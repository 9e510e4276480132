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
from tests.oracle_agree import agreed, carried, shown
from tests.oracle_answers import Among, either, in_any_case
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
    """What all studies of one patient say together. `written_by`: the greatest of those that say most of birth date and
    sex, which writes the Patient (B4, B10); several where a study's own words differ from image to image."""

    written_by: tuple[Copy, ...]
    copies: tuple[Copy, ...]


def acquainted(studies: Iterable[tuple[list[tuple[str, str, str]], Copy]]) -> Mapping[Key, Acquaintance]:
    """Of (possible sort keys, copy) of each published study."""
    by_key: dict[Key, list[tuple[list[tuple[str, str, str]], Copy]]] = {}
    for keys, copy in studies:
        by_key.setdefault(patient_key(copy), []).append((keys, copy))
    return {key: _acquaintance(found) for key, found in by_key.items()}


def _acquaintance(found: list[tuple[list[tuple[str, str, str]], Copy]]) -> Acquaintance:
    surely = max((_told(copy)[0], keys[0]) for keys, copy in found)
    writers = tuple(copy for keys, copy in found if (_told(copy)[1], keys[-1]) >= surely)
    return Acquaintance(written_by=writers, copies=tuple(copy for _, copy in found))


def _told(copy: Copy) -> tuple[int, int]:
    """How many of birth date and sex the study names: surely, and at most."""
    least = most = 0
    for tag, how in ((0x00100030, values.birth_date), (0x00100040, values.gender)):
        said = [how(header.text(tag)) for header in copy.headers]
        known = {one for one in said if one not in ("", "unknown")}
        least += len(known) == 1 and known == set(said)
        one_thing = all(a.startswith(b) or b.startswith(a) for a, b in product(known, known))
        most += (bool(known) and one_thing) or any(header.untold(tag) for header in copy.headers)
    return least, most


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
    everybody = [header for copy in known.copies for header in copy.headers]
    return in_any_case([_patient(copy, everybody) for copy in known.written_by])


def _patient(copy: Copy, everybody: list[Header]) -> dict[str, Any]:
    primary = (next(iter(issuers(copy)), ("", ""))[0], _id(copy))
    own, all_ids = (_other_ids(some, primary=primary) for some in (copy.headers, everybody))
    return {
        "subject.identifier.secondary": Among(least=own | {one for one in all_ids if one[0]}, most=all_ids),
        "subject.name": shown(copy.headers, 0x00100010, lambda said: tuple(values.names(said[0]))),
        "subject.gender": _one(copy.headers, everybody, 0x00100040, values.gender),
        "subject.birthDate": _one(copy.headers, everybody, 0x00100030, values.birth_date),
    }


def _other_ids(headers: list[Header], *, primary: tuple[str, str]) -> frozenset[tuple[str, str]]:
    others = (item for header in headers for item in header.items(0x00101002))
    found = ((_issuer(item)[0], value) for item in others if (value := item.text(0x00100020)))
    return frozenset(pair for pair in found if pair != primary)


def _one(headers: list[Header], everybody: list[Header], tag: int, how: Any) -> Any:
    """What the greatest study's images agree on; where an image or study says something else, or nothing, perhaps none."""
    told = how(next(iter(agreed(headers, tag)), ""))
    same = all(one.texts(tag) for one in headers) and len({how(one.text(tag)) for one in everybody if one.text(tag)}) < 2
    return told if same else either(None, told)
