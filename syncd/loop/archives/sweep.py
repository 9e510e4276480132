"""The sweep: the archive's inventory against the ledger's copies, whatever the feed said (RULES A1, A8).

The feed tells nothing of deletions and loses entries; so every quarter of an hour all studies are listed, compared in
the ledger, and what differs is marked. A listing of pages skips living studies, and a missing one may only be new: so
the ids come first, unpaged, "gone" is only ever a mark (reconcile proves it, RULES D1), and nothing is judged gone
before the first inventory is committed. Orthanc 1.10 does not move LastUpdate when an instance is deleted: there only
counting tells, which is done in bulk, a share of the archive in each sweep and all of it when the archive's total does
not fit. Neither version moves it when a study is reconstructed: there the digest of the main tags tells, which every
listing brings.

A resync is the same with a stricter question: whatever is not known, unchanged and settled is looked at, and where only
counting tells, all is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice

from syncd.errors import Unsuitable
from syncd.ledger.ledger import Ledger
from syncd.loop.archives import first_import
from syncd.loop.archives.counting import ALL_COUNTED, count_asked, count_share
from syncd.loop.archives.listing import EVERYTHING, Asked, Looked, everything, mark_of
from syncd.loop.archives.question import mark_asked
from syncd.loop.archives.staged import StagedSweep, commit, in_parts, inside_history
from syncd.loop.context import Source
from syncd.loop.same_archive import EXCHANGED, is_same
from syncd.loop.steps import Step, report_step
from syncd.model.inventories import Difference, Inventory
from syncd.model.study.raw import StudyListing
from syncd.model.words import ArchiveState, Priority
from syncd.model.work import Copy, MarkKind
from syncd.selection.history import History

IDS_AT_ONCE = 5000
"""Ids of the listing staged in one transaction: 15 ms."""


def take(
    source: Source,
    ledger: Ledger,
    *,
    every: float = 900.0,
    progress: Callable[[int], None] = lambda listed: None,
    of: History = EVERYTHING,
) -> Inventory:
    """List the archive, and mark what differs. For the ledger's owner. A listing of everything finishes a bootstrap.

    `every` is the pause between two sweeps in seconds: it tells which share is counted. `progress` is told how many were
    listed, often, and may raise to stop. `of` tells what a first import takes. Raises `Transient` when the archive stops
    answering, `Unsuitable` when it is another one (RULES A4: asked before anything of it is marked).
    """
    return _carry_out(StagedSweep(source=source, ledger=ledger, progress=progress, of=of), every=every)


def look_through(
    source: Source,
    ledger: Ledger,
    *,
    asked: Asked,
    progress: Callable[[int], None] = lambda listed: None,
    of: History = EVERYTHING,
) -> Looked:
    """The same for a resync: mark what is `asked` for, and what of it is gone. Raises what `take` raises."""
    sweep = StagedSweep(source=source, ledger=ledger, progress=progress, of=of, asked=asked)
    inventory = _carry_out(sweep, every=ALL_COUNTED)
    return Looked(marked=sum(inventory.found.values()), unchanged=sweep.unchanged)


def _carry_out(sweep: StagedSweep, *, every: float) -> Inventory:
    ledger, name, archive, asked = sweep.ledger, sweep.name, sweep.archive, sweep.asked
    if not is_same(archive, ledger, name=name):
        raise Unsuitable(f"archive {name}: {EXCHANGED}", server=name)
    position = ledger.feed.standing(name)
    bootstrapping = position is not None and position.state is ArchiveState.BOOTSTRAPPING
    ledger.feed.finish_sweep(name)  # whoever wants a sweep from here on wants another one
    sweep.at = archive.clock() if first_import.is_pending(ledger, name=name, history=sweep.of) else None
    try:
        _list(sweep)
        report_step(Step.SWEEP_STAGED)
        if asked is None:
            _mark_differing(sweep)
        else:
            mark_asked(sweep, asked)
        if not bootstrapping:
            _mark_gone(sweep, chosen=asked.chosen if asked else everything)
            count_asked(sweep, asked) if asked else count_share(sweep, every=every)
    except Exception:
        ledger.feed.want_sweep(name)
        raise
    report_step(Step.INVENTORY_MARKED)
    if ledger.selection.first_import(name).pending:
        ledger.selection.import_listed(name)
    if bootstrapping and (asked is None or asked.chosen is everything):
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


def _list(sweep: StagedSweep) -> None:
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
        for named in in_parts(staging.find_undetailed(name, window)):
            # What is not even found by name vanished while we listed: it is judged by the next sweep.
            staging.detail(name, archive.studies_of(named))
        sweep.progress(sweep.listed)


def _mark_differing(sweep: StagedSweep) -> None:
    for window in sweep.ledger.sweep.windows(sweep.name):
        inside = inside_history(sweep, window)
        differing = [pair for pair in sweep.ledger.sweep.find_differing(sweep.name, window) if inside(pair[0])]
        sweep.found.update(difference.value for _, difference in differing)
        marks = [
            mark_of(
                one,
                archive=sweep.name,
                kind=MarkKind.INVENTORY,
                priority=Priority.BACKFILL if why is Difference.NEW else Priority.REPAIR,
            )
            for one, why in differing
        ]
        commit(sweep, marks, [one for one, _ in differing])
    for window in sweep.ledger.sweep.copy_windows(sweep.name, untold=True):
        sweep.ledger.sweep.keep_digests(sweep.name, window)
        sweep.progress(sweep.listed)


def _mark_gone(sweep: StagedSweep, *, chosen: Callable[[StudyListing], bool]) -> None:
    for window in sweep.ledger.sweep.copy_windows(sweep.name):
        gone = [
            one
            for one in map(_as_listed, sweep.ledger.sweep.find_gone(sweep.name, window, began=sweep.began))
            if chosen(one)
        ]
        sweep.found[Difference.GONE.value] += len(gone)
        commit(sweep, [mark_of(one, archive=sweep.name, kind=MarkKind.INVENTORY) for one in gone], ())


def _as_listed(copy: Copy) -> StudyListing:
    """A copy that was not listed, in the terms of a choice; nothing but its ids is known."""
    return StudyListing(orthanc_id=copy.orthanc_id, study_uid=copy.study_uid, is_stable=True, last_update="")


def _all_kinds(found: Counter[str]) -> dict[str, int]:
    return {**{kind.value: 0 for kind in Difference}, **found}
