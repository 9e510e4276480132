"""Orthanc's index: patients, studies, series, instances, the change log and what is not stable yet.

Pure bookkeeping without HTTP. What is worth knowing is what Orthanc does *not* do: a deletion logs nothing and takes
the deleted resource's earlier entries with it, while the counter goes on; a restart forgets what was waiting to become
stable, so that StableStudy never comes; and only 1.12 moves LastUpdate when something is deleted.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.orthanc_tags import (
    INSTANCE,
    MAIN_TAGS,
    MORE_MAIN_TAGS,
    PATIENT,
    SERIES,
    STUDY,
    Tags,
    is_too_long,
    orthanc_id,
    simplified,
)

LEVELS = (PATIENT, STUDY, SERIES, INSTANCE)
FOLDERS = {PATIENT: "patients", STUDY: "studies", SERIES: "series", INSTANCE: "instances"}
CHILDREN = {PATIENT: "Studies", STUDY: "Series", SERIES: "Instances"}
PARENT = {STUDY: "ParentPatient", SERIES: "ParentStudy", INSTANCE: "ParentSeries"}


@dataclass(slots=True, kw_only=True)
class Resource:
    """One node of the tree. `tags` are the main DICOM tags, of an instance all of them."""

    id: str
    level: str
    parent: str
    main: Tags
    patient: Tags = field(default_factory=dict)
    """A study's own copy of its patient's tags, taken from its first instance."""
    tags: Tags = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)
    file: bytes | None = None
    size: int = 0

    @property
    def path(self) -> str:
        return f"/{FOLDERS[self.level]}/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the change log."""

    seq: int
    change_type: str
    level: str
    id: str
    date: str

    def to_json(self) -> dict[str, Any]:
        return {
            "ChangeType": self.change_type,
            "Date": self.date,
            "ID": self.id,
            "Path": f"/{FOLDERS[self.level]}/{self.id}",
            "ResourceType": self.level,
            "Seq": self.seq,
        }


def stamp(moment: float) -> str:
    """Orthanc's time: UTC, of one second resolution."""
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(moment))


class Index:
    """The tree and the log. `modern` is 1.12; `caches_series` stands for its DICOMweb plugin's attachments."""

    def __init__(self, *, modern: bool, stable_age: float, caches_series: bool) -> None:
        self.modern = modern
        self.stable_age = stable_age
        self.caches_series = caches_series
        self.resources: dict[str, Resource] = {}
        self.log: list[Entry] = []
        self.highest = 0
        self.unstable: dict[str, float] = {}

    # -- reading -------------------------------------------------------------------------------------------------

    def all(self, level: str) -> list[Resource]:
        """The resources of a level: 1.10 in the order of arrival, 1.12 by id."""
        found = [resource for resource in self.resources.values() if resource.level == level]
        return sorted(found, key=lambda resource: resource.id) if self.modern else found

    def children(self, resource: Resource) -> list[str]:
        return sorted(resource.children) if self.modern else list(resource.children)

    def below(self, resource: Resource, level: str) -> Iterator[Resource]:
        """The descendants (or itself) of a level."""
        if resource.level == level:
            yield resource
            return
        for child in self.children(resource):
            yield from self.below(self.resources[child], level)

    def above(self, resource: Resource, level: str) -> Resource:
        """The ancestor (or itself) of a level."""
        while resource.level != level:
            resource = self.resources[resource.parent]
        return resource

    def related(self, resource: Resource, level: str) -> list[Resource]:
        """What bulk-content answers for `Level`: descendants, or the one ancestor."""
        if LEVELS.index(level) <= LEVELS.index(resource.level):
            return [self.above(resource, level)]
        return list(self.below(resource, level))

    def is_stable(self, resource: Resource) -> bool:
        return resource.id not in self.unstable

    # -- time ----------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Log what has become stable until `now`."""
        due = [one for one, touched in self.unstable.items() if now - touched >= self.stable_age]
        cached = []
        for one in due:
            del self.unstable[one]
            resource = self.resources[one]
            self.write(f"Stable{resource.level}", resource, now)
            if resource.level == SERIES and self.caches_series:
                cached.append(resource)
        for resource in cached:
            self.write("UpdatedAttachment", resource, now)

    def forget_unstable(self) -> None:
        """What a killed process loses."""
        self.unstable.clear()

    # -- writing -------------------------------------------------------------------------------------------------

    def write(self, change_type: str, resource: Resource, now: float) -> None:
        self.highest += 1
        entry = Entry(seq=self.highest, change_type=change_type, level=resource.level, id=resource.id, date=stamp(now))
        self.log.append(entry)

    def add(self, tags: Tags, *, now: float, file: bytes | None, metadata: dict[str, str]) -> tuple[Resource, bool]:
        """Store an instance; the second value tells whether it is new. A repeated one changes nothing."""
        names = [(tags.get(tag) or "").strip() for tag in ("0010,0020", "0020,000d", "0020,000e", "0008,0018")]
        ids = [orthanc_id(*names[: depth + 1]) for depth in range(4)]
        if ids[3] in self.resources:
            return self.resources[ids[3]], False
        missing = [depth for depth in range(4) if ids[depth] not in self.resources]
        for depth in missing:
            parent = ids[depth - 1] if depth else ""
            self.resources[ids[depth]] = Resource(
                id=ids[depth], level=LEVELS[depth], parent=parent, main=self._main(LEVELS[depth], tags)
            )
            if parent:
                self.resources[parent].children.append(ids[depth])
        if 1 in missing:
            self.resources[ids[1]].patient = self._main(PATIENT, tags)
        instance = self.resources[ids[3]]
        instance.tags, instance.file, instance.size = tags, file, len(file) if file is not None else 512
        position = len(self.resources[ids[2]].children)
        instance.metadata = {"IndexInSeries": str(position), "ReceptionDate": stamp(now), **metadata}
        for depth in sorted(missing, reverse=True):
            self.write(f"New{LEVELS[depth]}", self.resources[ids[depth]], now)
        for one in reversed(ids[:3]):
            self._touch(self.resources[one], now)
        return instance, True

    def remove(self, resource: Resource, *, now: float) -> Resource | None:
        """Delete a resource, what is below it, and what is above it if nothing else is left there.

        Returns the ancestor that remains. Nothing is logged; the log forgets what was deleted.
        """
        ancestor = self.resources.get(resource.parent)
        gone = {resource.id, *(one.id for level in LEVELS for one in self._strictly_below(resource, level))}
        if ancestor is not None:
            ancestor.children.remove(resource.id)
        while ancestor is not None and not ancestor.children:
            gone.add(ancestor.id)
            emptied, ancestor = ancestor, self.resources.get(ancestor.parent)
            if ancestor is not None:
                ancestor.children.remove(emptied.id)
        for one in gone:
            del self.resources[one]
            self.unstable.pop(one, None)
        self.log = [entry for entry in self.log if entry.id not in gone]
        if self.modern:
            for above in self._upwards(ancestor):
                above.metadata["LastUpdate"] = stamp(now)
        return ancestor

    def _strictly_below(self, resource: Resource, level: str) -> Iterable[Resource]:
        return self.below(resource, level) if LEVELS.index(level) > LEVELS.index(resource.level) else ()

    def _upwards(self, resource: Resource | None) -> Iterator[Resource]:
        while resource is not None:
            yield resource
            resource = self.resources.get(resource.parent)

    def _touch(self, resource: Resource, now: float) -> None:
        resource.metadata["LastUpdate"] = stamp(now)
        self.unstable.pop(resource.id, None)
        self.unstable[resource.id] = now

    def _main(self, level: str, tags: Tags) -> Tags:
        wanted = {**MAIN_TAGS[level], **(MORE_MAIN_TAGS[level] if self.modern else {})}
        kept = {keyword: tags[tag] for tag, keyword in wanted.items() if _kept(tags.get(tag))}
        return {
            keyword: [simplified(item) for item in value] if isinstance(value, list) else value
            for keyword, value in kept.items()
        }


def _kept(value: Any) -> bool:
    return value is not None and not (isinstance(value, str) and is_too_long(value))
