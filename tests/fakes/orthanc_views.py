"""How Orthanc shows a resource: the JSON of `/studies/{id}`, `?expand` and bulk-content."""

from __future__ import annotations

from typing import Any

from tests.fakes.orthanc_index import CHILDREN, FOLDERS, LEVELS, PARENT, Index, Resource
from tests.fakes.orthanc_tags import INSTANCE, PATIENT, SERIES, STUDY, shortened, simplified

MODERN_SYSTEM = {
    "Capabilities": {"HasExtendedChanges": True, "HasExtendedFind": True},
    "HasLabels": True,
    "ReadOnly": False,
}
"""What 1.12 says of itself besides, and a DatabaseServerIdentifier."""


_COUNTS = {
    (PATIENT, "NumberOfPatientRelatedStudies"): STUDY,
    (PATIENT, "NumberOfPatientRelatedSeries"): SERIES,
    (PATIENT, "NumberOfPatientRelatedInstances"): INSTANCE,
    (STUDY, "NumberOfStudyRelatedSeries"): SERIES,
    (STUDY, "NumberOfStudyRelatedInstances"): INSTANCE,
    (SERIES, "NumberOfSeriesRelatedInstances"): INSTANCE,
}


def expanded(index: Index, resource: Resource, *, metadata: bool = False) -> dict[str, Any]:
    """A resource in full."""
    shown: dict[str, Any] = {"ID": resource.id, "Type": resource.level, "MainDicomTags": dict(resource.main)}
    shown |= parent_of(resource) | children_of(index, resource)
    if resource.level == STUDY:
        shown["PatientMainDicomTags"] = dict(resource.patient)
    if resource.level == INSTANCE:
        shown["FileSize"] = resource.size
        shown["FileUuid"] = f"{resource.id[:8]}-0000-4000-8000-{resource.id[-12:].replace('-', '0')}"
        shown["IndexInSeries"] = int(resource.metadata["IndexInSeries"])
    else:
        shown |= stability_of(index, resource)
        shown["LastUpdate"] = resource.metadata["LastUpdate"]
    if resource.level == SERIES:
        shown |= {"ExpectedNumberOfInstances": None, "Status": "Unknown"}
    if index.modern:
        shown["Labels"] = sorted(resource.labels)
    if "ModifiedFrom" in resource.metadata:
        shown["ModifiedFrom"] = resource.metadata["ModifiedFrom"]
    if metadata:
        shown["Metadata"] = dict(resource.metadata)
    return shown


def parent_of(resource: Resource) -> dict[str, str]:
    return {PARENT[resource.level]: resource.parent} if resource.parent else {}


def children_of(index: Index, resource: Resource) -> dict[str, list[str]]:
    return {CHILDREN[resource.level]: index.children(resource)} if resource.level in CHILDREN else {}


def stability_of(index: Index, resource: Resource) -> dict[str, bool]:
    return {"IsStable": index.is_stable(resource)} if resource.level != INSTANCE else {}


def requested_tags(index: Index, resource: Resource, names: list[str]) -> dict[str, Any]:
    """1.12's computed tags, as far as syncd asks for them; of an instance those of its file, texts beyond 256 left out."""
    found: dict[str, Any] = {}
    if resource.level == INSTANCE:
        held = {tag: one for tag, one in shortened(resource.tags).items() if one is not None}
        return simplified({tag: held[tag] for tag in names if tag in held})
    for name in names:
        if name == "ModalitiesInStudy" and resource.level == STUDY:
            found[name] = "\\".join(sorted({str(one.main.get("Modality", "")) for one in index.below(resource, SERIES)}))
        if (resource.level, name) in _COUNTS:
            found[name] = str(len(list(index.below(resource, _COUNTS[resource.level, name]))))
    return found


def statistics_of(index: Index, resource: Resource) -> dict[str, Any]:
    """`/studies/{id}/statistics`: sizes and counts, and no LastUpdate."""
    size = sum(one.size for one in index.below(resource, INSTANCE))
    shown: dict[str, Any] = {"DiskSize": str(size), "DiskSizeMB": size >> 20}
    for level in LEVELS[LEVELS.index(resource.level) + 1 :]:
        shown[f"Count{FOLDERS[level].capitalize()}"] = len(list(index.below(resource, level)))
    return shown
