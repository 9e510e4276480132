"""Looking at the archive for one study: which copies there are, whether they are still arriving, and the whole of them.

Reading takes several requests while the archive goes on living: a copy may vanish (a 404 proves nothing, RULES D1), be
replaced under another Orthanc id, or change under the read (RULES A7). What cannot be read consistently is unknown, and
unknown is never published.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from syncd.archive.interface import Archive
from syncd.errors import CopyAway, StudyError, StudyGone, TornRead, Transient
from syncd.loop.context import Context
from syncd.loop.steps import Step, report_step
from syncd.loop.study.rejections import remember_of_copies
from syncd.loop.study.task import Task
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.values.identity import patient_authority, patient_key
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.snapshot import IssuedId, StudySnapshot
from syncd.model.study.raw import RawStudy, StudyHeader
from syncd.model.words import ParkedReason
from syncd.model.work import Copy
from syncd.snapshot.build import build
from syncd.snapshot.people.one_person import agree_on_patient, contradicting_series
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
        unknown, for Orthanc's has a resolution of a second (RULES A8). The digest is of content, and always known."""
        return tuple(
            Copy(
                archive=header.archive,
                orthanc_id=header.orthanc_id,
                study_uid=header.study_uid,
                last_update=header.last_update if is_past(header.last_update, at=self.at) else "",
                labels=header.labels,
                tags_digest=header.tags_digest,
            )
            for header in self.headers
        )


def look(task: Task) -> Look:
    """`GET /studies/{id}` of each known copy; where one answers 404, its archive is asked by StudyInstanceUID, and where
    none is left, every archive is: the study may have moved. Before the first publication every archive that can be asked
    is, too: the one whose inventory comes last may hold most of it."""
    at = task.shared.at if task.shared else task.context.clock()
    known, headers, missing = task.claim.copies, [], []
    for copy in known:
        try:
            headers.append(_header(task, copy))
        except StudyGone:
            missing.append(copy)
    lost = {copy.archive for copy in missing}
    asked: dict[ArchiveName, tuple[OrthancId, ...]] = {}
    for name in sorted(task.context.archives, key=lambda name: name not in lost):
        if name in lost or not headers:
            asked[name] = _look_up(task, name)
            headers += _read_unknown(task, name, asked[name])
    headers += _further(task, asked=asked.keys() | {copy.archive for copy in known})
    gone = tuple(copy for copy in missing if copy.orthanc_id not in asked[copy.archive])
    if not headers:
        for source in task.context.archives.values():
            source.archive.info()  # absence counts only from an archive that answers in the same pass (RULES D1)
    report_step(Step.HEADER_READ)
    return Look(headers=tuple(headers), gone=gone, at=at)


def light(task: Task, header: StudyHeader) -> RawStudy:
    """Enough of one copy to say `registered` (RULES A6)."""
    try:
        raw = task.context.archives[header.archive].archive.read_registered(header.orthanc_id)
    except StudyGone as error:
        raise TornRead("the study vanished while it was read") from error
    report_step(Step.SNAPSHOT_READ)
    return raw


def whole(task: Task, headers: tuple[StudyHeader, ...]) -> tuple[StudySnapshot, tuple[RawStudy, ...]]:
    """One snapshot of all copies, each read consistently.

    Raises `TornRead` after `READS` passes, `StudyError` (server-error) for a copy among several of which no file can be
    read, and what `require_one_patient` raises.
    """
    context = task.context
    raws = tuple(_find_shared(task, header) or _consistent(header, context=context) for header in headers)
    report_step(Step.SNAPSHOT_READ)
    snapshots = tuple(build(raw, reading=context.policy.reading) for raw in raws)
    try:
        _require_known(raws)
        require_one_patient(snapshots, policy=context.policy)
    except StudyError:
        remember_of_copies(task, snapshots)
        raise
    if len(snapshots) == 1:
        return snapshots[0], raws
    return union(snapshots, order=tuple(context.archives)), raws


def _require_known(copies: Sequence[RawStudy]) -> None:
    """Of a copy of which no file can be read nobody knows whose it is: it is never joined with others (RULES B11, C8)."""
    for raw in copies:
        if raw.is_blind and len(copies) > 1:
            raise StudyError(ParkedReason.SERVER_ERROR, f"archive {raw.header.archive} can read no file of its copy")


def require_one_patient(copies: Sequence[StudySnapshot], *, policy: MappingPolicy) -> None:
    """Raise `StudyError` (patient-conflict) where copies name different patients, or where nobody can tell: without a
    system, equal numbers of two archives are two patients' (RULES C8)."""
    keys = [patient_key(one, policy=policy) for one in copies]
    if len({key.resource_id for key in keys}) > 1:
        raise StudyError(ParkedReason.PATIENT_CONFLICT, f"{len(copies)} copies of the study name different patients")
    if len({one.archive for one in copies}) > 1 and not keys[0].system:
        raise StudyError(
            ParkedReason.PATIENT_CONFLICT, "copies in several archives, and no identifier system tells who their patient is"
        )


def require_one_person(snapshot: StudySnapshot, *, policy: MappingPolicy) -> StudySnapshot:
    """The study with what all of it says of its patient (RULES B9). Raises `StudyError` (patient-mismatch) where it holds
    two people's images (RULES B10)."""

    def system_of(issued: IssuedId, archive: ArchiveName) -> str:
        return patient_authority(issued, archive=policy.of(archive)).system

    two = contradicting_series(snapshot)
    if two:
        of_what = "each other" if len(two) > 1 else "each other, or what is shown of the study"
        detail = f"birth date and sex of series {' and '.join(two)} contradict {of_what}: two people's images in one study"
        raise StudyError(ParkedReason.PATIENT_MISMATCH, detail)
    return agree_on_patient(snapshot, system_of=system_of)


def foremost(task: Task, headers: tuple[StudyHeader, ...]) -> tuple[StudyHeader, ...]:
    """The copies in the order in which they speak for the study: most series, then as the archives are configured."""
    order = list(task.context.archives)
    return tuple(sorted(headers, key=lambda one: (-len(one.series_ids), order.index(one.archive), one.orthanc_id)))


def only_key_objects(raw: RawStudy) -> bool:
    """Whether nothing but key object series is there yet: no reason to announce a study (RULES A6)."""
    return all(series.tags.get("0008,0060") == "KO" for series in raw.series)


def _header(task: Task, copy: Copy) -> StudyHeader:
    shared = _find_shared(task, copy)
    return shared.header if shared is not None else _holder(task, copy).study(copy.orthanc_id)


def _find_shared(task: Task, copy: Copy | StudyHeader) -> RawStudy | None:
    """The copy as a call for many studies read it."""
    return task.shared.raws.get((copy.archive, copy.orthanc_id)) if task.shared is not None else None


def _holder(task: Task, copy: Copy) -> Archive:
    """The archive of a known copy. Raises `Transient` for one that must not be asked now: then nobody's attempt counts."""
    source = task.context.archives.get(copy.archive)
    if source is None:
        raise CopyAway(f"a copy lies in archive {copy.archive}, which the settings do not name")
    if copy.archive in task.away:
        raise Transient(f"archive {copy.archive} holds a copy and cannot be asked now", server=copy.archive)
    return source.archive


def _look_up(task: Task, name: ArchiveName) -> tuple[OrthancId, ...]:
    """What the archive holds of the study. Where it is not known to hold any, an outage of it is none of the study's."""
    unknown = all(copy.archive != name for copy in task.claim.copies)
    if name in task.away:
        raise CopyAway(f"archive {name} cannot be asked now whether it holds the study")
    try:
        return task.context.archives[name].archive.lookup(task.study_uid)
    except Transient as error:
        if unknown and len(task.context.archives) > 1:
            raise CopyAway(f"archive {name} cannot be asked whether it holds the study") from error
        raise


def _read_unknown(task: Task, name: ArchiveName, named: Collection[OrthancId]) -> list[StudyHeader]:
    held = {copy.orthanc_id for copy in task.claim.copies if copy.archive == name}
    archive = task.context.archives[name].archive
    return [_read_header(one, archive=archive) for one in named if one not in held]


def _further(task: Task, *, asked: Collection[ArchiveName]) -> list[StudyHeader]:
    """Copies of a study that was never published, in archives of which nobody said that they hold any."""
    found: list[StudyHeader] = []
    if task.record is not None or task.claim.intent is not None:
        return found
    for name, source in task.context.archives.items():
        if name not in asked and name not in task.away:
            with suppress(Transient):  # what it holds will be told by its feed or its inventory
                found += [_read_header(one, archive=source.archive) for one in source.archive.lookup(task.study_uid)]
    return found


def _read_header(orthanc_id: OrthancId, *, archive: Archive) -> StudyHeader:
    try:
        return archive.study(orthanc_id)
    except StudyGone as error:
        raise TornRead("a copy vanished after the archive had named it") from error


def _consistent(header: StudyHeader, *, context: Context) -> RawStudy:
    for attempt in range(READS):
        try:
            return context.archives[header.archive].archive.read_study(header.orthanc_id)
        except TornRead:
            if attempt == READS - 1:
                raise
        except StudyGone as error:
            raise TornRead("the study vanished while it was read") from error
    raise TornRead


def is_past(last_update: str, *, at: float) -> bool:
    """Whether nothing more can happen in the second that Orthanc's LastUpdate (UTC, `YYYYMMDDTHHMMSS`) names."""
    try:
        moment = datetime.strptime(last_update, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return False
    return at - moment.timestamp() > RESOLUTION
