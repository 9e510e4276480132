"""Right answers where there are several: one of some, or a list that must hold this and may hold that.

An oracle that insists where the rules do not is wrong as often as the program; one that lets pass what no image says finds
nothing. So what is open is said here value by value, and nothing is open that is not said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Flat = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Either:
    """Any of these; `None` among them: it may be left out."""

    options: tuple[Any, ...]

    def __repr__(self) -> str:
        return " or ".join(map(repr, self.options))


@dataclass(frozen=True, slots=True, kw_only=True)
class Among:
    """A list of different things in any order: all of `least`, nothing beside `most`. `first` comes before them."""

    least: frozenset[Any] = frozenset()
    most: frozenset[Any] = frozenset()
    first: tuple[Any, ...] = ()

    def holds(self, found: Any) -> bool:
        said = tuple(found or ())
        rest = said[len(self.first) :]
        return (
            said[: len(self.first)] == self.first
            and len(set(rest)) == len(rest)
            and self.least <= set(rest) <= self.least | self.most
        )

    def __repr__(self) -> str:
        optional = sorted(map(repr, self.most - self.least))
        told = [*map(repr, self.first), *sorted(map(repr, self.least)), *(f"perhaps {one}" for one in optional)]
        return f"({', '.join(told)})"


def exactly(found: Iterable[Any], *, first: tuple[Any, ...] = ()) -> Among:
    """All of these, in any order."""
    said = frozenset(found)
    return Among(least=said, most=said, first=first)


def either(*options: Any) -> Any:
    """Any of these; the one, where they are one; nothing, where there is none."""
    flat = [each for one in options for each in (one.options if isinstance(one, Either) else (one,))]
    distinct = tuple(dict.fromkeys(None if one in ("", ()) else one for one in flat))
    return Either(distinct) if len(distinct) > 1 else next(iter(distinct), None)


def changed(answer: Any, how: Callable[[Any], Any]) -> Any:
    """The same, of every option."""
    return either(*map(how, answer.options)) if isinstance(answer, Either) else how(answer)


def in_any_case(answers: list[Flat]) -> Flat:
    """What is right in some case of what nobody can tell, path by path."""
    paths = dict.fromkeys(path for answer in answers for path in answer)
    return {path: either(*(answer.get(path) for answer in answers)) for path in paths}


def differing(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """The paths at which the two say something else; absent, empty and `None` are one."""
    paths = [*expected, *(path for path in found if path not in expected)]
    return [path for path in paths if not fits(expected.get(path), found.get(path))]


def fits(expected: Any, found: Any) -> bool:
    if isinstance(expected, Either):
        return any(fits(one, found) for one in expected.options)
    if isinstance(expected, Among):
        return expected.holds(found)
    return _said(expected) == _said(found)


def _said(value: Any) -> Any:
    return None if value in ("", ()) else value
