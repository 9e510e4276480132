"""What the two inventories find, and how far they are: values shared by the loop, the ledger and whoever shows them.

An inventory only ever finds hints: a listing is a minute old when it is complete, a search may be cached, and both sides
live on meanwhile. So what is found is marked, and reconcile proves it; `Found` counts marks and reports, no facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Difference(StrEnum):
    """How a study of the archive may differ from what the ledger remembers (RULES A8)."""

    NEW = "new"
    CHANGED = "changed"
    """LastUpdate, labels or main tags are others than those read before the last snapshot."""
    STABLE = "stable"
    """Only `registered`, though the archive calls it stable."""
    GONE = "gone"
    """Not listed. Proven, or not, by RULES D1."""
    COUNT = "count"
    """Another number of instances, though LastUpdate did not move."""


class FindingKind(StrEnum):
    """What the FHIR inventory reports and nobody repairs by himself."""

    DUPLICATE = "duplicate"
    """Names a study that we publish under another id."""
    FOREIGN = "foreign"
    """Names a study of ours and carries no installation's tag."""
    ELSEWHERE = "elsewhere"
    """Names a study of ours and carries another installation's tag."""
    UNKNOWN = "unknown"
    """Carries our tag, and the ledger remembers nothing of it (RULES E7)."""


MISSING, DRIFTED, LOWER, OUTDATED = "missing", "drifted", "lower", "outdated"
"""What else a FHIR inventory counts: records without resource, with another version, with a version below the record's;
studies that refer to what is gone, not in use any more, or replaced (RULES B12)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedResource:
    """One ImagingStudy as a listing shows it. `study_uid` is empty when it names none; `owner` is
    the code of its installation tag, empty without one."""

    resource_id: str
    study_uid: str
    version: str
    last_updated: str
    status: str
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """The last inventory of one side that was finished; `found` counts by kind, zeros included."""

    began_at: float
    ended_at: float
    listed: int
    found: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """A FHIR inventory under way: what is done next, and from where on. Committed with each slice (RULES E8)."""

    began_at: float
    reason: str
    phase: str
    after: str = ""
    """In the phase's own terms: the address of the next page, or the last key that was dealt with."""
    listed: int = 0
    found: Mapping[str, int] = field(default_factory=dict)
