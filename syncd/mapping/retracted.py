"""What remains of an ImagingStudy that is taken back: which study, whose, and that it is no more (MAPPING F.3).

Without series all invariants of R6 hold trivially, and nobody is led to images that are not to be seen. Which word says
"no more" differs: R6 has `inactive` for what was real once; the versions before it have only `cancelled`. What should
never have been is `entered-in-error` everywhere.
"""

from __future__ import annotations

from typing import Any

from syncd.mapping.imagingstudy import registered
from syncd.mapping.policy import MappingPolicy
from syncd.model.snapshot import StudySnapshot

_KEPT = frozenset({"resourceType", "id", "meta", "identifier", "status", "subject"})


def retracted(
    snapshot: StudySnapshot, *, subject: dict[str, Any], policy: MappingPolicy, status: str, dialect: str = "r4"
) -> dict[str, Any]:
    """Identifiers, subject and `status`; no series, modality, count or endpoint. Raises `StudyError` (`uid-not-oid`)."""
    whole = registered(snapshot, subject=subject, policy=policy, dialect=dialect)
    return {name: status if name == "status" else value for name, value in whole.items() if name in _KEPT}


def retracted_status(*, in_error: bool, fhir_version: str) -> str:
    """The status of a study of which nothing is left (MAPPING D.2, RULES B7); `fhir_version` as in the settings."""
    if in_error:
        return "entered-in-error"
    return "inactive" if fhir_version == "r6" else "cancelled"
