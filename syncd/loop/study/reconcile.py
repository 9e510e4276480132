"""One study, made equal: ledger → look → snapshot → mapping → plan → publish → outcome.

This is the second half of the sentence. Everything that can be told without writing is told first, as an `Outcome` with
a reason. A conflict throws the desired resource away and starts again from the archive: merging an old snapshot over a
newer write would itself be a lost update (RULES C4).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from syncd.errors import Conflict, CopyAway, StudyError, TornRead, Transient
from syncd.loop.companions import orders, patient
from syncd.loop.companions.optional import keep_companions
from syncd.loop.companions.target import keep_endpoints
from syncd.loop.hooks import finish_resource
from syncd.loop.steps import Step, report_step
from syncd.loop.strictness import doubts, odd, require_plain, rules
from syncd.loop.study import brake, rejections, selection
from syncd.loop.study.publish import is_published, publish
from syncd.loop.study.read import (
    Look,
    foremost,
    light,
    look,
    only_key_objects,
    require_one_patient,
    require_one_person,
    whole,
)
from syncd.loop.study.rejections import Applied
from syncd.loop.study.retract import take_back_gone
from syncd.loop.study.task import Task
from syncd.mapping.dialects.registry import dialect
from syncd.mapping.resources.companions import companions, references_to
from syncd.mapping.resources.imagingstudy import available_study, registered_study, withdrawn_study
from syncd.mapping.resources.retracted import retracted_status
from syncd.mapping.values.identity import resource_id
from syncd.model.snapshot import StudySnapshot
from syncd.model.study.dates import plain_date
from syncd.model.study.raw import RawStudy, Unread
from syncd.model.words import WITHDRAWN, Cause, Decision, ParkedReason
from syncd.model.work import ATTEMPTS, LONGEST_STREAM, NAMED, REFERENCES, Copy, MarkKind, Outcome, Retraction
from syncd.plan.decide import Wanted, goal_of
from syncd.plan.provenance import REPLACES
from syncd.plan.references import references_in
from syncd.plan.withdraw import takes_back
from syncd.snapshot.build import build

CONFLICTS = 5
"""Passes, of which each but the first follows a 409/412, before it counts as a transient failure (RULES C4)."""

SOON, LATER, DAILY = 30.0, 600.0, 86400.0
"""Seconds until a study of which something could not be read is looked at again: at first, for the network may have spoilt
it, or, where the archive was too slow, when that may have passed; and at most. In between it doubles."""

_WRITTEN = (Decision.CREATE, Decision.UPDATE)
_WHOSE = (ParkedReason.PATIENT_MISMATCH, ParkedReason.PATIENT_AMBIGUOUS)


def reconcile(task: Task) -> Outcome:
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
            return _handle_torn_read(task, error)
    raise Transient("Somebody else writes this ImagingStudy again and again", server="fhir")


def _handle_torn_read(task: Task, error: TornRead) -> Outcome:
    """It waits, for what changes will be whole in a moment. One that is never whole although nothing arrives has a trouble
    of its own, and is parked in the end like any other that fails so often (RULES A7, C6)."""
    now, row, parked = task.context.clock(), task.claim.row, task.claim.parked
    arriving = bool(row.last_event) and now - row.last_event <= task.settle_after
    attempts = row.attempts if arriving or isinstance(error, CopyAway) else row.attempts + 1
    gave_up = parked is not None and parked.reason == ParkedReason.SERVER_ERROR
    if attempts > row.attempts and (attempts >= ATTEMPTS or gave_up):
        return task.park_outcome(StudyError(ParkedReason.SERVER_ERROR, f"it cannot be read as a whole: {error}"))
    until = now + task.settle_after
    return replace(task.wait_outcome(str(error), due=until), not_before=until, attempts=attempts)


def _pass(task: Task) -> Outcome:
    seen = look(task)
    if not seen.headers:
        rejections.none_found(task)
        outcome = take_back_gone(task)
        outcome = replace(outcome, gone_copies=seen.gone, selected=True) if outcome.done else outcome
        return rejections.wait_for_grace(task, outcome)
    try:
        outcome = _decide(task, seen)
    except StudyError as error:
        outcome = replace(task.park_outcome(error), selected=True)
        if not seen.is_stable:
            # What is wrong now may be complete in a minute, and nobody else would ask again (RULES A5).
            outcome = replace(outcome, done=False, due=task.context.clock() + task.settle_after)
    if outcome.retraction is Retraction.UNTOLD:
        outcome = replace(outcome, retraction=Retraction.THERE)
    outcome = rejections.wait_for_grace(task, outcome)
    return replace(outcome, found_copies=_copies_with_counts(seen, outcome), gone_copies=seen.gone)


def _copies_with_counts(seen: Look, outcome: Outcome) -> tuple[Copy, ...]:
    """The copies that were looked at, with the number of instances that was published of each (RULES A8)."""
    counts = outcome.record.raw.get("counts", {}) if outcome.record is not None else {}
    return tuple(replace(copy, instances=counts.get(copy.orthanc_id, -1)) for copy in seen.copies)


def _decide(task: Task, seen: Look) -> Outcome:
    outside = selection.outside_history(task, seen.headers)
    if outside is not None:
        return outside

    # A record or an intent knows which resource is meant; it may have kept an id of its own (RULES C1, C5).
    known = task.record or task.claim.intent
    identity = known.resource_id if known else resource_id(task.study_uid, bad_uid=task.context.policy.bad_uid)

    # Still arriving: announced once, then waited for, unless it streams without end (RULES A5, A6).
    forced = _streams_without_end(task)
    if not seen.is_stable and not forced:
        return _announce(task, seen, identity)

    snapshot, raws = whole(task, seen.headers)
    if not snapshot.is_stable and not forced:
        return _announce(task, seen, identity)
    if any(raw.is_blind for raw in raws) and task.record is not None and not task.record.retracted:
        raise StudyError(ParkedReason.SERVER_ERROR, "the archive can read no file of it; what was published stays")
    if not snapshot.number_of_instances:
        raise StudyError(ParkedReason.UNMAPPABLE, "no instance has a usable UID")
    applied = rejections.apply_rejections(task, snapshot)
    excluded = selection.judge(task, raws)
    if excluded is not None:
        date = snapshot.started.date if snapshot.started else ""
        left_out = selection.leave_out(task, seen.headers, excluded, identity=identity, study_date=plain_date(date))
        if left_out is not None:
            return left_out
    if applied.left.nothing:
        outcome = _withdraw(task, applied, raws, identity)
    else:
        outcome = _say(task, applied, raws, identity=identity, status="available")
        retraction = Retraction.OFF if outcome.done else Retraction.THERE
        outcome = replace(outcome, reset_stream=True, retraction=retraction)
    if excluded is not None:
        outcome = replace(outcome, reason=f"{outcome.reason}; {excluded.reason}, but published before: it stays")
    return _read_again(task, replace(outcome, selected=True), raws)


def _read_again(task: Task, outcome: Outcome, raws: tuple[RawStudy, ...]) -> Outcome:
    """What could not be read may be there again although nothing tells of it, as after a restore: it is looked at again,
    first soon, then daily (RULES B11)."""
    unread = {why for raw in raws for why in raw.unread.values() if why.may_pass}
    if not outcome.done or not unread:
        return outcome
    now = task.context.clock()
    first = SOON if Unread.BROKEN in unread else LATER
    pause = min(max(now - task.claim.row.first_marked, first), DAILY)
    return replace(outcome, done=False, due=now + pause)


def _withdraw(task: Task, applied: Applied, raws: tuple[RawStudy, ...], identity: str) -> Outcome:
    """Everything is rejected: what was published is withdrawn, and what was not is never shown (MAPPING D.2)."""
    if not is_published(task, identity):
        reason = "everything is rejected, and nothing was published"
        return replace(task.outcome(Decision.SKIP, reason), clear_intent=True, reset_stream=True)
    status = retracted_status(in_error=applied.left.in_error, fhir_version=task.context.fhir_version)
    outcome = _say(task, applied, raws, identity=identity, status=status)
    if outcome.decision is Decision.UPDATE and takes_back(status, task.record):
        outcome = replace(outcome, decision=Decision.RETRACT)
    retraction = Retraction.DONE if outcome.done else Retraction.UNTOLD
    reason = f"everything is rejected: {outcome.reason}"
    return replace(outcome, reason=reason, reset_stream=True, retraction=retraction)


def _announce(task: Task, seen: Look, identity: str) -> Outcome:
    """Publish `registered` once; afterwards only the due time moves, and the mark is never cleared (RULES A5, A6)."""
    due = task.context.clock() + task.settle_after
    if task.record is not None and (not task.fresh or task.record.status != "registered"):
        return task.wait_outcome("still arriving", due=due)
    if not dialect(task.context.fhir_version).writes_registered:
        return task.wait_outcome("still arriving, and this FHIR version cannot say so", due=due)
    raws = tuple(light(task, header) for header in foremost(task, seen.headers))
    if raws[0].is_blind:
        return task.wait_outcome("still arriving, and no file of it can be read so far", due=due)
    excluded = selection.judge(task, raws, arriving=True)
    if excluded is not None and task.record is None:
        return task.wait_outcome(f"still arriving, and {excluded.reason} so far", due=due)
    copies = [build(one, reading=task.context.policy.reading) for one in raws]
    require_one_patient(copies, policy=task.context.policy)
    # Only the whole study tells what is rejected; and other studies must know what this one's notes say (B7).
    concerned = any(rejections.may_concern(task, raw) for raw in raws)
    if concerned and rejections.apply_rejections(task, whole(task, seen.headers)[0]).left.nothing:
        return task.wait_outcome("nothing but rejected instances so far", due=due)
    if all(only_key_objects(raw) for raw in raws):
        return task.wait_outcome("only key objects so far", due=due)
    announced = rejections.apply_nothing(replace(copies[0], patients_elsewhere=tuple(one.patient for one in copies[1:])))
    outcome = _say(task, announced, raws[:1], identity=identity, status="registered")
    return replace(outcome, done=False, due=due, selected=True)


def _say(task: Task, applied: Applied, raws: tuple[RawStudy, ...], *, identity: str, status: str) -> Outcome:
    """Say what is left; what the server answers once to a reference (B4) or to the size (C6, 413) is answered once."""
    parked = task.claim.parked
    too_large = parked is not None and parked.reason == ParkedReason.TOO_LARGE and bool(parked.digest)
    if too_large or (task.record is not None and task.record.summary):
        task = replace(task, summary=True)
    snapshot = applied.left.snapshot
    if status not in WITHDRAWN:
        snapshot = require_one_person(snapshot, policy=task.context.policy)
    found = (
        odd(snapshot, policy=task.context.policy, fhir_version=task.context.fhir_version) if status == "available" else ()
    )
    task.trace.note_read(raws, rejected=applied.left.rejected, notes=found)
    require_plain(found, policy=task.context.policy)
    unresolved = False
    while True:
        whose = _subject(task, snapshot, status=status, fresh=task.fresh or unresolved)
        report_step(Step.SUBJECT_RESOLVED)
        beside = _companions(task, snapshot, whose.reference, status=status)
        say = partial(_goal, task, snapshot, whose.reference, identity, status=status, fresh=task.fresh or unresolved)
        goal, ordered = say(there=references_to(beside))
        report_step(Step.MAPPED)
        if status != "registered":
            rejections.require_unchanged(task, applied)
        try:
            kept = keep_companions(
                beside,
                context=task.context,
                snapshot=snapshot,
                fresh=task.fresh or unresolved,
                again=task.claim.row.reason in (MarkKind.RESYNC, MarkKind.RERENDER),
                dry=task.dry,
            )
            if kept.there != references_to(beside):
                goal, ordered = say(there=kept.there)
            noted = (*found, *whose.notes, *kept.notes)
            outcome = publish(
                task,
                goal,
                snapshot=snapshot,
                raws=raws,
                held=partial(_hold_at_brake, task, status=status),
                remember=_facts_to_remember(applied, ordered, whose, goal),
                notes=len(noted or snapshot.notes) + ordered.ambiguous,
            )
            told = (*rules(noted), *((orders.RULE,) if ordered.ambiguous else ()))
            outcome = replace(outcome, noted=told) if outcome.decision in _WRITTEN else outcome
            return replace(outcome, safety=doubts(noted)) if outcome.record is not None else outcome
        except StudyError as error:
            if error.reason == ParkedReason.TOO_LARGE and status == "available" and not task.summary:
                task = replace(task, summary=True)
            elif error.reason == ParkedReason.REFERENCE_REFUSED and not unresolved:
                task.context.check_sentinel()
                keep_endpoints(task.context, verify=True)
                unresolved = True
            else:
                raise


def _subject(task: Task, snapshot: StudySnapshot, *, status: str, fresh: bool) -> patient.Subject:
    """Whose the study is. A doubt about that keeps nothing back from being withdrawn (RULES B7)."""
    record = task.record
    try:
        return patient.resolve(snapshot, context=task.context, record=record, fresh=fresh, dry=task.dry)
    except StudyError as error:
        if status in WITHDRAWN and record is not None and record.subject and error.reason in _WHOSE:
            return patient.Subject(reference={"reference": record.subject})
        raise


def _companions(
    task: Task, snapshot: StudySnapshot, subject: Mapping[str, Any], *, status: str
) -> tuple[dict[str, Any], ...]:
    """What the site wants to be there besides a whole study; nothing is said of the others' people and machines."""
    if status != "available":
        return ()
    context = task.context
    return companions(snapshot, subject=dict(subject), policy=context.policy, fhir_version=context.fhir_version)


def _goal(
    task: Task,
    snapshot: StudySnapshot,
    subject: Mapping[str, Any],
    identity: str,
    *,
    status: str,
    fresh: bool,
    there: Collection[str],
) -> tuple[Wanted, orders.Orders]:
    """The resource to send, orders and the site's hooks included; it refers to no other companions than those `there`."""
    context = task.context
    mapped = _map_study(task, snapshot, subject, identity, status=status, there=there)
    ordered = orders.resolve(mapped, context=context, record=task.record, fresh=fresh)
    sent = finish_resource(snapshot, ordered.resource, hooks=context.hooks, fhir_version=context.fhir_version)
    return goal_of(sent, fingerprint=context.fingerprint, fhir_version=context.fhir_version), ordered


def _map_study(
    task: Task, snapshot: StudySnapshot, subject: Mapping[str, Any], identity: str, *, status: str, there: Collection[str]
) -> dict[str, Any]:
    """The resource as the mapping says it: the orders in words, the site's hooks not asked yet."""
    policy, version = task.context.policy, task.context.fhir_version
    if status == "available":
        resource = available_study(
            snapshot, subject=dict(subject), policy=policy, summary=task.summary, dialect=version, there=there
        )
    elif status == "registered":
        resource = registered_study(snapshot, subject=dict(subject), policy=policy, dialect=version)
    else:
        resource = withdrawn_study(snapshot, subject=dict(subject), policy=policy, status=status, dialect=version)
    return {**resource, "id": identity}


def _facts_to_remember(applied: Applied, ordered: orders.Orders, whose: patient.Subject, goal: Wanted) -> dict[str, Any]:
    """What the record keeps beside the facts of the archive; nothing where there is nothing to say."""
    kept = {
        REPLACES: list(applied.replaces),
        orders.REMEMBERED: dict(ordered.found),
        NAMED: whose.named,
        # An order is remembered with the identifier that it was found by.
        REFERENCES: [one for one in references_in(goal.resource) if one not in ordered.references],
    }
    return {name: value for name, value in kept.items() if value}


def _hold_at_brake(task: Task, *, status: str) -> Outcome | None:
    """What shows less than before asks the brake; what is withdrawn already, and only said again, does not (RULES D3)."""
    return brake.hold(task, cause=Cause.REJECTED) if takes_back(status, task.record) else None


def _streams_without_end(task: Task) -> bool:
    """Ten minutes of unbroken streaming: say what is there now (RULES A5)."""
    row, now = task.claim.row, task.context.clock()
    unbroken = row.last_event and now - row.last_event <= task.settle_after
    return bool(unbroken and row.streaming_since and now - row.streaming_since >= LONGEST_STREAM)
