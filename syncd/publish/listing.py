"""ImagingStudies as the FHIR server lists them: all that carry our tag, and all that name given studies.

Only what tells two sides apart is asked for (`_elements`), by pages, past the cache (RULES C9). A listing is old when it is
complete, so whoever acts on a hit reads the resource first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from syncd.model.audit import ShownStudy
from syncd.model.ids import is_uid
from syncd.plan.elements import elements
from syncd.plan.ownership import TAG_SYSTEM, installation_of
from syncd.publish.lookups import by_uid, study_named
from syncd.publish.server import FhirServer, token

_ELEMENTS = {
    "dstu2": "identifier,uid,availability,numberOfSeries,numberOfInstances",
    "": "identifier,status,numberOfSeries,numberOfInstances",
}


def list_tagged(server: FhirServer, *, installation_id: str, fhir_version: str) -> Iterator[ShownStudy]:
    """All that carry our tag and name a study."""
    params = {"_tag": token(TAG_SYSTEM, installation_id), "_elements": _elements_for(fhir_version)}
    for resource in server.search("ImagingStudy", params):
        one = shown_study(resource, fhir_version=fhir_version)
        if one.study_uid:
            yield one


def list_naming(server: FhirServer, study_uids: Sequence[str], *, fhir_version: str) -> Iterator[ShownStudy]:
    """All that name one of these studies by its UID, whoever wrote them; one search."""
    asked = {uid for uid in study_uids if is_uid(uid)}
    if asked:
        params = {**by_uid(sorted(asked), fhir_version=fhir_version), "_elements": _elements_for(fhir_version)}
        for resource in server.search("ImagingStudy", params):
            one = shown_study(resource, fhir_version=fhir_version)
            if one.study_uid in asked:
                yield one


def shown_study(resource: Mapping[str, Any], *, fhir_version: str) -> ShownStudy:
    """What a listed or a read ImagingStudy says of itself. Where it names no study, its id may."""
    resource_id, meta = str(resource.get("id", "")), resource.get("meta", {})
    return ShownStudy(
        resource_id=resource_id,
        study_uid=study_named(resource) or (resource_id if is_uid(resource_id) else ""),
        owner=installation_of(resource) or "",
        version=str(meta.get("versionId", "")),
        status=elements(fhir_version).status_of(resource),
        series=_count(resource.get("numberOfSeries")),
        instances=_count(resource.get("numberOfInstances")),
    )


def _elements_for(fhir_version: str) -> str:
    return _ELEMENTS.get(fhir_version, _ELEMENTS[""])


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None
