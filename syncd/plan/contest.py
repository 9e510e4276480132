"""Did somebody else change what is ours? The question behind "never a third correction" (RULES C4).

A difference alone does not say so. A server that was set back to a backup holds less than we wrote, one that lost a write
holds what was there before, and our own goal may have moved meanwhile. Only a version written after the one that we
recorded, while we still want what we recorded, is another writer's word against ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncd.plan.essence import canonical, essence

RESOURCE = "resource"
"""The element's name for the whole of it: somebody deleted it."""


def differing_elements(ours: Mapping[str, Any], theirs: Mapping[str, Any], *, base_url: str = "") -> frozenset[str]:
    """The elements in which two copies differ in essence (RULES B3)."""
    one, other = essence(ours, base_url=base_url), essence(theirs, base_url=base_url)
    return frozenset(name for name in one.keys() | other.keys() if canonical(one.get(name)) != canonical(other.get(name)))


def was_written_since(recorded: str, current: str) -> bool:
    """Whether version `current` came after `recorded`; a restored backup counts from below (RULES E3).

    Versions are opaque in FHIR: where they are no numbers, another one is taken for a later one."""
    if recorded.isdecimal() and current.isdecimal():
        return int(current) > int(recorded)
    return recorded != current
