"""Was the resource another writer's once? (RULES C2)

What was adopted keeps its id and is never deleted. The id tells it where it is not the one that we would give; where it
is, only what was remembered does: by the record, or, until there is one, by the intent.
"""

from __future__ import annotations

from syncd.loop.study.task import Task
from syncd.mapping.values.identity import resource_id
from syncd.plan.adoption import ADOPTED, was_adopted


def is_adopted(task: Task, kept_id: str) -> bool:
    """Whether the study's resource under this id was not ours at first."""
    if was_adopted(task.record, task.claim.intent, kept_id=kept_id):
        return True
    return kept_id != resource_id(task.study_uid, bad_uid=task.context.policy.bad_uid)


def adoption_mark(task: Task, kept_id: str, *, now: bool = False) -> dict[str, bool]:
    """What an intent keeps of it beside the values that are ours; `now`: by this very write."""
    return {ADOPTED: True} if now or is_adopted(task, kept_id) else {}
