"""Orthanc 1.10 to 1.12 as an `Archive`: the cheap calls of each version, put together to consistent answers.

The versions differ in what is cheap: 1.12 counts within the header and finds 2,000 instances in 0.1 s, but takes 0.5 to
7 s for the bulk answer; 1.10 can do neither, and is quick in bulk.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from syncd.archive.inventory import ids_in, list_studies, unpack_id
from syncd.archive.reading.chosen import KEY_OBJECT, MODALITY, SOP_CLASS_UID
from syncd.archive.reading.neighbours import serves_others
from syncd.archive.reading.reader import Unreadable
from syncd.archive.reading.shared_pass import shared_pass
from syncd.archive.reading.study_pass import Uncounted, reader_of, study_pass
from syncd.archive.rest.answers import Malformed, SeriesEntry
from syncd.archive.rest.calls import MAX_REPLY, Calls
from syncd.archive.rest.connection import ArchiveConnection
from syncd.archive.rest.listings import Listings, NoPlugin
from syncd.archive.rest.routes import Routes
from syncd.archive.rest.shared import SharedRoutes
from syncd.errors import StudyError, TornRead, Transient, Unsuitable
from syncd.http.failures import ReplyTooLarge
from syncd.http.messages import Transport
from syncd.model.change import ChangePage
from syncd.model.ids import OrthancId, is_orthanc_id, is_uid
from syncd.model.study.raw import ArchiveInfo, RawInstance, RawSeries, RawStudy, StudyHeader, StudyListing
from syncd.model.words import ParkedReason

BEHIND_THE_END = 2**53 - 1
"""A `since` above every change number. Both versions take up to 2^63 - 1; one more wraps round and answers from the
first change on. This one is also exact for whatever reads numbers as doubles on the way."""

BULK = 1000
"""Resources per bulk call: 10 ms for 1,000 instances of a few studies; a request of 47 KB."""

ARRIVING = ""
"""In place of the LastUpdate of a study that still receives images, and whose first ones stay what they are."""

COUNTED_AT_ONCE = 100
"""Studies per find by a list of UIDs (1.12): 35 ms; 500 take 0.5 s."""


class OrthancArchive:
    """One Orthanc. Safe to be used by several threads. `on_call` is told how each HTTP call ended (`archive.rest.calls`);
    `texts` are `Routes.texts`."""

    def __init__(
        self,
        connection: ArchiveConnection,
        *,
        transport: Transport | None = None,
        on_call: Callable[[str], None] | None = None,
        max_reply: int = MAX_REPLY,
        texts: Collection[str] = (),
    ) -> None:
        calls = Calls(connection, transport=transport, on_call=on_call, max_reply=max_reply)
        self._name = connection.name
        self._listings = Listings(calls)
        self._routes = Routes(calls, archive=connection.name, texts=texts)
        self._shared = SharedRoutes(calls, archive=connection.name)
        self._unreadable = Unreadable()
        self._extended_find: bool | None = None

    def info(self) -> ArchiveInfo:
        """Version, capabilities and DICOMweb root (empty without the plugin), asked anew: two calls."""
        system = self._listings.system()
        self._extended_find = _capabilities(system).get("HasExtendedFind") is True
        try:
            root = self._listings.dicomweb_root()
        except NoPlugin:
            root = ""
        return ArchiveInfo(
            name=self._name,
            version=system["Version"],
            api_version=system["ApiVersion"],
            dicomweb_root=root,
            storage_capabilities=_capabilities(system),
            has_labels=system.get("HasLabels") is True,
        )

    def clock(self) -> float:
        """The archive's clock, in seconds since the epoch; a whole second, cut off."""
        return self._listings.now()

    def high_water_mark(self) -> int:
        """The highest change number ever assigned: `Last` of the empty page behind the end (docs/orthanc.md)."""
        return self._listings.changes(BEHIND_THE_END, limit=1).last

    def changes(self, since: int, *, limit: int) -> ChangePage:
        """At most `limit` changes with a number above `since`."""
        return self._listings.changes(since, limit=limit)

    def studies_of(self, resource_ids: Collection[str]) -> tuple[StudyListing, ...]:
        """The studies to which these resources belong, each once, by id; 1,000 per call, unknown ids left out."""
        ids = sorted(each for each in set(resource_ids) if is_orthanc_id(each))
        found: dict[OrthancId, StudyListing] = {}
        for at in range(0, len(ids), BULK):
            # The images of one study are spread over all calls, for the ids are hashes.
            found.update((one.orthanc_id, one) for one in self._listings.bulk_studies(ids[at : at + BULK], but=found))
        return tuple(found[each] for each in sorted(found))

    def study(self, orthanc_id: OrthancId) -> StudyHeader:
        """The study's header, one call; raises `StudyGone`."""
        return self._routes.header(orthanc_id)[0]

    def read_registered(self, orthanc_id: OrthancId) -> RawStudy:
        """Header, series, and one instance from its full tags (RULES A6): three calls.

        The instance is of a series that holds no key objects, where there is one: the first by id.
        """
        header = self.study(orthanc_id)
        entries = sorted(self._routes.series(orthanc_id), key=_key_objects_last)
        if not entries or not all(each.instance_ids for each in entries):
            raise TornRead(f"study {orthanc_id}: no series, or one without instances")
        reader = reader_of(
            self._routes, orthanc_id, counts=self._header_counts, unreadable=self._unreadable, last_update=ARRIVING
        )
        firsts = [
            RawInstance(orthanc_id=each.instance_ids[0], series_id=each.orthanc_id, sop_class_uid="", tags={})
            for each in entries
        ]
        chosen, tags = reader.first_of(firsts)
        read = (
            RawSeries(
                orthanc_id=each.orthanc_id,
                tags=each.tags,
                representative=tags if each.orthanc_id == chosen.series_id else {},
            )
            for each in entries
        )
        return RawStudy(
            header=header,
            series=tuple(read),
            instances=(replace(chosen, sop_class_uid=str(tags.get(SOP_CLASS_UID) or ""), tags=tags),),
            read_started_at=header.last_update,
            unread=reader.unread,
        )

    def read_study(self, orthanc_id: OrthancId) -> RawStudy:
        """One pass of RULES A7. Calls: header, instances, (count,) header, up to three for a series, more pages for one of
        thousands, one for a document, one for a text in doubt (RULES B9, B11); an instance that is several of these is read
        once."""
        try:
            return study_pass(self._routes, orthanc_id, counts=self._header_counts(), unreadable=self._unreadable)
        except Uncounted as error:
            self._extended_find = None  # another version answers now: it is asked again what it can
            raise TornRead(f"study {orthanc_id}: the archive no longer counts its instances") from error
        except ReplyTooLarge as error:
            raise StudyError(ParkedReason.TOO_LARGE, "the archive's answer about it exceeds syncd's limit") from error

    def read_studies(self, orthanc_ids: Sequence[OrthancId]) -> Mapping[OrthancId, RawStudy]:
        """As `read_study` of those that can be read together. Calls: headers, counts, instances, counts, headers, and what
        each study needs between them."""
        counts = self._header_counts()
        try:
            return shared_pass(self._routes, self._shared, orthanc_ids, counts=counts, unreadable=self._unreadable)
        except Unsuitable:
            self._extended_find = None  # another version may answer now
            raise

    def serves_others(self, but: Collection[OrthancId]) -> bool | None:
        """Whether the instances of another study, and a file of it, can be read; None if there is no other (RULES C6)."""
        try:
            return serves_others(self._routes, but=but, counts=self._header_counts())
        except Transient:
            return False

    def lookup(self, study_uid: str) -> tuple[OrthancId, ...]:
        """The Orthanc studies that hold this StudyInstanceUID (RULES D1)."""
        return self._listings.lookup(study_uid)

    def calling_aet(self, instance_id: OrthancId) -> str:
        """Who sent the instance, one call; empty where the archive does not say."""
        return self._routes.calling_aet(instance_id)

    def inventory(self) -> Iterator[StudyListing]:
        """Every study (RULES A8): one call for the ids, then one per 1,000."""
        try:
            ids = set(ids_in(self._listings.listing()))
        except Malformed as error:
            raise self._listings.not_orthanc("GET /studies") from error
        yield from list_studies(ids, page=self._listings.studies_page, by_name=self._listings.bulk_studies)

    def study_ids(self) -> Iterator[OrthancId]:
        """Every study's id, one call (RULES A8)."""
        try:
            yield from map(unpack_id, ids_in(self._listings.listing()))
        except Malformed as error:
            raise self._listings.not_orthanc("GET /studies") from error

    def studies_page(self, since: int) -> Sequence[StudyListing]:
        """A page of details, one call per 1,000."""
        return self._listings.studies_page(since)

    def total_instances(self) -> int:
        """One call, under 1 ms."""
        return self._listings.total_instances()

    def instance_counts(self, studies: Mapping[OrthancId, str]) -> dict[OrthancId, int]:
        """Per 1,000 studies 0.35 s by find on 1.12, 0.06 s by their series on 1.10; the other way round it takes seconds."""
        if not self._header_counts():
            ids = sorted(studies)
            chunks = (ids[at : at + BULK] for at in range(0, len(ids), BULK))
            return {study: number for chunk in chunks for study, number in self._listings.bulk_counts(chunk).items()}
        uids = sorted({uid for uid in studies.values() if is_uid(uid)})
        found: dict[OrthancId, int] = {}
        for at in range(0, len(uids), COUNTED_AT_ONCE):
            found.update(self._found_counts(uids[at : at + COUNTED_AT_ONCE]))
        return {study: number for study, number in found.items() if study in studies}

    def counts_page(self, since: int) -> Sequence[tuple[OrthancId, int]] | None:
        """On 1.12 the counts of all studies cost 0.03 to 0.06 s per 1,000: less than by a list of UIDs."""
        if not self._header_counts():
            return None
        return [(study, number or 0) for study, number in self._listings.find_counts((), since=since)]

    def close(self) -> None:
        """Close the connections."""
        self._listings.close()

    def _found_counts(self, uids: Sequence[str]) -> dict[OrthancId, int]:
        """By pages, until one tells nothing new: the site's LimitFindResults cuts them silently."""
        found: dict[OrthancId, int] = {}
        since, before = 0, -1
        while len(found) > before:
            before = len(found)
            page = self._listings.find_counts(uids, since=since)
            since += len(page)
            found.update((study, number) for study, number in page if number is not None)
        return found

    def _header_counts(self) -> bool:
        """Whether headers count instances and a find gives more than ids (1.12.5 and later, by the index's plugin)."""
        if self._extended_find is None:
            self._extended_find = _capabilities(self._listings.system()).get("HasExtendedFind") is True
        return self._extended_find


def _key_objects_last(entry: SeriesEntry) -> tuple[bool, str]:
    return entry.tags.get(MODALITY) == KEY_OBJECT, entry.orthanc_id


def _capabilities(system: Mapping[str, Any]) -> Mapping[str, Any]:
    found = system.get("Capabilities")
    return found if isinstance(found, dict) else {}
