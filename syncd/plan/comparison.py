"""Which elements of two copies of a resource say the same, by name: for people, who may not be shown the values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from syncd.plan.decide import Action, Current, Found, Wanted, Write
from syncd.plan.essence import canonical, essence

_TOLD = frozenset({"resourceType", "id"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Names of top-level elements, sorted. `foreign`: those that only the server's copy has and that stay as they are."""

    equal: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


def compare(goal: Wanted, current: Current | None, action: Action | None, *, base_url: str) -> Comparison:
    """What would be sent against what the server was seen to hold; nothing where it holds nothing."""
    if not isinstance(current, Found):
        return Comparison()
    ours, theirs = essence(goal.resource), essence(current.resource, base_url=base_url)
    sent = essence(action.resource) if isinstance(action, Write) else _beside(ours, theirs)
    names = (sent.keys() | theirs.keys()) - _TOLD
    differing = {name for name in names if canonical(sent.get(name)) != canonical(theirs.get(name))}
    return Comparison(
        equal=tuple(sorted((names - differing) & ours.keys())),
        differing=tuple(sorted(differing)),
        foreign=tuple(sorted(names - differing - ours.keys())),
    )


def _beside(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Our elements, and the server's where we have none: nothing is sent, so nothing of others is in question."""
    return {**theirs, **ours}
