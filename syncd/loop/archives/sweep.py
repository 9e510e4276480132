"""The sweep: the archive's inventory against the ledger's copies, whatever the feed said (RULES A1, A8).

The feed tells nothing of deletions and loses entries; so every quarter of an hour all studies are listed, compared in
the ledger, and what differs is marked. A listing of pages skips living studies, and a missing one may only be new: so
the ids come first, unpaged, "gone" is only ever a mark (reconcile proves it, RULES D1), and nothing is judged gone
before the first inventory is committed. Orthanc 1.10 does not move LastUpdate when an instance is deleted: there only
counting tells, which is done in bulk, a share of the archive in each sweep and all of it when the archive's total does
not fit. Neither version moves it when a study is reconstructed: there the digest of the main tags tells, which every
listing brings.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from syncd.archive.interface import Archive
from syncd.errors import Unsuitable
from syncd.ledger.ledger import Ledger
from syncd.loop.archives import first_import
from syncd.loop.archives.listing import EVERYTHING
from syncd.loop.context import Source
from syncd.loop.same_archive import EXCHANGED, is_same
from syncd.loop.steps import Step, report_step
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.inventories import Difference, Inventory
from syncd.model.study.dates import plain_date
from syncd.model.study.raw import StudyListing
from syncd.model.words import ArchiveState, Priority
from syncd.model.work import Copy, Mark, MarkKind
from syncd.selection.history import History

IDS_AT_ONCE = 5000
"""Ids of the listing staged in one transaction: 15 ms."""

NAMED_AT_ONCE = 1000
"""Studies that no page told of asked for, and studies counted, in one call."""

ALL_COUNTED = 86400.0
"""Seconds within which each study is counted once (RULES A8)."""

MOST_UNCOUNTED = 10_000
"""More listed copies that nobody counted yet: a backlog is being read, and the total says nothing."""


def everything(listing: StudyListing) -> bool:
    """Every study is chosen."""
    return True


@dataclass(slots=True, kw_only=True)
class _Sweep:
    """One inventory of one archive, while it is made."""

    source: Source
    ledger: Ledger
    progress: Callable[[int], None]
    of: History
    at: float | None
    """The archive's clock before a first import is listed; None where nothing is left outside."""
    began: float = 0.0
    listed: int = 0
    found: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> ArchiveName:
        return self.source.name

    @property
    def archive(self) -> Archive:
        return self.source.archive


def take(
    source: Source,
    ledger: Ledger,
    *,
    every: float = 900.0,
    kind: MarkKind = MarkKind.INVENTORY,
    chosen: Callable[[StudyListing], bool] | None = None,
    progress: Callable[[int], None] = lambda listed: None,
    of: History = EVERYTHING,
) -> Inventory:
    """List the archive, and mark what differs; with another `kind` of mark, all that is `chosen` (None: everything). For the
    ledger's owner. Only a listing of everything finishes a bootstrap.

    `every` is the pause between two sweeps in seconds: it tells which share is counted. `progress` is told how many were
    listed, often, and may raise to stop. `of` tells what a first import takes. Raises `Transient` when the archive stops
    answering, `Unsuitable` when it is another one (RULES A4: asked before anything of it is marked).
    """
    archive, name = source.archive, source.name
    if not is_same(archive, ledger, name=name):
        raise Unsuitable(f"archive {name}: {EXCHANGED}", server=name)
    position = ledger.feed.position(name)
    bootstrapping = position is not None and position.state is ArchiveState.BOOTSTRAPPING
    ledger.feed.finish_sweep(name)  # whoever wants a sweep from here on wants another one
    at = archive.clock() if first_import.is_pending(ledger, name=name, history=of) else None
    sweep = _Sweep(source=source, ledger=ledger, progress=progress, of=of, at=at)
    try:
        _list(sweep)
        report_step(Step.SWEEP_STAGED)
        if kind is MarkKind.INVENTORY:
            _mark_differing(sweep)
        else:
            _mark_chosen(sweep, kind=kind, chosen=chosen or everything)
        if not bootstrapping:
            _mark_gone(sweep, chosen=chosen or everything)
            if kind is MarkKind.INVENTORY:
                _count(sweep, every=every)
    except Exception:
        ledger.feed.want_sweep(name)
        raise
    report_step(Step.INVENTORY_MARKED)
    if ledger.selection.first_import(name).pending:
        ledger.selection.import_listed(name)
    if bootstrapping and chosen is None:
        # An archive that was accepted anew, its copies forgotten, shows by this listing what it does not hold. Marked
        # before: nothing of it is taken back until the bootstrap is finished.
        sweep.found[Difference.GONE.value] += ledger.retractions.mark_absent(name)
        ledger.feed.finish_bootstrap(name)
        report_step(Step.BOOTSTRAP_FINISHED)
    inventory = Inventory(
        began_at=sweep.began, ended_at=ledger.sweep.now(), listed=sweep.listed, found=_all_kinds(sweep.found)
    )
    ledger.sweep.finish(name, inventory)
    return inventory


def _list(sweep: _Sweep) -> None:
    """The ids from one unpaged listing, then details by pages, then by name what the pages skipped."""
    staging, archive, name = sweep.ledger.sweep, sweep.archive, sweep.name
    sweep.began = staging.begin(name)
    ids = archive.study_ids()
    while part := list(islice(ids, IDS_AT_ONCE)):
        staging.stage(name, part)
        sweep.progress(sweep.listed)
    while page := archive.studies_page(sweep.listed):
        sweep.listed += len(page)
        sweep.progress(sweep.listed)
        if not staging.detail(name, page):  # only studies newer than the listing follow, or a broken server
            break
    for window in staging.windows(name):
        for named in _parts(staging.find_undetailed(name, window)):
            # What is not even found by name vanished while we listed: it is judged by the next sweep.
            staging.detail(name, archive.studies_of(named))
        sweep.progress(sweep.listed)


def _mark_differing(sweep: _Sweep) -> None:
    for window in sweep.ledger.sweep.windows(sweep.name):
        inside = _inside(sweep, window)
        differing = [pair for pair in sweep.ledger.sweep.find_differing(sweep.name, window) if inside(pair[0])]
        sweep.found.update(difference.value for _, difference in differing)
        marks = [
            _mark(sweep, one, priority=Priority.BACKFILL if why is Difference.NEW else Priority.REPAIR)
            for one, why in differing
        ]
        _commit(sweep, marks, [one for one, _ in differing])
    for window in sweep.ledger.sweep.untold_windows(sweep.name):
        sweep.ledger.sweep.keep_digests(sweep.name, window)
        sweep.progress(sweep.listed)


def _mark_chosen(sweep: _Sweep, *, kind: MarkKind, chosen: Callable[[StudyListing], bool]) -> None:
    for window in sweep.ledger.sweep.windows(sweep.name):
        inside = _inside(sweep, window)
        picked = [one for one in sweep.ledger.sweep.find_staged(sweep.name, window) if inside(one) and chosen(one)]
        sweep.found[kind.value] += len(picked)
        _commit(sweep, [_mark(sweep, one, priority=Priority.REPAIR, kind=kind) for one in picked], picked)


def _inside(sweep: _Sweep, window: tuple[str, str]) -> Callable[[StudyListing], bool]:
    """Whether a study of the window is taken: a first import leaves others outside, whether they wait already or not."""
    if sweep.at is None:
        return everything
    staged = sweep.ledger.sweep.find_staged(sweep.name, window)
    taken = first_import.inside(sweep.ledger, staged, name=sweep.name, history=sweep.of, at=sweep.at)
    uids = {one.study_uid for one in taken}
    return lambda one: one.study_uid in uids


def _mark_gone(sweep: _Sweep, *, chosen: Callable[[StudyListing], bool]) -> None:
    for window in sweep.ledger.sweep.copy_windows(sweep.name):
        gone = [
            one
            for one in map(_as_listed, sweep.ledger.sweep.find_gone(sweep.name, window, began=sweep.began))
            if chosen(one)
        ]
        sweep.found[Difference.GONE.value] += len(gone)
        _commit(sweep, [_mark(sweep, one, priority=Priority.REPAIR) for one in gone], ())


def _commit(sweep: _Sweep, marks: Sequence[Mark], listings: Sequence[StudyListing]) -> None:
    copies = [Copy(archive=sweep.name, orthanc_id=one.orthanc_id, study_uid=one.study_uid) for one in listings]
    if marks:
        sweep.ledger.marks.add(marks, copies=copies, settle_after=sweep.source.settle_after)
    sweep.progress(sweep.listed)


def _count(sweep: _Sweep, *, every: float) -> None:
    """What was never counted, the share that is due, and everything when the archive's total does not fit (RULES A8)."""
    staging, name = sweep.ledger.sweep, sweep.name
    _, uncounted = staging.known_instances(name)
    share = math.ceil(sweep.listed * min(1.0, every / ALL_COUNTED))
    _count_by_name(sweep, most=max(share, min(uncounted, MOST_UNCOUNTED)))
    known, uncounted = staging.known_instances(name)
    if uncounted or sweep.archive.total_instances() == known:
        return
    since = 0
    while since < sweep.listed and (page := sweep.archive.counts_page(since)):
        since += len(page)
        _keep_counts(sweep, [study for study, _ in page], dict(page))
    if not since:
        _count_by_name(sweep, most=sweep.listed)


def _count_by_name(sweep: _Sweep, *, most: int) -> None:
    """Up to `most` that were not counted in this sweep, longest ago first."""
    while most > 0:
        asked = sweep.ledger.sweep.to_count(sweep.name, counted_before=sweep.began, most=min(most, NAMED_AT_ONCE))
        if not asked:
            return
        most -= len(asked)
        _keep_counts(sweep, list(asked), sweep.archive.instance_counts(asked))


def _keep_counts(sweep: _Sweep, asked: Sequence[OrthancId], counts: dict[OrthancId, int]) -> None:
    sweep.found[Difference.COUNT.value] += sweep.ledger.sweep.keep_counts(sweep.name, asked, counts)
    sweep.progress(sweep.listed)


def _mark(sweep: _Sweep, one: StudyListing, *, priority: int, kind: MarkKind = MarkKind.INVENTORY) -> Mark:
    return Mark(
        study_uid=one.study_uid,
        kind=kind,
        archive=sweep.name,
        orthanc_id=one.orthanc_id,
        priority=priority,
        study_date=plain_date(one.study_date),
    )


def _as_listed(copy: Copy) -> StudyListing:
    """A copy that was not listed, in the terms of a choice; nothing but its ids is known."""
    return StudyListing(orthanc_id=copy.orthanc_id, study_uid=copy.study_uid, is_stable=True, last_update="")


def _parts(ids: Sequence[OrthancId]) -> list[Sequence[OrthancId]]:
    return [ids[at : at + NAMED_AT_ONCE] for at in range(0, len(ids), NAMED_AT_ONCE)]


def _all_kinds(found: Counter[str]) -> dict[str, int]:
    return {**{kind.value: 0 for kind in Difference}, **found}
