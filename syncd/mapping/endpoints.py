"""Where a study's images can be fetched or seen: one Endpoint per service of an archive (MAPPING E, RULES B5).

The services are the same in every FHIR version, what an Endpoint looks like is not; DSTU2 has none, and gives the study's
address in `ImagingStudy.url` instead.
"""

from __future__ import annotations

from syncd.mapping.dialect_r4 import endpoint_references as _references
from syncd.mapping.dialects import dialect
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.said import Json
from syncd.mapping.services import services


def endpoints(policy: MappingPolicy, *, fhir_version: str = "r4") -> tuple[Json, ...]:
    """The archive's Endpoints, WADO-RS first; none where the version has no Endpoint."""
    say = dialect(fhir_version)
    return tuple(say.endpoint(service, policy=policy) for service in services(policy)) if say.has_endpoints else ()


def endpoint_references(policy: MappingPolicy, *, fhir_version: str = "r4") -> tuple[Json, ...]:
    """References to them, in the same order."""
    return tuple(_references(policy)) if dialect(fhir_version).has_endpoints else ()
