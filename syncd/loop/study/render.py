"""The resource that a draft becomes: whom the study is of, what stands beside it, its orders, the site's hooks.

Whom and what it refers to must be there before it is sent, so looking up and writing that is half of the work here. What
was found belongs to the record of what is said, or the next pass would have to ask again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from syncd.errors import StudyError
from syncd.loop.companions import orders, patient
from syncd.loop.companions.optional import keep_companions
from syncd.loop.hooks import finish_resource
from syncd.loop.steps import Step, report_step
from syncd.loop.study.conclusion import Draft
from syncd.loop.study.task import Task
from syncd.mapping.resources.companions import companions, references_to
from syncd.mapping.resources.imagingstudy import available_study, registered_study, withdrawn_study
from syncd.mapping.values.identity import patient_key
from syncd.model.snapshot import Note
from syncd.model.words import WITHDRAWN, ParkedReason
from syncd.model.work import NAMED, REFERENCES, MarkKind
from syncd.plan.decide import Wanted, goal_of
from syncd.plan.elements import elements, references_in
from syncd.plan.provenance import REPLACES

_WHOSE = (ParkedReason.PATIENT_MISMATCH, ParkedReason.PATIENT_AMBIGUOUS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """`goal` is what FHIR should say, `whose` and `ordered` what it refers to, `beside` the companions that the site wants,
    `notes` what is said of subject and companions otherwise than it was meant."""

    goal: Wanted
    whose: patient.Subject
    ordered: orders.Orders
    beside: tuple[dict[str, Any], ...]
    notes: tuple[Note, ...] = ()


def render(task: Task, draft: Draft) -> Rendered:
    """Find the subject and the orders, and say it; no companion is written yet."""
    whose = _find_subject(task, draft)
    report_step(Step.SUBJECT_RESOLVED)
    beside = _companions(task, draft, whose.reference)
    goal, ordered = _say(task, draft, whose.reference, there=references_to(beside))
    report_step(Step.MAPPED)
    return Rendered(goal=goal, whose=whose, ordered=ordered, beside=beside, notes=whose.notes)


def write_companions(task: Task, draft: Draft, rendered: Rendered) -> Rendered:
    """Have the companions there; what cannot be is not referred to."""
    kept = keep_companions(
        rendered.beside,
        context=task.context,
        snapshot=draft.applied.snapshot,
        fresh=task.resolves,
        again=task.claim.row.reason in (MarkKind.RESYNC, MarkKind.RERENDER),
        dry=task.dry,
    )
    goal, ordered = rendered.goal, rendered.ordered
    if kept.there != references_to(rendered.beside):
        goal, ordered = _say(task, draft, rendered.whose.reference, there=kept.there)
    return replace(rendered, goal=goal, ordered=ordered, notes=(*rendered.notes, *kept.notes))


def facts_of(task: Task, draft: Draft, rendered: Rendered, *, notes: int) -> dict[str, Any]:
    """What the record keeps of all that: nothing that identifies a patient but the hashed id of our Patient. `notes`: how
    many there are of what is published."""
    snapshot, raws, goal = draft.applied.snapshot, draft.raws, rendered.goal
    key = patient_key(snapshot, policy=task.context.policy)
    return {
        "raw": {
            "patient": key.resource_id,
            "last_update": {raw.header.orthanc_id: raw.read_started_at for raw in raws},
            # `registered` reads one instance only, so it counts nothing.
            "counts": {raw.header.orthanc_id: len(raw.instances) for raw in raws if goal.status != "registered"},
            "instances": sum(len(raw.instances) for raw in raws),
            **_found_beside(draft, rendered),
        },
        "subject": elements(goal.fhir_version).subject_of(goal.resource),
        "series": len(snapshot.series),
        "instances": snapshot.number_of_instances,
        "study_date": snapshot.started.date if snapshot.started else "",
        "modalities": "\\".join(dict.fromkeys(each for one in snapshot.series for each in one.modalities)),
        "notes": notes,
        "archive": raws[0].header.archive,
    }


def _found_beside(draft: Draft, rendered: Rendered) -> dict[str, Any]:
    """What the record keeps beside the facts of the archive; nothing where there is nothing to say."""
    ordered = rendered.ordered
    kept = {
        REPLACES: list(draft.applied.replaces),
        orders.REMEMBERED: dict(ordered.found),
        NAMED: rendered.whose.named,
        # An order is remembered with the identifier that it was found by.
        REFERENCES: [one for one in references_in(rendered.goal.resource) if one not in ordered.references],
    }
    return {name: value for name, value in kept.items() if value}


def _find_subject(task: Task, draft: Draft) -> patient.Subject:
    """Whose the study is. A doubt about that keeps nothing back from being withdrawn (RULES B7)."""
    record, snapshot = task.record, draft.applied.snapshot
    try:
        return patient.resolve(
            snapshot,
            context=task.context,
            record=record,
            fresh=task.resolves,
            dry=task.dry,
            parked=task.claim.parked,
            found=task.shared.patients if task.shared is not None else {},
        )
    except StudyError as error:
        if draft.status in WITHDRAWN and record is not None and record.subject and error.reason in _WHOSE:
            return patient.Subject(reference={"reference": record.subject})
        raise


def _companions(task: Task, draft: Draft, subject: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """What the site wants to be there besides a whole study; nothing is said of the others' people and machines."""
    if draft.status != "available":
        return ()
    context = task.context
    return companions(
        draft.applied.snapshot, subject=dict(subject), policy=context.policy, fhir_version=context.fhir_version
    )


def _say(task: Task, draft: Draft, subject: Mapping[str, Any], *, there: Collection[str]) -> tuple[Wanted, orders.Orders]:
    """The resource to send, orders and the site's hooks included; it refers to no other companions than those `there`."""
    context = task.context
    mapped = _map_study(task, draft, subject, there=there)
    ordered = orders.resolve(mapped, context=context, record=task.record, fresh=task.resolves)
    snapshot, version = draft.applied.snapshot, context.fhir_version
    sent = finish_resource(snapshot, ordered.resource, hooks=context.hooks, fhir_version=version)
    return goal_of(sent, fingerprint=context.fingerprint, fhir_version=version), ordered


def _map_study(task: Task, draft: Draft, subject: Mapping[str, Any], *, there: Collection[str]) -> dict[str, Any]:
    """The resource as the mapping says it: the orders in words, the site's hooks not asked yet."""
    policy, version = task.context.policy, task.context.fhir_version
    snapshot, status = draft.applied.snapshot, draft.status
    if status == "available":
        resource = available_study(
            snapshot, subject=dict(subject), policy=policy, summary=task.summary, dialect=version, there=there
        )
    elif status == "registered":
        resource = registered_study(snapshot, subject=dict(subject), policy=policy, dialect=version)
    else:
        resource = withdrawn_study(snapshot, subject=dict(subject), policy=policy, status=status, dialect=version)
    return {**resource, "id": draft.identity}
