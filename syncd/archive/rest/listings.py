"""The routes of Orthanc that tell of the whole archive, or of many studies at once, one method each."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from syncd.archive.rest import answers
from syncd.archive.rest.answers import Malformed
from syncd.archive.rest.calls import Calls
from syncd.errors import SyncdError
from syncd.model.change import ChangePage
from syncd.model.ids import OrthancId
from syncd.model.study.raw import StudyListing

STUDIES_PAGE = 1000
"""Studies per page of the listing: 0.6 MB, 30 to 50 ms on both versions."""


class NoPlugin(SyncdError):
    """Orthanc has no plugin of that name."""


class Listings:
    """One Orthanc as a whole. An answer of another shape is `Unsuitable`: this is not Orthanc."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def system(self) -> Mapping[str, Any]:
        """`GET /system`, with `Version` and `ApiVersion`."""
        return self._calls.ask(lambda http: http.get("/system"), _system, what="GET /system")

    def now(self) -> float:
        """`GET /tools/now`: the archive's clock (UTC, in whole seconds), in seconds since the epoch."""
        said = b"".join(self._calls.stream("/tools/now", what="GET /tools/now"))
        try:
            moment = datetime.strptime(said.decode("ascii").strip() + "+0000", "%Y%m%dT%H%M%S%z")
        except ValueError as error:
            raise self._calls.not_orthanc("GET /tools/now") from error
        return moment.timestamp()

    def dicomweb_root(self) -> str:
        """`GET /plugins/dicom-web`: the path of its service; raises `NoPlugin`."""
        return self._calls.ask(
            lambda http: http.get("/plugins/dicom-web"),
            lambda value: answers.dicomweb_root(answers.an_object(value)),
            what="GET /plugins/dicom-web",
            absent=NoPlugin(),
        )

    def changes(self, since: int, *, limit: int) -> ChangePage:
        """`GET /changes`. A page that leads nowhere but is not the last would be asked for ever: refused."""

        def read(value: Any) -> ChangePage:
            page = answers.change_page(value)
            if not page.done and page.last <= since:
                raise Malformed
            return page

        params = {"since": since, "limit": limit}
        return self._calls.ask(lambda http: http.get("/changes", params=params), read, what="GET /changes")

    def bulk_studies(self, ids: Sequence[str], *, but: Container[str] = ()) -> list[StudyListing]:
        """`POST /tools/bulk-content`: the studies of these resources of any level, `but` those that are known already;
        unknown resources are left out."""
        answered = self._calls.bulk(ids, level="Study", metadata=False, read=lambda each: each)
        try:
            return [answers.study_listing(each) for each in answered if str(each.get("ID")) not in but]
        except Malformed as error:
            raise self._calls.not_orthanc("POST /tools/bulk-content") from error

    def lookup(self, study_uid: str) -> tuple[OrthancId, ...]:
        """`POST /tools/lookup`: the studies with this StudyInstanceUID."""
        return self._calls.ask(
            lambda http: http.post("/tools/lookup", content=study_uid.encode()),
            lambda value: answers.looked_up_studies(answers.objects(value)),
            what="POST /tools/lookup",
        )

    def listing(self) -> Iterator[bytes]:
        """`GET /studies`: the body as it arrives."""
        return self._calls.stream("/studies", what="GET /studies")

    def studies_page(self, since: int) -> list[StudyListing]:
        """`GET /studies?expand`: a page of details."""
        params = {"expand": "", "short": "", "since": since, "limit": STUDIES_PAGE}
        return self._calls.ask(
            lambda http: http.get("/studies", params=params),
            lambda value: [answers.study_listing(each) for each in answers.objects(value)],
            what="GET /studies?expand",
        )

    def total_instances(self) -> int:
        """`GET /statistics`: the number of instances in the whole archive."""
        return self._calls.ask(lambda http: http.get("/statistics"), answers.counted_instances, what="GET /statistics")

    def find_counts(self, study_uids: Sequence[str], *, since: int) -> list[tuple[OrthancId, int | None]]:
        """`POST /tools/find`: a page of how many instances these studies have, all if none is named (1.12.5 and later)."""
        asked = {
            "Query": {"StudyInstanceUID": "\\".join(study_uids)} if study_uids else {},
            "ResponseContent": ["RequestedTags"],
            "RequestedTags": ["NumberOfStudyRelatedInstances"],
        }
        return self._calls.find("Study", asked, since=since, limit=STUDIES_PAGE, read=answers.count_entry)

    def bulk_counts(self, ids: Sequence[OrthancId]) -> dict[OrthancId, int]:
        """`POST /tools/bulk-content`: how many instances these studies have, from their series (quick on 1.10)."""
        counted: dict[OrthancId, int] = {}
        for study, number in self._calls.bulk(ids, level="Series", metadata=False, read=answers.counted_series):
            counted[study] = counted.get(study, 0) + number
        return counted

    def not_orthanc(self, what: str) -> SyncdError:
        """The error for an answer that Orthanc would not give."""
        return self._calls.not_orthanc(what)

    def close(self) -> None:
        self._calls.close()


def _system(value: Any) -> Mapping[str, Any]:
    system = answers.an_object(value)
    if not isinstance(system.get("Version"), str) or not isinstance(system.get("ApiVersion"), int):
        raise Malformed
    return system
