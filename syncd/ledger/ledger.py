"""`Ledger`: the room's only door; every method is one transaction or one short read.

Any thread may call any method. What writes waits until it has reached the disk; what reads sees the last commit. The
owner does everything, once per ledger and for life; a guest beside a live daemon reads, and writes marks only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Select

from syncd.errors import LedgerRefused, LedgerUnavailable
from syncd.ledger.db import schema
from syncd.ledger.db.backend import Backend, Hold, backend_of
from syncd.ledger.db.errors import translate_errors
from syncd.ledger.db.rows import to_row
from syncd.ledger.db.transactions import Owner, Transactions
from syncd.ledger.db.writer import Writer
from syncd.ledger.inventories import archives, feed
from syncd.ledger.inventories.archive_inventory import Sweep
from syncd.ledger.inventories.fhir_inventory import Verification
from syncd.ledger.inventories.rounds import Rounds, of_subject
from syncd.ledger.owner import clock_steps, overview, progress, takeover
from syncd.ledger.studies import claims as work
from syncd.ledger.studies import corrections, marks, outcomes, parking, records, rejections, retractions
from syncd.ledger.studies.claims import Claim, HandedOut
from syncd.ledger.studies.owed_provenance import Trail
from syncd.ledger.studies.references import References, select_mismatched
from syncd.ledger.studies.rendering import Rendering
from syncd.ledger.studies.safety import SafetyNotes
from syncd.ledger.studies.standing import find_standing
from syncd.ledger.studies.unselected import SelectionLedger
from syncd.model.audit import Standing
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.inventories import Finding
from syncd.model.study.rejection import Rejection
from syncd.model.words import ArchiveState, Cause, Priority
from syncd.model.work import (
    Brake,
    Companion,
    Copy,
    Counts,
    DirtyRow,
    FailingStudy,
    FeedPosition,
    Heartbeat,
    HistoryLine,
    Intent,
    Mark,
    MarkKind,
    Outcome,
    ParkedStudy,
    PlannedRetraction,
    StudyRecord,
    Target,
)

__all__ = ["Claim", "Ledger"]

MARKED_AT_ONCE = 1000
"""Studies marked per transaction where all are marked: others get their turn in between."""

NOWHERE = ArchiveName("")
"""The archive of a mark that no archive gave rise to."""

T = TypeVar("T")


class Ledger:
    """Raises `LedgerUnavailable` while the disk does not take writes; works again as soon as it does."""

    def __init__(
        self, backend: Backend, *, hold: Hold | None, clock: Callable[[], float], max_pages: int | None = None
    ) -> None:
        """Not for callers: `open` and `open_guest` make sure that there is a ledger to open."""
        self._clock = clock
        self._hold = hold
        self._owner = Owner()
        self._passed = work.Passed()
        self._handed_out = HandedOut()
        self._readers = backend.create_reading_engine()
        self._engine = backend.create_writing_engine(max_pages=max_pages)
        with translate_errors():
            self._writer = Writer(self._engine, guard=takeover.guard(self._owner.epoch))
        transactions = Transactions(readers=self._readers, writer=self._writer, owner=self._owner, clock=clock)
        self._transactions = transactions
        self._read, self._write, self._own = transactions.read, transactions.write, transactions.own
        self.sweep = Sweep(transactions)
        """An archive's listing, compared (RULES A8)."""
        self.verification = Verification(transactions)
        """The FHIR server's listing, compared."""
        self.selection = SelectionLedger(transactions)
        """What the site does not select, and the first import."""
        self.safety = SafetyNotes(transactions)
        """What is in doubt of published studies."""
        self.rendering = Rendering(transactions)
        """Which mapping and settings rendered what is published."""
        self.trail = Trail(transactions)
        """The Provenance that is owed."""
        self.rounds = Rounds(transactions)
        """What is asked of the FHIR server again and again, in turn."""
        self.references = References(transactions)
        """What published studies refer to."""

    @classmethod
    def open(cls, url: str, *, clock: Callable[[], float] = time.time, max_pages: int | None = None) -> Ledger:
        """As the owner, creating the ledger or bringing its schema up to date.

        `max_pages` limits the file's size, in SQLite's pages of 4 KiB. Raises `LedgerRefused` saying what to do: held by
        another process, newer, damaged, not a ledger, on a network file system, in a folder that cannot be written,
        behind a proxy that pools transactions.
        """
        backend = backend_of(url)
        hold = backend.take()
        try:
            backend.make_ready()
            ledger = cls(backend, hold=hold, clock=clock, max_pages=max_pages)
        except BaseException:
            hold.release()
            raise
        try:
            ledger._owner.begin(ledger._write(lambda tx: takeover.take_over(tx, now=clock())))
            backend.finish_open()
        except BaseException:
            ledger.close()
            raise
        return ledger

    @classmethod
    def open_guest(cls, url: str, *, clock: Callable[[], float] = time.time) -> Ledger:
        """Beside an owner, or without one: reads and marks. Raises `LedgerRefused` when there is no ledger of ours."""
        backend = backend_of(url)
        if not backend.exists():
            raise LedgerRefused(backend.missing)
        backend.require_ready()
        return cls(backend, hold=None, clock=clock)

    @staticmethod
    def exists(url: str) -> bool:
        """Whether there is a ledger, whatever its state."""
        return backend_of(url).exists()

    @staticmethod
    def owner_alive(url: str) -> int | None:
        """The process that owns the ledger now; 0 when it cannot be named, `None` when nobody does."""
        return backend_of(url).owner()

    def require_ownership(self) -> None:
        """Asked immediately before every FHIR write (RULES E4). Raises `LedgerRefused` when this process is not the owner
        or another one has become it, `LedgerUnavailable` while that cannot be known. On SQLite it costs nothing."""
        epoch = self._owner.require()
        if self._transactions.is_closed or self._hold is None:
            raise LedgerUnavailable("the ledger is closed")
        self._hold.require(epoch)

    def close(self) -> None:
        """Finish what is queued and let go of the ledger; claims become void with the next owner."""
        self._transactions.close()
        self._writer.close()
        self._engine.dispose()
        self._readers.dispose()
        if self._hold is not None:
            self._hold.release()
            self._hold = None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The feed (RULES A1–A3)

    def feed_position(self, archive: ArchiveName) -> FeedPosition | None:
        """`None` before the first bootstrap."""
        return self._read(lambda connection: feed.position(connection, archive))

    def begin_bootstrap(self, archive: ArchiveName, *, cursor: int, high_water: int) -> None:
        """(Re)start the feed at `cursor`; commit this before listing the archive."""
        now = self._clock()
        self._own(lambda tx: feed.begin_bootstrap(tx, archive, cursor=cursor, high_water=high_water, now=now))

    def finish_bootstrap(self, archive: ArchiveName) -> None:
        self._own(lambda tx: feed.finish_bootstrap(tx, archive))

    def set_archive_state(self, archive: ArchiveName, state: ArchiveState, reason: str) -> None:
        self._own(lambda tx: feed.set_state(tx, archive, state, reason=reason))

    def want_sweep(self, archive: ArchiveName) -> None:
        self._own(lambda tx: feed.set_sweep(tx, archive, wanted=True))

    def sweep_done(self, archive: ArchiveName) -> None:
        self._own(lambda tx: feed.set_sweep(tx, archive, wanted=False))

    def commit_intake(
        self, position: FeedPosition, *, marks: Sequence[Mark], copies: Sequence[Copy], settle_after: float
    ) -> int:
        """Marks, copies, cursor and overlap in one transaction (RULES A2); returns how many studies were marked.

        `position.state` and `reason` only count for an archive without position: later the inventory and the operator
        move them, by `finish_bootstrap` and `set_archive_state`. A wanted sweep stays wanted until `sweep_done`.
        """
        now = self._clock()
        return self._own(lambda tx: feed.take(tx, position, marks=marks, copies=copies, settle_after=settle_after, now=now))

    def follow_clock(self, by: float) -> None:
        """The wall clock was set forward by `by` seconds (back: negative): times that we keep move along (RULES E5)."""
        now = self._clock()
        self._own(lambda tx: clock_steps.follow(tx, by=by, now=now))

    # Marks: the only thing that a guest may write

    def mark(self, many: Sequence[Mark], *, copies: Sequence[Copy] = (), settle_after: float) -> int:
        """Merge marks into the dirty set; returns how many studies they name."""
        now = self._clock()
        return self._write(lambda tx: marks.mark(tx, many, copies=copies, settle_after=settle_after, now=now))

    def mark_all(self, *, kind: MarkKind, priority: int, read_fhir: bool) -> int:
        """Mark every study with a record, in slices of a transaction each; returns how many.

        A crash in between leaves some unmarked: the caller forgets the cause only after this has returned.
        """
        return self._mark_each(records.every_uid(schema.records), kind=kind, priority=priority, read_fhir=read_fhir)

    def mark_outdated(self, fingerprint: str) -> int:
        """Mark, at backfill priority, what was published under another fingerprint (RULES B3) and is not dirty already:
        that will be rendered anew anyway. So a restart in the middle of a long backfill marks nothing twice."""
        wanted = records.select_outdated(fingerprint)
        return self._mark_each(wanted, kind=MarkKind.RERENDER, priority=Priority.BACKFILL, read_fhir=False)

    def mark_subject(self, subject: str, *, but: str = "") -> int:
        """Mark, reading FHIR, the studies published under this subject, without the study `but` (RULES B4)."""
        wanted = of_subject(subject, but=but)
        return self._mark_each(wanted, kind=MarkKind.VERIFY, priority=Priority.REPAIR, read_fhir=True)

    def mark_mismatched(self, reference: str) -> int:
        """Mark the studies parked because they are another person's than this Patient: it says something else now (B10)."""
        return self._mark_each(select_mismatched(reference), kind=MarkKind.VERIFY, priority=Priority.REPAIR, read_fhir=False)

    def count_outdated(self, fingerprint: str) -> int:
        """How many records were published under another fingerprint."""
        return self._read(lambda connection: records.count_outdated(connection, fingerprint))

    def forget_target_state(self) -> int:
        """The FHIR server was reset or exchanged (RULES C6, E3): every record and every parked study is looked at again,
        reading FHIR; companions and refusals are forgotten. Returns how many studies were marked."""
        self._own(records.forget_companions)
        return sum(
            self._mark_each(wanted, kind=MarkKind.VERIFY, priority=Priority.REPAIR, read_fhir=True)
            for wanted in (records.every_uid(schema.records), records.select_parked_only())
        )

    # Work

    def claim(
        self,
        limit: int,
        *,
        now: float,
        within: Collection[ArchiveName] | None = None,
        most_backfill: int | None = None,
        stubborn: int | None = None,
    ) -> list[Claim]:
        """Up to `limit` studies that are due, most urgent first, each handed out once until `commit` or `release`; not
        more than `most_backfill` of them old ones.

        `within`: the archives that can be read; a study with a copy in any other one stays as it is (RULES C8). With
        `stubborn`, at most so many more of those that failed often, and none of them among the others (RULES C6)."""
        epoch, passed = self._owner.require(), self._passed
        return self._handed_out.run_claim(
            self._own,
            epoch=epoch,
            change=lambda tx: work.claim(
                tx,
                limit=limit,
                now=now,
                epoch=epoch,
                within=within,
                passed=passed,
                most_backfill=most_backfill,
                stubborn=stubborn,
            ),
        )

    def claim_study(self, study_uid: str) -> Claim | None:
        """This study's pending work whether due or not; `None` if nothing is pending or it is claimed."""
        epoch = self._owner.require()
        claims = self._handed_out.run_claim(
            self._own, epoch=epoch, change=lambda tx: work.claim_study(tx, study_uid, epoch=epoch)
        )
        return claims[0] if claims else None

    def release(self, *study_uids: str) -> None:
        """Hand claims back without an outcome (shutdown); the rows stay as they were."""
        self._own(lambda tx: work.release(tx, study_uids, epoch=self._owner.require()))
        self._handed_out.forget(study_uids)

    def next_due(self) -> float | None:
        """When the earliest unclaimed study is due (may lie in the past); `None` when nothing is pending."""
        return self._read(lambda connection: work.next_due(connection, epoch=self._owner.epoch()))

    def save_intent(self, intent: Intent) -> None:
        self._own(lambda tx: work.save_intent(tx, intent))

    def commit(self, outcome: Outcome) -> bool:
        """Everything of the outcome in one transaction; returns whether the study is still dirty.

        If a newer mark came meanwhile (another generation, RULES E1) the row stays, due as that mark says but not before
        `outcome.not_before`, and keeps its wish to read FHIR.
        """
        now = self._clock()
        dirty = self._own(lambda tx: outcomes.commit(tx, outcome, now=now))
        self._handed_out.forget([outcome.study_uid])
        return dirty

    # What is known of studies

    def record(self, study_uid: str) -> StudyRecord | None:
        return self._read(lambda connection: records.find(connection, StudyRecord, schema.records, study_uid))

    def intent(self, study_uid: str) -> Intent | None:
        return self._read(lambda connection: records.find(connection, Intent, schema.intents, study_uid))

    def parked(self, study_uid: str) -> ParkedStudy | None:
        return self._read(lambda connection: records.find(connection, ParkedStudy, schema.parked, study_uid))

    def fought_over(self, study_uid: str) -> frozenset[str]:
        """Elements of the study that were corrected so often lately that they are not corrected again (RULES C4)."""
        now = self._clock()
        return self._read(lambda connection: corrections.find_fought_over(connection, study_uid, now=now))

    def dirty_row(self, study_uid: str) -> DirtyRow | None:
        return self._read(lambda connection: records.find(connection, DirtyRow, schema.dirty, study_uid))

    def standing(self, study_uids: Sequence[str]) -> dict[str, Standing]:
        """All that is known of each of these studies, for people and for comparisons."""
        return self._read(lambda connection: find_standing(connection, study_uids))

    def copies(self, study_uid: str) -> tuple[Copy, ...]:
        return self._read(lambda connection: records.copies_of(connection, [study_uid])).get(study_uid, ())

    def history(self, study_uid: str) -> list[HistoryLine]:
        """The study's last decisions, latest first."""
        return self._read(lambda connection: overview.history_of(connection, study_uid))

    def study_of(self, archive: ArchiveName, orthanc_ids: Iterable[OrthancId]) -> dict[OrthancId, str]:
        """The StudyInstanceUIDs of those Orthanc studies that are known."""
        return self._read(lambda connection: records.study_of(connection, archive, orthanc_ids))

    def seen_copies(self, archive: ArchiveName, orthanc_ids: Iterable[OrthancId]) -> dict[OrthancId, tuple[str, str]]:
        """Of each known copy: LastUpdate at its last read, and the published status of its study (empty: none)."""
        return self._read(lambda connection: records.seen_copies(connection, archive, orthanc_ids))

    def sample_copies(self, archive: ArchiveName, size: int) -> list[Copy]:
        """Up to `size` copies of published studies, spread over the ledger (RULES A4)."""
        return self._read(lambda connection: records.sample_copies(connection, archive, size))

    def raw_tuples(self, archive: ArchiveName, study_uids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """`StudyRecord.raw` of those studies that are published and have a copy in `archive` (RULES A8)."""
        return self._read(lambda connection: records.raw_tuples(connection, archive, study_uids))

    def is_dirty(self, study_uids: Iterable[str]) -> set[str]:
        """Those of `study_uids` that have pending marks."""
        return self._read(lambda connection: records.dirty_among(connection, study_uids))

    def records(self, after: str = "", limit: int = 500) -> list[StudyRecord]:
        """A page in the order of UIDs; the next one begins after its last UID."""
        return self._read(lambda connection: records.page(connection, StudyRecord, schema.records, after=after, limit=limit))

    def parked_list(self, after: str = "", limit: int = 500) -> list[ParkedStudy]:
        return self._read(lambda connection: records.page(connection, ParkedStudy, schema.parked, after=after, limit=limit))

    def failing(self, limit: int = 100) -> list[FailingStudy]:
        """Pending studies whose last try failed, with its reason, those that failed most first (RULES C6)."""
        return self._read(lambda connection: overview.find_failing(connection, limit=limit))

    def dirty_rows(self, after: str = "", limit: int = 500) -> list[DirtyRow]:
        return self._read(lambda connection: records.page(connection, DirtyRow, schema.dirty, after=after, limit=limit))

    # Rejection notes (RULES B7)

    def rejections(self, study_uid: str) -> tuple[Rejection, ...]:
        """What the study's own notes say, what names it, and what names a note that names it."""
        return self._read(lambda connection: rejections.find_concerning(connection, study_uid))

    def keep_rejections(self, source_uid: str, told: Sequence[Rejection]) -> int:
        """Make what is kept of `source_uid`'s notes exactly `told`, and mark the other studies concerned by a change, in
        one transaction; returns how many were marked."""
        now = self._clock()
        return self._own(lambda tx: rejections.keep(tx, source_uid, told, now=now))

    # Taking back (RULES D3)

    def brake(self, archive: ArchiveName) -> Brake:
        """How many of the archive's studies are shown, were taken back in the last day, and wait for the operator."""
        now = self._clock()
        return self._read(lambda connection: retractions.brake(connection, archive, now=now))

    def claim_retraction(self, study_uid: str, *, archive: ArchiveName, cause: Cause) -> bool:
        """Whether the study may be taken back now: then it is paid for, once, whatever kills us. Else it is planned."""
        now = self._clock()
        return self._own(lambda tx: retractions.claim(tx, study_uid, archive=archive, cause=cause, now=now))

    def may_retract(self, study_uid: str, *, archive: ArchiveName) -> bool:
        """What `claim_retraction` would answer."""
        now = self._clock()
        return self._read(lambda connection: retractions.may_claim(connection, study_uid, archive=archive, now=now))

    def plan_retractions(self, study_uids: Sequence[str], *, archive: ArchiveName, cause: Cause) -> int:
        """Close the brake: these wait for the operator; returns how many do anew."""
        now = self._clock()
        return self._own(lambda tx: retractions.plan(tx, study_uids, archive=archive, cause=cause, now=now))

    def plan(self, archive: ArchiveName) -> tuple[tuple[str, ...], str]:
        """The studies that wait at the closed brake, and the hash to accept them by; empty when it is open."""
        return self._read(lambda connection: retractions.show_plan(connection, archive))

    def planned(self, archive: ArchiveName, after: str = "", limit: int = 500) -> list[PlannedRetraction]:
        """A page of what was planned, accepted or not, in the order of UIDs."""
        return self._read(lambda connection: retractions.find_plan_page(connection, archive, after=after, limit=limit))

    def accept_plan(self, archive: ArchiveName, accepted: str) -> int:
        """Open the brake for exactly the plan of that hash, and mark its studies; returns how many, or -1 if the plan is
        another one by now. A second process may ask for it too."""
        now = self._clock()
        return self._write(lambda tx: retractions.accept(tx, archive, accepted, now=now))

    def mark_absent(self, archive: ArchiveName) -> int:
        """Mark what was published from `archive` and has no copy any more, in slices; returns how many. If that is more
        than may be taken back, all of it is planned first, and nothing goes without the operator's word (RULES D3)."""
        budget, absent = self.brake(archive), self._read(lambda connection: retractions.count_absent(connection, archive))
        at_once = not budget.planned and budget.spent + absent <= budget.limit
        now, marked, after = self._clock(), 0, ""
        while uids := self._read(records.slice_of(retractions.absent(archive), after=after, size=MARKED_AT_ONCE)):
            after = uids[-1]
            marked += self._own(partial(retractions.mark_gone, study_uids=uids, archive=archive, at_once=at_once, now=now))
        return marked

    # Companions, target, installation

    def companion(self, resource_type: str, resource_id: str) -> Companion | None:
        return self._read(lambda connection: records.companion(connection, resource_type, resource_id))

    def save_companion(self, companion: Companion) -> None:
        self._own(lambda tx: records.save_companion(tx, companion))

    def assigned_id(self, resource_type: str, own_id: str) -> str | None:
        """The id that a server which insists on its own gave to ours (RULES C1)."""
        return self._read(lambda connection: records.assigned_id(connection, resource_type, own_id))

    def own_id(self, resource_type: str, assigned_id: str) -> str | None:
        """Which of our ids the server's stands for."""
        return self._read(lambda connection: records.own_id(connection, resource_type, assigned_id))

    def keep_assigned(self, resource_type: str, own_id: str, assigned_id: str) -> None:
        self._own(lambda tx: records.keep_assigned(tx, resource_type, own_id, assigned_id))

    def target(self) -> Target | None:
        value = self._read(lambda connection: records.fact(connection, "target"))
        return None if value is None else Target(**value)

    def save_target(self, target: Target) -> None:
        self._own(lambda tx: records.save_fact(tx, "target", to_row(target)))

    def installation(self) -> str | None:
        """The INSTALLATION_ID that this ledger published under; comparing it with the settings is the caller's part."""
        return self._read(lambda connection: records.text_fact(connection, "installation"))

    def save_installation(self, installation_id: str) -> None:
        self._own(lambda tx: records.save_fact(tx, "installation", installation_id))

    # The overview

    def counts(self, now: float) -> Counts:
        return self._read(lambda connection: overview.counts(connection, now=now))

    def beat(self, heartbeat: Heartbeat) -> None:
        self._own(lambda tx: overview.beat(tx, heartbeat))

    def heartbeat(self) -> Heartbeat | None:
        return self._read(overview.heartbeat)

    def last_history(self, limit: int) -> list[HistoryLine]:
        """The latest decisions of all studies, latest first."""
        return self._read(lambda connection: overview.last_history(connection, limit))

    def findings(self, after: str = "", limit: int = 500) -> list[Finding]:
        """What the last FHIR inventory found that should not be there, in the order of resource ids."""
        return self.verification.findings(after, limit)

    # One-shot commands

    def newest_generation(self) -> int:
        """The newest generation given to a mark; what is marked later has a higher one (RULES E1)."""
        return self._read(progress.newest_generation)

    def unsettled(self, generation: int, *, now: float, within: Collection[ArchiveName] | None = None) -> int:
        """How many studies marked up to `generation` are due and not dealt with; `within` as for `claim`."""
        return self._read(
            lambda connection: progress.count_unsettled(connection, generation=generation, now=now, within=within)
        )

    def backing_off(self, *, most_attempts: int, within: Collection[ArchiveName] | None = None) -> int:
        """How many studies failed at most `most_attempts` times and will be tried again; `within` as for `claim`."""
        return self._read(
            lambda connection: progress.count_backing_off(connection, most_attempts=most_attempts, within=within)
        )

    def accept_archive(self, archive: ArchiveName) -> int:
        """Forget the archive's copies and list it anew; -1 if it is not known. A second process may ask for it too."""
        return self._write(lambda tx: progress.accept_archive(tx, archive))

    def allow_retry(self, study_uid: str) -> None:
        """Let a parked study be sent once more although nothing changed; a second process may ask for it too."""
        self._write(lambda tx: parking.allow_retry(tx, study_uid))

    def drop(self, study_uid: str) -> bool:
        """Neither send nor tell of a parked study until its digest changes (RULES E2); a second process may ask for it
        too. Returns whether it was parked."""
        return self._write(lambda tx: parking.drop(tx, study_uid))

    # Several archives (RULES C8)

    def archives(self) -> frozenset[ArchiveName]:
        """Every archive that was ever followed, or holds a known copy."""
        return self._read(archives.every_archive)

    def forget_archive(self, archive: ArchiveName) -> int:
        """Drop the archive's copies and mark their studies, in slices; returns how many copies there were. A second
        process may ask for it. What is interrupted is gone on with by asking again."""
        now = self._clock()
        self._write(lambda tx: archives.begin_forgetting(tx, archive))
        dropped = 0
        while size := self._write(lambda tx: archives.forget_slice(tx, archive, size=MARKED_AT_ONCE, now=now)):
            dropped += size
        self._write(lambda tx: archives.forget_feed(tx, archive))
        return dropped

    def forgotten_archives(self) -> tuple[ArchiveName, ...]:
        """Those whose Endpoints must still be switched off."""
        return self._read(archives.archives_to_switch_off)

    def switched_off(self, archive: ArchiveName) -> None:
        """The Endpoints of a forgotten archive are off, or wanted again."""
        self._own(lambda tx: archives.drop_from_forgotten(tx, archive))

    def dicomweb_roots(self) -> Mapping[str, str]:
        """Where each archive last said that its DICOMweb is."""
        return self._read(archives.roots)

    def save_dicomweb_roots(self, roots: Mapping[str, str]) -> None:
        self._own(lambda tx: records.save_fact(tx, archives.ROOTS, dict(roots)))

    def _mark_each(self, wanted: Select[Any], *, kind: MarkKind, priority: int, read_fhir: bool) -> int:
        marked, after = 0, ""
        while uids := self._read(records.slice_of(wanted, after=after, size=MARKED_AT_ONCE)):
            after = uids[-1]
            dates = self._read(partial(records.study_dates, study_uids=uids))
            many = [
                Mark(
                    study_uid=uid,
                    kind=kind,
                    archive=NOWHERE,
                    priority=priority,
                    read_fhir=read_fhir,
                    study_date=dates.get(uid, ""),
                )
                for uid in uids
            ]
            marked += self.mark(many, settle_after=0.0)
        return marked
