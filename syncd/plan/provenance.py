"""Whether a write is worth a Provenance: a comparison of what was remembered with what the server confirmed (RULES B8).

It is asked only when something was written, so a no-op never leaves one. A write may have lost its reply: its record is
made a pass later, from what the server says, and compares with the same memory as it would have then.
"""

from __future__ import annotations

from syncd.model.ids import hashed_id
from syncd.model.outbox import FHIR, OutboxEntry
from syncd.model.provenance import PROVENANCE, Occasion, OwedProvenance
from syncd.model.words import WITHDRAWN
from syncd.model.work import StudyRecord

REPLACES = "replaces"
"""In `StudyRecord.raw`: the studies that this one replaces."""

_DIGITS = 40


def provenance_owed(
    before: StudyRecord | None, after: StudyRecord, *, scope: str, intended_at: float
) -> tuple[OutboxEntry, ...]:
    """What is owed for the write that made `before` (None: nothing was remembered) to `after`: one entry or none.

    `scope` is POLICY__PROVENANCE: `off`, `corrections`, `all`.
    """
    occasion = None if scope == "off" else _occasion(before, after, everything=scope == "all")
    if occasion is None:
        return ()
    key = f"{after.resource_id}|{after.digest}"
    owed = OwedProvenance(
        provenance_id=hashed_id("prov-", key=key, digits=_DIGITS),
        study_uid=after.study_uid,
        resource_id=after.resource_id,
        version=after.version,
        occasion=occasion,
        recorded=intended_at,
        sources=_replaced_uids(after) if occasion is Occasion.REPLACED else (),
    )
    entry = OutboxEntry(kind=PROVENANCE, sink=FHIR, study_uid=owed.study_uid, key=owed.provenance_id, payload=owed.payload())
    return (entry,)


def _occasion(before: StudyRecord | None, after: StudyRecord, *, everything: bool) -> Occasion | None:
    if after.status in WITHDRAWN and (before is None or before.status not in WITHDRAWN):
        return Occasion.RETRACTED
    if set(_replaced_uids(after)) - set(_replaced_uids(before) if before else ()):
        return Occasion.REPLACED
    if before is not None and _subject_changed(before, after):
        return Occasion.SUBJECT
    if not everything:
        return None
    return Occasion.UPDATED if before is not None else Occasion.CREATED


def _subject_changed(before: StudyRecord, after: StudyRecord) -> bool:
    """Another patient, or another Patient of the same one. A logical reference that became literal corrects nothing."""
    patients = before.raw.get("patient"), after.raw.get("patient")
    if all(patients) and patients[0] != patients[1]:
        return True
    return bool(before.subject and after.subject) and before.subject != after.subject


def _replaced_uids(record: StudyRecord) -> tuple[str, ...]:
    return tuple(record.raw.get(REPLACES, ()))
