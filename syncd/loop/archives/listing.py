"""Before the first inventory, and beside a living daemon: where the feed stands, and marks for what can have changed.

At the first start the feed's position is committed before the listing begins, so nothing stored meanwhile is missed;
a restart keeps that position (RULES A1). What is gone, and what was counted, is the owner's to judge and to keep
(`loop.archives.sweep`): a second process compares what is listed, and only marks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    if ledger.feed.standing(name) is None:
        high_water = archive.high_water_mark()
        first_import.begin(ledger, name=name, history=of, high_water=high_water)
        ledger.feed.begin_bootstrap(name, cursor=max(0, high_water - OVERLAP), high_water=high_water)
        report_step(Step.BOOTSTRAP_BEGUN)


def everything(listing: StudyListing) -> bool:
    """Every study is chosen."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an operator asks to be looked at: of what is `chosen`, whatever can be published otherwise than it is now, the
    mapping and the settings having this `fingerprint`; or, `full`, all of it."""

    fingerprint: str = ""
    chosen: Callable[[StudyListing], bool] = everything
    full: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """How many of the chosen studies were marked, and how many were not, because they are as they were."""

    marked: int
    unchanged: int


def mark_listed(
    source: Source,
    ledger: Ledger,
    *,
    asked: Asked,
    progress: Callable[[int], None] = lambda listed: None,
    of: History = EVERYTHING,
) -> Looked:
    """Mark, of all studies that the archive lists, those that are `asked` for. Writes nothing but marks, and leaves the
    archive's identity to the owner to judge. `of` tells what a first import takes. Raises `Transient`, and `Unsuitable`
    when the archive is paused."""
    name = source.name
    position = ledger.feed.standing(name)
    if position is not None and position.state is ArchiveState.PAUSED:
        raise Unsuitable(f"archive {name}: {EXCHANGED}", server=name)
    pending = first_import.is_pending(ledger, name=name, history=of)
    marked = unchanged = listed = 0
    question = Question(source, ledger, asked=asked)
    studies = (listing for listing in source.archive.inventory() if listing.study_uid)
    while chunk := list(islice(studies, CHUNK)):
        listed += len(chunk)
        chosen = [
            one for one in chunk if asked.chosen(one) and not (pending and first_import.is_left_out(ledger, one, history=of))
        ]
        picked = question.of(chosen)
        unchanged += len(chosen) - len(picked)
        if picked:
            copies = [Copy(archive=name, orthanc_id=one.orthanc_id, study_uid=one.study_uid) for one in picked]
            marks = [mark_of(one, archive=name, kind=MarkKind.RESYNC) for one in picked]
            marked += ledger.marks.add(marks, copies=copies, settle_after=source.settle_after)
        progress(listed)
    return Looked(marked=marked, unchanged=unchanged)


class Question:
    """Which listed studies are to be looked at, told without staging or keeping anything."""

    def __init__(self, source: Source, ledger: Ledger, *, asked: Asked) -> None:
        self._source = source
        self._ledger = ledger
        self._asked = asked
        self._counts: bool | None = None

    def of(self, listings: Sequence[StudyListing]) -> list[StudyListing]:
        """Those of up to some hundred listed studies; where LastUpdate does not tell of what is deleted they are counted
        (RULES A8)."""
        if self._asked.full:
            return list(listings)
        name, sweep = self._source.name, self._ledger.sweep
        doubtful = sweep.are_in_question(name, listings, fingerprint=self._asked.fingerprint)
        others = {one.orthanc_id: one.study_uid for one in listings if one.orthanc_id not in doubtful}
        if others and self._only_counting_tells():
            doubtful |= sweep.find_miscounted(name, self._source.archive.instance_counts(others))
        return [one for one in listings if one.orthanc_id in doubtful]

    def _only_counting_tells(self) -> bool:
        if self._counts is None:
            self._counts = only_counting_tells(self._source.archive)
        return self._counts


def only_counting_tells(archive: Archive) -> bool:
    """Whether this version moves no LastUpdate when an instance is deleted: those that count in bulk do not."""
    return archive.counts_page(0) is None


def mark_of(one: StudyListing, *, archive: ArchiveName, kind: MarkKind, priority: int = Priority.REPAIR) -> Mark:
    """The mark of a listed study."""
    return Mark(
        study_uid=one.study_uid,
        kind=kind,
        archive=archive,
        orthanc_id=one.orthanc_id,
        priority=priority,
        study_date=plain_date(one.study_date),
    )
