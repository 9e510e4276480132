"""From the goal to what became of it: read the server if need be, decide, commit the intent, write, remember.

The order is the whole point. The intent is committed before the request leaves, the record after the server confirmed;
whatever kills us between the two, the next pass finds the intent, reads the server first (RULES C5), and recognises its
own values (RULES C3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from syncd.loop.steps import Step, report_step
from syncd.loop.study import brake
from syncd.loop.study.send import intent_of, is_adopted, owed_for, refusal, require_no_reset, what_is_known
from syncd.loop.study.task import Task
from syncd.loop.study.trace import Weighed
from syncd.mapping.values.identity import resource_id
from syncd.model.outcome import Confirmed, Silent, Waiting
from syncd.model.snapshot import Note
from syncd.model.words import WITHDRAWN, Cause, Decision, Tombstone
from syncd.model.work import Intent, MarkKind, StudyRecord
from syncd.plan.decide import (
    Absent,
    Current,
    Deleted,
    Found,
    NeedRead,
    Park,
    Silence,
    Skip,
    Wait,
    Wanted,
    Write,
    decide,
    goal_of,
)
from syncd.plan.ownership import installation_of, owned_values
from syncd.plan.withdraw import takes_back
from syncd.publish.answers import is_below
from syncd.publish.lookups import imaging_studies
from syncd.publish.server import Written


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is kept of a study once the server confirmed it: `facts` in the record, the rest as in `Confirmed`."""

    facts: Mapping[str, Any]
    noted: tuple[str, ...] = ()
    safety: tuple[Note, ...] = ()


def weigh(task: Task, goal: Wanted) -> Weighed:
    """Decide what is to be done so that the server says `goal`; it is read where the ledger alone cannot tell."""
    action, current = decide(goal, what_is_known(task, None, read_fhir=task.fresh)), None
    if isinstance(action, NeedRead):
        goal, current = _read(task, goal, writes=True)
        action = decide(goal, what_is_known(task, current, read_fhir=task.fresh))
        _wonder(task, current)
    report_step(Step.DECIDED)
    return Weighed(goal=goal, current=current, action=action)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """All is decided, and nothing was sent: `write` goes out once the ledger holds `intent`. `decision` is what it comes to
    for the study."""

    task: Task
    weighed: Weighed
    write: Write
    decision: Decision
    kept: Kept
    intent: Intent


def prepare(task: Task, weighed: Weighed, *, status: str, kept: Kept) -> Confirmed | Waiting | Silent | Ready:
    """What became of the study, of which `status` is said, or what is to be sent of it. What takes something back asks the
    brake first (RULES D3).

    Raises `StudyError` for what parks it."""
    match weighed.action:
        case Park() as action:
            raise refusal(action)
        case Wait(reason=reason):
            return Waiting(reason=reason, until=task.context.clock() + task.settle_after)
        case Silence():
            return Silent()
        case NeedRead():
            raise AssertionError("a decision made with the server's copy at hand asks for no other")
        case Skip() as action:
            return _skip(task, weighed, action, kept)
        case Write() as action:
            return _ready(task, weighed, action, status=status, kept=kept)


def _ready(task: Task, weighed: Weighed, write: Write, *, status: str, kept: Kept) -> Confirmed | Waiting | Ready:
    takes = takes_back(status, task.record)
    held = brake.hold(task, cause=Cause.REJECTED) if takes else None
    if held is not None:
        return held
    decision = Decision.RETRACT if takes and write.decision is Decision.UPDATE else write.decision
    if task.dry:
        return Confirmed(decision=decision, reason=write.reason, record=None, noted=kept.noted)
    intent = intent_of(
        task,
        weighed.goal,
        expected_version=write.expected_version,
        intended_at=task.context.clock(),
        adopted=write.adopted,
    )
    return Ready(task=task, weighed=weighed, write=write, decision=decision, kept=kept, intent=intent)


def receive(ready: Ready, written: Written) -> Confirmed:
    """What is kept where others sent it along with theirs. Raises `ServerReset`."""
    require_no_reset(written, updates=updates(ready))
    return confirm(ready, written)


def updates(ready: Ready) -> bool:
    """Whether it replaces a version."""
    return ready.write.decision is Decision.UPDATE


def confirm(ready: Ready, written: Written) -> Confirmed:
    """What is kept once the server confirmed it."""
    task, write, kept = ready.task, ready.write, ready.kept
    record = _record(
        task,
        ready.weighed.goal,
        kept.facts,
        confirmed=written,
        foreign=write.foreign,
        at=task.context.clock(),
        adopted=write.adopted,
    )
    return Confirmed(
        decision=ready.decision,
        reason=write.reason,
        record=record,
        corrected=write.corrects,
        owed=owed_for(task, record, intended_at=ready.intent.created_at),
        noted=kept.noted,
        safety=kept.safety,
    )


def is_published(task: Task, own_id: str) -> bool:
    """Whether there is a resource of ours to speak of: remembered, or, where nothing is, on the server (RULES C5, E7)."""
    if task.record is not None:
        return task.record.retracted != Tombstone.DELETED
    _, current = _read(task, goal_of({"id": own_id}, fingerprint=""))
    return isinstance(current, Found) and installation_of(current.resource) == task.context.installation_id


def _wonder(task: Task, current: Current) -> None:
    """One of ours is not there any more, or fell behind: what else did (RULES C6, E3)? Unless that is asked already."""
    if task.record is None or task.dry or task.claim.row.reason == MarkKind.VERIFY:
        return
    verification = task.context.ledger.verification
    if isinstance(current, Absent | Deleted):
        verification.want("a study of ours was missing on the FHIR server")
    elif is_below(current.version, task.record.version):
        verification.want("a version on the FHIR server is below the one that it confirmed")


def _read(task: Task, goal: Wanted, *, writes: bool = False) -> tuple[Wanted, Current]:
    """The server's copy: where we left it, or, where it is not any more or never was, under any id that names the study
    (C2, E7): what is created is looked up before, so that somebody else's resource is not doubled. `writes`: the goal is to
    be written, under a condition."""
    server, known_id = task.context.server, str(goal.resource["id"])
    seen: dict[str, Current] = {}
    if _is_to_be_read(task, writes=writes):
        seen[known_id] = server.read("ImagingStudy", known_id)
        remembered = isinstance(seen[known_id], Deleted) and task.record is not None
        if isinstance(seen[known_id], Found) or remembered:
            return goal, seen[known_id]
    # Another writer's id is not ours to create anew once it is gone (C1).
    goal = _under(goal, resource_id(task.study_uid, bad_uid=task.context.policy.bad_uid))
    own_id = str(goal.resource["id"])
    hits = _look_up(task, own_id)
    report_step(Step.LOOKED_UP)
    ids = sorted(hits | {own_id}, key=lambda one: (one != own_id, one)) if hits or task.reread else []
    seen |= {one: server.read("ImagingStudy", one) for one in ids if one not in seen}
    found = [(one, copy) for one, copy in seen.items() if isinstance(copy, Found) and _names(copy, one, task, own_id)]
    found.sort(key=lambda pair: installation_of(pair[1].resource) != task.context.installation_id)
    if found:
        kept_id, copy = found[0]
        return _under(goal, kept_id), copy
    return goal, seen.get(own_id, Absent())


def _is_to_be_read(task: Task, *, writes: bool) -> bool:
    """Whether a resource is known by its id. Of one that was only intended a search may have found nothing: a hint, as a
    hit is (RULES C9); but what is sent then may only create, and what is there after all is a conflict, which reads."""
    if task.record is not None or task.claim.intent is None:
        return task.record is not None
    not_found = task.hits is not None and not task.hits and not task.told_to_read
    return not (writes and not_found)


def _look_up(task: Task, own_id: str) -> frozenset[str]:
    """The ids that name the study, as the batched first look found them, if there was one."""
    if task.hits is not None:
        return task.hits
    context = task.context
    return imaging_studies(context.server, {task.study_uid: own_id}, fhir_version=context.fhir_version)[task.study_uid]


def _names(copy: Found, copy_id: str, task: Task, own_id: str) -> bool:
    """Whether it is about this study: a hit of a search may be a minute old (RULES C9). DSTU2 has `uid` for it."""
    values = {str(item.get("value")) for item in copy.resource.get("identifier", ())} | {str(copy.resource.get("uid"))}
    return copy_id == own_id or not values.isdisjoint({task.study_uid, f"urn:oid:{task.study_uid}"})


def _under(goal: Wanted, kept_id: str) -> Wanted:
    """The same goal for a resource that kept its own id (RULES C1, E7)."""
    if goal.resource["id"] == kept_id:
        return goal
    resource = {**goal.resource, "id": kept_id}
    return goal_of(resource, fingerprint=goal.fingerprint, fhir_version=goal.fhir_version)


def _skip(task: Task, weighed: Weighed, action: Skip, kept: Kept) -> Confirmed:
    """No write; the record still takes what was learnt: a version read, a new fingerprint, the archive's LastUpdate."""
    goal, found, intent = weighed.goal, action.found, task.claim.intent
    if task.dry:
        return Confirmed(decision=Decision.SKIP, reason=action.reason, record=None)
    if found is None:
        assert task.record is not None  # noqa: S101 - only a remembered study is skipped without reading
        record = replace(task.record, fingerprint=goal.fingerprint, **kept.facts, **_retraction_fields(task, goal))
        return Confirmed(decision=Decision.SKIP, reason=action.reason, record=record, safety=kept.safety)
    at = task.record.published_at if task.record else task.context.clock()
    record = _record(task, goal, kept.facts, confirmed=found, foreign=action.foreign or {}, at=at)
    # It may have been written after all: the reply was lost, or we were killed before the record (RULES C5).
    lost = intent if intent is not None and intent.digest == goal.digest else None
    owed = owed_for(task, record, intended_at=lost.created_at) if lost else ()
    return Confirmed(decision=Decision.SKIP, reason=action.reason, record=record, owed=owed, safety=kept.safety)


def _record(
    task: Task,
    goal: Wanted,
    facts: Mapping[str, Any],
    *,
    confirmed: Written | Found,
    foreign: Mapping[str, Any],
    at: float,
    adopted: bool = False,
) -> StudyRecord:
    """The goal as the server confirmed it, whether we just wrote it or found it there."""
    return StudyRecord(
        study_uid=task.study_uid,
        resource_id=str(goal.resource["id"]),
        version=confirmed.version,
        last_updated=confirmed.last_updated,
        digest=goal.digest,
        fingerprint=goal.fingerprint,
        status=goal.status,
        foreign=foreign,
        owned=owned_values(goal.resource, fhir_version=goal.fhir_version),
        summary=task.summary,
        published_at=at,
        adopted=adopted or is_adopted(task, str(goal.resource["id"])),
        **facts,
        **_retraction_fields(task, goal),
    )


def _retraction_fields(task: Task, goal: Wanted) -> dict[str, Any]:
    """Whether it is taken back by what is said of it now, and since when (RULES B7, D2)."""
    if goal.status not in WITHDRAWN:
        return {"retracted": "", "retracted_at": 0.0}
    before = task.record.retracted_at if task.record is not None and task.record.retracted else 0.0
    return {"retracted": Tombstone.WITHDRAWN.value, "retracted_at": before or task.context.clock()}
