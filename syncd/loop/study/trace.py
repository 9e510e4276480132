"""What one pass over a study saw and wanted, for whoever asks why: `explain` and `audit`.

An outcome says what was decided and nothing of what it was decided from. A dry run must be the real run: so every pass
hands out what it had in hand, and nobody computes it a second time.
"""

from __future__ import annotations

from dataclasses import dataclass

from syncd.model.outcome import Outcome
from syncd.model.snapshot import Note
from syncd.plan.decide import Action, Current, Wanted

_LEFT_OUT = "A.2 unencodable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What is to be done about a goal, and the server's copy that this was decided from; None where it was not read."""

    goal: Wanted
    current: Current | None
    action: Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Empty where the pass did not come so far."""

    weighed: Weighed | None = None
    notes: tuple[Note, ...] = ()
    instances: int | None = None
    """What the archive's copies hold together, as they were read."""
    rejected: int = 0
    """Those of them that rejection notes name."""

    @property
    def has_left_out_note(self) -> bool:
        """Whether a note tells of instances that cannot be said in FHIR at all (MAPPING A.2)."""
        return any(note.rule == _LEFT_OUT for note in self.notes)


NOTHING = Trace()


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How one turn ended, and what was seen in its last pass."""

    outcome: Outcome
    trace: Trace = NOTHING
