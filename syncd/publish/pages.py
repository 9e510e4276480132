"""The pages of a search: where the next one lies, and what it means that it is not there.

A server names the next page by its own address of it (`syncd.publish.bases`), and may have forgotten it after a
restart. That is told apart from an address that nobody ever serves, at which a search would be begun anew for ever.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from syncd.errors import Transient
from syncd.publish.bases import Bases, links

_REMEMBERED = 60.0
"""Seconds for which a page that was named should be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a search. `following` names the next one, below the base URL; empty: there is none."""

    resources: tuple[Mapping[str, Any], ...]
    following: str


class PageGone(Transient):
    """The FHIR server forgot its listing; it is begun anew"""

    def __init__(self, message: str = "") -> None:
        super().__init__(message, server="fhir")


class Pages:
    """What one server said of its further pages. From any thread."""

    def __init__(self, bases: Bases) -> None:
        self._bases = bases
        self._named: dict[str, float] = {}
        self._lost = 0

    def after(self, bundle: Mapping[str, Any]) -> str:
        """Where a Bundle goes on, below the base URL; empty: nowhere."""
        following = next(iter(links(bundle, "next")), "")
        if not following:
            return ""
        now, page = time.monotonic(), self._bases.below(following)
        self._named = {name: at for name, at in self._named.items() if now - at < _REMEMBERED} | {page: now}
        return page

    def note_served(self) -> None:
        """A further page was answered."""
        self._lost = 0

    def count_gone(self, following: str) -> PageGone:
        """A page that was named a moment ago may be gone once, by a restart; when it happens again, nobody serves it."""
        if time.monotonic() - self._named.get(following, -math.inf) >= _REMEMBERED:
            return PageGone()
        self._lost += 1
        if self._lost == 1:
            return PageGone()
        return PageGone(nobody_serves(self._bases.ours))


def nobody_serves(base_url: str) -> str:
    """Cause and cure of a page that is not where the server says."""
    return (
        f"The FHIR server names further pages of a search, but below {base_url} nobody serves them: "
        "a gateway before it must let through what lies at the base URL itself, query and all"
    )
