"""One study, made equal: ledger → look → snapshot → mapping → plan → publish → outcome.

This is the second half of the sentence. Everything that can be told without writing is told first, as a conclusion with
a reason. A conflict throws the desired resource away and starts again from the archive: merging an old snapshot over a
newer write would itself be a lost update (RULES C4).
"""

from __future__ import annotations

from dataclasses import replace

from syncd.errors import Conflict, CopyAway, StudyError, TornRead, Transient
from syncd.loop.steps import Step, report_step
from syncd.loop.study import rejections
from syncd.loop.study.conclusion import Conclusion, Draft, Result, conclusion_after
from syncd.loop.study.consider import consider
from syncd.loop.study.read import Look, look
from syncd.loop.study.retract import retraction_after, take_back_gone
from syncd.loop.study.say import say
from syncd.loop.study.task import Task
from syncd.loop.study.trace import NOTHING, Trace, Turn
from syncd.model.outcome import Confirmed, Ended, NextTurn, Outcome, SeenCopies, Selected, next_turn
from syncd.model.words import ParkedReason
from syncd.model.work import ATTEMPTS, Copy

CONFLICTS = 5
"""Passes, of which each but the first follows a 409/412, before it counts as a transient failure (RULES C4)."""


def reconcile(task: Task) -> Turn:
    """Decide and, unless the task is dry, publish.

    A `StudyError` becomes a parked outcome, a torn read a waiting one. Raises `Transient`, `TargetPaused`,
    `ServerReset` and `LedgerUnavailable`: those are not the study's own.
    """
    report_step(Step.CLAIMED)
    for _ in range(CONFLICTS):
        try:
            return _pass(task)
        except Conflict:
            task = task.again()
        except TornRead as error:
            return Turn(outcome=_outcome_of_torn(task, error))
    raise Transient("Somebody else writes this ImagingStudy again and again", server="fhir")


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


def _pass(task: Task) -> Turn:
    seen = look(task)
    if not seen.headers:
        return Turn(outcome=_outcome_of_gone(task, seen))
    try:
        found = consider(task, seen)
        conclusion = found if isinstance(found, Conclusion) else _conclusion_of(task, seen, found, said=say(task, found))
    except StudyError as error:
        conclusion = _kept_back(task, seen, task.park(error))
    copies = SeenCopies(found=_copies_with_counts(seen, conclusion.ended), gone=seen.gone)
    outcome = task.outcome(
        conclusion.ended,
        turn=rejections.within_grace(task, conclusion.turn),
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


def _conclusion_of(task: Task, seen: Look, draft: Draft, *, said: Result) -> Conclusion:
    if said.refused:
        return _kept_back(task, seen, said.ended, trace=said.trace)
    return conclusion_after(task, draft, said)


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
