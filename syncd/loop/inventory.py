"""The archive's inventory: what is new or changed against the ledger, whatever the feed said (RULES A1).

At the first start the feed's position is committed before the listing begins, so nothing stored meanwhile is missed;
a restart keeps that position. Nothing is judged "gone" here; but an archive that was accepted anew, with its copies
forgotten, shows by its first inventory what it does not hold, and that is marked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from syncd.archive.interface import Archive
from syncd.errors import Unsuitable
from syncd.feed.follow import OVERLAP
from syncd.ledger.ledger import Ledger
from syncd.loop.identity import EXCHANGED, is_same
from syncd.loop.steps import Step, reached
from syncd.model.ids import ArchiveName
from syncd.model.study import StudyListing
from syncd.model.words import ArchiveState, Priority
from syncd.model.work import Copy, Mark, MarkKind

CHUNK = 500
"""Studies compared with the ledger and marked in one transaction."""


def begin(archive: Archive, ledger: Ledger, *, name: ArchiveName) -> None:
    """Commit where the feed stands before anything is listed; a position that exists already is kept."""
    if ledger.feed_position(name) is None:
        high_water = archive.high_water_mark()
        ledger.begin_bootstrap(name, cursor=max(0, high_water - OVERLAP), high_water=high_water)
        reached(Step.BOOTSTRAP_BEGUN)


def take(
    archive: Archive,
    ledger: Ledger,
    *,
    name: ArchiveName,
    settle_after: float,
    everything: MarkKind | None = None,
    chosen: Callable[[StudyListing], bool] | None = None,
    progress: Callable[[int], None] = lambda listed: None,
    owner: bool = True,
) -> int:
    """Mark what is new, changed, or stable though only `registered`; with `everything`, all that is `chosen`, by that
    kind of mark. Returns the number of studies marked. Raises `Transient` when the archive stops answering, `Unsuitable`
    when it is another one (RULES A4: asked before anything of it is marked).

    Not the ledger's `owner`: nothing but marks is written, and the archive's identity is left to the owner to judge.
    """
    same = is_same(archive, ledger, name=name) if owner else _state(ledger, name) is not ArchiveState.PAUSED
    if not same:
        raise Unsuitable(f"archive {name}: {EXCHANGED}", server=name)
    bootstrapping = _state(ledger, name) is ArchiveState.BOOTSTRAPPING
    if owner:
        ledger.sweep_done(name)  # whoever wants a sweep from here on wants another one
    try:
        marked = _listed(
            archive,
            ledger,
            name=name,
            settle_after=settle_after,
            everything=everything,
            chosen=chosen or (lambda listing: True),
            progress=progress,
        )
    except Exception:
        if owner:
            ledger.want_sweep(name)
        raise
    reached(Step.INVENTORY_MARKED)
    if owner and bootstrapping and chosen is None:
        marked += ledger.mark_absent(name)  # before: nothing of it is taken back until the bootstrap is finished
        ledger.finish_bootstrap(name)
        reached(Step.BOOTSTRAP_FINISHED)
    return marked


def _listed(
    archive: Archive,
    ledger: Ledger,
    *,
    name: ArchiveName,
    settle_after: float,
    everything: MarkKind | None,
    chosen: Callable[[StudyListing], bool],
    progress: Callable[[int], None],
) -> int:
    marked = listed = 0
    studies = archive.inventory()
    while chunk := list(islice(_usable(studies), CHUNK)):
        listed += len(chunk)
        picked = [listing for listing in chunk if chosen(listing)]
        due = picked if everything is not None else _new_or_changed(picked, ledger, name=name)
        marks = [_mark(listing, name, everything or MarkKind.INVENTORY) for listing in due]
        if marks:
            marked += ledger.mark(marks, copies=[_copy(one, name) for one in due], settle_after=settle_after)
        progress(listed)
    return marked


def _state(ledger: Ledger, name: ArchiveName) -> ArchiveState | None:
    position = ledger.feed_position(name)
    return position.state if position is not None else None


def _usable(studies: Iterator[StudyListing]) -> Iterator[StudyListing]:
    return (listing for listing in studies if listing.study_uid)


def _new_or_changed(chunk: list[StudyListing], ledger: Ledger, *, name: ArchiveName) -> list[StudyListing]:
    """A study is looked at when no record covers this copy as it is now; one that is dirty already is left alone, unless
    the ledger does not know this copy of it: what another archive holds does not tell of it (RULES C8)."""
    known = ledger.seen_copies(name, [listing.orthanc_id for listing in chunk])
    dirty = ledger.is_dirty([listing.study_uid for listing in chunk])
    return [
        listing
        for listing in chunk
        if (listing.study_uid not in dirty or listing.orthanc_id not in known)
        and _differs(listing, known.get(listing.orthanc_id))
    ]


def _differs(listing: StudyListing, seen: tuple[str, str] | None) -> bool:
    """`seen` is (LastUpdate at the last read, status published) of this copy."""
    if seen is None:
        return True
    last_update, status = seen
    return last_update != listing.last_update or (status == "registered" and listing.is_stable)


def _mark(listing: StudyListing, name: ArchiveName, kind: MarkKind) -> Mark:
    return Mark(
        study_uid=listing.study_uid,
        kind=kind,
        archive=name,
        orthanc_id=listing.orthanc_id,
        priority=Priority.BACKFILL if kind is MarkKind.INVENTORY else Priority.REPAIR,
    )


def _copy(listing: StudyListing, name: ArchiveName) -> Copy:
    return Copy(archive=name, orthanc_id=listing.orthanc_id, study_uid=listing.study_uid)
