"""What is left of a study that is no more: which status says so, and what may stay beside it (MAPPING D.2, F.3).

R6 has `inactive` for what was real once; the versions before it have only `cancelled`. What should never have been is
`entered-in-error` everywhere but in DSTU2, whose one word for both, UNAVAILABLE, counts as `cancelled`. A study that the
archive still holds is written down from it, by `imagingstudy.withdrawn_study`. One that is gone leaves nothing to map:
there, what the server itself still holds is cut down to the same form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from syncd.mapping.dialects.registry import dialect as dialect_of
from syncd.mapping.dialects.statement import Json, without_empty
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.profiles.profiles import meta_with_claim
from syncd.mapping.values.systems import DICOM_UID


def retracted_status(*, in_error: bool, fhir_version: str) -> str:
    """The status of a study of which nothing is left (MAPPING D.2, RULES B7); `fhir_version` as in the settings."""
    if in_error and fhir_version != "dstu2":
        return "entered-in-error"
    return "inactive" if fhir_version == "r6" else "cancelled"


def remains(
    current: Mapping[str, Any],
    *,
    status: str,
    identifiers: Iterable[Mapping[str, Any]],
    policy: MappingPolicy,
    dialect: str,
) -> Json:
    """Our part of an ImagingStudy that cannot be rendered any more: identifiers, subject and `status` (MAPPING F.3).

    `current` is the server's copy, `identifiers` are those that we wrote, as far as they are known; the one of the
    StudyInstanceUID is ours in any case. What belongs to others is not in it.
    """
    if dialect == "dstu2":
        return _remains_in_dstu2(current, policy=policy)
    ours = list(identifiers)
    kept = [one for one in current.get("identifier", ()) if one in ours or one.get("system") == DICOM_UID]
    return without_empty(
        {
            "resourceType": "ImagingStudy",
            "id": current["id"],
            "meta": meta_with_claim(dialect_of(dialect).meta(policy), policy=policy, version=dialect, counted=False),
            "identifier": kept,
            "status": status,
            "subject": current.get("subject"),
        }
    )


def _remains_in_dstu2(current: Mapping[str, Any], *, policy: MappingPolicy) -> Json:
    """DSTU2 has no status, and demands counts (MAPPING M)."""
    return without_empty(
        {
            "resourceType": "ImagingStudy",
            "id": current["id"],
            "meta": dialect_of("dstu2").meta(policy),
            "uid": current.get("uid"),
            "accession": current.get("accession"),
            "patient": current.get("patient"),
            "availability": "UNAVAILABLE",
            "numberOfSeries": 0,
            "numberOfInstances": 0,
        }
    )
