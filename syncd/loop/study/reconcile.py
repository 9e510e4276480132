"""One study, made equal: ledger → look → snapshot → mapping → plan → publish → outcome.

This is the second half of the sentence. Everything that can be told without writing is told first, as a conclusion with
a reason. A conflict throws the desired resource away and starts again from the archive: merging an old snapshot over a
newer write would itself be a lost update (RULES C4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from syncd.errors import Conflict, CopyAway, StudyError, TornRead, Transient
from syncd.loop.steps import Step, report_step
from syncd.loop.study import rejections, say
from syncd.loop.study.conclusion import Conclusion, Draft, Result, conclusion_after
from syncd.loop.study.consider import consider
from syncd.loop.study.read import Look, look
from syncd.loop.study.retract import retraction_after, take_back_gone
from syncd.loop.study.say import Sendable
from syncd.loop.study.task import Task
from syncd.loop.study.trace import NOTHING, Trace, Turn
from syncd.model.outcome import Confirmed, Ended, NextTurn, Outcome, SeenCopies, Selected, next_turn
from syncd.model.study.rejection import Rejection
from syncd.model.words import ParkedReason
from syncd.model.work import ATTEMPTS, Copy, Intent
from syncd.publish.server import Written

CONFLICTS = 5
"""Passes, of which each but the first follows a 409/412, before it counts as a transient failure (RULES C4)."""


LARGE = 5_000
"""Instances; of studies with more of them one at a time is said and sent: twice 20,000 take some 40 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """A study of which is known what FHIR is to say, and not yet of whom."""

    task: Task
    seen: Look
    draft: Draft

    def with_patients(self, found: Mapping[tuple[str, str], tuple[str, ...]]) -> Drafted:
        """The same, where Patients were searched for: ids by (system, value)."""
        shared = self.task.shared
        return self if shared is None else replace(self, task=replace(self.task, shared=replace(shared, patients=found)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A study of which only the write is left."""

    drafted: Drafted
    sendable: Sendable

    @property
    def intent(self) -> Intent:
        return self.sendable.intent

    @property
    def wanted(self) -> tuple[Mapping[str, Any], str]:
        """The resource, and the version that it replaces."""
        return self.sendable.ready.write.resource, self.intent.expected_version

    @property
    def instances(self) -> int:
        return self.sendable.instances

    def is_current(self, concerning: Iterable[Rejection]) -> bool:
        """As `Sendable.is_current`."""
        return self.sendable.is_current(concerning)


def reconcile(task: Task) -> Turn:
    """Decide and, unless the task is dry, publish.

    A `StudyError` becomes a parked outcome, a torn read a waiting one. Raises `Transient`, `TargetPaused`,
    `ServerReset` and `LedgerUnavailable`: those are not the study's own.
    """
    report_step(Step.CLAIMED)
    for _ in range(CONFLICTS):
        try:
            drafted = draft(task)
            if not isinstance(drafted, Drafted):
                return drafted
            with _one_large(drafted):
                step = prepare(drafted)
                return finish(step) if isinstance(step, Prepared) else step
        except Conflict:
            task = task.again()
    raise Transient("Somebody else writes this ImagingStudy again and again", server="fhir")


def _one_large(drafted: Drafted) -> AbstractContextManager[None]:
    """The turn of a large study among the others; nobody who waits for it holds what its holder needs."""
    large = sum(len(raw.instances) for raw in drafted.draft.raws) > LARGE
    return drafted.task.context.locks.hold("a large study") if large else nullcontext()


def draft(task: Task) -> Turn | Drafted:
    """The first half of a pass: the archive is read. A torn read is the study's turn. Raises `Conflict` and what is not the
    study's own."""
    try:
        seen = look(task)
        if not seen.headers:
            return Turn(outcome=_outcome_of_gone(task, seen))
        try:
            found = consider(task, seen)
        except StudyError as error:
            return _turn(task, seen, _kept_back(task, seen, task.park(error)))
    except TornRead as error:
        return Turn(outcome=_outcome_of_torn(task, error))
    if isinstance(found, Conclusion):
        return _turn(task, seen, found)
    return Drafted(task=task, seen=seen, draft=found)


def prepare(drafted: Drafted) -> Turn | Prepared:
    """The second half without its write. Raises `Conflict` and what is not the study's own."""
    try:
        step = say.prepare(drafted.task, drafted.draft)
    except StudyError as error:
        task, seen = drafted.task, drafted.seen
        return _turn(task, seen, _kept_back(task, seen, task.park(error)), told=drafted.draft.applied.own)
    return _ended(drafted, step)


def finish(prepared: Prepared) -> Turn:
    """The rest by itself: its intent, the write, and whatever a refusal that is a question turns it into."""
    return _turn_of(prepared.drafted, say.send_on(prepared.sendable))


def transmit(prepared: Prepared) -> Turn | Prepared:
    """The write, whose intent the ledger holds by now; after a refusal that is a question there may be another one."""
    return _ended(prepared.drafted, say.transmit(prepared.sendable))


def receive(prepared: Prepared, written: Written) -> Turn:
    """After the write, which was sent along with others'. Raises `ServerReset`."""
    return _turn_of(prepared.drafted, say.receive(prepared.sendable, written))


def _ended(drafted: Drafted, step: Result | Sendable) -> Turn | Prepared:
    return Prepared(drafted=drafted, sendable=step) if isinstance(step, Sendable) else _turn_of(drafted, step)


def _turn_of(drafted: Drafted, said: Result) -> Turn:
    task, seen = drafted.task, drafted.seen
    if said.refused:
        conclusion = _kept_back(task, seen, said.ended, trace=said.trace)
    else:
        conclusion = conclusion_after(task, drafted.draft, said)
    return _turn(task, seen, conclusion, told=drafted.draft.applied.own)


def _outcome_of_torn(task: Task, error: TornRead) -> Outcome:
    """It waits, for what changes will be whole in a moment. One that is never whole although nothing arrives has a trouble
    of its own, and is parked in the end like any other that fails so often (RULES A7, C6)."""
    now, row, parked = task.context.clock(), task.claim.row, task.claim.parked
    arriving = bool(row.last_event) and now - row.last_event <= task.settle_after
    attempts = row.attempts if arriving or isinstance(error, CopyAway) else row.attempts + 1
    gave_up = parked is not None and parked.reason == ParkedReason.SERVER_ERROR
    if attempts > row.attempts and (attempts >= ATTEMPTS or gave_up):
        return task.outcome(task.park(StudyError(ParkedReason.SERVER_ERROR, f"it cannot be read as a whole: {error}")))
    return task.back_off(str(error), until=now + task.settle_after, attempts=attempts)


def _turn(task: Task, seen: Look, conclusion: Conclusion, *, told: frozenset[Rejection] | None = None) -> Turn:
    copies = SeenCopies(found=_copies_with_counts(seen, conclusion.ended), gone=seen.gone)
    outcome = task.outcome(
        conclusion.ended,
        turn=rejections.within_grace(task, conclusion.turn, told=told),
        selection=conclusion.selection,
        copies=copies,
        retraction=conclusion.retraction,
    )
    return Turn(outcome=outcome, trace=conclusion.trace)


def _outcome_of_gone(task: Task, seen: Look) -> Outcome:
    """No archive holds it: what is left of it is taken back, and its copies are forgotten once that is done."""
    rejections.none_found(task)
    ended = take_back_gone(task)
    turn = next_turn(ended)
    over = turn.due is None
    return task.outcome(
        ended,
        turn=rejections.within_grace(task, turn),
        selection=Selected() if over else None,
        copies=SeenCopies(gone=seen.gone if over else ()),
        retraction=retraction_after(ended),
    )


def _kept_back(task: Task, seen: Look, ended: Ended, *, trace: Trace = NOTHING) -> Conclusion:
    """Something of its own keeps it from being said."""
    turn = next_turn(ended)
    if not seen.is_stable:
        # What is wrong now may be complete in a minute, and nobody else would ask again (RULES A5).
        turn = NextTurn(due=task.context.clock() + task.settle_after)
    return Conclusion(ended=ended, turn=turn, selection=Selected(), trace=trace)


def _copies_with_counts(seen: Look, ended: Ended) -> tuple[Copy, ...]:
    """The copies that were looked at, with the number of instances that was published of each (RULES A8)."""
    record = ended.record if isinstance(ended, Confirmed) else None
    counts = record.raw.get("counts", {}) if record is not None else {}
    return tuple(replace(copy, instances=counts.get(copy.orthanc_id, -1)) for copy in seen.copies)
