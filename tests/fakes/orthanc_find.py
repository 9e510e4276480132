"""`POST /tools/lookup`, and `POST /tools/find`: silently cut by the site's limits, differently in each version (RULES A7).

1.10 cuts the candidates to one more than the limit, and `Since` skips within those: paging never sees the rest. 1.12
cuts each page, and does not cut at all when `Since` comes without `Limit`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tests.fakes.orthanc_index import LEVELS, Index, Resource
from tests.fakes.orthanc_tags import INSTANCE, PATIENT, SERIES, STUDY
from tests.fakes.orthanc_views import children_of, expanded, parent_of, requested_tags, stability_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Orthanc's LimitFindInstances and LimitFindResults; 0 is none."""

    instances: int = 0
    results: int = 0


def find(index: Index, asked: Mapping[str, Any], limits: Limits) -> list[Any]:
    """The answer: ids, or resources where `Expand` or (1.12) `ResponseContent` asks for them."""
    level = asked["Level"]
    found = [one for one in index.all(level) if _matches(index, one, asked)]
    site = limits.instances if level == INSTANCE else limits.results
    since, limit = int(asked.get("Since", 0)), int(asked.get("Limit", 0))
    if not index.modern and site:
        found = found[: site + 1]
    elif site and not ("Since" in asked and not limit):
        limit = min(limit or site, site)
    found = found[since : since + limit if limit else None]
    return [_shown(index, one, asked) for one in found]


def lookup(index: Index, wanted: str) -> list[dict[str, str]]:
    """Every resource that has this PatientID or UID."""
    names = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    return [
        {"ID": one.id, "Path": one.path, "Type": one.level}
        for level in LEVELS
        for one in index.all(level)
        if wanted and any(one.main.get(name) == wanted for name in names)
    ]


def _matches(index: Index, resource: Resource, asked: Mapping[str, Any]) -> bool:
    for level in (PATIENT, STUDY, SERIES):
        parent = asked.get(f"Parent{level}")
        if parent and index.modern and index.above(resource, level).id != parent:
            return False
    query, own = asked["Query"], resource.main
    if not all(_matches_value(str(own[name]), str(wanted)) for name, wanted in query.items() if name in own):
        return False
    known: dict[str, Any] = {}
    for level in LEVELS[: LEVELS.index(resource.level) + 1]:
        known |= index.above(resource, level).main
    labels = asked.get("Labels")
    if labels and index.modern and not resource.labels.issuperset(labels):
        return False
    return all(_matches_value(str(known.get(name, "")), str(wanted)) for name, wanted in query.items())


def _matches_value(value: str, wanted: str) -> bool:
    """DICOM matching (PS3.4 C.2.2.2): lists, wildcards; Orthanc ignores case by default."""
    return not wanted or wanted == "*" or bool(_matcher(wanted)(value))


@lru_cache(maxsize=256)
def _matcher(wanted: str) -> Callable[[str], object]:
    """Made once for all the resources that it is held against."""
    if not re.search(r"[*?]", wanted):
        values = frozenset(wanted.lower().split("\\"))
        return lambda value: value.lower() in values
    pattern = "|".join(re.escape(one).replace(r"\*", ".*").replace(r"\?", ".") for one in wanted.split("\\"))
    return re.compile(pattern, re.IGNORECASE).fullmatch


def _shown(index: Index, resource: Resource, asked: Mapping[str, Any]) -> Any:
    content = asked.get("ResponseContent") if index.modern else None
    if content is not None:
        return _selected(index, resource, content, asked)
    if not asked.get("Expand"):
        return resource.id
    shown = expanded(index, resource)
    if index.modern and asked.get("RequestedTags"):
        shown["RequestedTags"] = requested_tags(index, resource, asked["RequestedTags"])
    return shown


def _selected(index: Index, resource: Resource, content: list[str], asked: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"ID": resource.id, "Type": resource.level}
    if "MainDicomTags" in content:
        shown["MainDicomTags"] = dict(resource.main)
        if resource.level == STUDY:
            shown["PatientMainDicomTags"] = dict(resource.patient)
    if "Parent" in content:
        shown |= parent_of(resource)
    if "Children" in content:
        shown |= children_of(index, resource)
    if "Metadata" in content:
        shown["Metadata"] = dict(resource.metadata)
    if "Labels" in content:
        shown["Labels"] = sorted(resource.labels)
    if "IsStable" in content:
        shown |= stability_of(index, resource)
    if "Status" in content and resource.level == SERIES:
        shown["Status"] = "Unknown"
    if asked.get("RequestedTags"):
        shown["RequestedTags"] = requested_tags(index, resource, asked["RequestedTags"])
    return shown
