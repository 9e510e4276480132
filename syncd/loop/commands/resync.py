"""One shot: whatever can have changed looked at again, by ourselves, or by the daemon that holds the ledger.

The exit code is the point: 0 says that every study of the archive's inventory is published as it is now. So a study that
is parked, still arriving or owed an answer is named, never rounded off. What the inventory, the ledger and the sentinel
tell to be as it was published is not read (`loop.archives.question`), unless somebody names it, or asks for all of it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol, TypeVar

from syncd.errors import ServerReset, SyncdError, Transient, Unreachable
from syncd.ledger.ledger import Claim, Ledger
from syncd.loop.archives import first_import, sweep
from syncd.loop.archives import listing as inventory
from syncd.loop.archives.intake import Intake
from syncd.loop.breaker import CircuitBreaker, CircuitBreakers
from syncd.loop.commands.dry_run import pretend_claim
from syncd.loop.companions.target import SENTINEL_INTERVAL, probe
from syncd.loop.connect import Site, connect, connect_dry
from syncd.loop.context import Context, Source
from syncd.loop.study.reconcile import reconcile
from syncd.loop.study.selection import count_concerned
from syncd.loop.study.task import Task
from syncd.loop.workers.pool import Workers
from syncd.model.ids import ArchiveName, OrthancId, is_orthanc_id
from syncd.model.outcome import Outcome
from syncd.model.overview import Heartbeat
from syncd.model.study.raw import StudyListing
from syncd.model.words import Decision, Priority, TargetState
from syncd.model.work import Mark, MarkKind

SILENCE = 30.0
"""Seconds without a heartbeat after which a watched daemon counts as dead."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What a resync did. `unchanged` counts studies that were not read, `parked` and `waiting` name studies and reasons,
    `unknown` those that were asked for and that no archive lists, `met` the others of these; `left` counts what is not
    dealt with."""

    listed: int = 0
    unchanged: int = 0
    marked: int = 0
    decisions: Counter[str] = field(default_factory=Counter)
    parked: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    met: set[str] = field(default_factory=set)
    left: int = 0

    @property
    def in_sync(self) -> bool:
        return not (self.parked or self.waiting or self.unknown or self.left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which studies: StudyInstanceUIDs or Orthanc ids (all when empty), and a StudyDate `YYYYMMDD` to begin with; of all
    archives, or of one. `full`: also those that cannot have changed."""

    archive: str = ""
    studies: frozenset[str] = frozenset()
    since: str = ""
    full: bool = False

    def __call__(self, listing: StudyListing) -> bool:
        named = not self.studies or listing.study_uid in self.studies or listing.orthanc_id in self.studies
        return named and (not self.since or listing.study_date >= self.since)

    def sources(self, context: Context) -> list[Source]:
        """The archives chosen, in the order of the settings."""
        return [source for name, source in context.archives.items() if self.archive in ("", name)]


Progress = Callable[[Report], None]


def resync(site: Site, ledger: Ledger, *, choice: Choice, accept_target: bool, progress: Progress) -> Report:
    """Look at everything chosen, holding the ledger. Raises what `connect` raises; `Unreachable` when a server is or goes
    away meanwhile: what was done is kept, the rest stays marked. Of several archives, those that answer are done."""
    context = connect(site, ledger, accept_target=accept_target)
    report = Report()
    archives = CircuitBreakers({name: CircuitBreaker(source.archive.info) for name, source in context.archives.items()})
    _begin(context, report, archives, choice=choice, progress=progress)
    return work_off(site, context, report, archives, progress=progress)


def work_off(site: Site, context: Context, report: Report, archives: CircuitBreakers, *, progress: Progress) -> Report:
    """Do what is due until nothing is, and tell in `report` how each study ended. Raises `Unreachable` when a server is
    away or goes away meanwhile."""

    def tell(outcome: Outcome) -> None:
        report.decisions[outcome.decision] += 1
        _sort_in(report, outcome)
        progress(report)

    fhir = CircuitBreaker(lambda: probe(context))
    workers = Workers(context, fhir=fhir, archives=archives, concurrency=site.concurrency, on_outcome=tell)
    try:
        workers.run(until_idle=True)
    finally:
        workers.stop(grace=25.0)
    if not fhir.is_closed or archives.tripped():
        reasons = [fhir.reason] if fhir.reason else archives.reasons.values()
        raise Unreachable(f"{'; '.join(reasons)} ({context.ledger.overview.counts(time.time()).dirty} studies left)")
    named = report.parked.keys() | report.waiting.keys()
    report.left = sum(row.study_uid not in named for row in every(context.ledger.marks.page))
    return report


def _begin(context: Context, report: Report, archives: CircuitBreakers, *, choice: Choice, progress: Progress) -> None:
    """List and mark; an archive that does not answer opens its breaker. Raises if none of those chosen does."""
    sources, away = choice.sources(context), []
    for source in sources:
        try:
            inventory.begin(source.archive, context.ledger, name=source.name, of=context.selection(source.name).history)
            _mark(context, source, report, choice=choice, progress=progress, owner=True)
            Intake(
                source.archive, context.ledger, name=source.name, settle_after=source.settle_after, clock=context.clock
            ).poll()
        except Transient as error:
            away.append(error)
            archives[source.name].trip(TargetState.OPEN, str(error))
    if len(away) == len(sources):
        raise away[0]
    _mark_unlisted(context, report, choice=choice)


def watch(site: Site, ledger: Ledger, *, choice: Choice, progress: Progress) -> Report:
    """The same beside a live daemon: marks are written here, the daemon does the work, we watch it finish."""
    context = connect_dry(site, ledger)
    await_sentinel(context)
    report = Report()
    for source in choice.sources(context):
        _mark(context, source, report, choice=choice, progress=progress, owner=False)
    _mark_unlisted(context, report, choice=choice)
    await_daemon(context, ledger, report, sources=choice.sources(context), progress=progress)
    for entry in every(ledger.records.page_parked):
        if not entry.dropped:
            report.parked[entry.study_uid] = entry.reason
    for row in every(ledger.marks.page):
        report.waiting[row.study_uid] = "pending"
    return report


def await_daemon(context: Context, ledger: Ledger, report: Report, *, sources: list[Source], progress: Progress) -> None:
    """Watch the daemon until it has dealt with all that is marked by now. Raises `Unreachable` when it cannot."""
    generation = ledger.progress.newest_generation()
    while unsettled := ledger.progress.count_unsettled(
        generation, now=time.time(), within=_readable(context, ledger.overview.heartbeat())
    ):
        _raise_unless_working(ledger.overview.heartbeat())
        report.left = unsettled
        progress(report)
        time.sleep(1.0)  # another process works: its ledger is the only thing to look at
    _raise_if_away(ledger.overview.heartbeat(), sources)
    report.left = 0


def await_sentinel(context: Context) -> None:
    """A server that lost everything is restored by the daemon, which looks for the sentinel twice a minute (RULES E3)."""
    deadline = time.monotonic() + 3 * SENTINEL_INTERVAL
    while True:
        try:
            return context.check_sentinel()
        except ServerReset as error:
            if time.monotonic() > deadline:
                raise Unreachable("The FHIR server lost what was published, and the daemon does not restore it") from error
            time.sleep(1.0)  # another process works: the server is the only thing to look at


def _readable(context: Context, heartbeat: Heartbeat | None) -> frozenset[ArchiveName]:
    """The archives that nothing keeps the daemon from reading."""
    said = heartbeat.archives if heartbeat else {}
    return frozenset(name for name in context.archives if not said.get(name, {}).get("reason"))


def _raise_if_away(heartbeat: Heartbeat | None, sources: list[Source]) -> None:
    said = heartbeat.archives if heartbeat else {}
    reasons = [str(said[one.name]["reason"]) for one in sources if said.get(one.name, {}).get("reason")]
    if reasons:
        raise Unreachable(f"The running daemon waits: {reasons[0]}. What was marked stays marked")


def _raise_unless_working(heartbeat: Heartbeat | None) -> None:
    """Whether the daemon that we watch can get anywhere at all."""
    if heartbeat is None or abs(time.time() - heartbeat.at) > SILENCE:
        raise Unreachable("The daemon that holds the ledger does not answer any more; run the command again")
    if heartbeat.target.get("reason"):
        raise Unreachable(f"The running daemon waits: {heartbeat.target['reason']}. What was marked stays marked")


def rehearse(site: Site, ledger: Ledger, *, choice: Choice) -> Iterator[tuple[str, Decision, str]]:
    """Dry run: (StudyInstanceUID, decision, reason) of every chosen study, by the very functions of a real run."""
    context = connect_dry(site, ledger)
    pending = {name: _is_first(context, name) for name in context.archives}
    for source, listing, in_question in _list_once(context, choice):
        of = context.selection(source.name).history
        if not in_question:
            yield listing.study_uid, Decision.SKIP, "unchanged"
        elif pending[source.name] and first_import.is_left_out(ledger, listing, history=of):
            yield listing.study_uid, Decision.SKIP, f"outside the history ({of.text})"
        else:
            claim = _pretend_claim(context, source, listing, read_fhir=bool(choice.studies))
            task = Task(claim=claim, context=context, dry=True)
            try:
                outcome = reconcile(task).outcome
            except Transient:
                raise
            except SyncdError as error:
                yield listing.study_uid, Decision.WAIT, str(error)
            else:
                yield listing.study_uid, outcome.decision, outcome.reason


def _is_first(context: Context, name: ArchiveName) -> bool:
    """Whether the archive's next listing is a first import."""
    of = context.selection(name).history
    return context.ledger.feed.standing(name) is None or first_import.is_pending(context.ledger, name=name, history=of)


def _list_once(context: Context, choice: Choice) -> Iterator[tuple[Source, StudyListing, bool]]:
    """The chosen studies of all chosen archives, and whether each can have changed; one that lies in several is told by the
    first of them."""
    before: list[Source] = []
    for source in choice.sources(context):
        question = inventory.Question(source, context.ledger, asked=_asked(context, source.name, choice))
        chosen = (listing for listing in source.archive.inventory() if choice(listing))
        while chunk := list(islice(chosen, inventory.CHUNK)):
            doubtful = {one.orthanc_id for one in question.of(chunk)}
            for listing in chunk:
                if not any(one.archive.lookup(listing.study_uid) for one in before):
                    yield source, listing, listing.orthanc_id in doubtful
        before.append(source)


def _asked(context: Context, name: ArchiveName, choice: Choice) -> inventory.Asked:
    """What of this archive is to be looked at: all that is chosen where somebody named it or wants all of it, or where other
    settings than those of now selected it."""
    full = choice.full or bool(choice.studies)
    full = full or bool(count_concerned(context.ledger, name=name, selection=context.selection(name)))
    return inventory.Asked(fingerprint=context.fingerprint, full=full)


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


def _mark(context: Context, source: Source, report: Report, *, choice: Choice, progress: Progress, owner: bool) -> None:
    def choose(listing: StudyListing) -> bool:
        report.met |= choice.studies & {listing.study_uid, listing.orthanc_id}
        return choice(listing)

    for study in choice.studies:
        context.ledger.parking.allow_retry(_uid_of(context, study, archive=source.name))
    asked = _asked(context, source.name, choice)
    if choice.studies or choice.since:
        asked = replace(asked, chosen=choose)
    before = report.listed

    def note_listed(number: int) -> None:
        report.listed = before + number
        progress(report)

    mark = sweep.look_through if owner else inventory.mark_listed
    of = context.selection(source.name).history
    looked = mark(source, context.ledger, asked=asked, progress=note_listed, of=of)
    report.marked += looked.marked
    report.unchanged += looked.unchanged
    _ask_again(context, source.name, [_uid_of(context, one, archive=source.name) for one in choice.studies & report.met])


def _ask_again(context: Context, name: ArchiveName, uids: Iterable[str]) -> int:
    """Who names a study wants to know: FHIR itself is read, and whatever is remembered of its patient and orders is asked
    for (RULES B12, C5)."""
    marks = [
        Mark(study_uid=uid, kind=MarkKind.RESYNC, archive=name, priority=Priority.REPAIR, read_fhir=True)
        for uid in uids
        if not is_orthanc_id(uid)
    ]
    return context.ledger.marks.add(marks, settle_after=0.0)


def _mark_unlisted(context: Context, report: Report, *, choice: Choice) -> None:
    """What was named and is not listed: published once, and looked at again; else unknown."""
    unlisted = {study: _uid_of(context, study) for study in choice.studies - report.met}
    published = {study: uid for study, uid in unlisted.items() if context.ledger.records.find(uid) is not None}
    report.unknown = tuple(sorted(unlisted.keys() - published.keys()))
    report.marked += _ask_again(context, next(iter(context.archives)), published.values())


def _uid_of(context: Context, study: str, *, archive: ArchiveName | None = None) -> str:
    """The StudyInstanceUID of what was named on the command line, as far as it is known."""
    if not is_orthanc_id(study):
        return study
    names = context.archives if archive is None else (archive,)
    found = (context.ledger.records.study_of(name, [OrthancId(study)]).get(OrthancId(study)) for name in names)
    return next((uid for uid in found if uid), study)


def _sort_in(report: Report, outcome: Outcome) -> None:
    uid = outcome.study_uid
    report.parked.pop(uid, None)
    report.waiting.pop(uid, None)
    if outcome.decision is Decision.PARK:
        report.parked[uid] = outcome.reason
    elif not outcome.done:
        report.waiting[uid] = outcome.reason


def _pretend_claim(context: Context, source: Source, listing: StudyListing, *, read_fhir: bool) -> Claim:
    uid, held = listing.study_uid, [(source.name, listing.orthanc_id)]
    if len(context.archives) > 1:  # the ledger may know nothing yet of what the others hold
        held += [(name, one) for name, other in context.archives.items() for one in other.archive.lookup(uid)]
    return pretend_claim(context, uid, held=held, read_fhir=read_fhir)
