"""A draft, said: rendered, compared, published. What keeps it back is the study's own, and parks it.

Two answers of the server are a question back, and each is answered once: without instances where the resource is too large
(C6, 413), and with everything looked up anew where it refuses a reference (B4).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from syncd.errors import Conflict, StudyError
from syncd.loop.companions import orders
from syncd.loop.companions.target import keep_endpoints
from syncd.loop.steps import Step, report_step
from syncd.loop.strictness import doubts, odd, require_plain, rules
from syncd.loop.study import publish, rejections
from syncd.loop.study.conclusion import Draft, Result
from syncd.loop.study.publish import Kept, Ready
from syncd.loop.study.read import require_one_person
from syncd.loop.study.render import Rendered, facts_of, render, write_companions
from syncd.loop.study.send import send
from syncd.loop.study.task import Task
from syncd.loop.study.trace import Trace, Weighed
from syncd.model.snapshot import Note
from syncd.model.study.rejection import Rejection
from syncd.model.words import WITHDRAWN, ParkedReason
from syncd.model.work import Intent
from syncd.publish.server import Written


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """A draft on its way: how it is said this time, what was odd of the study, and what was seen so far."""

    task: Task
    draft: Draft
    found: tuple[Note, ...]
    trace: Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Sendable:
    """What is to be sent of a draft, once the ledger knows that it will be."""

    saying: Saying
    ready: Ready

    @property
    def task(self) -> Task:
        return self.saying.task

    @property
    def intent(self) -> Intent:
        return self.ready.intent

    @property
    def instances(self) -> int:
        """How many the study has: what it costs the server."""
        return int(self.ready.kept.facts["instances"])

    def is_current(self, concerning: Iterable[Rejection]) -> bool:
        """Whether the rejection notes that concern it now are those by which it was mapped (RULES B7)."""
        return rejections.is_unchanged(self.task, self.saying.draft.applied, concerning)


def prepare(task: Task, draft: Draft) -> Result | Sendable:
    """All that precedes the write. Raises `StudyError` (patient-mismatch) for a study of two people, `Conflict`, and what is
    not the study's own."""
    context, status = task.context, draft.status
    task = replace(task, summary=task.summary or _is_known_too_large(task))
    if status not in WITHDRAWN:
        one_person = require_one_person(draft.applied.snapshot, policy=context.policy)
        draft = replace(draft, applied=replace(draft.applied, snapshot=one_person))
    snapshot = draft.applied.snapshot
    found = odd(snapshot, policy=context.policy, fhir_version=context.fhir_version) if status == "available" else ()
    instances = sum(len(raw.instances) for raw in draft.raws)
    trace = Trace(instances=instances, rejected=draft.applied.rejected, notes=found)
    saying = Saying(task=task, draft=draft, found=found, trace=trace)
    try:
        require_plain(found, policy=context.policy)
    except StudyError as error:
        return _refused(saying, error)
    return _go_on(saying)


def send_on(sendable: Sendable) -> Result:
    """Send it by itself, and what it is turned into by a refusal that is a question. Raises `Conflict` where the rejection
    notes changed since, and what `transmit` raises."""
    step: Result | Sendable = sendable
    while isinstance(step, Sendable):
        claims = step.task.context.ledger.claims
        concerning = claims.save_intent(step.intent)
        report_step(Step.INTENT_SAVED)
        if not step.is_current(concerning):
            claims.withdraw_intents({step.task.study_uid: step.task.claim.intent})
            raise Conflict("The rejection notes of this study changed meanwhile")
        step = transmit(step)
    return step


def transmit(sendable: Sendable) -> Result | Sendable:
    """Send it, now that its intent is kept: how the study ended, or how else it is to be said."""
    ready = sendable.ready
    try:
        written = send(ready.task, ready.intent, ready.write.resource, updates=publish.updates(ready))
    except StudyError as error:
        return _answer(sendable.saying, error)
    return Result(ended=publish.confirm(ready, written), trace=sendable.saying.trace)


def receive(sendable: Sendable, written: Written) -> Result:
    """How the study ended where it was sent along with others. Raises `ServerReset`."""
    return Result(ended=publish.receive(sendable.ready, written), trace=sendable.saying.trace)


def _go_on(saying: Saying) -> Result | Sendable:
    try:
        rendered = write_companions(saying.task, saying.draft, render(saying.task, saying.draft))
        weighed = publish.weigh(saying.task, rendered.goal)
        saying = replace(saying, trace=replace(saying.trace, weighed=weighed))
        return _decide(saying, weighed, rendered)
    except StudyError as error:
        return _answer(saying, error)


def _answer(saying: Saying, error: StudyError) -> Result | Sendable:
    """What is said after the server's `error`: it otherwise, where that was a question, and not answered before."""
    try:
        task = _otherwise(saying.task, error, status=saying.draft.status)
    except StudyError as final:
        return _refused(saying, final)
    return _go_on(replace(saying, task=task))


def _decide(saying: Saying, weighed: Weighed, rendered: Rendered) -> Result | Sendable:
    task, draft = saying.task, saying.draft
    kept = _what_to_remember(task, draft, rendered, saying.found)
    ready = publish.prepare(task, weighed, status=draft.status, kept=kept)
    if isinstance(ready, Ready):
        return Sendable(saying=saying, ready=ready)
    return Result(ended=ready, trace=saying.trace)


def _refused(saying: Saying, error: StudyError) -> Result:
    return Result(ended=saying.task.park(error), trace=saying.trace, refused=True)


def _is_known_too_large(task: Task) -> bool:
    """Whether the server said so before; a study that was once published without its instances stays so (MAPPING F.6)."""
    parked, record = task.claim.parked, task.record
    refused = parked is not None and parked.reason == ParkedReason.TOO_LARGE and bool(parked.digest)
    return refused or (record is not None and record.summary)


def _otherwise(task: Task, error: StudyError, *, status: str) -> Task:
    """How it is said after the server's `error`. Raises that where it is no question, or was answered already."""
    if error.reason == ParkedReason.TOO_LARGE and status == "available" and not task.summary:
        return replace(task, summary=True)
    if error.reason == ParkedReason.REFERENCE_REFUSED and not task.unresolved:
        task.context.check_sentinel()
        keep_endpoints(task.context, verify=True)
        return replace(task, unresolved=True, shared=None)
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
