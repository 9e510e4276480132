"""One pass over a whole study (RULES A7): what is read, in which order, and when it does not count.

No call reads a study as a whole, and instances come and go between the calls: the pass frames its reads with the
study's own header and counts at the end, and whatever does not fit is a `TornRead`, never a smaller study.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial

from syncd.archive.reading.agreement import read_series
from syncd.archive.reading.chosen import is_document
from syncd.archive.reading.doubt import mend_texts, whole_tags
from syncd.archive.reading.neighbours import serves_others
from syncd.archive.reading.reader import Reader, Unreadable
from syncd.archive.rest.routes import Routes
from syncd.errors import TornRead
from syncd.model.ids import OrthancId
from syncd.model.study.raw import RawInstance, RawStudy, StudyHeader, Tags


class Uncounted(Exception):
    """The archive no longer counts instances in a study's header: another version answers now."""


def study_pass(routes: Routes, orthanc_id: OrthancId, *, counts: bool, unreadable: Unreadable) -> RawStudy:
    """The whole study, read once. `counts`: headers count instances and a find gives more than ids (1.12.5 and later).
    `unreadable` is what is known of the archive's instances that cannot be read (RULES B11).

    Raises `StudyGone`, `TornRead` and `Uncounted`."""
    before, expected = _header(routes, orthanc_id, counts=counts)
    found = _found_instances(routes, orthanc_id, expected=expected) if counts else routes.bulk_instances(orthanc_id)
    raw = read_content(routes, before, found, counts=counts, unreadable=unreadable)
    counted = None if counts else routes.statistics(orthanc_id)
    after, number = _header(routes, orthanc_id, counts=counts)
    if len(raw.instances) != (number if counts else counted):
        raise TornRead(f"study {orthanc_id}: the number of instances changed while it was read")
    if (after.last_update, after.series_ids) != (before.last_update, before.series_ids):
        raise TornRead(f"study {orthanc_id}: it changed while it was read")
    return replace(raw, header=after)


def read_content(
    routes: Routes, header: StudyHeader, found: Iterable[RawInstance], *, counts: bool, unreadable: Unreadable
) -> RawStudy:
    """The study that the header and the instances found are of, by calls of its own: nobody has counted yet whether they
    are all. Raises `StudyGone` and `TornRead`."""
    instances = tuple(sorted(found, key=lambda each: each.orthanc_id))
    if not instances or {each.series_id for each in instances} != set(header.series_ids):
        raise TornRead(f"study {header.orthanc_id}: its series and its instances do not fit")
    reader = reader_of(
        routes, header.orthanc_id, counts=lambda: counts, unreadable=unreadable, last_update=header.last_update
    )
    main_tags = cache(lambda: {each.orthanc_id: each.tags for each in routes.series(header.orthanc_id)})
    series = tuple(
        read_series(each, routes=routes, members=members, reader=reader, main_tags=main_tags, finds=counts)
        for each, members in _by_series(header.series_ids, instances).items()
    )
    return RawStudy(
        header=header,
        series=series,
        instances=instances,
        documents=_documents(instances, reader),
        read_started_at=header.last_update,
        unread=reader.unread,
    )


def _by_series(
    series_ids: Sequence[OrthancId], instances: Sequence[RawInstance]
) -> Mapping[OrthancId, Sequence[RawInstance]]:
    members: dict[OrthancId, list[RawInstance]] = {each: [] for each in series_ids}
    for instance in instances:
        members[instance.series_id].append(instance)
    return members


def _documents(instances: Sequence[RawInstance], reader: Reader) -> dict[str, Tags]:
    """The whole content of those instances that are documents, as far as they can be read."""
    read = [(each.orthanc_id, reader.tags(each)) for each in instances if is_document(each.sop_class_uid)]
    return {orthanc_id: tags for orthanc_id, tags in read if orthanc_id not in reader.unread}


def reader_of(
    routes: Routes, orthanc_id: OrthancId, *, counts: Callable[[], bool], unreadable: Unreadable, last_update: str
) -> Reader:
    """What reads the study's chosen instances in full, and judges those that cannot be read by its neighbours."""
    return Reader(
        routes,
        read=lambda instance_id: mend_texts(routes, instance_id, whole_tags(routes, instance_id)),
        mend=partial(mend_texts, routes),
        last_update=last_update,
        known=unreadable,
        still_there=lambda: routes.header(orthanc_id),
        others_are_served=lambda: serves_others(routes, but={orthanc_id}, counts=counts()),
    )


def _header(routes: Routes, orthanc_id: OrthancId, *, counts: bool) -> tuple[StudyHeader, int | None]:
    header, number = routes.header(orthanc_id, counted=counts)
    if counts and number is None:
        raise Uncounted
    return header, number


def _found_instances(routes: Routes, orthanc_id: OrthancId, *, expected: int | None) -> Sequence[RawInstance]:
    """All instances of a study by pages: a find is silently cut by the site's limits, so one asks on from where the
    last page ended, until as many as were counted are here or a page is empty."""
    found: dict[OrthancId, RawInstance] = {}
    asked_from = 0
    while len(found) < (expected or 0):
        page = routes.find_instances(orthanc_id, since=asked_from)
        if not page:
            break
        found.update((each.orthanc_id, each) for each in page)
        asked_from += len(page)
    return tuple(found.values())
