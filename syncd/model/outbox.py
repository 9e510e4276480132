"""What is still to be sent of a write that was confirmed: entries of an outbox, one for each kind and receiver (RULES B8).

An entry says everything that is needed to make it again after a crash, word for word. It is kept with the record of its
study and must never stand in that study's way: it is sent, put off or given up alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

FHIR = "fhir"
"""The FHIR server as a receiver, among those that the site names."""


class EntryState(StrEnum):
    WAITING = "waiting"
    GIVEN_UP = "given-up"
    """It will never be taken; kept for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEntry:
    """One thing to be sent to one receiver. `key` makes it the same one when it is committed again; `payload` is JSON: what
    is sent, or what it takes to make that, and nothing of a person in clear.

    `seq` is its place in the order of its lane, given by the ledger. `attempts` failed so far, the next one is at `due`;
    `reason` is how the last one ended. Times are seconds since the epoch."""

    kind: str
    sink: str
    study_uid: str
    key: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    made_at: float = 0.0
    due: float = 0.0
    attempts: int = 0
    state: EntryState = EntryState.WAITING
    reason: str = ""
    correlation_id: str = ""
    seq: int = 0

    @property
    def lane(self) -> tuple[str, str, str]:
        """In which nothing overtakes: study, kind and sink."""
        return self.study_uid, self.kind, self.sink


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """How many entries of one kind wait for one sink, and how many were given up and are still kept."""

    kind: str
    sink: str
    waiting: int = 0
    given_up: int = 0
