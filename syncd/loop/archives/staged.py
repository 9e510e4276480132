"""What a sweep and a resync hold of an archive while it is listed, and how both mark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from syncd.archive.interface import Archive
from syncd.ledger.ledger import Ledger
from syncd.loop.archives import first_import
from syncd.loop.archives.listing import Asked, everything
from syncd.loop.context import Source
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.study.raw import StudyListing
from syncd.model.work import Copy, Mark
from syncd.selection.history import History

NAMED_AT_ONCE = 1000
"""Studies that no page told of asked for, and studies counted, in one call."""


@dataclass(slots=True, kw_only=True)
class StagedSweep:
    """One inventory of one archive. `asked` is what a resync asks for; None: a sweep of the daemon's."""

    source: Source
    ledger: Ledger
    progress: Callable[[int], None]
    of: History
    asked: Asked | None = None
    at: float | None = None
    """The archive's clock before a first import is listed; None where nothing is left outside."""
    began: float = 0.0
    listed: int = 0
    unchanged: int = 0
    """Chosen, and neither marked nor left outside."""
    found: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> ArchiveName:
        return self.source.name

    @property
    def archive(self) -> Archive:
        return self.source.archive


def inside_history(sweep: StagedSweep, window: tuple[str, str]) -> Callable[[StudyListing], bool]:
    """Whether a study of the window is taken: a first import leaves others outside, whether they wait already or not."""
    if sweep.at is None:
        return everything
    staged = sweep.ledger.sweep.find_staged(sweep.name, window)
    taken = first_import.inside(sweep.ledger, staged, name=sweep.name, history=sweep.of, at=sweep.at)
    uids = {one.study_uid for one in taken}
    return lambda one: one.study_uid in uids


def commit(sweep: StagedSweep, marks: Sequence[Mark], listings: Sequence[StudyListing]) -> None:
    """Keep `marks`, and that these copies are there, in one transaction."""
    copies = [Copy(archive=sweep.name, orthanc_id=one.orthanc_id, study_uid=one.study_uid) for one in listings]
    if marks:
        sweep.ledger.marks.add(marks, copies=copies, settle_after=sweep.source.settle_after)
    sweep.progress(sweep.listed)


def in_parts(ids: Sequence[OrthancId]) -> list[Sequence[OrthancId]]:
    return [ids[at : at + NAMED_AT_ONCE] for at in range(0, len(ids), NAMED_AT_ONCE)]
