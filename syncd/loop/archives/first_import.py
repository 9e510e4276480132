"""The first import: which of the listed studies are left outside, and which events are older than syncd.

What the archive held before is listed once; what is outside the history is noted there and then, without a call for it
(RULES A1, A8). The feed's overlap looks back further than the first import wants: the numbers behind the high-water
mark are read for late ones, and tell of old studies too. They are passed over, for the listing that follows tells all
of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncd.ledger.ledger import Ledger
from syncd.loop.study.read import is_past
from syncd.model.change import Change
from syncd.model.ids import ArchiveName
from syncd.model.selection import UnselectedStudy
from syncd.model.study.dates import plain_date
from syncd.model.study.raw import StudyListing
from syncd.model.words import StudyState
from syncd.model.work import Copy
from syncd.selection.history import ALL, History


def begin(ledger: Ledger, *, name: ArchiveName, history: History, high_water: int) -> None:
    """Before the feed's first position is committed."""
    ledger.selection.begin_import(name, until=0 if history.word == ALL else high_water)


def restart_numbering(ledger: Ledger, *, name: ArchiveName, high_water: int) -> None:
    """The same archive, indexed anew: old numbers mean nothing, new ones are events unless the first listing is to come."""
    state = ledger.selection.first_import(name)
    ledger.selection.move_import(name, until=high_water if state.pending and state.until else 0)


def events(ledger: Ledger, changes: tuple[Change, ...], *, name: ArchiveName) -> tuple[Change, ...]:
    """Those that happened since the first import began."""
    until = ledger.selection.first_import(name).until if changes else 0
    return tuple(change for change in changes if change.seq > until)


def is_pending(ledger: Ledger, *, name: ArchiveName, history: History) -> bool:
    """Whether the listing that comes next is a first one, and the history leaves anything outside."""
    return history.word != ALL and ledger.selection.first_import(name).pending


def inside(
    ledger: Ledger, listings: Sequence[StudyListing], *, name: ArchiveName, history: History, at: float
) -> list[StudyListing]:
    """Those that the first import takes; the others are noted, as they were at `at`. For the ledger's owner."""
    old = [one for one in listings if not history.takes(one.study_date)]
    if not old:
        return list(listings)
    entries = [_entry(one, name=name, history=history, at=at) for one in old]
    left = ledger.selection.leave_outside(entries, [_copy(one, name=name, at=at) for one in old], archive=name)
    return [one for one in listings if one.study_uid not in left]


def is_left_out(ledger: Ledger, one: StudyListing, *, history: History) -> bool:
    """Whether a first import leaves it outside, as far as can be told without noting it."""
    return not history.takes(one.study_date) and ledger.records.find(one.study_uid) is None


def _entry(one: StudyListing, *, name: ArchiveName, history: History, at: float) -> UnselectedStudy:
    return UnselectedStudy(
        study_uid=one.study_uid,
        archive=name,
        state=StudyState.OUTSIDE_HISTORY.value,
        rule=history.text,
        study_date=plain_date(one.study_date),
        since=at,
    )


def _copy(one: StudyListing, *, name: ArchiveName, at: float) -> Copy:
    """A LastUpdate of this moment is unknown: it may still move within its second (RULES A8)."""
    last_update = one.last_update if is_past(one.last_update, at=at) else ""
    return Copy(
        archive=name,
        orthanc_id=one.orthanc_id,
        study_uid=one.study_uid,
        last_update=last_update,
        labels=one.labels,
        tags_digest=one.tags_digest,
    )
