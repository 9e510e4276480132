"""What publishing and taking back share: what is known when they decide, whose the resource was at first, the one write,
and what is owed for it.

Whatever kills us between the request and the record, the next pass finds the intent, reads the server first (RULES C5),
and recognises its own values (RULES C3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncd.errors import Conflict, ServerReset, StudyError
from syncd.loop.outbox.kinds import entries_of
from syncd.loop.steps import Step, report_step
from syncd.loop.study.task import Task
from syncd.mapping.resources.endpoints import endpoint_references
from syncd.mapping.values.identity import resource_id
from syncd.model.outbox import OutboxEntry
from syncd.model.work import Intent, StudyRecord
from syncd.plan.adoption import ADOPTED, was_adopted
from syncd.plan.decide import CREATE_ONLY, Absent, Current, Known, Park, Wanted
from syncd.plan.ownership import owned_values
from syncd.publish.server import Written


def what_is_known(task: Task, current: Current | None, *, read_fhir: bool) -> Known:
    """All that the plan decides from; `current` is None while the server was not read."""
    context = task.context
    remembers = current is not None and task.record is not None
    return Known(
        record=task.record,
        intent=task.claim.intent,
        parked=task.claim.parked,
        current=current,
        read_fhir=read_fhir,
        installation_id=context.installation_id,
        base_url=context.server.base_url,
        endpoints=[one["reference"] for one in endpoint_references(context.policy, fhir_version=context.fhir_version)],
        adopt=context.adopt,
        fought_over=task.claim.fought_over if remembers else (),
    )


def refusal(park: Park) -> StudyError:
    """The error that parks the study as the plan says."""
    error = StudyError(park.reason, park.detail, outcome=dict(park.outcome) if park.outcome else None)
    error.digest, error.target_version = park.digest, park.target_version
    return error


def is_adopted(task: Task, kept_id: str) -> bool:
    """Whether the study's resource under this id was another writer's at first: it keeps that id and is never deleted (C2).

    The id tells it where it is not the one that we would give; where it is, only what was remembered does: by the record,
    or, until there is one, by the intent."""
    if was_adopted(task.record, task.claim.intent, kept_id=kept_id):
        return True
    return kept_id != resource_id(task.study_uid, bad_uid=task.context.policy.bad_uid)


def intent_of(task: Task, goal: Wanted, *, expected_version: str, intended_at: float, adopted: bool = False) -> Intent:
    """What is kept before `goal` is sent under the version that it replaces; `adopted`: by this very write another writer's
    resource becomes ours."""
    before = task.claim.intent
    kept_id = str(goal.resource["id"])
    owned = owned_values(goal.resource, earlier=before.owned if before else None, fhir_version=goal.fhir_version)
    return Intent(
        study_uid=task.study_uid,
        resource_id=kept_id,
        digest=goal.digest,
        expected_version=expected_version,
        owned={**owned, "status": goal.status, **({ADOPTED: True} if adopted or is_adopted(task, kept_id) else {})},
        created_at=intended_at,
    )


def send(task: Task, intent: Intent, resource: Mapping[str, Any], *, updates: bool) -> Written:
    """Send `resource`, which is what is intended with what others wrote. The intent is in the ledger by now.

    Raises what `FhirServer.put` does, a `StudyError` with the digest of what was refused, and `ServerReset` where an update
    had to create."""
    server = task.context.server
    try:
        written = server.put(resource, expected_version=intent.expected_version)
    except StudyError as error:
        error.digest = intent.digest
        raise
    except Conflict:
        if intent.expected_version == CREATE_ONLY and isinstance(server.read("ImagingStudy", intent.resource_id), Absent):
            server.refused_creations += 1
        raise
    report_step(Step.SENT)
    require_no_reset(written, updates=updates)
    return written


def require_no_reset(written: Written, *, updates: bool) -> None:
    """Raise `ServerReset` where an update had to create: the server lost what it had confirmed (RULES C6)."""
    if updates and written.created:
        raise ServerReset()


def owed_for(task: Task, record: StudyRecord, *, intended_at: float) -> tuple[OutboxEntry, ...]:
    """What is owed for the write that `record` confirms (RULES B8)."""
    return entries_of(task.context, task.record, record, intended_at=intended_at)
