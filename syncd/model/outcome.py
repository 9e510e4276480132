"""How one turn of one study ended: what became of the study, of its mark, and of what else is kept of it.

Five questions, each answered by a value of its own that is made whole where it is known. They are put together once, at
the end of the turn, and the ledger keeps them in one transaction. Times are seconds since the epoch (wall clock).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar

from syncd.model.outbox import OutboxEntry
from syncd.model.selection import UnselectedStudy
from syncd.model.snapshot import Note
from syncd.model.words import Decision
from syncd.model.work import Copy, ParkedStudy, StudyRecord


class Retraction(StrEnum):
    """What an outcome says of a retraction that was claimed or planned for its study (RULES D3)."""

    UNTOLD = ""
    """Nothing: a failed attempt, or a study that waits at the brake."""
    THERE = "there"
    """The archive holds it: whatever was planned because it was gone is off."""
    OFF = "off"
    """There is no reason any more: neither planned nor paid for any longer."""
    DONE = "done"
    """It was carried out; the next one of this study is paid for anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """The server says what it should, because it was written now or did so already. `record` replaces the study's and
    clears its intent; a dry turn has none."""

    decision: Decision
    reason: str
    record: StudyRecord | None
    corrected: tuple[str, ...] = ()
    """Elements of ours that somebody else had changed and that were put back (RULES C4)."""
    owed: tuple[OutboxEntry, ...] = ()
    """What is to be sent of that write; owed from the transaction that keeps the record (RULES B8)."""
    noted: tuple[str, ...] = ()
    """Rules by which something odd of what was published now was dealt with; for the counters, not kept."""
    safety: tuple[Note, ...] | None = None
    """What is in doubt of the study as it is published now, in place of what was kept; None: nothing is known of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpublished:
    """FHIR shows nothing of it and is to show nothing: what was intended is void. `retraction` as in `Outcome`."""

    decision: ClassVar[Decision] = Decision.SKIP
    reason: str
    retraction: Retraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Nothing was done; it is looked at again `until` then."""

    decision: ClassVar[Decision] = Decision.WAIT
    reason: str
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """It cannot be published now. `until`: when it is looked at again by itself, if ever."""

    decision: ClassVar[Decision] = Decision.PARK
    entry: ParkedStudy
    until: float | None = None

    @property
    def reason(self) -> str:
        return f"{self.entry.reason}: {self.entry.detail}" if self.entry.detail else self.entry.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """Nothing was done and nothing is said: an operator dropped it, and it is as it was then (RULES E2)."""

    decision: ClassVar[Decision] = Decision.SKIP
    reason: str = "dropped, and nothing changed"


Ended = Confirmed | Unpublished | Waiting | Parked | Silent
"""What became of the study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextTurn:
    """What becomes of the study's mark: without a `due` it goes, if no newer one came; else the study is due then.

    `attempts` are the failures that count against it, and no mark brings it back `not_before` then (RULES C6).
    `new_stream`: it was dealt with whole, so the ten minutes of unbroken streaming begin anew (RULES A5)."""

    due: float | None = None
    attempts: int = 0
    not_before: float = 0.0
    new_stream: bool = False

    def by(self, at: float) -> NextTurn:
        """The same, but not later than `at`."""
        return replace(self, due=at if self.due is None else min(self.due, at))

    def set_back(self, by: float) -> NextTurn:
        """The same by a clock that was set back by so many seconds since (RULES E5)."""
        due = None if self.due is None else max(0.0, self.due - by)
        return replace(self, due=due, not_before=max(0.0, self.not_before - by))


def next_turn(ended: Ended) -> NextTurn:
    """What becomes of the mark if nothing else bears on it."""
    match ended:
        case Waiting(until=until) | Parked(until=until):
            return NextTurn(due=until)
        case Confirmed() | Unpublished() | Silent():
            return NextTurn()


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """The site selects the study, or it is gone: it is counted among the others no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCopies:
    """The copies that the archives held in this turn, and those that were proven absent (RULES D1)."""

    found: tuple[Copy, ...] = ()
    gone: tuple[Copy, ...] = ()


NO_COPIES = SeenCopies()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one turn of one study ended: committed in one transaction, together with its history line."""

    study_uid: str
    generation: int
    ended: Ended
    turn: NextTurn
    selection: Selected | UnselectedStudy | None = None
    """Replaces what was known of that; None: nothing is known."""
    copies: SeenCopies = NO_COPIES
    retraction: Retraction = Retraction.UNTOLD
    correlation_id: str = ""

    @property
    def decision(self) -> Decision:
        return self.ended.decision

    @property
    def reason(self) -> str:
        return self.ended.reason

    @property
    def done(self) -> bool:
        """Whether the mark goes, if no newer one came."""
        return self.turn.due is None

    @property
    def record(self) -> StudyRecord | None:
        return self.ended.record if isinstance(self.ended, Confirmed) else None

    @property
    def parked(self) -> ParkedStudy | None:
        return self.ended.entry if isinstance(self.ended, Parked) else None

    @property
    def owed(self) -> tuple[OutboxEntry, ...]:
        return self.ended.owed if isinstance(self.ended, Confirmed) else ()
