"""What Orthanc's `GET /changes` says: hints, in the order of their sequence numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry of the change feed. `date` is Orthanc's local text, kept only to tell two entries apart (RULES A4)."""

    seq: int
    change_type: str
    resource_type: str
    resource_id: str
    date: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePage:
    """One answer of `/changes`. `last` of an empty page is the high-water mark (docs/orthanc.md).

    `malformed` counts entries that could not be read: recorded, never stopping their neighbours (RULES A2).
    """

    changes: tuple[Change, ...]
    done: bool
    last: int
    malformed: int = 0
