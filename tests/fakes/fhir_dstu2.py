"""Where HAPI 8.8.0 in DSTU2 mode is not as in R4, as measured; `tests/contracts/fhir_dstu2.py` holds fake and real to it.

The sharpest difference: `If-Match` on a PUT is overlooked, while `meta.versionId` of the body is compared in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

JSON = "application/json+fhir;charset=utf-8"
SUBSETTED = "http://hl7.org/fhir/v3/ObservationValue"
TYPES = frozenset(
    {"Account", "Appointment", "Basic", "Binary", "BodySite", "Bundle", "CarePlan", "Condition", "Device", "DiagnosticOrder"}
    | {"DiagnosticReport", "DocumentReference", "Encounter", "Group", "ImagingObjectSelection", "ImagingStudy", "Location"}
    | {"Observation", "Organization", "Patient", "Practitioner", "Procedure", "Provenance"}
)
STUDY_PARAMETERS = frozenset({"_id", "_tag", "_security", "_lastUpdated", "patient", "study", "uid"})
"""What ImagingStudy can be searched by (as far as the fake goes): `identifier` is not among them."""


def uids(study: Mapping[str, Any], parameter: str) -> set[str]:
    """What `study` (its own UID) or `uid` (its instances') finds."""
    if parameter == "study":
        return {str(study.get("uid", ""))}
    return {str(one.get("uid", "")) for series in study.get("series", ()) for one in series.get("instance", ())}
