"""Orders that are on the server: a logical reference of `basedOn` becomes a literal one beside its identifier (J.3).

Only an identifier with a system is asked for: an accession alone is everybody's. Accessions are not to be kept (RULES
S1); what was found is remembered under a digest of the identifier.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from syncd.model.ids import hashed_id

TYPE = "ServiceRequest"
_DIGITS = 32


class OrderKey(NamedTuple):
    """An order's identifier."""

    system: str
    value: str

    @property
    def digest(self) -> str:
        """Under which what was found is remembered."""
        return hashed_id("", key=json.dumps(self, ensure_ascii=False), digits=_DIGITS)


def order_keys(resource: Mapping[str, Any]) -> tuple[OrderKey, ...]:
    """The identifiers, with a system, of the orders that an ImagingStudy names; none in DSTU2, which only shows them."""
    keys = (_key(one) for one in resource.get("basedOn", ()))
    return tuple(dict.fromkeys(key for key in keys if key is not None))


def with_orders(resource: Mapping[str, Any], found: Mapping[OrderKey, str]) -> dict[str, Any]:
    """The resource, the orders that were found (key → id) named by a literal reference, too; each of them once."""
    if not any(found.values()):
        return dict(resource)
    based_on: list[dict[str, Any]] = []
    named = set[str]()
    for one in resource["basedOn"]:
        key = _key(one)
        resource_id = found.get(key, "") if key is not None else ""
        if resource_id not in named:
            based_on.append({"reference": f"{TYPE}/{resource_id}", **one} if resource_id else dict(one))
        if resource_id:
            named.add(resource_id)
    return {**resource, "basedOn": based_on}


def _key(reference: Mapping[str, Any]) -> OrderKey | None:
    identifier = reference.get("identifier") or {}
    system, value = identifier.get("system"), identifier.get("value")
    if reference.get("type") != TYPE or not system or not value:
        return None
    return OrderKey(str(system), str(value))
