"""The first half of the sentence: what the change feed says becomes marks, in the same transaction as the cursor.

An entry is only a hint that a study may have changed. The feed does not say everything: numbers may become visible
late, deletions take their entries along, and a wiped or exchanged index starts again from below. `syncd.feed` judges
all that; this module reads, resolves and commits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from syncd.archive.interface import Archive
from syncd.feed.follow import OVERLAP, PAGE_LIMIT, Done, Read, Regressed, absorb, is_done, next_read
from syncd.feed.interest import to_marks, wanted_ids
from syncd.ledger.ledger import Ledger
from syncd.loop.archives import first_import
from syncd.loop.same_archive import is_same
from syncd.loop.steps import Step, report_step
from syncd.model.ids import ArchiveName
from syncd.model.words import ArchiveState
from syncd.model.work import Copy, FeedPosition, Mark

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """How one poll ended: studies marked, the feed's highest number, and where we stand (None: not begun yet)."""

    marked: int
    high_water: int
    position: FeedPosition | None


class Intake:
    """Follows one archive's feed. One poll at a time; the position is the ledger's."""

    def __init__(
        self, archive: Archive, ledger: Ledger, *, name: ArchiveName, settle_after: float, clock: Callable[[], float]
    ) -> None:
        self._archive = archive
        self._ledger = ledger
        self._name = name
        self._settle_after = settle_after
        self._clock = clock
        self._one = threading.Lock()

    def poll(self) -> Polled:
        """Read what is new and mark it. Raises `Transient` when the archive does not answer; nothing is lost then."""
        with self._one:
            return self._poll()

    def _poll(self) -> Polled:
        standing = self._ledger.feed.standing(self._name)
        high_water = self._archive.high_water_mark()
        report_step(Step.HIGH_WATER_READ)
        if standing is None or self._rests(standing, high_water):
            return Polled(marked=0, high_water=high_water, position=standing)
        position = self._ledger.feed.position(self._name) or standing
        marked = 0
        step = next_read(position, high_water=high_water, now=self._clock())
        while isinstance(step, Read):
            page = self._archive.changes(step.since, limit=PAGE_LIMIT)
            report_step(Step.PAGE_READ)
            taken = absorb(position, page, high_water=high_water, now=self._clock())
            if taken.contradicted:
                step = Regressed()
                break
            if taken.unreadable:
                log.warning("feed_entries_unreadable", archive=self._name, entries=taken.unreadable)
            fresh = first_import.events(self._ledger, taken.fresh, name=self._name)
            studies = self._archive.studies_of(wanted_ids(fresh)) if fresh else ()
            report_step(Step.STUDIES_RESOLVED)
            marks = to_marks(fresh, archive=self._name, studies=studies)
            copies = _copies(marks)
            if taken.position != position or marks:
                marked += self._ledger.feed.commit_intake(
                    taken.position, before=position, marks=marks, copies=copies, settle_after=self._settle_after
                )
                report_step(Step.INTAKE_COMMITTED)
            position = taken.position
            step = Read(since=taken.next) if taken.next is not None else Done()
        if isinstance(step, Regressed):
            self._suspect(position, high_water)
            position = self._ledger.feed.standing(self._name) or position
        return Polled(marked=marked, high_water=high_water, position=position)

    def _rests(self, standing: FeedPosition, high_water: int) -> bool:
        """Whether there is nothing to read: it is another archive, or its end was reached a while ago."""
        if standing.state is ArchiveState.PAUSED:
            return not is_same(self._archive, self._ledger, name=self._name)
        return is_done(standing, high_water=high_water, now=self._clock())

    def _suspect(self, position: FeedPosition, high_water: int) -> None:
        """The feed contradicts what we saw: the same archive, indexed anew, or another one (RULES A4)?"""
        if not is_same(self._archive, self._ledger, name=self._name):
            return
        log.warning("archive_indexed_anew", archive=self._name, cursor=position.cursor, high_water=high_water)
        first_import.restart_numbering(self._ledger, name=self._name, high_water=high_water)
        self._ledger.feed.begin_bootstrap(self._name, cursor=max(0, high_water - OVERLAP), high_water=high_water)
        self._ledger.feed.want_sweep(self._name)


def _copies(marks: Iterable[Mark]) -> tuple[Copy, ...]:
    """The copies that these marks tell of."""
    return tuple(
        Copy(archive=mark.archive, orthanc_id=mark.orthanc_id, study_uid=mark.study_uid)
        for mark in marks
        if mark.orthanc_id is not None
    )
