"""The words that are the same in ledger, logs, pages and JSON."""

from __future__ import annotations

from enum import StrEnum


class StudyState(StrEnum):
    WAITING = "waiting"
    DIRTY = "dirty"
    REGISTERED = "registered"
    AVAILABLE = "available"
    PARKED = "parked"
    DROPPED = "dropped"
    RETRACTED = "retracted"
    EXCLUDED = "excluded"
    OUTSIDE_HISTORY = "outside-history"


class ArchiveState(StrEnum):
    BOOTSTRAPPING = "bootstrapping"
    OK = "ok"
    PAUSED = "paused"
    REMOVED = "removed"
    """The ledger knows it, the settings do not: its studies wait for `syncd archive forget` (RULES C8)."""


class TargetState(StrEnum):
    OK = "ok"
    OPEN = "open"
    PAUSED = "paused"


class Decision(StrEnum):
    CREATE = "Create"
    UPDATE = "Update"
    SKIP = "Skip"
    PARK = "Park"
    WAIT = "Wait"
    RETRACT = "Retract"


class BrakeState(StrEnum):
    """Whether what is published may still be taken back (RULES D3)."""

    OPEN = "open"
    CLOSED = "closed"


class Cause(StrEnum):
    """Why something is taken back."""

    GONE = "gone"
    """The archive holds no copy any more (RULES D1)."""
    REJECTED = "rejected"
    """Rejection notes name all that it has (RULES B7)."""
    DESELECTED = "deselected"
    """The site's settings do not select it any more."""


class Tombstone(StrEnum):
    """What became of the resource of a study that was taken back (RULES D2)."""

    WITHDRAWN = "withdrawn"
    """Its status says so."""
    DELETED = "deleted"
    """It is not on the server any more."""
    KEPT = "kept"
    """The site wants it to stay as it was."""
    THEIRS = "theirs"
    """Another writer had withdrawn it already, and their word stands (RULES C4)."""


SHOWN = ("", Tombstone.KEPT.value)
"""`StudyRecord.retracted` of a study that FHIR still shows."""


WITHDRAWN = frozenset({"entered-in-error", "cancelled", "inactive"})
"""The statuses of ImagingStudy that say: this is no more."""


class Priority:
    """Order of work (RULES A9): feed marks, then repairs, then backfill."""

    FEED = 0
    REPAIR = 1
    BACKFILL = 2


class ParkedReason(StrEnum):
    UID_NOT_OID = "uid-not-oid"
    UNMAPPABLE = "unmappable"
    VALUES_STRICT = "values-strict"
    HOOK = "hook"
    REJECTION_UNSUPPORTED = "rejection-unsupported"
    """Only in ledgers of versions that did not apply rejection notes; nothing is parked with it any more."""
    PATIENT_CONFLICT = "patient-conflict"
    PATIENT_MISMATCH = "patient-mismatch"
    PATIENT_AMBIGUOUS = "patient-ambiguous"
    REFERENCE_REFUSED = "reference-refused"
    FOREIGN_IMAGINGSTUDY = "foreign-imagingstudy"
    OWNED_ELSEWHERE = "owned-elsewhere"
    CONTESTED = "contested"
    WITHDRAWN_BY_OTHER = "withdrawn-by-other"
    REFUSED = "refused"
    FORBIDDEN = "forbidden"
    TOO_LARGE = "too-large"
    SERVER_ERROR = "server-error"


NOTE_RULES = (
    *("A.1", "A.2", "A.2 unencodable", "A.3", "A7", "B"),
    *("C.1", "C.1-1", "C.1-2", "C.1-3", "C.1-4", "C.1-7", "C.1-8", "C.1-9", "C.1-10", "C.1-13"),
    *("C.2", "C.3", "C.4", "C.6", "C.7", "C8", "D.2", "D.2-5", "F.6", "I-11", "I-27", "I-62", "J.3", "RULES B8", "RULES C1"),
    *("RULES B9", "RULES B10", "RULES B11"),
    *("J.2", "J.4", "J.7"),
    *("A.1 R5", "A.1 R6", "A.2 R6", "A.3 title", "A.4 ist-7", "A.4 ist-8", "B (0010,1000)", "H eu", "H mado", "I-28", "M"),
)
"""Every rule that a note may name, so that each is counted from zero."""
