"""What the ledger and the daemon tell of how things stand, in numbers and words: for `status`, the metrics, the page.

Apart from the other nouns of the ledger, because a health check imports nothing else of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from syncd.model.outbox import Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingStudy:
    """A study that is pending because what was tried failed, and how the last try ended (RULES C6)."""

    study_uid: str
    attempts: int
    """Failures that count against it since it last went well."""
    since: float
    due: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What the living daemon says of itself every few seconds, read by `status` and by a second process."""

    pid: int
    at: float
    started_at: float
    version: str
    web: str = ""
    archives: Mapping[str, Any] = field(default_factory=dict)
    """Per archive: `state`, `reason`, `behind_changes`, `behind_seconds`, `inventory` (`None` before the first)."""
    target: Mapping[str, Any] = field(default_factory=dict)
    """`state` (`words.TargetState`), `reason`, `inventory`, `requests_at_once`. An inventory's `at`, `listed` and `found`
    by kind."""
    backfill: str = ""
    """Why old studies wait although nothing stands in their way, such as the hours of the day; empty otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many studies are where: the overview of `status`, the metrics and the page."""

    dirty: int = 0
    due: int = 0
    oldest_mark: float = 0.0
    """When the oldest pending mark was made; 0 when nothing is pending."""
    published: Mapping[str, int] = field(default_factory=dict)
    """Records by status."""
    parked: Mapping[str, int] = field(default_factory=dict)
    """Parked studies by reason."""
    backfill: int = 0
    """Those due that are old: worked on when nothing else is, as the site's rate and hours allow."""
    unselected: Mapping[str, int] = field(default_factory=dict)
    """Studies that the site does not select, by state: `excluded`, `outside-history`."""
    dropped: int = 0
    """Parked studies of which an operator wants to hear nothing until they change; in no reason's number."""
    safety: int = 0
    """Published studies with `safety` notes."""
    outdated: int = 0
    """Published studies that another mapping or other settings rendered than today's (RULES B3)."""
    outbox: tuple[Queue, ...] = ()
    """What is owed after studies' writes, for each kind and sink of which anything is kept."""
    held: bool = False
    """Whether these stay so until they change or the operator lets them go (POLICY__RERENDER)."""
