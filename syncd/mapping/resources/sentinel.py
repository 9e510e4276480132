"""The sentinel: a resource of no clinical meaning with a random id, by which a ledger knows its server again (RULES E3).

It is an Endpoint that is off and leads nowhere, because every server of ours holds Endpoints anyway; DSTU2 has none, and
gets a `Basic`.
"""

from __future__ import annotations

from syncd.mapping.dialects.registry import dialect
from syncd.mapping.dialects.statement import Json


def sentinel(sentinel_id: str, *, installation_id: str, fhir_version: str = "r4") -> Json:
    """The sentinel as this version writes it."""
    return dialect(fhir_version).sentinel(sentinel_id, installation_id=installation_id)


def sentinel_type(fhir_version: str) -> str:
    """Its resource type: `Endpoint`, or `Basic` in DSTU2."""
    return dialect(fhir_version).sentinel_type
