"""What a study was ordered and done for: lists to which every image may add (MAPPING B, A.1; RULES B9, PS3.3 10.6).

A number given with and without its issuer is one number: whether the bare form is repeated is left open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tests import oracle_values as values
from tests.oracle_agree import agreed, carried, shown
from tests.oracle_answers import Among, changed, either
from tests.oracle_archive import Header

Numbered = tuple[str, str, str]
"""(kind, system, value)."""

KINDS = (("ACSN", 0x00080050, 0x00080051), ("PLAC", 0x00402016, 0x00400026), ("FILL", 0x00402017, 0x00400027))
REQUESTS = (0x0040A370, 0x00400275)


def orders(headers: Iterable[Header]) -> Among:
    """Accession, placer and filler numbers of the images and of their requests."""
    found = frozenset(number for header in headers for number in _numbers(header))
    bare = frozenset(one for one in found if not one[1] and any(other[1] and other[::2] == one[::2] for other in found))
    return Among(least=found - bare, most=found)


def accessions(ordered: Among, *, uid: tuple[str, str, str, str]) -> Among:
    """The study's identifiers: its UID, then its accession numbers."""
    least, most = (frozenset(("", *one) for one in some if one[0] == "ACSN") for some in (ordered.least, ordered.most))
    return Among(first=(uid,), least=least, most=most)


def _numbers(header: Header) -> Iterator[Numbered]:
    for where in (header, *(item for tag in REQUESTS for item in header.items(tag))):
        for kind, number, issuer in KINDS:
            system, _ = values.issuer(where.items(issuer))
            yield from ((kind, system, value) for value in where.texts(number))


def procedures(headers: list[Header]) -> Any:
    """(0008,1032) of all, else the requested procedure in words (0032,1060)."""
    coded = _coded(headers, 0x00081032)
    words = [f"|{values.free_text(list(said))}" for said in carried(headers, 0x00321060)]
    if coded:
        return Among(least=coded, most=coded)
    return tuple(words) if len(words) < 2 else Among(most=frozenset(words))


def reasons(headers: list[Header]) -> Among:
    """(0040,100A) of all, and in words (0040,1002); those of the requests may be told too."""
    coded = _coded(headers, 0x0040100A)
    words = frozenset(f"|{one}" for one in agreed(headers, 0x00401002))
    items = [item for header in headers for tag in REQUESTS for item in header.items(tag)]
    further = _coded(items, 0x0040100A) | _worded([*headers, *items])
    meanings = {item.text(0x00080104) for header in headers for item in header.items(0x0040100A)}
    least = coded | (words if not coded and not meanings and not items else frozenset())
    return Among(least=least, most=coded | further)


def _worded(headers: list[Header]) -> frozenset[str]:
    told = [said for header in headers if (said := header.texts(0x00401002))]
    return frozenset(f"|{one}" for said in told for one in (*said, values.free_text(said)))


def _coded(headers: list[Header], tag: int) -> frozenset[str]:
    return frozenset(code for header in headers for item in header.items(tag) if (code := values.coded(item)))


def location(headers: list[Header]) -> Any:
    """The department, else where it was performed, in words (A.1)."""
    department, performed = (shown(headers, tag, lambda said: said[0]) for tag in (0x00081040, 0x00400243))
    return changed(department, lambda told: told or performed)


def referrer(headers: list[Header]) -> Any:
    """The first name."""
    return shown(headers, 0x00080090, lambda said: values.spoken(said[0]))


def interpreters(headers: list[Header]) -> Any:
    """One per name."""
    return shown(headers, 0x00081060, lambda said: tuple(told for name in said if (told := values.spoken(name))))


def encounter(headers: list[Header]) -> Any:
    """(0038,0010), only if its issuer has a system (B)."""
    found = {(values.issuer(header.items(0x00380014))[0], value) for header in headers if (value := header.text(0x00380010))}
    named = [one for one in found if one[0]]
    return named[0] if len(found) == 1 and named else either(None, *named)
