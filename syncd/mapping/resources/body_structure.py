"""A BodyStructure for a body site whose side is known (MAPPING J.7).

R6 has no element for the side of a series, and R5 none that could be searched for with the site: here both stand together.
Only R5 and R6 let a series refer to one; R6 did not change what we say of it.
"""

from __future__ import annotations

import json

from syncd.mapping.dialects.r4 import coding, concept
from syncd.mapping.dialects.registry import dialect
from syncd.mapping.dialects.statement import Json
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.values.identity import patient_key
from syncd.mapping.values.terms import body_site, laterality
from syncd.model.ids import hashed_id
from syncd.model.snapshot import SeriesFacts, StudySnapshot

DIGITS = 40

VERSIONS = ("r5", "r6")
"""Where `series.bodySite` can refer to a BodyStructure."""


def body_structure_id(series: SeriesFacts, snapshot: StudySnapshot, *, policy: MappingPolicy) -> str:
    """`bs-` and a digest of patient, site and side; empty where the site or the side is not known."""
    site, side = body_site(series), laterality(series.laterality)
    if site is None or side is None:
        return ""
    patient = patient_key(snapshot, policy=policy).resource_id
    key = json.dumps([patient, site.system, site.code or site.display, side.code], ensure_ascii=False, separators=(",", ":"))
    return hashed_id("bs-", key=key, digits=DIGITS)


def body_structures_of(
    snapshot: StudySnapshot, *, subject: Json, policy: MappingPolicy, fhir_version: str
) -> tuple[Json, ...]:
    """The sided sites of the study, each once."""
    if not policy.body_structure or fhir_version not in VERSIONS:
        return ()
    found: dict[str, Json] = {}
    for series in snapshot.series:
        resource_id = body_structure_id(series, snapshot, policy=policy)
        site, side = body_site(series), laterality(series.laterality)
        if site is not None and side is not None and resource_id not in found:
            found[resource_id] = {
                "resourceType": "BodyStructure",
                "id": resource_id,
                "meta": dialect(fhir_version).meta(policy),
                "includedStructure": [{"structure": concept(site), "laterality": {"coding": [coding(side)]}}],
                "patient": subject,
            }
    return tuple(found.values())
