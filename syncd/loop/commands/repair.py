"""Putting right what an audit found: the differing studies are marked, and looked at as every other marked study.

Beside a living daemon that is all: it does the work, and is watched. Without one the work is done here, by the same workers.
Whether it helped is not believed but asked: each study is looked at once more, and what still differs is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from syncd.errors import Unsuitable
from syncd.ledger.ledger import Ledger
from syncd.ledger.studies.marks import NOWHERE
from syncd.loop.breaker import CircuitBreaker, CircuitBreakers
from syncd.loop.commands.audit import Audit
from syncd.loop.commands.resync import Report, await_daemon, await_sentinel, work_off
from syncd.loop.connect import Site, connect, connect_dry
from syncd.loop.context import Context, Source
from syncd.loop.same_archive import EXCHANGED
from syncd.model.audit import REPAIRABLE
from syncd.model.words import ArchiveState, Priority
from syncd.model.work import Mark, MarkKind

MARKED_AT_ONCE = 500
"""Studies marked in one transaction."""


def context_for(site: Site, ledger: Ledger, *, beside: bool) -> Context:
    """Rooms for a one-shot command that works: its own, or, `beside` a daemon, such that write nothing."""
    if not beside:
        return connect(site, ledger)
    context = connect_dry(site, ledger)
    await_sentinel(context)
    return context


def repair(site: Site, audit: Audit, *, beside: bool) -> None:
    """Mark what differs, have it looked at, and leave in the staging what is still different. Raises `Unreachable` when a
    server is away or goes away, or the daemon does not work; `Unsuitable` for an archive that is paused (RULES A4)."""
    require_open(audit.context, audit.sources)
    audit.report.at = "repairing"
    audit.progress(audit.report)
    differing = (one.study_uid for one in audit.staging.differences(*sorted(REPAIRABLE)))
    carry_out(
        site,
        audit.context,
        differing,
        kind=MarkKind.VERIFY,
        sources=audit.sources,
        beside=beside,
        progress=lambda report: audit.progress(audit.report),
    )
    audit.report.at = "checking"
    check(audit)


def carry_out(
    site: Site,
    context: Context,
    study_uids: Iterable[str],
    *,
    kind: MarkKind,
    sources: list[Source],
    beside: bool,
    progress: Callable[[Report], None],
) -> Report:
    """Mark these studies, FHIR to be read, and wait until they are dealt with, by the daemon or by ourselves."""
    report = Report()
    report.marked = _mark_studies(context.ledger, study_uids, kind=kind)
    if beside:
        await_daemon(context, context.ledger, report, sources=sources, progress=progress)
        return report
    breakers = CircuitBreakers({name: CircuitBreaker(source.archive.info) for name, source in context.archives.items()})
    return work_off(site, context, report, breakers, progress=progress)


def check(audit: Audit) -> None:
    """Look again at what was repairable; what is right now is forgotten."""
    for difference in audit.staging.differences(*sorted(REPAIRABLE)):
        left = audit.judge_again(difference)
        if difference not in left:
            audit.staging.forget(difference)
            audit.staging.keep(left)
        audit.report.repaired += not left
        audit.progress(audit.report)
    audit.note_parked()  # also those that were being worked on when both sides were compared
    audit.report.pending = audit.context.ledger.overview.counts(audit.context.clock()).dirty


def require_open(context: Context, sources: list[Source]) -> None:
    """Nothing is said of an archive that looks like another one (RULES A4)."""
    for source in sources:
        position = context.ledger.feed.standing(source.name)
        if position is not None and position.state is ArchiveState.PAUSED:
            raise Unsuitable(f"archive {source.name}: {EXCHANGED}", server=source.name)


def _mark_studies(ledger: Ledger, study_uids: Iterable[str], *, kind: MarkKind) -> int:
    marked, uids = 0, iter(study_uids)
    while part := list(islice(uids, MARKED_AT_ONCE)):
        marks = [
            Mark(study_uid=uid, kind=kind, archive=NOWHERE, priority=Priority.REPAIR, read_fhir=True)
            for uid in dict.fromkeys(part)
        ]
        marked += ledger.marks.add(marks, settle_after=0.0)
    return marked
