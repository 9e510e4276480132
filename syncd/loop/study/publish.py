"""From the goal to the outcome: read the server if need be, decide, commit the intent, write, remember.

The order is the whole point. The intent is committed before the request leaves, the record after the server confirmed;
whatever kills us between the two, the next pass finds the intent, reads the server first (RULES C5), and recognises its
own values (RULES C3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from syncd.loop.steps import Step, report_step
from syncd.loop.study.adopted import is_adopted
from syncd.loop.study.send import provenance_owed_for, refusal, send, what_is_known
from syncd.loop.study.task import Task
from syncd.mapping.values.identity import patient_key, resource_id
from syncd.model.snapshot import StudySnapshot
from syncd.model.study.raw import RawStudy
from syncd.model.words import WITHDRAWN, Decision, Tombstone
from syncd.model.work import MarkKind, Outcome, StudyRecord
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
from syncd.plan.elements import elements
from syncd.plan.ownership import installation_of, owned_values
from syncd.publish.answers import is_below
from syncd.publish.lookups import imaging_studies
from syncd.publish.server import Written


def publish(
    task: Task,
    goal: Wanted,
    *,
    snapshot: StudySnapshot,
    raws: tuple[RawStudy, ...],
    held: Callable[[], Outcome | None] = lambda: None,
    remember: Mapping[str, Any] = MappingProxyType({}),
    notes: int | None = None,
) -> Outcome:
    """Make the server say `goal`, unless `held` answers otherwise: what takes something back asks the brake (RULES D3).
    `remember` is kept in the record beside the archive's raw tuple; `notes`: how many the record counts, by default the
    snapshot's own.

    Raises what `FhirServer.put` raises; a `StudyError` then names the refused digest."""
    facts = partial(_facts, task, snapshot=snapshot, raws=raws, remember=remember, notes=notes)
    action = decide(goal, what_is_known(task, None, read_fhir=task.fresh))
    current: Current | None = None
    if isinstance(action, NeedRead):
        goal, current = _read(task, goal)
        action = decide(goal, what_is_known(task, current, read_fhir=task.fresh))
        _wonder(task, current)
    report_step(Step.DECIDED)
    task.trace.note_decision(goal, current, action)
    match action:
        case Park():
            raise refusal(action)
        case Wait(reason=reason):
            return task.wait_outcome(reason, due=task.context.clock() + task.settle_after)
        case Silence():
            return task.silent()
        case Skip():
            return _skip(task, goal, action, facts(goal))
        case Write():
            waiting = held()
            if waiting is not None:
                return waiting
            return _write(task, goal, action, facts(goal))
        case NeedRead():
            raise AssertionError("a decision made with the server's copy at hand asks for no other")


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


def _read(task: Task, goal: Wanted) -> tuple[Wanted, Current]:
    """The server's copy: where we left it, or, where it is not any more or never was, under any id that names the study
    (C2, E7): what is created is looked up before, so that somebody else's resource is not doubled."""
    server, known_id = task.context.server, str(goal.resource["id"])
    seen: dict[str, Current] = {}
    if task.record is not None or task.claim.intent is not None:
        seen[known_id] = server.read("ImagingStudy", known_id)
        remembered = isinstance(seen[known_id], Deleted) and task.record is not None
        if isinstance(seen[known_id], Found) or remembered:
            return goal, seen[known_id]
    # Another writer's id is not ours to create anew once it is gone (C1).
    goal = _under(goal, resource_id(task.study_uid, bad_uid=task.context.policy.bad_uid))
    own_id = str(goal.resource["id"])
    hits = task.hits
    if hits is None:
        asked = imaging_studies(server, {task.study_uid: own_id}, fhir_version=task.context.fhir_version)
        hits = asked[task.study_uid]
    report_step(Step.LOOKED_UP)
    ids = sorted(hits | {own_id}, key=lambda one: (one != own_id, one)) if hits or task.reread else []
    seen |= {one: server.read("ImagingStudy", one) for one in ids if one not in seen}
    found = {one: copy for one, copy in seen.items() if isinstance(copy, Found) and _names(copy, one, task, own_id)}
    ours = [one for one, copy in found.items() if installation_of(copy.resource) == task.context.installation_id]
    for one in [*ours, *found]:
        return _under(goal, one), found[one]
    return goal, seen.get(own_id, Absent())


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


def _write(task: Task, goal: Wanted, action: Write, facts: Mapping[str, Any]) -> Outcome:
    outcome = task.outcome(action.decision, action.reason)
    if task.dry:
        return outcome
    intended_at = task.context.clock()
    written = send(
        task,
        goal,
        action.resource,
        expected_version=action.expected_version,
        updates=action.decision is Decision.UPDATE,
        intended_at=intended_at,
        adopted=action.adopted,
    )
    record = _record(
        task,
        goal,
        facts,
        confirmed=written,
        foreign=action.foreign,
        at=task.context.clock(),
        adopted=action.adopted,
    )
    return replace(
        outcome, record=record, corrected=action.corrects, owed=provenance_owed_for(task, record, intended_at=intended_at)
    )


def _skip(task: Task, goal: Wanted, action: Skip, facts: Mapping[str, Any]) -> Outcome:
    """No write; the record still takes what was learnt: a version read, a new fingerprint, the archive's LastUpdate."""
    outcome = task.outcome(Decision.SKIP, action.reason)
    if task.dry:
        return outcome
    if action.found is None:
        assert task.record is not None  # noqa: S101 - only a remembered study is skipped without reading
        return replace(
            outcome, record=replace(task.record, fingerprint=goal.fingerprint, **facts, **_retraction_fields(task, goal))
        )
    found = action.found
    at = task.record.published_at if task.record else task.context.clock()
    record = _record(task, goal, facts, confirmed=found, foreign=action.foreign or {}, at=at)
    intent = task.claim.intent
    if intent is None or intent.digest != goal.digest:
        return replace(outcome, record=record)
    # It was written after all: the reply was lost, or we were killed before the record (RULES C5).
    return replace(outcome, record=record, owed=provenance_owed_for(task, record, intended_at=intent.created_at))


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


def _facts(
    task: Task,
    goal: Wanted,
    *,
    snapshot: StudySnapshot,
    raws: tuple[RawStudy, ...],
    remember: Mapping[str, Any],
    notes: int | None,
) -> dict[str, Any]:
    """What the record keeps of the snapshot: nothing that identifies a patient but the hashed id of our Patient."""
    key = patient_key(snapshot, policy=task.context.policy)
    return {
        "raw": {
            "patient": key.resource_id,
            "last_update": {raw.header.orthanc_id: raw.read_started_at for raw in raws},
            # `registered` reads one instance only, so it counts nothing.
            "counts": {raw.header.orthanc_id: len(raw.instances) for raw in raws if goal.status != "registered"},
            "instances": sum(len(raw.instances) for raw in raws),
            **remember,
        },
        "subject": elements(goal.fhir_version).subject_of(goal.resource),
        "series": len(snapshot.series),
        "instances": snapshot.number_of_instances,
        "study_date": snapshot.started.date if snapshot.started else "",
        "modalities": "\\".join(dict.fromkeys(each for one in snapshot.series for each in one.modalities)),
        "notes": len(snapshot.notes) if notes is None else notes,
        "archive": raws[0].header.archive,
    }
