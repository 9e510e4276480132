"""What gateways and proxies change on the way to a FHIR server: its base URL, its name, its headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What gateways change: what lies below `outside` is the target's `inside`, and nothing else is let through; the target
    is called by its own name; `etag` makes another of each ETag, None leaves it out."""

    outside: str
    inside: str
    keeps_host: bool = False
    etag: Callable[[str], str | None] = lambda etag: etag
    bare: bool = True
    """Whether the base URL itself, without anything below it, is let through."""
    drops: frozenset[str] = frozenset()
    """Further headers of answers, in lower case, that do not come through."""

    def inward(self, path: str) -> str | None:
        """The path at the target; None where nothing is let through."""
        rest = path.removeprefix(self.outside)
        let_through = ("", "/", "?") if self.bare else ("/",)
        return self.inside + rest if path.startswith(self.outside) and rest[:1] in let_through else None

    def outward(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers of an answer as the client gets them."""
        kept = {name: value for name, value in headers.items() if name.lower() not in self.drops}
        changed = {name: self.etag(value) if name.lower() == "etag" else value for name, value in kept.items()}
        return {name: value for name, value in changed.items() if value is not None}
