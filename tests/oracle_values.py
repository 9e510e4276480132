"""The oracle's own conversion of DICOM values to what FHIR should say (MAPPING.md C, R4, no time zone configured).

A second hand at the same rules: nothing of syncd is imported, and raw bytes are decoded here, because a value that both
sides take from the same parser would agree even when that parser is wrong. Codes are compared as `system|code`, and as
`|display` where MAPPING.md gives no code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.dataset import Dataset
from pydicom.sr import _snomed_dict
from pydicom.sr.codedict import codes

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

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_DATE = re.compile(r"(\d{4})(?:(\d{2})(\d{2})|\.(\d{2})\.(\d{2}))")
_TIME = re.compile(r"(\d{2}):?(?:(\d{2}):?(?:(\d{2})(?:\.(\d{1,6}))?)?)?")
_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})")


def texts(dataset: Dataset, tag: int) -> list[str]:
    """The values of a text element, decoded from the file's bytes; Latin-1 where no character set is named."""
    element = dataset.get_item(tag)
    value = None if element is None else element.value
    if value is None:
        return []
    if isinstance(value, bytes):
        named = dataset.get("SpecificCharacterSet")
        encodings = convert_encodings(named) if named else ["latin-1"]
        value = decode_bytes(value, encodings, set(b"\r\n\t\f\\^="))
    parts = [str(part) for part in value] if isinstance(value, (list, tuple)) else str(value).split("\\")
    return [cleaned for part in parts if (cleaned := clean(part))]


def text(dataset: Dataset, tag: int) -> str:
    """The first value, or nothing."""
    return next(iter(texts(dataset, tag)), "")


def items(dataset: Dataset, tag: int) -> list[Dataset]:
    """The items of a sequence, each in the character set of what is around it unless it names its own."""
    found = list(dataset[tag].value or []) if tag in dataset else []
    for item in found:
        if "SpecificCharacterSet" in dataset and "SpecificCharacterSet" not in item:
            item.SpecificCharacterSet = dataset.SpecificCharacterSet
    return found


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


def _name(parts: list[str], *, alphabetic: bool) -> tuple[str, str, str, str, str]:
    if len(parts) == 1 and re.search(r"[\s,]", parts[0]):
        return ("", "", "", "", parts[0])
    family, given, middle, prefix = [*parts, "", "", ""][:4]
    suffix = " ".join(part for part in parts[4:] if part)
    spoken = (prefix, given, middle, family, suffix) if alphabetic else (family, given)
    return (family, f"{given}|{middle}".strip("|"), prefix, suffix, " ".join(part for part in spoken if part))


@cache
def _modalities() -> frozenset[str]:
    known = {code.value for code in codes.cid33.concepts.values()}
    return frozenset(known | set(_NEWER) | set(_RETIRED))


def modality(token: str, sop_class: str) -> str:
    """A series' modality: the token, else inferred from the SOP class, else absent with a reason (C.7)."""
    token = token or _INFERRED.get(sop_class.removeprefix(_STORAGE), "")
    if not token:
        return ABSENT
    return f"{DCM}|{token}" if token in _modalities() else f"|{token}"


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


def body_site(representative: Dataset) -> str:
    """Anatomic Region Sequence, else that of the frames, else Body Part Examined by the table, else its text (C.6)."""
    frames = (item for anatomy in frame_anatomies(representative) for item in items(anatomy, 0x00082218))
    for item in [*items(representative, 0x00082218), *frames][:1]:
        return _coded(item)
    term = text(representative, 0x00180015)
    code = _regions().get(_region_key(term)) if term else None
    return f"{SCT}|{code}" if code else f"|{term}" if term else ""


def _coded(item: Dataset) -> str:
    value = next((found for tag in (0x00080100, 0x00080119, 0x00080120) if (found := text(item, tag))), "")
    scheme, meaning = text(item, 0x00080102), text(item, 0x00080104)
    if scheme in ("SRT", "SNM3", "99SDM"):
        scheme, value = "SCT", _snomed_dict.mapping["SRT"].get(value, "")
    system = {"SCT": SCT, "DCM": DCM, "LN": "http://loinc.org"}.get(scheme, "")
    return f"{system}|{value}" if system and value else f"|{meaning}" if meaning else ""


def frame_anatomies(header: Dataset) -> list[Dataset]:
    """The items of Frame Anatomy Sequence in the shared and per-frame functional groups."""
    groups = [*items(header, 0x52009229), *items(header, 0x52009230)]
    return [anatomy for group in groups for anatomy in items(group, 0x00209071)]


def laterality(representative: Dataset, series: list[Dataset]) -> str:
    """(0020,0060), else the sides of every image and frame: one if all agree, both if both occur (C.6, RULES B6)."""
    side = text(representative, 0x00200060)
    if side in ("L", "R"):
        return LATERALITY[side]
    if not _sides(representative):
        return ""
    said = [_sides(header) or [""] for header in series]
    sides = {side for one in said for side in one}
    if "B" in sides or {"L", "R"} <= sides:
        return LATERALITY["B"]
    return LATERALITY.get(sides.pop(), "") if len(sides) == 1 else ""


def _sides(header: Dataset) -> list[str]:
    image = text(header, 0x00200062)
    if image:
        return [image]
    return [side for anatomy in frame_anatomies(header) if (side := text(anatomy, 0x00209072))]


def issuer(qualifiers: list[Dataset], plain: str = "") -> tuple[str, str]:
    """(system, assigner's display) by the issuer rule of MAPPING.md B, with no issuer configured."""
    for item in qualifiers:
        local, universal, kind = (text(item, tag) for tag in (0x00400031, 0x00400032, 0x00400033))
        if kind == "ISO" and re.fullmatch(r"[0-2](\.(0|[1-9]\d*))+", universal):
            return f"urn:oid:{universal}", ""
        if kind == "UUID" and universal:
            return f"urn:uuid:{universal.lower()}", ""
        if kind == "URI" and re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", universal):
            return universal, ""
        if local or universal:
            return "", local or universal
    return "", plain
