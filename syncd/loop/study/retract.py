"""Taking a study back: what FHIR says of it is withdrawn, or deleted, and what others wrote stays (RULES D1, D2).

There is nothing left to render it from, so the server's own copy is read and cut down to what may stay (MAPPING F.3). The
difficulty is to be sure: the cause is asked for again when everything else is decided, immediately before the write, and
a mark that came meanwhile, a lookup that finds the study, another writer's version each stop it. A deletion is a
withdrawal first: HAPI honours no condition on DELETE, so it follows at once on a PUT that has proved the version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from syncd.errors import StudyError, TornRead
from syncd.loop.steps import Step, reached
from syncd.loop.study import brake
from syncd.loop.study.adopted import is_adopted
from syncd.loop.study.publish import owed_for
from syncd.loop.study.send import sent
from syncd.loop.study.task import Task
from syncd.mapping.check.check import problems
from syncd.mapping.resources.endpoints import endpoint_references
from syncd.mapping.resources.retracted import remains, retracted_status
from syncd.mapping.values.identity import resource_id
from syncd.model.words import WITHDRAWN, Cause, Decision, ParkedReason, Tombstone
from syncd.model.work import Outcome, Retraction, StudyRecord
from syncd.plan.decide import Deleted, Found, Wanted, wanted
from syncd.plan.elements import elements
from syncd.plan.essence import essence
from syncd.plan.ownership import foreign_part, installation_of, joined, merged, owned_values
from syncd.publish.lookups import imaging_studies

Still = Callable[[], bool]
"""Whether the cause still holds, asked immediately before the write."""


def proven_gone(task: Task) -> bool:
    """Whether no archive holds a copy (RULES D1): a lookup without an answer, from an archive that answers otherwise.

    A 404 alone proves nothing. Raises `Transient` when an archive cannot be asked."""
    sources = task.rooms.archives
    if task.closed & sources.keys():
        raise TornRead(f"archive {min(task.closed & sources.keys())} cannot be asked now whether it holds the study")
    if any(source.archive.lookup(task.study_uid) for source in sources.values()):
        return False
    for source in sources.values():
        source.archive.info()
    return True


def gone(task: Task) -> Outcome:
    """No copy answered. What was never published leaves nothing behind; the rest is taken back as the site decided."""
    if not proven_gone(task):
        raise TornRead("a copy answers 404, but the archive names it")
    if task.record is None and task.claim.intent is None and not task.fresh:
        return replace(
            task.outcome(Decision.SKIP, "gone from the archive before it was published"), retraction=Retraction.OFF
        )
    try:
        return take_back(task, cause=Cause.GONE, how=task.rooms.on_delete, still=lambda: proven_gone(task))
    except StudyError as error:
        return task.parked(error)


def take_back(task: Task, *, cause: Cause, how: str, still: Still) -> Outcome:
    """Say that the study is no more. `how`: `cancelled`, `entered-in-error`, `delete` or `keep`.

    Raises `StudyError` for what this study's resource is refused for, and what `FhirServer.put` and `delete` raise.
    """
    record = task.record
    if record is not None and record.retracted and not _must_read(task, how=how):
        return _settled(task, f"{cause.value}, and taken back already", replace(record, fingerprint=task.rooms.fingerprint))
    if how == "keep":
        reason = f"{cause.value}; it stays as it is, for so the site decided"
        return _settled(task, reason, record and _tombstone(task, record, Tombstone.KEPT))
    found = _owned(task)
    if not isinstance(found, Found):
        return _not_there(task, found, cause=cause, word=_status(how, fhir_version=task.rooms.fhir_version))
    status, said = elements(task.rooms.fhir_version).status_of(found.resource), _said(task)
    if status in WITHDRAWN - said:
        kept = record and _tombstone(task, record, Tombstone.THEIRS, status=str(status), version=found.version)
        return _settled(task, f"{cause.value}, and another writer withdrew it already", kept)
    # What was withdrawn for another reason keeps that reason's word (MAPPING F.3: a retracted status stays).
    word = str(status) if status in WITHDRAWN else _status(how, fhir_version=task.rooms.fhir_version)
    return _carried_out(task, _withdrawal(task, found, status=word), cause=cause, delete=how == "delete", still=still)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Withdrawal:
    """What is to be said of the resource that the server holds: our part cut down, beside all that is foreign."""

    found: Found
    goal: Wanted
    foreign: Mapping[str, Any]

    @property
    def resource(self) -> dict[str, Any]:
        return merged(self.goal.resource, self.foreign)

    def is_said(self, base_url: str) -> bool:
        return essence(self.resource) == essence(self.found.resource, base_url=base_url)


def _withdrawal(task: Task, found: Found, *, status: str) -> _Withdrawal:
    rooms, record, intent = task.rooms, task.record, task.claim.intent
    held = joined(record.owned if record else {}, intent.owned if intent else {})
    ours = remains(
        found.resource, status=status, identifiers=held["identifier"], policy=rooms.policy, dialect=rooms.fhir_version
    )
    foreign = foreign_part(
        found.resource,
        ours,
        held=held,
        base_url=rooms.server.base_url,
        fhir_version=rooms.fhir_version,
        endpoints=[str(one["reference"]) for one in endpoint_references(rooms.policy, fhir_version=rooms.fhir_version)],
    )
    goal = wanted(ours, fingerprint=rooms.fingerprint, fhir_version=rooms.fhir_version)
    return _Withdrawal(found=found, goal=goal, foreign=foreign)


def _carried_out(task: Task, one: _Withdrawal, *, cause: Cause, delete: bool, still: Still) -> Outcome:
    said = one.is_said(task.rooms.server.base_url)
    adopted = is_adopted(task, str(one.found.resource["id"]))
    refused = task.record is not None and task.record.retracted == Tombstone.WITHDRAWN
    if said and (not delete or adopted or refused):  # a deletion that was refused is paid for, and not tried again
        return _said_already(task, one, cause=cause)
    _require_sendable(task, one)
    held = brake.hold(task, cause=cause)
    if held is not None:
        return held
    if not (_is_unmarked(task) and still()):
        return task.waiting("not taken back: something changed meanwhile", due=task.rooms.clock())
    outcome = replace(task.outcome(Decision.RETRACT, cause.value), retraction=Retraction.DONE)
    if task.dry:
        return outcome
    intended_at = task.rooms.clock()
    record = _standing(task, one) if said else _withdrawn(task, one, intended_at=intended_at)
    if delete and not adopted:
        return _deleted(task, outcome, record)
    if not said:
        outcome = replace(outcome, owed=owed_for(task, record, intended_at=intended_at))
    if adopted and delete:
        outcome = replace(outcome, reason=f"{cause.value}; withdrawn, not deleted: it was not ours at first")
    return replace(outcome, record=record)


def _said_already(task: Task, one: _Withdrawal, *, cause: Cause) -> Outcome:
    """Nothing is sent; if it was our own write whose reply was lost, what is owed for it still is (RULES B8, C5)."""
    record, intent = _standing(task, one), task.claim.intent
    outcome = _settled(task, f"{cause.value}, and the server says so already", record)
    if task.dry or intent is None or intent.digest != one.goal.digest:
        return outcome
    return replace(outcome, owed=owed_for(task, record, intended_at=intent.created_at))


def _withdrawn(task: Task, one: _Withdrawal, *, intended_at: float) -> StudyRecord:
    written = sent(task, one.goal, one.resource, expected_version=one.found.version, updates=True, intended_at=intended_at)
    return _confirmed(task, one, version=written.version, last_updated=written.last_updated)


def _deleted(task: Task, outcome: Outcome, record: StudyRecord) -> Outcome:
    """Immediately after the write that `record` confirms, for nothing checks the version any more (RULES D2)."""
    deleted = task.rooms.server.delete("ImagingStudy", record.resource_id, expected_version=record.version)
    if deleted is None:
        reason = f"{outcome.reason}; withdrawn, not deleted: the server refuses, for something refers to it"
        return replace(outcome, record=record, reason=reason)
    reached(Step.DELETED)
    tombstone = replace(record, retracted=Tombstone.DELETED.value, version=deleted.version)
    return replace(outcome, record=tombstone, reason=f"{outcome.reason}; deleted")


def _owned(task: Task) -> Found | Deleted | None:
    """The server's copy, if the ledger, or our tag where it remembers nothing, says that it is ours (RULES D2, E7)."""
    server, known = task.rooms.server, task.record or task.claim.intent
    if known is not None:
        ids = [known.resource_id]
    else:
        own = resource_id(task.study_uid, bad_uid=task.rooms.policy.bad_uid)
        ids = sorted(imaging_studies(server, {task.study_uid: own}, fhir_version=task.rooms.fhir_version)[task.study_uid])
    seen = [server.read("ImagingStudy", one) for one in ids]
    reached(Step.LOOKED_UP)
    if task.record is not None:
        (current,) = seen
        return None if not isinstance(current, Found | Deleted) else current
    ours = task.rooms.installation_id
    return next((one for one in seen if isinstance(one, Found) and installation_of(one.resource) == ours), None)


def _not_there(task: Task, found: Deleted | None, *, cause: Cause, word: str) -> Outcome:
    """Nothing of ours to take back; unless the server lost more than this (RULES C6)."""
    if task.record is None:
        return _settled(task, f"{cause.value}, and nothing of ours is on the server", None)
    if found is None:
        task.rooms.check_sentinel()
    version = found.version if found is not None else ""
    said = task.record.status if task.record.status in WITHDRAWN else word
    tombstone = _tombstone(task, task.record, Tombstone.DELETED, status=said, version=version)
    return _settled(task, f"{cause.value}, and not on the server any more", tombstone)


def _require_sendable(task: Task, one: _Withdrawal) -> None:
    """Raises `StudyError` for what may not be sent at all (RULES B1), or was refused before (RULES E2)."""
    faults = problems(dict(one.goal.resource), fhir_version=task.rooms.fhir_version)
    if faults:
        raise StudyError(ParkedReason.UNMAPPABLE, "; ".join(faults[:3]))
    parked = task.claim.parked
    if parked is not None and parked.digest == one.goal.digest and parked.target_version in ("", one.found.version):
        error = StudyError(parked.reason, parked.detail, outcome=dict(parked.outcome) if parked.outcome else None)
        error.digest, error.target_version = parked.digest, parked.target_version
        raise error


def _standing(task: Task, one: _Withdrawal) -> StudyRecord:
    """The tombstone of what the server holds already."""
    return _confirmed(task, one, version=one.found.version, last_updated=one.found.last_updated)


def _confirmed(task: Task, one: _Withdrawal, *, version: str, last_updated: str) -> StudyRecord:
    """The tombstone of what the server confirmed; where a ledger was lost, all that can be known of the study."""
    goal, record = one.goal, task.record
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
        fingerprint=goal.fingerprint,
        foreign=one.foreign,
        owned=owned_values(goal.resource, fhir_version=goal.fhir_version),
        series=0,
        instances=0,
        modalities="",
        summary=False,
        notes=0,
    )
    return _tombstone(task, said, Tombstone.WITHDRAWN, status=goal.status, version=version)


def _tombstone(
    task: Task, record: StudyRecord, kind: Tombstone, *, status: str | None = None, version: str | None = None
) -> StudyRecord:
    return replace(
        record,
        status=record.status if status is None else status,
        version=record.version if version is None else version,
        fingerprint=task.rooms.fingerprint,
        retracted=kind.value,
        retracted_at=record.retracted_at if record.retracted else task.rooms.clock(),
    )


def _settled(task: Task, reason: str, record: StudyRecord | None) -> Outcome:
    """Nothing is sent."""
    outcome = replace(task.outcome(Decision.SKIP, reason), clear_intent=True, retraction=Retraction.DONE)
    return outcome if task.dry else replace(outcome, record=record)


def _must_read(task: Task, *, how: str) -> bool:
    """A mark asks for a look at FHIR itself, or a reply may have been lost (RULES C5); so does a change of the site's
    mind about what it kept."""
    kept = task.record is not None and task.record.retracted == Tombstone.KEPT and how != "keep"
    return task.reread or task.claim.row.read_fhir or task.claim.intent is not None or kept


def _is_unmarked(task: Task) -> bool:
    """Whether the mark is still the one that this is about (RULES D2, E1)."""
    row = task.rooms.ledger.dirty_row(task.study_uid)
    return task.dry or (row is not None and row.generation == task.claim.row.generation)


def _said(task: Task) -> frozenset[str]:
    """The statuses that are our own word."""
    record, intent = task.record, task.claim.intent
    ours = {record.status} if record is not None and record.retracted != Tombstone.THEIRS else set()
    if intent is not None:
        ours.add(str(intent.owned.get("status")))
    # Nothing is remembered, and the tag says that it is ours: so is its status (RULES E7).
    return frozenset(ours) if record is not None or intent is not None else WITHDRAWN


def _status(how: str, *, fhir_version: str) -> str:
    return retracted_status(in_error=how == "entered-in-error", fhir_version=fhir_version)
