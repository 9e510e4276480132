"""Where a study's images can be fetched or seen: one Endpoint per service of each archive (MAPPING E, RULES B5).

The services are the same in every FHIR version, what an Endpoint looks like is not; DSTU2 has none, and gives the study's
address in `ImagingStudy.url` instead.
"""

from __future__ import annotations

from syncd.mapping.dialects.r4 import endpoint_references as _references
from syncd.mapping.dialects.registry import dialect
from syncd.mapping.dialects.services import services
from syncd.mapping.dialects.statement import Json
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.profiles.profiles import apply_endpoint_profile


def endpoints(policy: MappingPolicy, *, fhir_version: str = "r4") -> tuple[Json, ...]:
    """The Endpoints of all archives, WADO-RS first; none where the version has no Endpoint."""
    say = dialect(fhir_version)
    if not say.has_endpoints:
        return ()
    return tuple(
        apply_endpoint_profile(
            say.endpoint(service, policy=policy), service, archive=archive, policy=policy, version=fhir_version
        )
        for archive in policy.archives
        for service in services(archive, prefix=policy.endpoint_prefix)
    )


def endpoint_references(policy: MappingPolicy, *, fhir_version: str = "r4") -> tuple[Json, ...]:
    """References to them, in the same order."""
    if not dialect(fhir_version).has_endpoints:
        return ()
    return tuple(reference for archive in policy.archives for reference in _references(archive, policy))
