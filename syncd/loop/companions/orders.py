"""The orders of a study: found on the FHIR server, where the site wants it (POLICY__SERVICE_REQUEST, MAPPING J.3).

As with the subject, what was found is remembered with the record, so an unchanged study asks nothing; an order that was
not there is looked for again when FHIR is read afresh. Several orders under one identifier are nobody's: the reference
stays logical, with a note.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from syncd.loop.context import Context
from syncd.mapping.values.orders import TYPE, OrderKey, order_keys, with_orders
from syncd.model.work import ORDERS, StudyRecord
from syncd.publish.lookups import service_requests

RULE = "J.3"
"""The rule that a note of several orders names."""

REMEMBERED = ORDERS
"""Where `StudyRecord.raw` keeps what was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """`found` is what to remember; `ambiguous`: some identifier is that of several orders."""

    resource: dict[str, Any]
    found: Mapping[str, str] = field(default_factory=dict)
    ambiguous: bool = False

    @property
    def references(self) -> frozenset[str]:
        return frozenset(f"{TYPE}/{one}" for one in self.found.values() if one)


def resolve(resource: Mapping[str, Any], *, context: Context, record: StudyRecord | None, fresh: bool) -> Orders:
    """`resource` with those of its orders that the server holds, exactly one each, as literal references."""
    keys = order_keys(resource) if context.policy.service_request == "match" else ()
    if not keys:
        return Orders(resource=dict(resource))
    remembered: Mapping[str, str] = {} if fresh or record is None else record.raw.get(REMEMBERED, {})
    found: dict[OrderKey, str] = {}
    ambiguous = False
    for key in keys:
        if key.digest in remembered:
            found[key] = remembered[key.digest]
            continue
        hits = service_requests(context.server, system=key.system, value=key.value)
        ambiguous = ambiguous or len(hits) > 1
        found[key] = hits[0] if len(hits) == 1 else ""
    return Orders(
        resource=with_orders(resource, found),
        found={key.digest: resource_id for key, resource_id in found.items()},
        ambiguous=ambiguous,
    )
