"""What a pass over a study that an archive holds comes to: a conclusion at once, or a draft, and one after that was said."""

from __future__ import annotations

from dataclasses import dataclass, replace

from syncd.loop.study.rejections import Applied
from syncd.loop.study.task import Task
from syncd.loop.study.trace import NOTHING, Trace
from syncd.model.outcome import Ended, NextTurn, Parked, Retraction, Selected, Unpublished, Waiting, next_turn
from syncd.model.selection import UnselectedStudy
from syncd.model.study.raw import RawStudy, Unread
from syncd.selection.rules import Excluded

SOON, LATER, DAILY = 30.0, 600.0, 86400.0
"""Seconds until a study of which something could not be read is looked at again: at first, for the network may have spoilt
it, or, where the archive was too slow, when that may have passed; and at most. In between it doubles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What FHIR is to say: what is left of the study, as `raws` held it, under this id and with this status.

    `excluded`: the site does not select it, and wants it to stay all the same, for it was published before."""

    applied: Applied
    raws: tuple[RawStudy, ...]
    identity: str
    status: str
    excluded: Excluded | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a draft. `refused`: something of the study's own kept it back, so it is parked or silent."""

    ended: Ended
    trace: Trace
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What the pass says of the study, of its mark, of its selection and of a retraction that was planned for it."""

    ended: Ended
    turn: NextTurn
    selection: Selected | UnselectedStudy | None = None
    retraction: Retraction = Retraction.THERE
    trace: Trace = NOTHING


def not_yet(reason: str, *, until: float) -> Conclusion:
    """Nothing is said yet."""
    waiting = Waiting(reason=reason, until=until)
    return Conclusion(ended=waiting, turn=next_turn(waiting))


def nothing_to_show(task: Task, draft: Draft) -> Conclusion:
    """Everything is rejected, and nothing of it was published: it is never shown (MAPPING D.2)."""
    reason = "everything is rejected, and nothing was published"
    ended = Unpublished(reason=_told(draft, reason), retraction=Retraction.THERE)
    return _dealt_with(task, draft, ended, retraction=ended.retraction)


def conclusion_after(task: Task, draft: Draft, said: Result) -> Conclusion:
    """The one after `draft` was said, and not refused."""
    if draft.status == "registered":  # the mark is never cleared while the study arrives (RULES A5, A6)
        due = task.context.clock() + task.settle_after
        return Conclusion(ended=said.ended, turn=NextTurn(due=due), selection=Selected(), trace=said.trace)
    ended = _reworded(said.ended, draft)
    if draft.status == "available":
        return _dealt_with(task, draft, ended, retraction=Retraction.OFF, trace=said.trace)
    retraction = Retraction.THERE if isinstance(ended, Waiting) else Retraction.DONE
    return _dealt_with(task, draft, ended, retraction=retraction, trace=said.trace)


def _dealt_with(task: Task, draft: Draft, ended: Ended, *, retraction: Retraction, trace: Trace = NOTHING) -> Conclusion:
    """The study was seen whole, and its stream of instances begins anew (RULES A5)."""
    turn = _read_again(task, replace(next_turn(ended), new_stream=True), draft.raws)
    return Conclusion(ended=ended, turn=turn, selection=Selected(), retraction=retraction, trace=trace)


def _read_again(task: Task, turn: NextTurn, raws: tuple[RawStudy, ...]) -> NextTurn:
    """What could not be read may be there again although nothing tells of it, as after a restore: it is looked at again,
    first soon, then daily (RULES B11)."""
    unread = {why for raw in raws for why in raw.unread.values() if why.may_pass}
    if turn.due is not None or not unread:
        return turn
    now = task.context.clock()
    first = SOON if Unread.BROKEN in unread else LATER
    return turn.by(now + min(max(now - task.claim.row.first_marked, first), DAILY))


def _reworded(ended: Ended, draft: Draft) -> Ended:
    if isinstance(ended, Parked):
        return ended
    rejected = "everything is rejected: " if draft.applied.nothing else ""
    return replace(ended, reason=_told(draft, f"{rejected}{ended.reason}"))


def _told(draft: Draft, reason: str) -> str:
    if draft.excluded is None:
        return reason
    return f"{reason}; {draft.excluded.reason}, but published before: it stays"
