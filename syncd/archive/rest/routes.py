"""The routes of Orthanc that tell of one study, one method each, answered in the model's nouns.

Identifiers end up in URLs: each is checked before (RULES S2), so that no text that came from elsewhere can name another
route.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from syncd.archive.rest import answers
from syncd.archive.rest.calls import Calls
from syncd.errors import StudyGone, SyncdError, TornRead
from syncd.model.ids import ArchiveName, OrthancId, is_orthanc_id
from syncd.model.study.raw import RawInstance, StudyHeader, Tags

FIND_PAGE = 10_000
"""Instances per page of a find: 8 MB each. The site's LimitFindInstances may cut it lower."""

FOUND = {"ResponseContent": ["MainDicomTags", "Metadata", "Parent"]}
"""What a find of instances is asked to answer."""

_TAG = re.compile("[0-9a-f]{4},[0-9a-f]{4}")

_CONTENT = "GET /instances/{id}/content"

Noun = TypeVar("Noun")


class Routes:
    """A study, its series and instances, and its neighbours. An answer of another shape is `Unsuitable`: this is not
    Orthanc. `texts` are the attributes whose text is read, beyond those of a study's own (RULES B11): what the site's rules
    of selection compare."""

    def __init__(self, calls: Calls, *, archive: ArchiveName, texts: Collection[str] = ()) -> None:
        self._calls = calls
        self._archive = archive
        self.texts = frozenset(texts)

    def header(self, orthanc_id: OrthancId, *, counted: bool = False) -> tuple[StudyHeader, int | None]:
        """`GET /studies/{id}`, and the number of instances where it is asked for and known (1.12)."""
        _check(orthanc_id, absent=_no_study(orthanc_id))
        params = {"short": "", **({"requested-tags": "NumberOfStudyRelatedInstances"} if counted else {})}
        return self._calls.ask(
            lambda http: http.get(f"/studies/{orthanc_id}", params=params),
            lambda value: (answers.study_header(value, archive=self._archive), answers.number_of_instances(value)),
            what="GET /studies/{id}",
            absent=_no_study(orthanc_id),
        )

    def series(self, orthanc_id: OrthancId) -> list[answers.SeriesEntry]:
        """`GET /studies/{id}/series`."""
        _check(orthanc_id, absent=_no_study(orthanc_id))
        return self._calls.ask(
            lambda http: http.get(f"/studies/{orthanc_id}/series", params={"short": ""}),
            lambda value: [answers.series_entry(each) for each in answers.objects(value)],
            what="GET /studies/{id}/series",
            absent=_no_study(orthanc_id),
        )

    def statistics(self, orthanc_id: OrthancId) -> int:
        """`GET /studies/{id}/statistics`: the number of instances."""
        _check(orthanc_id, absent=_no_study(orthanc_id))
        return self._calls.ask(
            lambda http: http.get(f"/studies/{orthanc_id}/statistics"),
            answers.counted_instances,
            what="GET /studies/{id}/statistics",
            absent=_no_study(orthanc_id),
        )

    def tags(self, instance_id: OrthancId, *, whole: Sequence[str] = ()) -> Tags:
        """`GET /instances/{id}/tags`: all of them. An instance that is gone by now means that the study changed.

        Values above 256 bytes are null but for the attributes `whole`, on every level (RULES B11)."""
        torn = _no_instance(instance_id)
        _check(instance_id, absent=torn)
        return self._calls.ask(
            lambda http: http.get(f"/instances/{instance_id}/tags?short{_without_limit(tuple(whole))}"),
            answers.an_object,
            what="GET /instances/{id}/tags",
            absent=torn,
        )

    def shared_tags(self, series_id: OrthancId) -> Tags:
        """`GET /series/{id}/shared-tags`: the plain values that all instances of a series have in common. Neither version
        heeds `ignore-length` here: a text above 256 bytes is shared by none."""
        return self._of_series(series_id, "shared-tags", read=answers.an_object)

    def instances_tags(self, series_id: OrthancId, *, whole: Sequence[str] = ()) -> Mapping[OrthancId, Tags]:
        """`GET /series/{id}/instances-tags`: all tags of every instance of a series; `whole` as in `tags`."""

        def read(value: Any) -> dict[OrthancId, Tags]:
            return {answers.an_id(each): answers.an_object(tags) for each, tags in answers.an_object(value).items()}

        return self._of_series(series_id, "instances-tags", more=_without_limit(tuple(whole)), read=read)

    def find_values(self, series_id: OrthancId, wanted: Sequence[str], *, since: int, limit: int) -> dict[OrthancId, Tags]:
        """`POST /tools/find`: a page of these tags of a series' instances (1.12.5 and later); long names may be missing."""
        asked = {"ParentSeries": series_id, "ResponseContent": ["RequestedTags"], "RequestedTags": list(wanted)}
        return dict(self._calls.find("Instance", asked, since=since, limit=limit, read=answers.requested_tags))

    def content(self, instance_id: OrthancId, place: Sequence[str | int]) -> bytes:
        """`GET /instances/{id}/content/…`: a value as it stands in the file; `place` is its tag, or those of the sequences
        around it, each with the item's number, and its own."""
        return self._calls.content(_content(instance_id, place), what=_CONTENT, absent=_no_instance(instance_id))

    def names(self, instance_id: OrthancId, place: Sequence[str | int]) -> list[str]:
        """The same of what holds values: which tags (`gggg-eeee`) the instance (no `place`) or an item (a sequence and a
        number, last) has, or which items (`0`, `1`, …) a sequence."""
        path, lost = _content(instance_id, place), _no_instance(instance_id)
        return self._calls.ask(lambda http: http.get(path), answers.names, what=_CONTENT, absent=lost)

    def is_listed(self, instance_id: OrthancId) -> bool:
        """`GET /instances/{id}`: whether the index has it, whatever became of its file."""
        gone = TornRead(f"instance {instance_id} is gone")
        try:
            _check(instance_id, absent=gone)
            self._calls.content(f"/instances/{instance_id}", what="GET /instances/{id}", absent=gone)
        except TornRead:
            return False
        return True

    def some_study(self, since: int) -> OrthancId | None:
        """`GET /studies?since=&limit=1`: the study at this place of the listing, if there is one."""
        params = {"since": since, "limit": 1}
        found = self._calls.ask(lambda http: http.get("/studies", params=params), answers.ids, what="GET /studies")
        return next(iter(found), None)

    def total_studies(self) -> int:
        """`GET /statistics`: the number of studies in the whole archive."""
        return self._calls.ask(lambda http: http.get("/statistics"), answers.counted_studies, what="GET /statistics")

    def calling_aet(self, instance_id: OrthancId) -> str:
        """`GET /instances/{id}/metadata/RemoteAET`; empty where there is none, or the instance is gone."""
        untold = TornRead(f"instance {instance_id} has no sender")
        path, what = f"/instances/{instance_id}/metadata/RemoteAET", "GET /instances/{id}/metadata/RemoteAET"
        try:
            _check(instance_id, absent=untold)
            return self._calls.text(path, what=what, absent=untold).strip()
        except TornRead:
            return ""

    def bulk_instances(self, orthanc_id: OrthancId) -> list[RawInstance]:
        """`POST /tools/bulk-content`: every instance of a study, with its SOP class."""
        return self._calls.bulk([orthanc_id], level="Instance", metadata=True, read=answers.raw_instance)

    def find_instances(self, orthanc_id: OrthancId, *, since: int) -> list[RawInstance]:
        """`POST /tools/find`: a page of a study's instances (1.12.5 and later)."""
        asked = {"ParentStudy": orthanc_id, **FOUND}
        return self._calls.find("Instance", asked, since=since, limit=FIND_PAGE, read=answers.raw_instance)

    def _of_series(self, series_id: OrthancId, kind: str, *, more: str = "", read: Callable[[Any], Noun]) -> Noun:
        """A series that is gone by now means that the study changed."""
        torn = TornRead(f"series {series_id} is gone, or a file of it is")
        _check(series_id, absent=torn)
        return self._calls.ask(
            lambda http: http.get(f"/series/{series_id}/{kind}?short={more}"),
            read,
            what=f"GET /series/{{id}}/{kind}",
            absent=torn,
        )


@lru_cache(maxsize=256)
def _dash(tag: str) -> str:
    """`gggg-eeee`, as Orthanc wants tags in addresses."""
    if not _TAG.fullmatch(tag):
        raise ValueError
    return tag.replace(",", "-")


@lru_cache(maxsize=16)
def _without_limit(whole: tuple[str, ...]) -> str:
    """The attributes that are wanted however long they are, for the end of a query. It is sent as it is: Orthanc does not
    understand a list of tags whose commas are escaped (500, both versions)."""
    return "&ignore-length=" + ",".join(map(_dash, whole)) if whole else ""


def _no_instance(instance_id: OrthancId) -> TornRead:
    return TornRead(f"instance {instance_id} is gone, or its file is")


def _no_study(orthanc_id: OrthancId) -> StudyGone:
    return StudyGone(f"study {orthanc_id} is not in the archive")


def _check(orthanc_id: OrthancId, *, absent: SyncdError) -> None:
    """An id of another form cannot be in Orthanc; it is not sent."""
    if not is_orthanc_id(orthanc_id):
        raise absent


def _content(instance_id: OrthancId, place: Sequence[str | int]) -> str:
    """The route of a value or a sequence; that of an instance or an item ends in a slash."""
    _check(instance_id, absent=_no_instance(instance_id))
    steps = [_dash(step) if isinstance(step, str) else f"{step}/" for step in place]
    return f"/instances/{instance_id}/content/" + "/".join(steps).replace("//", "/")
