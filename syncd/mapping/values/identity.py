"""Which resource a study is, and whose: ids that are the same on every run, on every machine.

The ImagingStudy's id is the StudyInstanceUID itself (RULES C1), the Patient's a digest of who assigned which PatientID
(RULES B4). Two patients must never get one id: without an assigning authority the archive and the issuer's name are
part of the key, and without a PatientID the study is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from syncd.errors import StudyError
from syncd.mapping.policy import ArchivePolicy, MappingPolicy, PatientKey
from syncd.mapping.values.systems import Authority, authority, issuer_text
from syncd.model.ids import hashed_id, is_uid
from syncd.model.snapshot import IssuedId, StudySnapshot

PATIENT_DIGITS = 40
BAD_UID_DIGITS = 48


def resource_id(study_uid: str, *, bad_uid: str) -> str:
    """The ImagingStudy's id: the UID; what is none is refused, or hashed with `bad_uid="verbatim"` (RULES C1).

    Where nothing is left of the UID once it is cleaned, no two such studies could be told apart: always refused."""
    if is_uid(study_uid):
        return study_uid
    if bad_uid != "verbatim" or not study_uid:
        raise StudyError("uid-not-oid", "StudyInstanceUID (0020,000D) is not dotted digits of at most 64 characters")
    return hashed_id("x-", key=study_uid, digits=BAD_UID_DIGITS)


def patient_key(snapshot: StudySnapshot, *, policy: MappingPolicy) -> PatientKey:
    """Who the study's patient is (RULES B4; without a PatientID: MAPPING I case 11)."""
    primary = primary_id(snapshot)
    if primary is None:
        unique = hashed_id("pat-", key=f"noid|{snapshot.study_uid}", digits=PATIENT_DIGITS)
        return PatientKey(system="", value="", resource_id=unique, unidentified=True)
    assigned = patient_authority(primary, archive=policy.of(snapshot.archive))
    issuer = issuer_text(primary.issuer)
    parts = [assigned.system, primary.value] if assigned.system else [snapshot.archive, issuer, primary.value]
    return PatientKey(system=assigned.system, value=primary.value, resource_id=patient_id(parts), issuer=issuer)


def patient_id(parts: Sequence[str]) -> str:
    """The id of our Patient: of (system, value), or of (archive, issuer, value) where no system is known."""
    key = json.dumps(list(parts), ensure_ascii=False, separators=(",", ":"))
    return hashed_id("pat-", key=key, digits=PATIENT_DIGITS)


def primary_id(snapshot: StudySnapshot) -> IssuedId | None:
    """PatientID (0010,0020) and its issuer, or None where the study has none."""
    return snapshot.patient.ids[0] if snapshot.patient.ids and snapshot.patient.ids[0].value else None


def patient_authority(issued: IssuedId, *, archive: ArchivePolicy) -> Authority:
    """Who assigned a patient's identifier; the archive's own system where no issuer is given at all (MAPPING B)."""
    return authority(issued.issuer, issuers=archive.issuers, default=archive.patient_id_system)


def source_key(snapshot: StudySnapshot) -> str:
    """Sorts studies by (StudyDate, StudyTime, UID): the greatest writes the Patient (RULES B4).

    A time without its later parts sorts as its beginning; the parts are padded so that texts compare like tuples.
    """
    date = snapshot.study_date.ljust(8, "0")
    time = snapshot.study_time.replace(".", "").ljust(12, "0")
    return f"{date} {time} {snapshot.study_uid}"
