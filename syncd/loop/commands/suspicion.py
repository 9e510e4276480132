"""Whether one study seems to differ between two listings: a ladder of early returns, and no call.

What it says is a reason to look, never a finding: listings are of different moments, and a number that differs may be meant
(rejected images, copies in two archives). What it does not suspect is believed, so it suspects whatever a listing can show.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from syncd.model.audit import ArchivedStudy, Difference, DifferenceKind, ShownStudy, Standing
from syncd.model.words import WITHDRAWN, Tombstone


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One study: its copies, the ImagingStudies that name it, and what the ledger knows. `own_id` is the id that we would
    give it, empty where it can have none."""

    archived: tuple[ArchivedStudy, ...]
    shown: tuple[ShownStudy, ...]
    standing: Standing
    own_id: str
    installation_id: str

    @property
    def study_uid(self) -> str:
        return self.standing.study_uid

    @property
    def ours(self) -> ShownStudy | None:
        """The ImagingStudy that we speak by: the record's, else one with our tag, under our own id before others."""
        known = self.standing.record or self.standing.intent
        if known is not None:
            return next((one for one in self.shown if one.resource_id == known.resource_id), None)
        tagged = [one for one in self.shown if one.owner == self.installation_id]
        return min(tagged, key=lambda one: (one.resource_id != self.own_id, one.resource_id), default=None)

    def difference(self, kind: DifferenceKind, *, detail: str, elements: tuple[str, ...] = ()) -> Difference:
        resource_id = self.ours.resource_id if self.ours is not None else ""
        return Difference(study_uid=self.study_uid, kind=kind, detail=detail, resource_id=resource_id, elements=elements)


def suspicion(case: Case) -> DifferenceKind | None:
    """The kind of difference that the listings suggest; None where they agree."""
    shown = case.ours
    if not case.archived:
        return _of_gone(case, shown)
    if shown is None:
        return DifferenceKind.MISSING

    # Withdrawn although it is there: meant if we said so ourselves (everything is rejected, or it has just returned).
    if shown.status in WITHDRAWN:
        record = case.standing.record
        meant = record is not None and record.retracted and record.status == shown.status
        return _of_words(case, shown) if meant else DifferenceKind.DRIFTED

    # Announced only: right as long as it arrives. Reconstructed in the archive since it was read: it has other words, and
    # nothing else moved (RULES A8).
    if shown.status == "registered":
        stale = any(one.is_stable for one in case.archived)
    else:
        stale = not _fits_all(case, shown) or _says_otherwise(case)
    return DifferenceKind.STALE if stale else _of_words(case, shown)


def _of_gone(case: Case, shown: ShownStudy | None) -> DifferenceKind | None:
    """Nobody holds it any more: what is still shown is too much, unless the site wants it to stay."""
    record = case.standing.record
    kept = record is not None and record.retracted == Tombstone.KEPT
    is_shown = shown is not None and shown.status not in WITHDRAWN
    return DifferenceKind.EXTRA if is_shown and not kept else None


def _of_words(case: Case, shown: ShownStudy) -> DifferenceKind | None:
    """It says what it should, unless somebody wrote since. Without a record nobody knows, so it is looked at."""
    record = case.standing.record
    return None if record is not None and record.version == shown.version else DifferenceKind.DRIFTED


def parked_difference(case: Case) -> Difference:
    """A study that is set aside, as the audit tells it; `standing.parked` must be there."""
    entry = case.standing.parked
    assert entry is not None  # noqa: S101 - the caller has asked
    kind = DifferenceKind.DROPPED if entry.dropped else DifferenceKind.PARKED
    return case.difference(kind, detail=f"{entry.reason}: {entry.detail}" if entry.detail else entry.reason)


def _says_otherwise(case: Case) -> bool:
    """Whether a copy has other main tags than when it was read; where none are known, it is believed."""
    read = {(one.archive, one.orthanc_id): one.tags_digest for one in case.standing.copies}
    told = [(read.get((one.archive, one.orthanc_id)), one.tags_digest) for one in case.archived]
    return any(before is not None and before != now for before, now in told)


def _fits_all(case: Case, shown: ShownStudy) -> bool:
    counted = [one.instances for one in case.archived if one.instances is not None]
    instances_fit = len(counted) < len(case.archived) or _fits(shown.instances, counted)
    return instances_fit and _fits(shown.series, [one.series for one in case.archived])


def _fits(said: int | None, counted: Collection[int]) -> bool:
    """Copies may hold the same or different parts: at least the largest is said, at most all of them together."""
    return said is not None and max(counted) <= said <= sum(counted)
