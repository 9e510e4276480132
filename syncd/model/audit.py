"""The audit's nouns: a study as each side shows it, what the ledger knows of it, and how the two sides differ.

They hold counts, ids and words, and nothing of a patient (RULES S1), so they may be printed as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.selection import UnselectedStudy
from syncd.model.work import Copy, DirtyRow, Intent, ParkedStudy, PlannedRetraction, StudyRecord

PENDING = 120.0
"""Seconds for which a study with a pending mark is work under way and no difference (README.md, `audit`)."""


class DifferenceKind(StrEnum):
    """How a study differs, in the words of `syncd audit`."""

    MISSING = "missing"
    """The archive holds it, the FHIR server does not."""
    STALE = "stale"
    """FHIR says what the archive held before, or only that it is arriving."""
    EXTRA = "extra"
    """FHIR shows it, no archive holds it."""
    DUPLICATE = "duplicate"
    """More than one ImagingStudy names it."""
    DRIFTED = "drifted"
    """Somebody else changed what syncd had said."""
    PARKED = "parked"
    """It is set aside, and why is known."""
    DROPPED = "dropped"
    """It is set aside, and an operator wants to hear nothing of it."""


REPAIRABLE = frozenset({DifferenceKind.MISSING, DifferenceKind.STALE, DifferenceKind.EXTRA, DifferenceKind.DRIFTED})
"""What another look at the study can put right; the others need a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedStudy:
    """One copy as its archive lists it. `instances` is None where the archive did not count them; `tags_digest` is as in
    `work.Copy`."""

    archive: ArchiveName
    orthanc_id: OrthancId
    study_uid: str
    is_stable: bool
    series: int
    instances: int | None = None
    tags_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownStudy:
    """One ImagingStudy as the FHIR server lists it. `owner` is the installation whose tag it carries; `status` is in R4's
    words; a count that it does not say is None."""

    resource_id: str
    study_uid: str
    owner: str
    version: str
    status: str
    series: int | None = None
    instances: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All that the ledger knows of one study."""

    study_uid: str
    record: StudyRecord | None = None
    intent: Intent | None = None
    parked: ParkedStudy | None = None
    unselected: UnselectedStudy | None = None
    dirty: DirtyRow | None = None
    planned: PlannedRetraction | None = None
    copies: tuple[Copy, ...] = ()

    def is_pending(self, *, now: float) -> bool:
        return self.dirty is not None and now - self.dirty.first_marked < PENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One way in which one study differs. `elements` are names of FHIR elements, never values."""

    study_uid: str
    kind: DifferenceKind
    detail: str = ""
    resource_id: str = ""
    elements: tuple[str, ...] = ()
