"""Passes over many small studies at once (RULES A7): the calls that tell of any number of studies are shared.

Each study is still framed by its own header and count, before and after whatever is read of it. What does not fit, is
still arriving, is large, or is answered oddly is left out and read by itself, where its trouble is judged; so is
everything where a shared call has no answer, for one study may have spoilt it for all. Forty studies of three images
cost 45 calls instead of 200.

The versions differ in what is cheap (40 studies of 30 images; an index of 20,000): 1.10.1 answers series in bulk in 12 ms
and instances in 180; 1.12.7 needs 230 and 2,000 for them, and finds counts in 7 and instances in 210, by a list of
StudyInstanceUIDs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from syncd.archive.reading.reader import Unreadable
from syncd.archive.reading.study_pass import read_content
from syncd.archive.rest.routes import Routes
from syncd.archive.rest.shared import SharedRoutes
from syncd.errors import StudyGone, TornRead, Transient, Unreachable
from syncd.http.failures import Busy, ReplyTooLarge
from syncd.model.ids import OrthancId, is_orthanc_id, is_uid
from syncd.model.study.raw import RawInstance, RawStudy, StudyHeader

AT_ONCE = 40
"""Studies that share calls; 1.12.7 takes up to 100 UIDs in a find before it slows down."""

MOST_INSTANCES = 100
"""Of a study that counts as small: of what a larger one costs, the shared calls are a small part."""

MOST_TOGETHER = 2000
"""Instances of all of them: 1.6 MB of answer, 0.3 s of either version."""

MOST_SERIES = 20
"""Of a small study: each costs calls of its own, and the frame of all the others is open meanwhile."""

MOST_TROUBLED = 2
"""Studies in a row whose own calls fail before the trouble is the archive's."""

Answer = TypeVar("Answer")


class _Unanswered(Exception):
    """A shared call has no answer; the studies' own calls tell why."""


def shared_pass(
    routes: Routes, shared: SharedRoutes, orthanc_ids: Sequence[OrthancId], *, counts: bool, unreadable: Unreadable
) -> dict[OrthancId, RawStudy]:
    """Those of the first `AT_ONCE` studies that could be read together, each as `study_pass` reads it. `counts` and
    `unreadable` as there.

    Raises `Unreachable` and `Busy`, and `Transient` where studies in a row fail."""
    asked = [each for each in dict.fromkeys(orthanc_ids[:AT_ONCE]) if is_orthanc_id(each)]
    try:
        headers = _headers(shared, asked)
        before = [headers[each] for each in asked if each in headers and _may_share(headers[each], counts=counts)]
        expected = _counts(shared, before, finds=counts)
        small = {each.orthanc_id: each for each in _small(before, expected)}
        number = sum(expected[each] for each in small)
        found = _ask(lambda: shared.instances(tuple(small.values()), finds=counts, expected=number)) if small else []
        members = _by_study(found, small)
        read = dict(_read_each(routes, small, members, counts=counts, unreadable=unreadable))
        counted = _counts(shared, [each.header for each in read.values()], finds=counts)
        after = _headers(shared, tuple(read))
    except _Unanswered:
        return {}
    return {
        each: raw for each, raw in read.items() if (counted.get(each), after.get(each)) == (len(raw.instances), raw.header)
    }


def _may_share(header: StudyHeader, *, counts: bool) -> bool:
    """Whether it is at rest and may be small; where counts go by UID, what is none cannot be asked for."""
    named = is_uid(header.study_uid) or not counts
    return header.is_stable and named and 0 < len(header.series_ids) <= MOST_SERIES


def _small(headers: Sequence[StudyHeader], expected: Mapping[OrthancId, int]) -> Iterator[StudyHeader]:
    """Those that are small, until together they are not."""
    together = 0
    for header in headers:
        number = expected.get(header.orthanc_id, 0)
        if 0 < number <= MOST_INSTANCES and together + number <= MOST_TOGETHER:
            together += number
            yield header


def _by_study(
    found: Sequence[RawInstance], headers: Mapping[OrthancId, StudyHeader]
) -> Mapping[OrthancId, Sequence[RawInstance]]:
    """The instances of each study. One of a series that no header names is nobody's here: the last count of its study, or
    its header, tells."""
    study_of = {series: each for each, header in headers.items() for series in header.series_ids}
    members: dict[OrthancId, list[RawInstance]] = {each: [] for each in headers}
    for instance in found:
        if instance.series_id in study_of:
            members[study_of[instance.series_id]].append(instance)
    return members


def _read_each(
    routes: Routes,
    headers: Mapping[OrthancId, StudyHeader],
    members: Mapping[OrthancId, Sequence[RawInstance]],
    *,
    counts: bool,
    unreadable: Unreadable,
) -> Iterator[tuple[OrthancId, RawStudy]]:
    """Each study by its own calls; one that tears or fails is left out, unless its neighbour fails as well."""
    troubled = 0
    for each, header in headers.items():
        try:
            raw = read_content(routes, header, members[each], counts=counts, unreadable=unreadable)
        except (StudyGone, TornRead):
            continue
        except Transient as error:
            troubled += 1
            if _is_of_all(error) or troubled >= MOST_TROUBLED:
                raise
        else:
            troubled = 0
            yield each, raw


def _headers(shared: SharedRoutes, orthanc_ids: Sequence[OrthancId]) -> Mapping[OrthancId, StudyHeader]:
    return _ask(lambda: shared.headers(orthanc_ids)) if orthanc_ids else {}


def _counts(shared: SharedRoutes, headers: Sequence[StudyHeader], *, finds: bool) -> Mapping[OrthancId, int]:
    return _ask(lambda: shared.counts(headers, finds=finds)) if headers else {}


def _ask(ask: Callable[[], Answer]) -> Answer:
    try:
        return ask()
    except Transient as error:
        if _is_of_all(error):
            raise
        raise _Unanswered from error


def _is_of_all(error: Transient) -> bool:
    """Whether it would meet every call, whatever is asked for."""
    return isinstance(error, Unreachable | Busy) and not isinstance(error, ReplyTooLarge)
