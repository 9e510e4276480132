"""What a kind of the outbox brings along: what a confirmed write owes, and how one entry is sent to one receiver."""

from __future__ import annotations

from typing import Protocol

from syncd.errors import SyncdError
from syncd.model.outbox import OutboxEntry
from syncd.model.work import StudyRecord


class Refused(SyncdError):
    """The receiver will never take this; the entry is given up, and nobody waits for it."""


class Delivery(Protocol):
    """One kind, to one sink. The dispatcher sees to everything else: order, pauses, what is settled or given up."""

    @property
    def kind(self) -> str:
        """The field's word for it, without a slash: history, metrics and logs name it."""

    @property
    def sink(self) -> str:
        """The receiver's name."""

    def owe(self, before: StudyRecord | None, after: StudyRecord, *, intended_at: float) -> tuple[OutboxEntry, ...]:
        """What the write owes that made `before` (None: nothing was remembered) to `after`; the same for the same write.
        It asks no server: it is called before the study is settled."""

    def send(self, entry: OutboxEntry) -> None:
        """Send it, within a deadline; returns once the receiver has it. It may have had it before (at least once).

        Raises `Refused` where the receiver will never take it, `Unreachable` where nobody was asked, and any other
        `SyncdError` for what may yet succeed."""
