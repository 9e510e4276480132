"""What an ImagingStudy of ours refers to beside its subject and its Endpoints: remembered, to be asked for again (B12)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_ELSEWHERE = frozenset({"subject", "patient", "instance"})
"""The subject is the record's own; instances refer to nothing, and are many."""

_OURS = "Endpoint"


def references_in(resource: Mapping[str, Any]) -> tuple[str, ...]:
    """`Type/id` of each literal reference, sorted, each once."""
    return tuple(sorted({one for one in _references(resource) if one.partition("/")[0] != _OURS}))


def _references(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name == "reference" and isinstance(item, str):
                if item.count("/") == 1 and ":" not in item:
                    yield item
            elif name not in _ELSEWHERE:
                yield from _references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _references(item)
