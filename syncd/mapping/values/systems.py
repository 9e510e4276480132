"""Who assigned an identifier or a code, as the URI that FHIR wants in `system`.

Two tables of docs/mapping.md: the issuer rule (B) for identifiers, the coding schemes (C.5) for codes. Without an
answer nothing is made up: a URI is never invented, a designator is never a system. An issuer that nobody mapped stays a
name (`assigner.display`), and keeps two patients apart by being part of their key (`issuer_text`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from syncd.mapping.values.primitives import system as broken_system_rule
from syncd.model.snapshot import Code, Issuer

DCM = "http://dicom.nema.org/resources/ontology/DCM"
SCT = "http://snomed.info/sct"
DICOM_UID = "urn:dicom:uid"
URI = "urn:ietf:rfc:3986"
IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"
PARTICIPATION_TYPE = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
CONNECTION_TYPE = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
DATA_ABSENT_REASON = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
NAME_REPRESENTATION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"

SOURCE = "urn:syncd"
INSTALLATION = "urn:syncd:installation"
SENTINEL = "urn:syncd:sentinel"
TRIAL = "urn:syncd:trial"
SUMMARY_EXTENSION = "urn:syncd:extension:summary"
UNIDENTIFIED_EXTENSION = "urn:syncd:extension:unidentified"

SCHEMES: Mapping[str, str] = {
    "DCM": DCM,
    "DCMUID": "http://dicom.nema.org/resources/ontology/DCMUID",
    "SCT": SCT,
    "LN": "http://loinc.org",
    "RADLEX": "http://radlex.org",
    "UCUM": "http://unitsofmeasure.org",
    "RXNORM": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "I10": "http://hl7.org/fhir/sid/icd-10",
    "I10C": "http://hl7.org/fhir/sid/icd-10-cm",
    "I10P": "http://www.cms.gov/Medicare/Coding/ICD10",
    "I11": "urn:oid:1.2.840.10008.2.16.16",
    "NCIt": "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl",
    "MSH": "https://www.nlm.nih.gov/mesh",
    "UMLS": "http://terminology.hl7.org/CodeSystem/umls",
    "FMA": "urn:oid:2.16.840.1.113883.6.119",
    "I9C": "urn:oid:2.16.840.1.113883.6.2",
    "ICDO3": "urn:oid:2.16.840.1.113883.6.43.1",
    "C4": "urn:oid:2.16.840.1.113883.6.12",
    "MDC": "urn:oid:2.16.840.1.113883.6.24",
    "UBERON": "urn:oid:1.2.840.10008.2.16.6",
    "IBSI": "urn:oid:1.2.840.10008.2.16.13",
    "RADELEMENT": "urn:oid:1.2.840.10008.2.16.15",
    "ISO5218_1": DCM,
}
"""Coding Scheme Designator (0008,0102) → `system` (MAPPING C.5)."""

_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Authority(NamedTuple):
    """Who assigned an identifier: a `system`, or empty and the name to show as `assigner.display`."""

    system: str
    assigner: str


def is_oid(text: str) -> bool:
    """Whether `text` is an OID as FHIR means it: no leading zeros, at least two arcs (MAPPING A.6)."""
    return _OID.fullmatch(text) is not None


def authority(issuer: Issuer | None, *, issuers: Mapping[str, str], default: str = "") -> Authority:
    """The issuer rule of MAPPING B. `default` counts only where no issuer is given at all."""
    if issuer is None or not issuer_text(issuer):
        return Authority(default, "")
    system = _universal_system(issuer) or issuers.get(issuer.universal_id) or issuers.get(issuer.local)
    if system:
        return Authority(system, "")
    return Authority("", issuer_name(issuer))


def issuer_text(issuer: Issuer | None) -> str:
    """The issuer as one text that differs for different issuers, in the form of HL7 v2's HD (`local&id&type`)."""
    if issuer is None:
        return ""
    if not issuer.universal_id:
        return issuer.local
    return f"{issuer.local}&{issuer.universal_id}&{issuer.universal_type}"


def issuer_name(issuer: Issuer | None) -> str:
    """What to show as the assigner where no system is known."""
    return (issuer.local or issuer.universal_id) if issuer else ""


def scheme_system(code: Code) -> str:
    """The `system` of a coded entry by C.5, or empty: then there is no coding, only text."""
    known = SCHEMES.get(code.scheme)
    if known:
        return known
    return f"urn:oid:{code.scheme_uid}" if is_oid(code.scheme_uid) else ""


def _universal_system(issuer: Issuer) -> str:
    """(0040,0032) as a URI, where its type (0040,0033) makes it one: ISO, UUID, URI."""
    universal = issuer.universal_id
    if issuer.universal_type == "ISO" and is_oid(universal):
        return f"urn:oid:{universal}"
    if issuer.universal_type == "UUID" and _UUID.fullmatch(universal.lower()):
        return f"urn:uuid:{universal.lower()}"
    if issuer.universal_type == "URI" and not broken_system_rule(universal):
        return universal
    return ""
