"""The essence of a resource: what two copies must agree on to be called equal (RULES B3).

Servers decorate what they store: versions, timestamps, narrative, absolute and versioned references. The essence leaves
that out, so an unchanged study is recognised and costs no write, whatever the server made of our last one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

_HISTORY = "/_history/"
_VERSIONED = re.compile(_HISTORY + r"[A-Za-z0-9\-.]{1,64}$")
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def essence(resource: Mapping[str, Any], *, base_url: str = "") -> dict[str, Any]:
    """`resource` without `meta` (but `meta.profile`) and `text`, its references relative and unversioned."""
    normal = _normal(_kept(resource), base_url.rstrip("/") + "/" if base_url else "")
    assert isinstance(normal, dict)  # noqa: S101 - for the type checker: a dictionary stays one
    return normal


def digest(resource: Mapping[str, Any], *, base_url: str = "") -> str:
    """SHA-256 over the canonical JSON of the essence, in hexadecimal."""
    if not base_url and _HISTORY not in (text := canonical(_kept(resource))):  # as we make them: nothing is to be changed
        return hashlib.sha256(text.encode()).hexdigest()
    return hashlib.sha256(canonical(essence(resource, base_url=base_url)).encode()).hexdigest()


def canonical(value: object) -> str:
    """JSON with sorted keys and without blanks: equal values give equal text."""
    return _CANONICAL.encode(value)


def value_digest(value: object) -> str:
    """128 bits of SHA-256 over the canonical JSON: by this a value is known again, and cannot be read."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:32]


def reference_of(text: str, *, base_url: str = "") -> str:
    """A literal reference as `Type/id`, however the server answered it."""
    base = base_url.rstrip("/") + "/" if base_url else ""
    return _VERSIONED.sub("", text.removeprefix(base) if base else text)


def _kept(resource: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in resource.items() if name not in ("meta", "text")}
    profile = resource.get("meta", {}).get("profile")
    if profile:
        kept["meta"] = {"profile": sorted(profile)}
    return kept


def _normal(value: object, base: str) -> object:
    if isinstance(value, str):  # most values are; whether something is a Mapping is asked slowly
        return value
    if isinstance(value, Mapping):
        return {
            name: reference_of(item, base_url=base) if name == "reference" and isinstance(item, str) else _normal(item, base)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_normal(item, base) for item in value]
    return value
