"""The oracle's own conversion of DICOM values to what FHIR should say (MAPPING C, R4, no time zone configured).

A second hand at the same rules: nothing of syncd is imported. What a text says is decided before (`oracle_text`); here it
becomes dates, names, codes. Codes are compared as `system|code`, and as
`|display` where MAPPING gives no code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom.sr import _snomed_dict
from pydicom.sr.codedict import codes

if TYPE_CHECKING:
    from tests.oracle_archive import Header

DCM = "http://dicom.nema.org/resources/ontology/DCM"
SCT = "http://snomed.info/sct"
ABSENT = "data-absent-reason|unknown"

REGIONS = Path(__file__).resolve().parent.parent / "syncd" / "mapping" / "anatomic_regions.json"
"""PS3.16 table L-1 as data: a table of the standard, read by path so that no code of syncd runs."""

LATERALITY = {"L": f"{SCT}|7771000", "R": f"{SCT}|24028007", "B": f"{SCT}|51440002"}

_NEWER = ("ANN", "RTINTENT", "RTRAD", "RTSEGANN", "XAPROTOCOL")
_RETIRED = ("CD", "CF", "DD", "DF", "DS", "EC", "MA", "MS", "ST", "VF", "AS", "CP", "CS", "DM", "FA", "FS", "LP", "OPR")

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_INFERRED = {
    **dict.fromkeys(("2", "2.1", "2.2"), "CT"),
    **dict.fromkeys(("4", "4.1", "4.2", "4.3", "4.4"), "MR"),
    **dict.fromkeys(("6.1", "6.2", "3.1", "3", "6"), "US"),
    **dict.fromkeys(("128", "128.1", "130"), "PT"),
    **dict.fromkeys(("1.1", "1.1.1"), "DX"),
    **dict.fromkeys(("1.2", "1.2.1"), "MG"),
    **dict.fromkeys(("12.1", "12.1.1"), "XA"),
    **dict.fromkeys(("12.2", "12.2.1"), "RF"),
    **dict.fromkeys(("481.5", "481.8"), "RTPLAN"),
    **dict.fromkeys(("88.11", "88.22", "88.33", "88.34", "88.67"), "SR"),
    **dict.fromkeys(("11.1", "11.2", "11.3", "11.4"), "PR"),
    **dict.fromkeys(("9.1.1", "9.1.2", "9.1.3"), "ECG"),
    **dict(zip(("1", "20", "66.4", "481.2", "481.3"), ("CR", "NM", "SEG", "RTDOSE", "RTSTRUCT"), strict=True)),
    "88.59": "KO",
    "104.1": "DOC",
}

_SCHEMES = {
    "SCT": SCT,
    "DCM": DCM,
    "ISO5218_1": DCM,
    "LN": "http://loinc.org",
    "UCUM": "http://unitsofmeasure.org",
    "DCMUID": "http://dicom.nema.org/resources/ontology/DCMUID",
    "RADLEX": "http://radlex.org",
    "I10": "http://hl7.org/fhir/sid/icd-10",
    "I10C": "http://hl7.org/fhir/sid/icd-10-cm",
}
"""Coding scheme designators of C.5 that tests use."""

_OID = r"[0-2](\.(0|[1-9]\d*))+"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_DATE = re.compile(r"(\d{4})(?:(\d{2})(\d{2})|\.(\d{2})\.(\d{2}))")
_TIME = re.compile(r"(\d{2}):?(?:(\d{2}):?(?:(\d{2})(?:\.(\d{1,6}))?)?)?")
_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})")


def clean(raw: str) -> str:
    """Without controls, padding and surrounding blanks (C.3)."""
    return _CONTROL.sub("", raw).strip()


def free_text(values: list[str]) -> str:
    """Several values of a free text, joined (C.3)."""
    return "; ".join(values)


def whole_number(raw: str) -> int | None:
    """An IS that is an unsignedInt, else nothing (C.4)."""
    return int(raw) if re.fullmatch(r"\+?\d{1,12}", raw) and int(raw) <= 2**31 - 1 else None


def moment(day: str, clock: str, offset: str) -> str:
    """A FHIR dateTime: with a time only where (0008,0201) tells the offset (C.1)."""
    found = _DATE.fullmatch(day)
    if not found:
        return ""
    year, month, dom = found[1], found[2] or found[4], found[3] or found[5]
    try:
        written = date(int(year), int(month), int(dom)).isoformat()
    except ValueError:
        return ""
    at, zone = _clock(clock), _zone(offset)
    return f"{written}T{at}{zone}" if at and zone else written


def _clock(raw: str) -> str:
    found = _TIME.fullmatch(raw)
    if not found or found[2] is None or int(found[1]) > 23 or int(found[2]) > 59 or int(found[3] or 0) > 60:
        return ""
    second = "59" if found[3] == "60" else found[3] or "00"
    fraction = (found[4] or "")[:3].rstrip("0")
    return f"{found[1]}:{found[2]}:{second}" + (f".{fraction}" if fraction else "")


def _zone(raw: str) -> str:
    found = _OFFSET.fullmatch(raw)
    if not found or int(found[3]) > 59:
        return ""
    minutes = int(found[2]) * 60 + int(found[3])
    limit = 14 * 60 if found[1] == "+" else 13 * 60 + 59
    return f"{found[1]}{found[2]}:{found[3]}" if minutes <= limit else ""


def birth_date(raw: str) -> str:
    """A date that may be partial (C.1-10)."""
    found = re.fullmatch(r"(\d{4})\.?(\d{2})?\.?(\d{2})?", raw)
    if not found or found[1] == "0000":
        return ""
    if found[2] in (None, "00"):
        return found[1]
    if found[3] in (None, "00"):
        return f"{found[1]}-{found[2]}" if 1 <= int(found[2]) <= 12 else ""
    return moment(found[1] + found[2] + found[3], "", "")


def gender(raw: str) -> str:
    """A FHIR administrative-gender, or nothing for an empty value (C.3)."""
    return {"": "", "M": "male", "F": "female", "O": "other"}.get(raw, "unknown")


def names(raw: str) -> list[tuple[str, str, str, str, str]]:
    """A PN as (family, givens, prefix, suffix, text), one per group that says something (C.2)."""
    groups = [[part.strip() for part in group.split("^")] for group in raw.split("=")[:3]]
    return [_name(parts, alphabetic=index == 0) for index, parts in enumerate(groups) if any(parts)]


def spoken(raw: str) -> str:
    """A name in words: those of its first group that says something."""
    return next((name[4] for name in names(raw)), "")


def _name(parts: list[str], *, alphabetic: bool) -> tuple[str, str, str, str, str]:
    if len(parts) == 1 and re.search(r"[\s,]", parts[0]):
        return ("", "", "", "", parts[0])
    family, given, middle, prefix = [*parts, "", "", ""][:4]
    suffix = " ".join(part for part in parts[4:] if part)
    order = (prefix, given, middle, family, suffix) if alphabetic else (family, given)
    return (family, f"{given}|{middle}".strip("|"), prefix, suffix, " ".join(part for part in order if part))


@cache
def _modalities() -> frozenset[str]:
    known = {code.value for code in codes.cid33.concepts.values()}
    return frozenset(known | set(_NEWER) | set(_RETIRED))


def modality(token: str, sop_class: str) -> str:
    """An image's modality: the token, else inferred from the SOP class, else absent with a reason (C.7). A token whose
    letters are those of the SOP class's code is that code, however it is written."""
    inferred = _INFERRED.get(sop_class.removeprefix(_STORAGE), "")
    token = inferred if not token or token.upper() == inferred else token
    if not token:
        return ABSENT
    return f"{DCM}|{token}" if token in _modalities() else f"|{token}"


def coded(item: Header) -> str:
    """A coded entry as `system|code`, else `|meaning` (C.5)."""
    value = next((found for tag in (0x00080100, 0x00080119, 0x00080120) if (found := item.text(tag))), "")
    scheme, meaning = item.text(0x00080102), item.text(0x00080104)
    if scheme in ("SRT", "SNM3", "99SDM"):
        scheme, value = "SCT", _snomed_dict.mapping["SRT"].get(value, "")
    system = _SCHEMES.get(scheme, "")
    named = item.text(0x0008010C)
    if not system and re.fullmatch(_OID, named):
        system = f"urn:oid:{named}"
    return f"{system}|{value}" if system and value else f"|{meaning}" if meaning else ""


def body_part(header: Header) -> str:
    """Body Part Examined by the table, else its words (C.6)."""
    term = header.text(0x00180015)
    code = _regions().get(_region_key(term)) if term else None
    return f"{SCT}|{code}" if code else f"|{term}" if term else ""


def region_codes() -> frozenset[str]:
    """What the table of body parts can say."""
    return frozenset(f"{SCT}|{code}" for code in _regions().values())


@cache
def _regions() -> dict[str, str]:
    """Normalised Body Part Examined → SNOMED code, whatever shape the table has: `[SCT, code, …]` or `{"code": …}`."""
    return dict(_region_rows(json.loads(REGIONS.read_text(encoding="utf-8"))))


def _region_rows(table: Any) -> Iterator[tuple[str, str]]:
    rows = table.get("regions", table) if isinstance(table, dict) else dict(table)
    for term, row in rows.items():
        fields = row.values() if isinstance(row, dict) else row
        code = next((str(field) for field in fields if str(field).isdigit()), "")
        if code:
            yield _region_key(term), code


def _region_key(term: str) -> str:
    return re.sub(r"[\s_-]", "", term.upper())


def issuer(qualifiers: list[Header], plain: str = "") -> tuple[str, str]:
    """(system, assigner's display) by the issuer rule of MAPPING B, with no issuer configured."""
    for item in qualifiers:
        local, universal, kind = (item.text(tag) for tag in (0x00400031, 0x00400032, 0x00400033))
        if kind == "ISO" and re.fullmatch(_OID, universal):
            return f"urn:oid:{universal}", ""
        if kind == "UUID" and universal:
            return f"urn:uuid:{universal.lower()}", ""
        if kind == "URI" and re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", universal):
            return universal, ""
        if local or universal:
            return "", local or universal
    return "", plain
