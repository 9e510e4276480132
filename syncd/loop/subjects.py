"""The subject of a study: somebody else's Patient, our own, or a logical reference (RULES B4).

Looking a Patient up costs two requests, so it is done once per study and patient; afterwards the record remembers the
subject as long as the study's patient stays the same, unless the server itself must be read again. The difficulty is the
Patient of somebody else that turns up beside ours: every study moves over, ours gives way to it, and stays so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from syncd.errors import StudyError
from syncd.loop.further_ids import added, completed
from syncd.loop.rooms import Rooms
from syncd.loop.steps import Step, reached
from syncd.mapping.identity import patient_key, source_key
from syncd.mapping.patient import patient, replaced, subject, with_identifiers
from syncd.model.snapshot import StudySnapshot
from syncd.model.words import ParkedReason
from syncd.model.work import Companion, StudyRecord
from syncd.plan.decide import Found
from syncd.plan.essence import digest
from syncd.plan.ownership import installation_of
from syncd.plan.subject import RefusePatient, UsePatient, choose
from syncd.publish.lookups import patients
from syncd.publish.own import ForeignResource, keep

log = structlog.get_logger(__name__)


def resolve(
    snapshot: StudySnapshot, *, rooms: Rooms, record: StudyRecord | None, fresh: bool, dry: bool = False
) -> dict[str, Any]:
    """The Reference to write as `subject`. `fresh`: ask the server again whatever the record remembers; `dry`: write
    nothing. Raises `StudyError` (patient-ambiguous, patient-mismatch, reference-refused)."""
    key = patient_key(snapshot, policy=rooms.policy)
    version = rooms.fhir_version
    wanted = patient(snapshot, key=key, policy=rooms.policy, fhir_version=version)
    own = f"Patient/{key.resource_id}"
    if rooms.policy.patient == "logical":
        return subject(key, snapshot, literal=None, fhir_version=version)
    known = rooms.ledger.companion("Patient", key.resource_id)
    gave_way = known is not None and bool(known.replaced_by) and record is not None and record.subject == own
    remembered = record is not None and record.raw.get("patient") == key.resource_id and bool(record.subject)
    if record is not None and remembered and not fresh and not gave_way:
        if record.subject == own and not dry:
            _keep_own(wanted, rooms=rooms, source=source_key(snapshot))
        return subject(key, snapshot, literal=record.subject, fhir_version=version)
    if key.system and not key.unidentified:
        candidates = patients(rooms.server, system=key.system, value=key.value)
        match choose(candidates, wanted, own_id=key.resource_id):
            case UsePatient(resource_id=resource_id):
                literal = f"Patient/{resource_id}"
                beside = any(one.get("id") == key.resource_id for one in candidates)
                if not dry and (beside or (known is not None and known.replaced_by != literal)):
                    _give_way(key.resource_id, to=literal, rooms=rooms, study_uid=snapshot.study_uid)
                return subject(key, snapshot, literal=literal, fhir_version=version)
            case RefusePatient(reason=reason, detail=detail):
                raise StudyError(reason, detail)
    if rooms.policy.patient == "match":
        return subject(key, snapshot, literal=None, fhir_version=version)
    if not dry:
        _keep_own(wanted, rooms=rooms, source=source_key(snapshot), fresh=fresh)
    return subject(key, snapshot, literal=own, fhir_version=version)


def _keep_own(wanted: Mapping[str, Any], *, rooms: Rooms, source: str, fresh: bool = False) -> None:
    """Write our Patient if this study may speak for it: the greatest study so far, or that study itself."""
    resource_id = str(wanted["id"])
    with rooms.locks.holding(resource_id):
        known = rooms.ledger.companion("Patient", resource_id)
        if known is not None and known.replaced_by:
            known = replace(known, source_key="", replaced_by="")  # nobody stands for it any more: it speaks again
        if known is not None and fresh and not isinstance(rooms.server.read("Patient", resource_id), Found):
            known = None  # lost on the server: whoever needs it writes it again
        try:
            if known is not None and source < known.source_key:
                kept = added(wanted, rooms=rooms, known=known)
            else:
                whole = completed(wanted, rooms=rooms, known=known)
                kept = keep(
                    rooms.server,
                    whole,
                    known=known,
                    installation_id=rooms.installation_id,
                    source_key=source,
                    completed=lambda current: with_identifiers(wanted, of=current),
                )
        except ForeignResource as error:
            raise StudyError(ParkedReason.REFERENCE_REFUSED, "the id of our Patient is taken by another writer") from error
        if kept != known:
            reached(Step.PATIENT_SENT)
            rooms.ledger.save_companion(kept)


def _give_way(resource_id: str, *, to: str, rooms: Rooms, study_uid: str) -> None:
    """Ours is no longer to be used, and every other study under it is marked to move (RULES B4).

    The marks come first: killed after them, whichever study comes next finds ours active still, and marks again. A server
    that refuses the change keeps an active Patient too many; the studies move all the same."""
    with rooms.locks.holding(resource_id):
        current = rooms.server.read("Patient", resource_id)
        if not isinstance(current, Found) or installation_of(current.resource) != rooms.installation_id:
            return
        wanted = replaced(current.resource, by=to, policy=rooms.policy, fhir_version=rooms.fhir_version)
        said = digest(current.resource, base_url=rooms.server.base_url)
        standing = Companion(resource_type="Patient", resource_id=resource_id, version=current.version, digest=said)
        if said != digest(wanted):
            rooms.ledger.mark_subject(f"Patient/{resource_id}", but=study_uid)
        try:
            kept = keep(rooms.server, wanted, known=standing, installation_id=rooms.installation_id)
        except (StudyError, ForeignResource) as error:
            log.warning("patient_not_replaced", patient=resource_id, reason=str(error))
            return
        reached(Step.PATIENT_SENT)
        rooms.ledger.save_companion(replace(kept, replaced_by=to))
        log.info("patient_replaced", patient=resource_id)
