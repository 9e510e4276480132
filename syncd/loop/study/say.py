"""A draft, said: rendered, compared, published. What keeps it back is the study's own, and parks it.

Two answers of the server are a question back, and each is answered once: without instances where the resource is too large
(C6, 413), and with everything looked up anew where it refuses a reference (B4).
"""

from __future__ import annotations

from dataclasses import replace

from syncd.errors import StudyError
from syncd.loop.companions import orders
from syncd.loop.companions.target import keep_endpoints
from syncd.loop.strictness import doubts, odd, require_plain, rules
from syncd.loop.study import rejections
from syncd.loop.study.conclusion import Draft, Result
from syncd.loop.study.publish import Kept, publish, weigh
from syncd.loop.study.read import require_one_person
from syncd.loop.study.render import Rendered, facts_of, render, write_companions
from syncd.loop.study.task import Task
from syncd.loop.study.trace import Trace
from syncd.model.snapshot import Note
from syncd.model.words import WITHDRAWN, ParkedReason


def say(task: Task, draft: Draft) -> Result:
    """Make the server say it. Raises `StudyError` (patient-mismatch) for a study of two people, `Conflict`, and what is not
    the study's own."""
    context, status = task.context, draft.status
    task = replace(task, summary=task.summary or _is_known_too_large(task))
    if status not in WITHDRAWN:
        one_person = require_one_person(draft.applied.snapshot, policy=context.policy)
        draft = replace(draft, applied=replace(draft.applied, snapshot=one_person))
    snapshot = draft.applied.snapshot
    found = odd(snapshot, policy=context.policy, fhir_version=context.fhir_version) if status == "available" else ()
    instances = sum(len(raw.instances) for raw in draft.raws)
    trace = Trace(instances=instances, rejected=draft.applied.rejected, notes=found)
    try:
        require_plain(found, policy=context.policy)
        while True:
            rendered = render(task, draft)
            if status != "registered":
                rejections.require_unchanged(task, draft.applied)
            try:
                rendered = write_companions(task, draft, rendered)
                weighed = weigh(task, rendered.goal)
                trace = replace(trace, weighed=weighed)
                kept = _what_to_remember(task, draft, rendered, found)
                return Result(ended=publish(task, weighed, status=status, kept=kept), trace=trace)
            except StudyError as error:
                task = _answer(task, error, status=status)
    except StudyError as error:
        return Result(ended=task.park(error), trace=trace, refused=True)


def _is_known_too_large(task: Task) -> bool:
    """Whether the server said so before; a study that was once published without its instances stays so (MAPPING F.6)."""
    parked, record = task.claim.parked, task.record
    refused = parked is not None and parked.reason == ParkedReason.TOO_LARGE and bool(parked.digest)
    return refused or (record is not None and record.summary)


def _answer(task: Task, error: StudyError, *, status: str) -> Task:
    """How it is said after the server's `error`. Raises that where it is no question, or was answered already."""
    if error.reason == ParkedReason.TOO_LARGE and status == "available" and not task.summary:
        return replace(task, summary=True)
    if error.reason == ParkedReason.REFERENCE_REFUSED and not task.unresolved:
        task.context.check_sentinel()
        keep_endpoints(task.context, verify=True)
        return replace(task, unresolved=True)
    raise error


def _what_to_remember(task: Task, draft: Draft, rendered: Rendered, found: tuple[Note, ...]) -> Kept:
    """`found` is what was odd of the study itself; what it refers to may have added to that."""
    noted, ambiguous = (*found, *rendered.notes), rendered.ordered.ambiguous
    notes = len(noted or draft.applied.snapshot.notes) + ambiguous
    return Kept(
        facts=facts_of(task, draft, rendered, notes=notes),
        noted=(*rules(noted), *((orders.RULE,) if ambiguous else ())),
        safety=doubts(noted),
    )
