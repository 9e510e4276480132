"""What these settings read and write on the FHIR server, as SMART's scopes name it: just that, and nothing else.

Kept beside the wiring and not in the rooms that read and write: a scope is a promise about all of them together.
"""

from __future__ import annotations

from collections.abc import Iterator

from syncd.auth.scopes import LETTERS, Need
from syncd.loop.outbox import kinds
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.resources.companions import types
from syncd.mapping.resources.sentinel import sentinel_type
from syncd.settings import Settings

KEPT = "crus"
"""What syncd needs of a resource that it writes and never deletes."""


def needs(settings: Settings, policy: MappingPolicy) -> tuple[Need, ...]:
    """The types of resources, each with what must be allowed. A version that is found out counts as R4: it decides only
    about DSTU2."""
    return tuple(Need(resource_type=resource_type, rights=rights) for resource_type, rights in _needs(settings, policy))


def _needs(settings: Settings, policy: MappingPolicy) -> Iterator[tuple[str, str]]:
    chosen = settings.policy
    version = "r4" if settings.fhir.version == "auto" else settings.fhir.version
    deletes = "delete" in (chosen.on_delete, chosen.on_deselect)
    yield "ImagingStudy", LETTERS if deletes else KEPT
    yield sentinel_type(version), LETTERS  # the trial of create-only forms is deleted again (RULES C2)
    if chosen.patient != "logical":
        yield "Patient", KEPT if chosen.patient == "create" else "rs"
    companions = types(policy)
    owed = kinds.types(provenance=chosen.provenance, fhir_version=version)
    yield from ((one, KEPT) for one in owed if one not in companions)
    yield from ((one, KEPT) for one in companions)
    if chosen.service_request == "match":
        yield "ServiceRequest", "rs"
