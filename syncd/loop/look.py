"""Looking at the archive for one study: which copies there are, whether they are still arriving, and the whole of them.

The difficulty is that reading takes several requests while the archive goes on living: a copy may vanish (a 404 proves
nothing, RULES D1), be replaced under another Orthanc id, or change under the read (RULES A7). What cannot be read
consistently is unknown, and unknown is never published.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from syncd.archive.interface import Archive
from syncd.errors import StudyError, StudyGone, TornRead
from syncd.loop.rooms import Rooms
from syncd.loop.steps import Step, reached
from syncd.loop.task import Task
from syncd.mapping.identity import patient_key
from syncd.model.ids import OrthancId
from syncd.model.snapshot import StudySnapshot
from syncd.model.study import RawStudy, StudyHeader
from syncd.model.words import ParkedReason
from syncd.model.work import Copy
from syncd.snapshot.build import build
from syncd.snapshot.union import union

RESOLUTION = 2.0
"""Seconds: the second that LastUpdate names, and one for the clocks of two machines (RULES A8)."""

READS = 3
"""Passes before a study that keeps changing counts as unknown and waits (RULES A7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The copies that answer now, as they were before anything else of them was read, and those proven gone (D1).

    `at` is when they were asked, in seconds since the epoch."""

    headers: tuple[StudyHeader, ...]
    gone: tuple[Copy, ...]
    at: float

    @property
    def is_stable(self) -> bool:
        return all(header.is_stable for header in self.headers)

    @property
    def copies(self) -> tuple[Copy, ...]:
        """The copies with the LastUpdate that was read *before* the snapshot; one within 2 s of the read counts as
        unknown, for Orthanc's has a resolution of a second (RULES A8)."""
        return tuple(
            Copy(
                archive=header.archive,
                orthanc_id=header.orthanc_id,
                study_uid=header.study_uid,
                last_update=header.last_update if _is_past(header.last_update, at=self.at) else "",
            )
            for header in self.headers
        )


def look(task: Task) -> Look:
    """`GET /studies/{id}` of each known copy; where one answers 404, the archive is asked by StudyInstanceUID."""
    archive, at = task.rooms.archive, task.rooms.clock()
    known = {copy.orthanc_id: copy for copy in task.claim.copies}
    headers, missing = [], []
    for orthanc_id, copy in known.items():
        try:
            headers.append(archive.study(orthanc_id))
        except StudyGone:
            missing.append(copy)
    if missing or not known:
        present = archive.lookup(task.study_uid)
        missing = [copy for copy in missing if copy.orthanc_id not in present]
        headers += [_named(orthanc_id, archive=archive) for orthanc_id in present if orthanc_id not in known]
    if not headers:
        archive.info()  # absence counts only from an archive that answers in the same pass (RULES D1)
    reached(Step.HEADER_READ)
    return Look(headers=tuple(headers), gone=tuple(missing), at=at)


def light(task: Task, header: StudyHeader) -> RawStudy:
    """Enough of one copy to say `registered` (RULES A6)."""
    try:
        raw = task.rooms.archive.read_registered(header.orthanc_id)
    except StudyGone as error:
        raise TornRead("the study vanished while it was read") from error
    reached(Step.SNAPSHOT_READ)
    return raw


def whole(task: Task, headers: tuple[StudyHeader, ...]) -> tuple[StudySnapshot, tuple[RawStudy, ...]]:
    """One snapshot of all copies, each read consistently.

    Raises `TornRead` after `READS` passes, and `StudyError(patient-conflict)` when copies name different patients.
    """
    rooms = task.rooms
    raws = tuple(_consistent(header, rooms=rooms) for header in headers)
    reached(Step.SNAPSHOT_READ)
    snapshots = tuple(build(raw) for raw in raws)
    if len({patient_key(one, policy=rooms.policy).resource_id for one in snapshots}) > 1:
        raise StudyError(ParkedReason.PATIENT_CONFLICT, f"{len(snapshots)} copies of the study name different patients")
    if len(snapshots) == 1:
        return snapshots[0], raws
    return union(snapshots, order=(rooms.archive_name,)), raws


def only_key_objects(raw: RawStudy) -> bool:
    """Whether nothing but key object series is there yet: no reason to announce a study (RULES A6)."""
    return all(series.tags.get("0008,0060") == "KO" for series in raw.series)


def _named(orthanc_id: OrthancId, *, archive: Archive) -> StudyHeader:
    try:
        return archive.study(orthanc_id)
    except StudyGone as error:
        raise TornRead("a copy vanished after the archive had named it") from error


def _consistent(header: StudyHeader, *, rooms: Rooms) -> RawStudy:
    for attempt in range(READS):
        try:
            return rooms.archive.read_study(header.orthanc_id)
        except TornRead:
            if attempt == READS - 1:
                raise
        except StudyGone as error:
            raise TornRead("the study vanished while it was read") from error
    raise TornRead


def _is_past(last_update: str, *, at: float) -> bool:
    """Whether nothing more can happen in the second that Orthanc's LastUpdate (UTC, `YYYYMMDDTHHMMSS`) names."""
    try:
        moment = datetime.strptime(last_update, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return False
    return at - moment.timestamp() > RESOLUTION
