"""Taking a study back: what FHIR says of it is withdrawn, or deleted, and what others wrote stays (RULES D1, D2).

What is to become of it is the plan's word (`plan.withdraw`); here it is read for and carried out. Nothing goes on a
suspicion: the cause is asked for again when everything else is decided, immediately before the write, and a mark that
came meanwhile, a lookup that finds the study, another writer's version each stop it. A deletion is a withdrawal first:
HAPI honours no condition on DELETE, so it follows at once on a PUT that has proved the version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from syncd.errors import StudyError, TornRead
from syncd.loop.context import Context
from syncd.loop.steps import Step, report_step
from syncd.loop.study import brake
from syncd.loop.study.send import intent_of, is_adopted, owed_for, refusal, send, what_is_known
from syncd.loop.study.task import Task
from syncd.mapping.check.check import problems
from syncd.mapping.resources.retracted import remains, retracted_status
from syncd.mapping.values.identity import resource_id
from syncd.model.outcome import Confirmed, Ended, Retraction, Unpublished, Waiting
from syncd.model.words import Cause, Decision
from syncd.model.words import Tombstone as Kind
from syncd.model.work import DELETING, Intent, StudyRecord
from syncd.plan.decide import Current, NeedRead, Park, Wait, Wanted, goal_of
from syncd.plan.ownership import owned_values
from syncd.plan.withdraw import Asked, Delete, Leave, Remains, Tombstone, Withdraw, ours_among, withdrawal
from syncd.publish.lookups import imaging_studies

Still = Callable[[], bool]
"""Whether the cause still holds, asked immediately before the write."""


def is_gone_everywhere(task: Task) -> bool:
    """Whether no archive holds a copy (RULES D1): a lookup without an answer, from an archive that answers otherwise.

    A 404 alone proves nothing. Raises `Transient` when an archive cannot be asked."""
    sources = task.context.archives
    if task.away & sources.keys():
        raise TornRead(f"archive {min(task.away & sources.keys())} cannot be asked now whether it holds the study")
    if any(source.archive.lookup(task.study_uid) for source in sources.values()):
        return False
    for source in sources.values():
        source.archive.info()
    return True


def take_back_gone(task: Task) -> Ended:
    """No copy answered. What was never published leaves nothing behind; the rest is taken back as the site decided."""
    if not is_gone_everywhere(task):
        raise TornRead("a copy answers 404, but the archive names it")
    try:
        return take_back(task, cause=Cause.GONE, how=task.context.on_delete, still=lambda: is_gone_everywhere(task))
    except StudyError as error:
        return task.park(error)


def take_back(task: Task, *, cause: Cause, how: str, still: Still) -> Confirmed | Unpublished | Waiting:
    """Say that the study is no more. `how`: `cancelled`, `entered-in-error`, `delete` or `keep`.

    Raises `StudyError` for what this study's resource is refused for, and what `FhirServer.put` and `delete` raise.
    """
    action = withdrawal(_asked(task, cause, how), what_is_known(task, None, read_fhir=task.told_to_read))
    if isinstance(action, NeedRead):
        current = _read(task)
        action = withdrawal(_asked(task, cause, how), what_is_known(task, current, read_fhir=task.told_to_read))
    match action:
        case Withdraw() | Delete():
            return _carry_out(task, action, cause=cause, still=still)
        case Tombstone():
            return _remember(task, action)
        case Leave(reason=reason, retraction=retraction):
            return Unpublished(reason=reason, retraction=retraction)
        case Wait(reason=reason):
            return Waiting(reason=reason, until=task.context.clock() + task.settle_after)
        case Park():
            raise refusal(action)
        case NeedRead():
            raise AssertionError("a decision made with the server's copy at hand asks for no other")


def retraction_after(ended: Ended) -> Retraction:
    """What became of the retraction that a study was taken back by; untold as long as it waits or is parked."""
    match ended:
        case Confirmed():
            return Retraction.DONE
        case Unpublished(retraction=retraction):
            return retraction
        case _:
            return Retraction.UNTOLD


def _asked(task: Task, cause: Cause, how: str) -> Asked:
    context = task.context
    return Asked(
        cause=cause,
        how=how,
        word=retracted_status(in_error=how == "entered-in-error", fhir_version=context.fhir_version),
        cut_down=partial(_cut_down, context),
        faults=lambda resource: problems(dict(resource), fhir_version=context.fhir_version),
        adopted=partial(is_adopted, task),
        listed=brake.was_listed(task),
        fhir_version=context.fhir_version,
    )


def _cut_down(context: Context, found: Mapping[str, Any], status: str, identifiers: Sequence[Mapping[str, Any]]) -> Wanted:
    ours = remains(found, status=status, identifiers=identifiers, policy=context.policy, dialect=context.fhir_version)
    return goal_of(ours, fingerprint=context.fingerprint, fhir_version=context.fhir_version)


def _read(task: Task) -> Current:
    """The server's copy, under the id that the ledger knows, or, where it remembers nothing, under any that names it."""
    server, remembered = task.context.server, task.record or task.claim.intent
    if remembered is not None:
        ids = [remembered.resource_id]
    else:
        own = resource_id(task.study_uid, bad_uid=task.context.policy.bad_uid)
        ids = sorted(imaging_studies(server, {task.study_uid: own}, fhir_version=task.context.fhir_version)[task.study_uid])
    seen = [server.read("ImagingStudy", one) for one in ids]
    report_step(Step.LOOKED_UP)
    return ours_among(seen, remembers=task.record is not None, installation_id=task.context.installation_id)


def _carry_out(task: Task, action: Withdraw | Delete, *, cause: Cause, still: Still) -> Confirmed | Waiting:
    """Pay for it, ask once more whether it is true, and send it (RULES D2, D3)."""
    held = brake.hold(task, cause=cause)
    if held is not None:
        return held
    if not (_is_unmarked(task) and still()):
        return Waiting(reason="not taken back: something changed meanwhile", until=task.context.clock())
    if task.dry:
        return Confirmed(decision=Decision.RETRACT, reason=action.reason, record=None)
    remains, intended_at = action.remains, task.context.clock()
    if isinstance(action, Delete):
        # What others wrote is in the ledger before it goes: killed behind the deletion, nobody else would know it.
        intent = _intend(task, remains, intended_at=intended_at, more={DELETING: dict(remains.foreign)})
        record = _tombstone_of_found(task, remains) if action.said else _send(task, remains, intent)
        return _delete(task, record, reason=action.reason)
    record = _send(task, remains, _intend(task, remains, intended_at=intended_at))
    return Confirmed(
        decision=Decision.RETRACT,
        reason=action.reason,
        record=record,
        owed=owed_for(task, record, intended_at=intended_at),
    )


def _intend(task: Task, remains: Remains, *, intended_at: float, more: Mapping[str, Any] = MappingProxyType({})) -> Intent:
    intent = intent_of(task, remains.goal, expected_version=remains.found.version, intended_at=intended_at)
    intent = replace(intent, owned={**intent.owned, **more})
    task.context.ledger.claims.save_intent(intent)
    report_step(Step.INTENT_SAVED)
    return intent


def _send(task: Task, remains: Remains, intent: Intent) -> StudyRecord:
    written = send(task, intent, remains.resource, updates=True)
    return _confirmed_tombstone(task, remains, version=written.version, last_updated=written.last_updated)


def _delete(task: Task, record: StudyRecord, *, reason: str) -> Confirmed:
    """Immediately after the write that `record` confirms, for nothing checks the version any more (RULES D2)."""
    deleted = task.context.server.delete("ImagingStudy", record.resource_id, expected_version=record.version)
    if deleted is None:
        reason = f"{reason}; withdrawn, not deleted: the server refuses, for something refers to it"
        return Confirmed(decision=Decision.RETRACT, reason=reason, record=record)
    report_step(Step.DELETED)
    tombstone = replace(record, retracted=Kind.DELETED.value, version=deleted.version)
    return Confirmed(decision=Decision.RETRACT, reason=f"{reason}; deleted", record=tombstone)


def _remember(task: Task, tombstone: Tombstone) -> Confirmed:
    """Nothing is sent; what is owed for our own write whose reply was lost still is (RULES B8, C5)."""
    if tombstone.ask_sentinel:
        task.context.check_sentinel()
    if task.dry:
        return Confirmed(decision=Decision.SKIP, reason=tombstone.reason, record=None)
    if tombstone.remains is None:
        assert task.record is not None  # noqa: S101 - only what is remembered becomes a tombstone unseen
        record = _tombstone(task, task.record, tombstone.kind, status=tombstone.status, version=tombstone.version)
    else:
        record = _tombstone_of_found(task, tombstone.remains)
    lost = tombstone.lost_reply
    owed = owed_for(task, record, intended_at=lost.created_at) if lost else ()
    return Confirmed(decision=Decision.SKIP, reason=tombstone.reason, record=record, owed=owed)


def _tombstone_of_found(task: Task, remains: Remains) -> StudyRecord:
    """The tombstone of what the server holds already."""
    return _confirmed_tombstone(task, remains, version=remains.found.version, last_updated=remains.found.last_updated)


def _confirmed_tombstone(task: Task, remains: Remains, *, version: str, last_updated: str) -> StudyRecord:
    """The tombstone of what the server confirmed; where a ledger was lost, all that can be known of the study."""
    goal, record = remains.goal, task.record
    if record is None:
        record = StudyRecord(
            study_uid=task.study_uid,
            resource_id=str(goal.resource["id"]),
            version=version,
            last_updated=last_updated,
            digest="",
            fingerprint="",
            status="",
            raw={},
            archive=brake.archive_of(task),
            adopted=is_adopted(task, str(goal.resource["id"])),
        )
    said = replace(
        record,
        last_updated=last_updated,
        digest=goal.digest,
        foreign=remains.foreign,
        owned=owned_values(goal.resource, fhir_version=goal.fhir_version),
        series=0,
        instances=0,
        modalities="",
        summary=False,
        notes=0,
    )
    return _tombstone(task, said, Kind.WITHDRAWN, status=goal.status, version=version)


def _tombstone(task: Task, record: StudyRecord, kind: Kind, *, status: str, version: str) -> StudyRecord:
    """The record of a study that is taken back, and since when."""
    return replace(
        record,
        status=status,
        version=version,
        fingerprint=task.context.fingerprint,
        retracted=kind.value,
        retracted_at=record.retracted_at if record.retracted else task.context.clock(),
    )


def _is_unmarked(task: Task) -> bool:
    """Whether the mark is still the one that this is about (RULES D2, E1)."""
    row = task.context.ledger.marks.find(task.study_uid)
    return task.dry or (row is not None and row.generation == task.claim.row.generation)
