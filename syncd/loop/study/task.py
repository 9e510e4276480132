"""One study's turn: its claim, the rooms, and how this pass differs from the first one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from syncd.errors import StudyError
from syncd.ledger.ledger import Claim
from syncd.loop.context import Context
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.outcome import (
    NO_COPIES,
    Ended,
    NextTurn,
    Outcome,
    Parked,
    Retraction,
    SeenCopies,
    Selected,
    Silent,
    Waiting,
    next_turn,
)
from syncd.model.selection import UnselectedStudy
from syncd.model.study.raw import RawStudy
from syncd.model.words import ParkedReason
from syncd.model.work import DELETING, ParkedStudy, StudyRecord

_ASK_AGAIN = {
    ParkedReason.PATIENT_CONFLICT: 60.0,  # RULES C8: resolves by itself once a copy is deleted
    ParkedReason.SERVER_ERROR: 86400.0,  # RULES C6: tried again daily
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What was read of a backlog's studies by calls that they share: every copy of this one, asked for `at` that time
    (seconds since the epoch), and, once they were searched for, ids of the Patients under each (system, value)."""

    raws: Mapping[tuple[ArchiveName, OrthancId], RawStudy]
    at: float
    patients: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """`hits` are ids that a batched first look found, None where none was made. `reread`: after a conflict the server
    is read whatever the ledger says. `away`: archives that must not be asked now (their breaker is open). `shared`: what was
    asked for it and its neighbours together. `dry`: decide, and
    write nothing. `summary`: without instances (MAPPING F.6). `unresolved`: the server refused a reference, so what the
    study refers to is looked up anew (RULES B4)."""

    claim: Claim
    context: Context
    away: frozenset[ArchiveName] = frozenset()
    hits: frozenset[str] | None = None
    reread: bool = False
    shared: Shared | None = None
    dry: bool = False
    summary: bool = False
    unresolved: bool = False

    @property
    def study_uid(self) -> str:
        return self.claim.row.study_uid

    @property
    def record(self) -> StudyRecord | None:
        """What is remembered; of one that we were about to delete, with what others had written until then."""
        record, intent = self.claim.record, self.claim.intent
        if record is None or intent is None or DELETING not in intent.owned:
            return record
        return replace(record, foreign=intent.owned[DELETING])

    @property
    def settle_after(self) -> float:
        """Seconds until this study is asked for again: by the archives that hold it."""
        archives = self.context.archives
        held = [archives[copy.archive].settle_after for copy in self.claim.copies if copy.archive in archives]
        return max(held, default=self.context.settle_after)

    @property
    def told_to_read(self) -> bool:
        """Whether a mark, or a conflict, says that FHIR itself must be read (RULES C5)."""
        return self.reread or self.claim.row.read_fhir

    @property
    def fresh(self) -> bool:
        """Whether FHIR itself must be read (RULES C5): also where a published study was parked meanwhile, for a reset of
        the server may have been among the marks that could not be followed; and where it was taken back, for what returns
        is compared with what is there."""
        retracted = self.record is not None and bool(self.record.retracted)
        parked = self.claim.parked is not None and self.record is not None
        return self.told_to_read or parked or retracted

    @property
    def resolves(self) -> bool:
        """Whether what the study refers to is looked up anew, whatever is remembered of it."""
        return self.fresh or self.unresolved

    def again(self) -> Task:
        """The same study after a conflict: what the ledger says now, and a fresh look at the server (RULES C4)."""
        ledger = self.context.ledger
        claim = replace(
            self.claim,
            record=ledger.records.find(self.study_uid),
            intent=ledger.claims.find_intent(self.study_uid),
            concerning=ledger.rejections.find_concerning(self.study_uid),
        )
        return replace(self, claim=claim, hits=None, reread=True, shared=None)

    def outcome(
        self,
        ended: Ended,
        *,
        turn: NextTurn | None = None,
        selection: Selected | UnselectedStudy | None = None,
        copies: SeenCopies = NO_COPIES,
        retraction: Retraction = Retraction.UNTOLD,
    ) -> Outcome:
        """All that is to be kept of this turn; the mark as `ended` alone says, unless `turn` does."""
        return Outcome(
            study_uid=self.study_uid,
            generation=self.claim.row.generation,
            ended=ended,
            turn=turn or next_turn(ended),
            selection=selection,
            copies=copies,
            retraction=retraction,
        )

    def back_off(self, reason: str, *, until: float, attempts: int) -> Outcome:
        """It failed, so many times by now, and no mark brings it back before that time (RULES C6)."""
        turn = NextTurn(due=until, attempts=attempts, not_before=until)
        return self.outcome(Waiting(reason=reason, until=until), turn=turn)

    def park(self, error: StudyError) -> Parked | Silent:
        """Parked with the reason, unless an operator dropped it for just that; some reasons are looked at again by
        themselves."""
        before = self.claim.parked
        if before is not None and before.dropped and (before.reason, before.digest) == (error.reason, error.digest):
            return Silent()
        now = self.context.clock()
        again = _ASK_AGAIN.get(ParkedReason(error.reason))
        entry = ParkedStudy(
            study_uid=self.study_uid,
            reason=error.reason,
            detail=error.detail,
            digest=error.digest,
            target_version=error.target_version,
            outcome=error.outcome,
            parked_at=now,
        )
        return Parked(entry=entry, until=now + again if again else None)
