"""The one write of an ImagingStudy, and what is committed before it leaves.

Whatever kills us between the request and the record, the next pass finds the intent, reads the server first (RULES C5),
and recognises its own values (RULES C3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncd.errors import Conflict, ServerReset, StudyError
from syncd.loop.steps import Step, reached
from syncd.loop.study.adopted import marked
from syncd.loop.study.task import Task
from syncd.model.work import Intent
from syncd.plan.decide import CREATE_ONLY, Absent, Wanted
from syncd.plan.ownership import owned_values
from syncd.publish.server import Written


def sent(
    task: Task,
    goal: Wanted,
    resource: Mapping[str, Any],
    *,
    expected_version: str,
    updates: bool,
    intended_at: float,
    adopted: bool = False,
) -> Written:
    """Send `resource`, which is `goal` with what others wrote, under the version that it replaces; `adopted`: by this very
    write another writer's resource becomes ours.

    Raises what `FhirServer.put` does, a `StudyError` with the digest of what was refused, and `ServerReset` where an update
    had to create."""
    rooms, before = task.rooms, task.claim.intent
    resource_id = str(goal.resource["id"])
    owned = owned_values(goal.resource, earlier=before.owned if before else None, fhir_version=goal.fhir_version)
    rooms.ledger.save_intent(
        Intent(
            study_uid=task.study_uid,
            resource_id=resource_id,
            digest=goal.digest,
            expected_version=expected_version,
            owned={**owned, "status": goal.status, **marked(task, resource_id, now=adopted)},
            created_at=intended_at,
        )
    )
    reached(Step.INTENT_SAVED)
    try:
        written = rooms.server.put(resource, expected_version=expected_version)
    except StudyError as error:
        error.digest = goal.digest
        raise
    except Conflict:
        if expected_version == CREATE_ONLY and isinstance(rooms.server.read("ImagingStudy", resource_id), Absent):
            rooms.server.refused_creations += 1
        raise
    reached(Step.SENT)
    if updates and written.created:
        raise ServerReset()
    return written
