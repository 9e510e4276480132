"""The optional companions of an ImagingStudy, in the order in which they must be written (MAPPING J).

None is wanted unless the site says so. What refers to them is decided by name: `available_study` is told which of them are
there, and refers to no other, so that one that could not be written costs a literal reference and never the study.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from syncd.mapping.dialects.statement import Json
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.resources import body_structure
from syncd.mapping.resources.body_structure import body_structures_of
from syncd.mapping.resources.device import devices_of
from syncd.mapping.resources.imagingstudy import listed_series
from syncd.mapping.resources.practitioner import practitioners_of
from syncd.mapping.resources.procedure import procedures_done
from syncd.model.snapshot import StudySnapshot


def companions(snapshot: StudySnapshot, *, subject: Json, policy: MappingPolicy, fhir_version: str) -> tuple[Json, ...]:
    """What the study wants to be there besides itself; `subject` is the study's."""
    if not types(policy):
        return ()
    snapshot = replace(snapshot, series=listed_series(snapshot, policy=policy))
    return (
        *devices_of(snapshot, policy=policy, fhir_version=fhir_version),
        *practitioners_of(snapshot, policy=policy, fhir_version=fhir_version),
        *procedures_done(snapshot, subject=subject, policy=policy, fhir_version=fhir_version),
        *body_structures_of(snapshot, subject=subject, policy=policy, fhir_version=fhir_version),
    )


def references_to(resources: Iterable[Json]) -> frozenset[str]:
    """`Type/id` of each."""
    return frozenset(f"{one['resourceType']}/{one['id']}" for one in resources)


def types(policy: MappingPolicy) -> tuple[str, ...]:
    """The resource types that the site wants to be written."""
    wanted = {
        "Device": policy.write_devices,
        "Practitioner": policy.practitioner_from_name == "resource",
        "Procedure": policy.write_procedures,
        "BodyStructure": policy.body_structure,
    }
    return tuple(name for name, on in wanted.items() if on)


def unsayable(policy: MappingPolicy, *, fhir_version: str) -> tuple[str, ...]:
    """The wanted types to which this version's ImagingStudy cannot refer at all."""
    out_of_place = {
        "BodyStructure": fhir_version not in body_structure.VERSIONS,
        "Device": fhir_version == "dstu2",
    }
    return tuple(name for name in types(policy) if out_of_place.get(name))
