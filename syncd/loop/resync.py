"""One shot: everything looked at again, by ourselves, or by the daemon that holds the ledger.

The exit code is the point: 0 says that every study of the archive's inventory is published as it is now. So a study that
is parked, still arriving or owed an answer is named, never rounded off.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from syncd.errors import ServerReset, SyncdError, Transient, Unreachable
from syncd.ledger.ledger import Claim, Ledger
from syncd.loop import inventory
from syncd.loop.clockwork import SENTINEL_INTERVAL
from syncd.loop.connect import Site, connect, connect_dry
from syncd.loop.gate import Gate
from syncd.loop.intake import Intake
from syncd.loop.reconcile import reconcile
from syncd.loop.rooms import Rooms
from syncd.loop.target import probe
from syncd.loop.task import Task
from syncd.loop.workers import Workers
from syncd.model.ids import OrthancId, is_orthanc_id
from syncd.model.study import StudyListing
from syncd.model.words import Decision, Priority
from syncd.model.work import Copy, DirtyRow, Heartbeat, MarkKind, Outcome

SILENCE = 30.0
"""Seconds without a heartbeat after which a watched daemon counts as dead."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What a resync did. `parked` and `waiting` name studies and reasons, `unknown` those that were asked for and that
    the archive does not list; `left` counts what is not dealt with."""

    listed: int = 0
    marked: int = 0
    decisions: Counter[str] = field(default_factory=Counter)
    parked: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    left: int = 0

    @property
    def in_sync(self) -> bool:
        return not (self.parked or self.waiting or self.unknown or self.left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which studies: StudyInstanceUIDs or Orthanc ids (all when empty), and a StudyDate `YYYYMMDD` to begin with."""

    studies: frozenset[str] = frozenset()
    since: str = ""

    def __call__(self, listing: StudyListing) -> bool:
        named = not self.studies or listing.study_uid in self.studies or listing.orthanc_id in self.studies
        return named and (not self.since or listing.study_date >= self.since)


Progress = Callable[[Report], None]


def resync(site: Site, ledger: Ledger, *, choice: Choice, accept_target: bool, progress: Progress) -> Report:
    """Look at everything chosen, holding the ledger. Raises what `connect` raises; `Unreachable` when a server goes
    away meanwhile: what was done is kept, the rest stays marked."""
    rooms = connect(site, ledger, accept_target=accept_target)
    report = Report()
    inventory.begin(rooms.archive, ledger, name=rooms.archive_name)
    _mark(rooms, report, choice=choice, progress=progress, owner=True)
    Intake(rooms.archive, ledger, name=rooms.archive_name, settle_after=rooms.settle_after, clock=rooms.clock).poll()

    def told(outcome: Outcome) -> None:
        report.decisions[outcome.decision] += 1
        _sort_in(report, outcome)
        progress(report)

    fhir = Gate(lambda: probe(rooms))
    archive = Gate(rooms.archive.info)
    workers = Workers(rooms, fhir=fhir, archive=archive, concurrency=site.concurrency, on_outcome=told)
    try:
        workers.run(until_idle=True)
    finally:
        workers.stop(grace=25.0)
    if not (fhir.is_open and archive.is_open):
        raise Unreachable(f"{fhir.reason or archive.reason} ({ledger.counts(time.time()).dirty} studies left)")
    named = report.parked.keys() | report.waiting.keys()
    report.left = sum(row.study_uid not in named for row in every(ledger.dirty_rows))
    return report


def watch(site: Site, ledger: Ledger, *, choice: Choice, progress: Progress) -> Report:
    """The same beside a live daemon: marks are written here, the daemon does the work, we watch it finish."""
    rooms = connect_dry(site, ledger)
    _await_sentinel(rooms)
    report = Report()
    _mark(rooms, report, choice=choice, progress=progress, owner=False)
    generation = ledger.newest_generation()
    while unsettled := ledger.unsettled(generation, now=time.time()):
        heartbeat = ledger.heartbeat()
        _raise_unless_working(heartbeat)
        report.left = unsettled
        progress(report)
        time.sleep(1.0)  # another process works: its ledger is the only thing to look at
    report.left = 0
    for entry in every(ledger.parked_list):
        report.parked[entry.study_uid] = entry.reason
    for row in every(ledger.dirty_rows):
        report.waiting[row.study_uid] = "pending"
    return report


def _await_sentinel(rooms: Rooms) -> None:
    """A server that lost everything is restored by the daemon, which looks for the sentinel twice a minute (RULES E3)."""
    deadline = time.monotonic() + 3 * SENTINEL_INTERVAL
    while True:
        try:
            return rooms.check_sentinel()
        except ServerReset as error:
            if time.monotonic() > deadline:
                raise Unreachable("The FHIR server lost what was published, and the daemon does not restore it") from error
            time.sleep(1.0)  # another process works: the server is the only thing to look at


def _raise_unless_working(heartbeat: Heartbeat | None) -> None:
    """Whether the daemon that we watch can get anywhere at all."""
    if heartbeat is None or time.time() - heartbeat.at > SILENCE:
        raise Unreachable("The daemon that holds the ledger does not answer any more; run resync again")
    states = [heartbeat.target, *heartbeat.archives.values()]
    reasons = [str(one.get("reason")) for one in states if one.get("reason")]
    if reasons:
        raise Unreachable(f"The running daemon waits: {reasons[0]}. What was marked stays marked")


def rehearse(site: Site, ledger: Ledger, *, choice: Choice) -> Iterator[tuple[str, Decision, str]]:
    """Dry run: (StudyInstanceUID, decision, reason) of every chosen study, by the very functions of a real run."""
    rooms = connect_dry(site, ledger)
    for listing in rooms.archive.inventory():
        if choice(listing):
            task = Task(claim=_pretended(rooms, listing), rooms=rooms, dry=True)
            try:
                outcome = reconcile(task)
            except Transient:
                raise
            except SyncdError as error:
                yield listing.study_uid, Decision.WAIT, str(error)
            else:
                yield listing.study_uid, outcome.decision, outcome.reason


class _Named(Protocol):
    @property
    def study_uid(self) -> str: ...


T = TypeVar("T", bound=_Named)


def every(page: Callable[[str], list[T]]) -> Iterator[T]:
    """All rows of a keyset-paged question of the ledger, page by page."""
    after = ""
    while rows := page(after):
        yield from rows
        after = rows[-1].study_uid


def _mark(rooms: Rooms, report: Report, *, choice: Choice, progress: Progress, owner: bool) -> None:
    met: set[str] = set()

    def chosen(listing: StudyListing) -> bool:
        met.update(choice.studies & {listing.study_uid, listing.orthanc_id})
        return choice(listing)

    for study in choice.studies:
        uid = rooms.ledger.study_of(rooms.archive_name, [OrthancId(study)]).get(OrthancId(study), study)
        rooms.ledger.allow_retry(uid if is_orthanc_id(study) else study)

    def listed(number: int) -> None:
        report.listed = number
        progress(report)

    report.marked = inventory.take(
        rooms.archive,
        rooms.ledger,
        name=rooms.archive_name,
        settle_after=rooms.settle_after,
        everything=MarkKind.RESYNC,
        chosen=chosen,
        progress=listed,
        owner=owner,
    )
    report.unknown = tuple(sorted(choice.studies - met))


def _sort_in(report: Report, outcome: Outcome) -> None:
    uid = outcome.study_uid
    report.parked.pop(uid, None)
    report.waiting.pop(uid, None)
    if outcome.decision is Decision.PARK:
        report.parked[uid] = outcome.reason
    elif not outcome.done:
        report.waiting[uid] = outcome.reason


def _pretended(rooms: Rooms, listing: StudyListing) -> Claim:
    ledger, uid, now = rooms.ledger, listing.study_uid, rooms.clock()
    copies = {copy.orthanc_id: copy for copy in ledger.copies(uid)}
    copies.setdefault(listing.orthanc_id, Copy(archive=rooms.archive_name, orthanc_id=listing.orthanc_id, study_uid=uid))
    row = DirtyRow(study_uid=uid, generation=0, priority=Priority.REPAIR, due=now, first_marked=now)
    return Claim(
        row=row,
        record=ledger.record(uid),
        copies=tuple(copies.values()),
        intent=ledger.intent(uid),
        parked=ledger.parked(uid),
    )
