"""`POST /studies/{id}/modify`: a corrected PatientID, which 1.10 refuses and 1.12 answers with another Orthanc id.

The study's UID stays and its Orthanc id changes, because PatientID is hashed into it; the old one goes without an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fakes.orthanc_index import Index, Resource
from tests.fakes.orthanc_tags import INSTANCE, STUDY, new_uid, tags_of, to_file

_IDENTIFIERS = {"StudyInstanceUID": "0020,000d", "SeriesInstanceUID": "0020,000e", "SOPInstanceUID": "0008,0018"}


def modify(index: Index, study: Resource, asked: Mapping[str, Any], *, now: float) -> dict[str, Any] | str:
    """What Orthanc answers, or the text of its refusal."""
    replace, keep = asked.get("Replace", {}), set(asked.get("Keep", ()))
    forced = bool(asked.get("Force"))
    if "PatientID" in replace and not forced:
        return 'Marking tag "PatientID" as to be replaced requires the "Force" option to be set to true'
    if "PatientID" in replace and not index.modern:
        return "When modifying a study, the parent PatientID cannot be manually modified"
    if keep & set(_IDENTIFIERS) and not forced:
        return 'Marking tag "StudyInstanceUID" as to be kept requires the "Force" option to be set to true'
    source, renamed = study.id, dict[str, str]()
    instances = list(index.below(study, INSTANCE))
    created: Resource | None = None
    for one in instances:
        tags = dict(one.tags) | tags_of(replace)
        for name, tag in _IDENTIFIERS.items():
            if name not in keep and name not in replace:
                tags[tag] = renamed.setdefault(str(tags[tag]), new_uid())
        created = _store(index, one, tags, now=now)
    assert created is not None
    result = index.above(created, STUDY)
    if not asked.get("KeepSource", True) and source != result.id:
        index.remove(study, now=now)
    return {
        "ID": result.id,
        "InstancesCount": len(instances),
        "FailedInstancesCount": 0,
        "IsAnonymization": False,
        "ParentResources": [source],
        "Path": result.path,
        "PatientID": result.parent,
        "Type": STUDY,
    }


def _store(index: Index, source: Resource, tags: dict[str, Any], *, now: float) -> Resource:
    metadata: dict[str, str] = {
        name: source.metadata[name] for name in ("SopClassUid", "TransferSyntax") if name in source.metadata
    }
    file = to_file(tags) if source.file is not None else None
    created, new = index.add(tags, now=now, file=file, metadata=metadata)
    if new:
        before: Resource | None = source
        after: Resource | None = created
        while before is not None and after is not None and after.level != "Patient":
            after.metadata["ModifiedFrom"] = before.id
            before, after = index.resources.get(before.parent), index.resources.get(after.parent)
    return created
