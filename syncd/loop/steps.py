"""The steps between which syncd may be killed: each leaves the ledger and both servers so that a restart only repeats.

The program says `report_step(step)` at each; nothing listens in production. A test installs an observer that kills the
process, and fails if a name was never reached (so the list cannot go stale).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    SENTINEL_INTENDED = "sentinel-intended"
    SENTINEL_PROVED = "sentinel-proved"
    ENDPOINT_SENT = "endpoint-sent"
    BOOTSTRAP_BEGUN = "bootstrap-begun"
    SWEEP_STAGED = "sweep-staged"
    INVENTORY_MARKED = "inventory-marked"
    BOOTSTRAP_FINISHED = "bootstrap-finished"
    VERIFY_BEGUN = "verify-begun"
    VERIFY_LISTED = "verify-listed"
    VERIFY_COMPARED = "verify-compared"
    VERIFY_FINISHED = "verify-finished"
    HIGH_WATER_READ = "high-water-read"
    PAGE_READ = "page-read"
    STUDIES_RESOLVED = "studies-resolved"
    INTAKE_COMMITTED = "intake-committed"
    CLAIMED = "claimed"
    LOOKED_UP = "looked-up"
    HEADER_READ = "header-read"
    SNAPSHOT_READ = "snapshot-read"
    PATIENT_SENT = "patient-sent"
    SUBJECT_RESOLVED = "subject-resolved"
    MAPPED = "mapped"
    DECIDED = "decided"
    INTENT_SAVED = "intent-saved"
    INTENTS_WITHDRAWN = "intents-withdrawn"
    SENT = "sent"
    COMMITTED = "committed"
    RETRACTION_CLAIMED = "retraction-claimed"
    DELETED = "deleted"
    AGENT_SENT = "agent-sent"
    DELIVERED = "delivered"


_observer: Callable[[Step], None] | None = None


def observe(observer: Callable[[Step], None] | None) -> None:
    """Have `observer` called at every step (tests only); None stops it."""
    global _observer
    _observer = observer


def report_step(step: Step) -> None:
    """Say that `step` was just completed."""
    if _observer is not None:
        _observer(step)
