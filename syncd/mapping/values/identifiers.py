"""FHIR Identifiers of a study, its orders, its visit and its patient (MAPPING B).

A system may be missing: a value is still worth showing, but only the StudyID and the visit, which mean nothing without
one, are left out. Values are never merged across systems, only exact repetitions vanish.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from syncd.mapping.policy import MappingPolicy
from syncd.mapping.values.identity import patient_authority, primary_id
from syncd.mapping.values.systems import DICOM_UID, IDENTIFIER_TYPE, Authority, authority, issuer_name
from syncd.model.ids import is_uid
from syncd.model.snapshot import IssuedId, StudySnapshot

_TABLE_0203 = (
    "AC ACSN AM AMA AN ANC AND ANON ANT APRN ASID BA BC BCFN BCT BR BRN BSNR CC CONM CY CZ DC DCFN DDS DEA DFN DI DL DN"
    " DO DP DPM DR DS EI EN ESN FDR FDRFN FI FILL GI GL GN HC IND JHN LACSN LANR LI LN LR MA MB MC MCD MCN MCR MCT MD MI"
    " MR MRT MS NBSNR NCT NE NH NI NII NIIP NNxxx NP NPI OBI OD PA PC PCN PE PEN PHC PHE PHO PI PLAC PN PNT PPIN PPN PRC"
    " PRN PT QA RI RN RPH RR RRI RRP SB SID SL SN SNBSN SNO SP SR SS STN TAX TN TPR TRL U UDI UPIN USID VN VP VS WC WCN"
    " WP XV XX"
)
# As R4 carries it: a (0040,0035) of another value is no identifier type.
_TYPES = frozenset(_TABLE_0203.split())
_MEDICAL_RECORD = "MR"


def study_identifiers(snapshot: StudySnapshot, *, policy: MappingPolicy) -> list[dict[str, Any]]:
    """The StudyInstanceUID, always first; then the StudyID, only with a system. Accessions are the orders' own."""
    found = [_study_uid(snapshot.study_uid)]
    system = policy.of(snapshot.archive).study_id_system
    if snapshot.study_id and system:
        found.append({"type": {"text": "Study ID"}, "system": system, "value": snapshot.study_id})
    return found


def order_references(snapshot: StudySnapshot, *, policy: MappingPolicy) -> list[dict[str, Any]]:
    """The orders as logical references: the order system owns them (MAPPING J.3)."""
    orders = accession_identifiers(snapshot, policy=policy)
    for type_code, issued in (("PLAC", snapshot.placer_orders), ("FILL", snapshot.filler_orders)):
        orders += [
            identifier(one.value, assigned=order_authority(one, snapshot, policy=policy), type_code=type_code)
            for one in issued
            if one.value
        ]
    return [{"type": "ServiceRequest", "identifier": order} for order in _distinct(orders)]


def encounter(snapshot: StudySnapshot, *, policy: MappingPolicy) -> dict[str, Any] | None:
    """The visit (AdmissionID) as a logical reference, only if its issuer has a system."""
    admission = snapshot.admission
    if admission is None or not admission.value:
        return None
    assigned = authority(admission.issuer, issuers=policy.of(snapshot.archive).issuers)
    if not assigned.system:
        return None
    return {"type": "Encounter", "identifier": identifier(admission.value, assigned=assigned, type_code="VN")}


def patient_identifiers(snapshot: StudySnapshot, *, policy: MappingPolicy) -> list[dict[str, Any]]:
    """PatientID as `usual`, Other Patient IDs as `secondary`; exact repetitions of an earlier one vanish."""
    primary = primary_id(snapshot)
    if primary is None:
        return []
    archive = policy.of(snapshot.archive)
    assigned = patient_authority(primary, archive=archive)
    found = [usual_identifier(snapshot, system=assigned.system)]
    seen = {(assigned, primary.value)}
    for other in snapshot.patient.ids[1:]:
        assigned = patient_authority(other, archive=policy.of(other.elsewhere or snapshot.archive))
        if other.value and (assigned, other.value) not in seen:
            seen.add((assigned, other.value))
            type_code = other.type_code if other.type_code in _TYPES else ""
            found.append(identifier(other.value, assigned=assigned, type_code=type_code, use="secondary"))
    retired = Authority(archive.other_patient_ids_system, "")
    if retired.system:
        unseen = (value for value in snapshot.patient.retired_ids if (retired, value) not in seen)
        found += [identifier(value, assigned=retired, use="secondary") for value in unseen]
    return found


def usual_identifier(snapshot: StudySnapshot, *, system: str) -> dict[str, Any]:
    """The PatientID under `system`; without one it shows the issuer's name, or the archive's where none is given.

    The type is (0040,0035) if table 0203 has it, else `MR`; the snapshot must have a PatientID.
    """
    primary = snapshot.patient.ids[0]
    assigner = issuer_name(primary.issuer) or snapshot.archive
    type_code = primary.type_code if primary.type_code in _TYPES else _MEDICAL_RECORD
    return identifier(primary.value, assigned=Authority(system, assigner), type_code=type_code, use="usual")


def identifier(value: str, *, assigned: Authority, type_code: str = "", use: str = "") -> dict[str, Any]:
    """One Identifier; without a system it shows who assigned it, where that is known."""
    made: dict[str, Any] = {}
    if use:
        made["use"] = use
    if type_code:
        made["type"] = {"coding": [{"system": IDENTIFIER_TYPE, "code": type_code}]}
    if assigned.system:
        made["system"] = assigned.system
    made["value"] = value
    if assigned.assigner and not assigned.system:
        made["assigner"] = {"display": assigned.assigner}
    return made


def _study_uid(study_uid: str) -> dict[str, Any]:
    """What is no UID is published as it is, never as an OID (MAPPING I case 29)."""
    value = f"urn:oid:{study_uid}" if is_uid(study_uid) else study_uid
    return {"use": "official", "system": DICOM_UID, "value": value}


def accession_identifiers(snapshot: StudySnapshot, *, policy: MappingPolicy) -> list[dict[str, Any]]:
    """The accessions, each once; without a system where no issuer has one (MAPPING I case 34)."""
    return _distinct(
        identifier(issued.value, assigned=accession_authority(issued, snapshot, policy=policy), type_code="ACSN")
        for issued in snapshot.accessions
        if issued.value
    )


def accession_authority(issued: IssuedId, snapshot: StudySnapshot, *, policy: MappingPolicy) -> Authority:
    """Who issued an accession number; the system of the archive that tells of it where no issuer is given at all."""
    archive = policy.of(issued.elsewhere or snapshot.archive)
    return authority(issued.issuer, issuers=archive.issuers, default=archive.accession_system)


def order_authority(issued: IssuedId, snapshot: StudySnapshot, *, policy: MappingPolicy) -> Authority:
    """Who issued a placer's or filler's number."""
    return authority(issued.issuer, issuers=policy.of(issued.elsewhere or snapshot.archive).issuers)


def _distinct(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    every = list(found)
    if len(every) < 2:
        return every
    kept: dict[str, dict[str, Any]] = {}
    for one in every:
        kept.setdefault(json.dumps(one, sort_keys=True), one)
    return list(kept.values())
