"""The routes of Orthanc that tell of several studies at once, in what each version is quick at.

An entry that cannot be read is left out: it spoils the study that it belongs to, for counts and series no longer fit, and
none of its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from syncd.archive.rest import answers
from syncd.archive.rest.answers import Malformed
from syncd.archive.rest.calls import Calls
from syncd.archive.rest.routes import FIND_PAGE, FOUND
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.study.raw import RawInstance, StudyHeader

Noun = TypeVar("Noun")

_COUNTED = {"ResponseContent": ["RequestedTags"], "RequestedTags": ["NumberOfStudyRelatedInstances"]}


class SharedRoutes:
    """Several studies of one archive. `finds`: a find gives more than ids (1.12.5 and later); it goes by StudyInstanceUIDs,
    so a study that shares its UID with another one brings that one's entries along."""

    def __init__(self, calls: Calls, *, archive: ArchiveName) -> None:
        self._calls = calls
        self._archive = archive

    def headers(self, orthanc_ids: Sequence[OrthancId]) -> dict[OrthancId, StudyHeader]:
        """`POST /tools/bulk-content`: as `GET /studies/{id}` of each; unknown ones are left out."""
        found = self._bulk(orthanc_ids, "Study", lambda each: answers.study_header(each, archive=self._archive))
        return {header.orthanc_id: header for header in found}

    def counts(self, headers: Sequence[StudyHeader], *, finds: bool) -> dict[OrthancId, int]:
        """How many instances each has: by find, or by all that its series list."""
        if finds:
            found = self._find("Study", headers, _COUNTED, answers.count_entry, expected=len(headers))
            return {study: number for study, number in found if number is not None}
        series = self._bulk([each.orthanc_id for each in headers], "Series", answers.counted_series)
        counted: dict[OrthancId, int] = {}
        for study, number in series:
            counted[study] = counted.get(study, 0) + number
        return counted

    def instances(self, headers: Sequence[StudyHeader], *, finds: bool, expected: int) -> list[RawInstance]:
        """All instances of these studies, with their SOP classes, in no order; `expected` is how many were counted."""
        if finds:
            return list(self._find("Instance", headers, FOUND, answers.raw_instance, expected=expected))
        ids = [each.orthanc_id for each in headers]
        return list(self._bulk(ids, "Instance", answers.raw_instance, metadata=True))

    def _bulk(
        self, ids: Sequence[str], level: str, read: Callable[[Mapping[str, Any]], Noun], *, metadata: bool = False
    ) -> Iterator[Noun]:
        return _readable(self._calls.bulk(ids, level=level, metadata=metadata, read=_unread), read)

    def _find(
        self,
        level: str,
        headers: Sequence[StudyHeader],
        asked: Mapping[str, Any],
        read: Callable[[Mapping[str, Any]], Noun],
        *,
        expected: int,
    ) -> Iterator[Noun]:
        """By pages, for the site's limits cut them silently, until as many as are expected are here or one is empty."""
        query = {"Query": {"StudyInstanceUID": "\\".join(sorted({each.study_uid for each in headers}))}, **asked}
        found: dict[Any, Mapping[str, Any]] = {}
        since = 0
        while len(found) < expected:
            page = self._calls.find(level, query, since=since, limit=FIND_PAGE, read=_unread)
            if not page:
                break
            since += len(page)
            found.update((str(each.get("ID")), each) for each in page)
        return _readable(found.values(), read)


def _readable(entries: Iterable[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], Noun]) -> Iterator[Noun]:
    for each in entries:
        with suppress(Malformed):
            yield read(each)


def _unread(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return entry
