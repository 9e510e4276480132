"""The FHIR server's own base URL, where it is not the one that we reach it at.

Behind a gateway a server may know itself by another address: `https://gateway/r4` is ours, `http://inside:8080/fhir`
its own. Its links to further pages and its absolute references name that one. Nobody says so; but the `self` link of a
search is the address that we asked, in the server's own words, so what stands before `ImagingStudy/_search` in it is
its base. Only what lies below a base is ever taken over, on our own base: never another host (RULES S2).

A further page that is not where the server says may have been forgotten after a restart. That is told apart from an
address that nobody ever serves, at which a search would be begun anew for ever.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from syncd.errors import Transient, Unsuitable

_MOST = 8
"""Own bases that are remembered: a gateway may lead to several servers, but what names itself anew each time is none."""

_REMEMBERED = 60.0
"""Seconds for which a page that was named should be there."""


class Bases:
    """Our base URL, and what else the server calls it. From any thread."""

    def __init__(self, base_url: str) -> None:
        self.ours = base_url.rstrip("/")
        self._own: tuple[str, ...] = ()

    def learn(self, address: str, *, asked: str) -> None:
        """`address` is what the server calls the thing that we know as `asked`, below our base."""
        base = _base(address, asked)
        if base and base != self.ours and base not in self._own:
            self._own = (*self._own, base)[-_MOST:]

    def learn_from_search(self, bundle: Mapping[str, Any], *, resource_type: str) -> None:
        """From the `self` link of a search's first page, and from where its matches are said to lie."""
        for link in links(bundle, "self"):
            self.learn(link, asked=f"{resource_type}/_search")
            self.learn(link, asked=resource_type)
        for entry in bundle.get("entry", ()):
            found = entry.get("resource") or {}
            if found.get("resourceType") == resource_type and found.get("id"):
                self.learn(str(entry.get("fullUrl", "")), asked=f"{resource_type}/{found['id']}")
                return  # they all lie at the same place

    def below(self, link: str) -> str:
        """Path and query of a link to a further page, below the base.

        Raises `Unsuitable` where nothing tells what of its path is the base."""
        parts = _split(link)
        query = f"?{parts.query}" if parts.query else ""
        if not parts.netloc and not parts.path.startswith("/"):
            return _safe(parts.path) + query  # relative to the base already
        for before in sorted((urlsplit(base).path.rstrip("/") for base in (self.ours, *self._own)), key=len, reverse=True):
            if parts.path == before or parts.path.startswith(before + "/"):
                return _safe(parts.path[len(before) :].strip("/")) + query
        raise Unsuitable(
            f"The FHIR server's further pages lie at {parts.path}, and nothing tells how that belongs to {self.ours}: "
            "let the gateway before it rewrite its links, or set the server's own base URL to the gateway's address",
            server="fhir",
        )

    def relative(self, reference: str) -> str:
        """A literal reference below a base of the server as `Type/id`; any other as it is."""
        for base in (self.ours, *self._own):
            if reference.startswith(base + "/"):
                return reference[len(base) + 1 :]
        return reference

    def localise(self, resource: Mapping[str, Any]) -> Mapping[str, Any]:
        """The resource with its references to the server itself as relative ones; instances hold none, and are many."""
        if not has_absolute(resource):
            return resource
        return dict(translate_references(resource, self.relative))


def links(bundle: Mapping[str, Any], relation: str) -> Sequence[str]:
    """The addresses that a Bundle gives for a relation (`self`, `next`)."""
    return [str(link.get("url", "")) for link in bundle.get("link", ()) if link.get("relation") == relation]


def has_absolute(value: object) -> bool:
    """Whether a literal reference in it names a server."""
    if isinstance(value, Mapping):
        return any(
            (isinstance(item, str) and "://" in item) if name == "reference" else name != "instance" and has_absolute(item)
            for name, item in value.items()
        )
    return isinstance(value, list | tuple) and any(has_absolute(item) for item in value)


def translate_references(value: Any, translate: Callable[[str], str]) -> Any:
    """The same with every literal reference translated; instances hold none, and are many."""
    if isinstance(value, Mapping):
        return {
            name: translate(item)
            if name == "reference" and isinstance(item, str)
            else item
            if name == "instance"
            else translate_references(item, translate)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [translate_references(item, translate) for item in value]
    return value


def _split(address: str) -> SplitResult:
    """The parts of an address; of one that is none, nothing."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _base(address: str, asked: str) -> str:
    """What stands before `asked` in the address; empty where it does not end so."""
    parts = _split(address)
    path = parts.path.rstrip("/")
    if not parts.netloc or not path.endswith("/" + asked):
        return ""
    return f"{parts.scheme}://{parts.netloc}{path.removesuffix(asked).rstrip('/')}"


def _safe(path: str) -> str:
    """The path of a page, which must not climb out of the base that it is asked below (RULES S2)."""
    if {".", ".."} & set(unquote(path).replace("\\", "/").split("/")):
        raise Unsuitable("The FHIR server's next page lies outside of its own base URL", server="fhir")
    return path


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
