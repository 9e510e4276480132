"""What is still to be said of a write that was confirmed: a Provenance, owed until the server has it (RULES B8).

A debt is a value that says everything: what it says again after a crash is the same, word for word. It must never stand
in the way of what it speaks of: it is kept beside the record, and paid, put off or given up alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Occasion(StrEnum):
    """Why a write is worth a Provenance; the first three are the corrections of POLICY__PROVENANCE."""

    RETRACTED = "retracted"
    """The resource is withdrawn: `entered-in-error`, `cancelled` or `inactive`."""
    REPLACED = "replaced"
    """It takes the place of another study, which it rejects as a wrong worklist entry (MAPPING I case 39)."""
    SUBJECT = "subject"
    """It was another patient's, or named another Patient (MAPPING I case 51)."""
    CREATED = "created"
    UPDATED = "updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedProvenance:
    """One Provenance of `ImagingStudy/<resource_id>` in its `version`. `sources` are the studies that it replaces.

    `recorded` is when the write was intended: the intent's time, which a retry finds again. `attempts` failed so far, the
    next one is due at `due`. Times are seconds since the epoch."""

    provenance_id: str
    study_uid: str
    resource_id: str
    version: str
    occasion: Occasion
    recorded: float
    sources: tuple[str, ...] = ()
    attempts: int = 0
    due: float = 0.0
