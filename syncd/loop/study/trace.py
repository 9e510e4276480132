"""What one pass over a study saw and wanted, kept for whoever asks why: `explain` and `audit`.

An outcome says what was decided and nothing of what it was decided from. A dry run must be the real run: so the very
functions that decide leave here what they had in hand, and nobody computes it a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from syncd.model.snapshot import Note
from syncd.model.study.raw import RawStudy
from syncd.plan.decide import Action, Current, Wanted

_LEFT_OUT = "A.2 unencodable"


@dataclass(slots=True, kw_only=True)
class Trace:
    """Empty until the pass has come that far. `current` is None where the server was not read."""

    goal: Wanted | None = None
    current: Current | None = None
    action: Action | None = None
    notes: tuple[Note, ...] = ()
    instances: int | None = None
    """What the archive's copies hold together, as they were read."""
    rejected: int = 0
    """Those of them that rejection notes name."""

    def note_read(self, raws: Sequence[RawStudy], *, rejected: int, notes: tuple[Note, ...]) -> None:
        self.instances, self.rejected, self.notes = sum(len(raw.instances) for raw in raws), rejected, notes

    def note_decision(self, goal: Wanted, current: Current | None, action: Action) -> None:
        self.goal, self.current, self.action = goal, current, action

    @property
    def has_left_out_note(self) -> bool:
        """Whether a note tells of instances that cannot be said in FHIR at all (MAPPING A.2)."""
        return any(note.rule == _LEFT_OUT for note in self.notes)
