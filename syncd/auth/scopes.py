"""SMART's system scopes: what is asked for, in the words that a server knows, and what of it was granted (SMART 2.2).

`system/Patient.rs` in version 2 has the letters of create, read, update, delete and search, in that order; version 1 knows
`.read`, `.write` and `.*` only, each of which grants more than one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LETTERS = "cruds"
_READING = frozenset("rs")
_OF_V1 = {"read": frozenset("rs"), "write": frozenset("cud"), "*": frozenset(LETTERS)}
_SYSTEM_SCOPE = re.compile(r"system/([A-Za-z]+|\*)\.([a-z]+|\*)(\?.*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What must be allowed with a type of resource: some of `LETTERS`, in their order."""

    resource_type: str
    rights: str


def system_scopes(needs: Iterable[Need], *, first_version: bool = False) -> tuple[str, ...]:
    """A scope for each need."""
    return tuple(f"system/{need.resource_type}.{_of_v1(need.rights) if first_version else need.rights}" for need in needs)


def knows_only_v1(configuration: Mapping[str, object]) -> bool:
    """Whether a server's smart-configuration speaks of version 1 and not of 2: by `capabilities`, else by its scopes."""
    capabilities = _texts(configuration.get("capabilities"))
    if "permission-v2" in capabilities or "permission-v1" in capabilities:
        return "permission-v2" not in capabilities
    suffixes = {found[2] for found in map(_SYSTEM_SCOPE.fullmatch, _texts(configuration.get("scopes_supported"))) if found}
    return bool(suffixes) and suffixes <= _OF_V1.keys()


def missing(asked: Iterable[str], granted: Iterable[str]) -> tuple[str, ...]:
    """Those of the scopes asked for that what was granted does not cover, in either version's words. One that is narrowed
    by a query (`?category=…`) covers nothing as a whole."""
    allowed: dict[str, set[str]] = {}
    words = set(granted)
    for scope in words:
        found = _SYSTEM_SCOPE.fullmatch(scope)
        if found and not found[3]:
            allowed.setdefault(found[1], set()).update(_letters(found[2]))
    return tuple(scope for scope in asked if scope not in words and not _is_covered(scope, allowed))


def _is_covered(scope: str, allowed: Mapping[str, set[str]]) -> bool:
    found = _SYSTEM_SCOPE.fullmatch(scope)
    if not found or found[3]:
        return False
    return _letters(found[2]) <= allowed.get(found[1], set()) | allowed.get("*", set())


def _letters(suffix: str) -> frozenset[str]:
    return _OF_V1.get(suffix) or frozenset(suffix)


def _of_v1(rights: str) -> str:
    wanted = frozenset(rights)
    if wanted <= _READING:
        return "read"
    return "*" if wanted & _READING else "write"


def _texts(value: object) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
