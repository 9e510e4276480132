"""Before the first inventory, and beside a living daemon: where the feed stands, and marks without comparing anything.

At the first start the feed's position is committed before the listing begins, so nothing stored meanwhile is missed;
a restart keeps that position (RULES A1). Comparing is the owner's (`loop.archives.sweep`): a second process only marks.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from syncd.archive.interface import Archive
from syncd.errors import Unsuitable
from syncd.feed.follow import OVERLAP
from syncd.ledger.ledger import Ledger
from syncd.loop.archives import first_import
from syncd.loop.context import Source
from syncd.loop.same_archive import EXCHANGED
from syncd.loop.steps import Step, report_step
from syncd.model.ids import ArchiveName
from syncd.model.study.dates import plain_date
from syncd.model.study.raw import StudyListing
from syncd.model.words import ArchiveState, Priority
from syncd.model.work import Copy, Mark, MarkKind
from syncd.selection.history import History

EVERYTHING = History()
"""All that the archive holds."""

CHUNK = 500
"""Studies marked in one transaction."""


def begin(archive: Archive, ledger: Ledger, *, name: ArchiveName, of: History = EVERYTHING) -> None:
    """Commit where the feed stands before anything is listed; a position that exists already is kept."""
    if ledger.feed.position(name) is None:
        high_water = archive.high_water_mark()
        first_import.begin(ledger, name=name, history=of, high_water=high_water)
        ledger.feed.begin_bootstrap(name, cursor=max(0, high_water - OVERLAP), high_water=high_water)
        report_step(Step.BOOTSTRAP_BEGUN)


def mark_listed(
    source: Source,
    ledger: Ledger,
    *,
    kind: MarkKind,
    chosen: Callable[[StudyListing], bool] = lambda listing: True,
    progress: Callable[[int], None] = lambda listed: None,
    of: History = EVERYTHING,
) -> int:
    """Mark all studies that the archive lists and that are `chosen`; returns how many. Writes nothing but marks, and leaves
    the archive's identity to the owner to judge. `of` tells what a first import takes. Raises `Transient`, and
    `Unsuitable` when the archive is paused."""
    name = source.name
    position = ledger.feed.position(name)
    if position is not None and position.state is ArchiveState.PAUSED:
        raise Unsuitable(f"archive {name}: {EXCHANGED}", server=name)
    pending = first_import.is_pending(ledger, name=name, history=of)
    marked = listed = 0
    studies = (listing for listing in source.archive.inventory() if listing.study_uid)
    while chunk := list(islice(studies, CHUNK)):
        listed += len(chunk)
        picked = [
            one for one in chunk if chosen(one) and not (pending and first_import.is_left_out(ledger, one, history=of))
        ]
        marks = [
            Mark(
                study_uid=one.study_uid,
                kind=kind,
                archive=name,
                orthanc_id=one.orthanc_id,
                priority=Priority.REPAIR,
                study_date=plain_date(one.study_date),
            )
            for one in picked
        ]
        if marks:
            copies = [Copy(archive=name, orthanc_id=one.orthanc_id, study_uid=one.study_uid) for one in picked]
            marked += ledger.marks.add(marks, copies=copies, settle_after=source.settle_after)
        progress(listed)
    return marked
