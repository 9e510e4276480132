"""Whether two statements can be of one person (RULES B4, B10): what they contradict each other in, and what follows.

An identifier identifies only with its issuer (PS3.3 C.7.1.1, Table 10-18), and numbers are given twice. Nothing else in a
study names a person for certain, so nothing is concluded from one value: a birth date is mistyped, a sex is corrected, a
name changes. Birth date and sex together are another matter: then it is another person.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

_UNKNOWN = "unknown"
_WORD = re.compile(r"[^\W\d_]+")
_UMLAUT = re.compile(r"(?<=[aou])e")


class Trait(StrEnum):
    """What a statement says of a person, by its tag."""

    NAME = "0010,0010"
    BIRTH_DATE = "0010,0030"
    SEX = "0010,0040"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """`birth_date` as FHIR writes it, partial or empty; `gender` a FHIR code or empty; `names`: any text of them."""

    birth_date: str = ""
    gender: str = ""
    names: frozenset[str] = frozenset()

    @property
    def tells_gender(self) -> bool:
        return self.gender not in ("", _UNKNOWN)


def differing_traits(one: Said, other: Said) -> frozenset[Trait]:
    """In what the two contradict each other. Both must say something: a partial date that the other one refines, an
    unknown sex and names that share a word, or are written in different scripts, contradict nothing."""
    found = {
        Trait.BIRTH_DATE: _dates_differ(one.birth_date, other.birth_date),
        Trait.SEX: _genders_differ(one.gender, other.gender),
        Trait.NAME: _names_differ(one.names, other.names),
    }
    return frozenset(trait for trait, differs in found.items() if differs)


def differing_traits_among(many: Iterable[Said]) -> frozenset[Trait]:
    """In what any two of them contradict each other."""
    said = list(many)
    words = [_words(names) for names in {each.names for each in said} if names]
    found = {
        Trait.BIRTH_DATE: any(_dates_differ(*two) for two in combinations({each.birth_date for each in said}, 2)),
        Trait.SEX: any(_genders_differ(*two) for two in combinations({each.gender for each in said}, 2)),
        Trait.NAME: not _all_share(words) and any(_words_differ(*two) for two in combinations(words, 2)),
    }
    return frozenset(trait for trait, differs in found.items() if differs)


def learns(before: Said, after: Said) -> bool:
    """Whether `after` says what `before` left open: then others, whom that one did not contradict, it may contradict."""
    return (
        bool(after.birth_date and not before.birth_date.startswith(after.birth_date))
        or (after.tells_gender and not before.tells_gender)
        or bool(after.names and not before.names)
    )


def are_two(traits: Collection[Trait]) -> bool:
    """Whether what contradicts each other in these is of two people (RULES B4)."""
    return Trait.BIRTH_DATE in traits and Trait.SEX in traits


def _dates_differ(one: str, other: str) -> bool:
    return bool(one and other) and not (one.startswith(other) or other.startswith(one))


def _genders_differ(one: str, other: str) -> bool:
    return bool(one and other) and one != other and _UNKNOWN not in (one, other)


def _names_differ(one: Collection[str], other: Collection[str]) -> bool:
    """Whether they have nothing in common, in any script that both are written in."""
    return _words_differ(_words(one), _words(other))


def _words_differ(ours: Mapping[bool, set[str]], theirs: Mapping[bool, set[str]]) -> bool:
    comparable = [(ours[script], theirs[script]) for script in ours.keys() & theirs.keys()]
    return bool(comparable) and all(mine.isdisjoint(yours) for mine, yours in comparable)


def _all_share(words: Sequence[Mapping[bool, set[str]]]) -> bool:
    """Whether one word of a script stands in all of them: then none need be held against another."""
    return any(set.intersection(*(each.get(script, set()) for each in words)) for script in (True, False) if words)


def _words(names: Collection[str]) -> dict[bool, set[str]]:
    """The words of the names, those of plain Latin letters apart; `ö` and `oe` are one."""
    found: dict[bool, set[str]] = {}
    for text in names:
        plain = "".join(one for one in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(one))
        for word in _WORD.findall(plain):
            found.setdefault(word.isascii(), set()).add(_UMLAUT.sub("", word) if word.isascii() else word)
    return found
