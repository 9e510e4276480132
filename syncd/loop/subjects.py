"""The subject of a study: somebody else's Patient, our own, or a logical reference (RULES B4).

Looking a Patient up costs two requests, so it is done once per study and patient; afterwards the record remembers the
subject as long as the study's patient stays the same, unless the server itself must be read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncd.errors import StudyError
from syncd.loop.rooms import Rooms
from syncd.loop.steps import Step, reached
from syncd.mapping.identity import patient_key, source_key
from syncd.mapping.patient import patient, subject
from syncd.model.snapshot import StudySnapshot
from syncd.model.words import ParkedReason
from syncd.model.work import StudyRecord
from syncd.plan.decide import Found
from syncd.plan.subject import RefusePatient, UsePatient, choose
from syncd.publish.lookups import patients
from syncd.publish.own import ForeignResource, keep


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
    if record is not None and not fresh and record.raw.get("patient") == key.resource_id and record.subject:
        if record.subject == own and not dry:
            _keep_own(wanted, rooms=rooms, source=source_key(snapshot))
        return subject(key, snapshot, literal=record.subject, fhir_version=version)
    if key.system and not key.unidentified:
        candidates = patients(rooms.server, system=key.system, value=key.value)
        match choose(candidates, wanted, own_id=key.resource_id):
            case UsePatient(resource_id=resource_id):
                return subject(key, snapshot, literal=f"Patient/{resource_id}", fhir_version=version)
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
        if known is not None and fresh and not isinstance(rooms.server.read("Patient", resource_id), Found):
            known = None  # lost on the server: whoever needs it writes it again
        if known is not None and source < known.source_key:
            return
        try:
            kept = keep(rooms.server, wanted, known=known, installation_id=rooms.installation_id, source_key=source)
        except ForeignResource as error:
            raise StudyError(ParkedReason.REFERENCE_REFUSED, "the id of our Patient is taken by another writer") from error
        if kept != known:
            reached(Step.PATIENT_SENT)
            rooms.ledger.save_companion(kept)
