"""What this room may know of the rest: four questions, answered by the loop.

The web room reads and never acts, so it needs no ledger, client or settings. Each answer is asked for at every request
and must be cheap; reasons are in words that an operator understands, and hold nothing of a patient (RULES S1).
"""

from __future__ import annotations

from typing import Protocol

from syncd.model.overview import Counts, Heartbeat


class Facts(Protocol):
    """Answered from any thread. May raise `SyncdError` when the ledger cannot be read."""

    def counts(self) -> Counts:
        """How many studies are where."""
        ...

    def heartbeat(self) -> Heartbeat:
        """What the daemon says of itself."""
        ...

    def ready(self) -> tuple[str, ...]:
        """Why it is not ready, in words; empty when it is: archive and FHIR server answer, and nothing is paused."""
        ...

    def alive(self) -> bool:
        """Whether the clockwork still turns; False asks for a restart, so it says nothing about other servers."""
        ...
