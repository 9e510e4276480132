"""DICOM values as Orthanc keeps them: `gggg,eeee` → text, null or a list of items, and which of them are main tags.

Orthanc answers texts as they stand in the file (padding removed at the end only), several values joined by a backslash,
binary values and texts of more than 256 bytes in UTF-8 as null. It decodes by the first character set that it knows of
those the instance names, in items too, and drops what is not in it. Its id of a resource is the SHA-1 over PatientID and
UIDs.
"""

from __future__ import annotations

import hashlib
import re
import uuid
import warnings
from collections.abc import Collection, Mapping, Sequence
from io import BytesIO
from typing import Any

from pydicom import dcmread
from pydicom.charset import decode_bytes, python_encoding
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

Tags = dict[str, Any]
"""`gggg,eeee` → str, None, or a list of `Tags`."""

LONGEST = 256
_ASCII = ("ISO_IR 6", "ISO 2022 IR 6")
_ESCAPES_FOLLOWED = ("iso2022_jp", "euc_kr", "iso_ir_58")
_ESCAPES = re.compile(rb"\x1b(\$[()].|\$[@-Z]|[()\-].)")
_DELIMITERS = {ord("\\"), ord("^"), ord("=")}
_TRAILING_PADDING = 0xFFFCFFFC
_TEXT = frozenset(["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"])
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})

PATIENT, STUDY, SERIES, INSTANCE = "Patient", "Study", "Series", "Instance"

MAIN_TAGS: Mapping[str, Mapping[str, str]] = {
    level: {tag: keyword_for_tag(Tag("0x" + tag.replace(",", ""))) for tag in tags.split()}
    for level, tags in {
        PATIENT: "0010,0010 0010,0020 0010,0030 0010,0040 0010,1000",
        STUDY: "0008,0020 0008,0030 0008,0050 0008,0080 0008,0090 0008,1030 0020,000d 0020,0010 0032,1032 0032,1060",
        SERIES: "0008,0021 0008,0031 0008,0060 0008,0070 0008,1010 0008,103e 0008,1070 0018,0010 0018,0015 0018,0024"
        " 0018,1030 0018,1090 0018,1400 0020,000e 0020,0011 0020,0037 0020,0105 0020,1002 0040,0254 0054,0081"
        " 0054,0101 0054,1000",
        INSTANCE: "0008,0012 0008,0013 0008,0018 0020,0012 0020,0013 0020,0032 0020,0037 0020,0100 0020,4000 0028,0008"
        " 0054,1330",
    }.items()
}
"""What both versions keep."""

MORE_MAIN_TAGS: Mapping[str, Mapping[str, str]] = {
    PATIENT: {},
    STUDY: {"0008,0201": "TimezoneOffsetFromUTC"},
    SERIES: {
        "0008,0201": "TimezoneOffsetFromUTC",
        "0040,0244": "PerformedProcedureStepStartDate",
        "0040,0245": "PerformedProcedureStepStartTime",
        "0040,0275": "RequestAttributesSequence",
    },
    INSTANCE: {},
}
"""What 1.12 keeps besides."""


class NotDicom(Exception):
    """The bytes are no DICOM file, or one that names no instance; the text is Orthanc's."""


class UnnamedInstance(NotDicom):
    """A DICOM file without one of the UIDs (a DICOMDIR is one); Orthanc answers it with 404."""


def orthanc_id(*parts: str) -> str:
    """Orthanc's identifier: SHA-1 over the parts joined by `|`, in five groups of eight."""
    digest = hashlib.sha1("|".join(parts).encode()).hexdigest()
    return "-".join(digest[start : start + 8] for start in range(0, 40, 8))


def tags_of(keywords: Mapping[str, Any]) -> Tags:
    """Tags from DICOM keywords: `tags_of({"Modality": "CT"})` → `{"0008,0060": "CT"}`; items of sequences likewise."""
    return {_name(Tag(_tag(keyword))): _value(value) for keyword, value in keywords.items()}


def parse(file: bytes) -> tuple[Tags, str]:
    """The tags of a DICOM file, and its transfer syntax. Raises `NotDicom`."""
    if not file:
        raise NotDicom("Received an empty DICOM file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(BytesIO(file), force=file[128:132] != b"DICM" and _looks_like_a_dataset(file))
            tags = _from_dataset(dataset)
    except (InvalidDicomError, EOFError, ValueError, KeyError, NotImplementedError, AttributeError) as error:
        raise NotDicom(f"Cannot parse an invalid DICOM file (size: {len(file)} bytes)") from error
    uids = [tags.get(tag) for tag in ("0020,000d", "0020,000e", "0008,0018")]
    if None in uids and tags:
        raise UnnamedInstance
    if not tags:
        raise NotDicom(f"Cannot parse an invalid DICOM file (size: {len(file)} bytes)")
    if "" in uids:
        raise NotDicom("missing StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID")
    return tags, str(dataset.file_meta.get("TransferSyntaxUID", "1.2.840.10008.1.2"))


def to_file(tags: Tags) -> bytes:
    """A DICOM file with these tags."""
    dataset = _to_dataset(tags)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def simplified(tags: Tags) -> Tags:
    """`/simplified-tags`: by keyword."""
    return {
        keyword_for_tag(_as_tag(name)) or name: [simplified(item) for item in value] if isinstance(value, list) else value
        for name, value in sorted(tags.items())
    }


def full(tags: Tags) -> Tags:
    """`/tags`: name, type and value of each."""
    answer: Tags = {}
    for name, value in sorted(tags.items()):
        kind = "Sequence" if isinstance(value, list) else "String" if value is not None else "Null"
        content = [full(item) for item in value] if isinstance(value, list) else value
        answer[name] = {"Name": keyword_for_tag(_as_tag(name)) or "Unknown", "Type": kind, "Value": content}
    return answer


def shortened(tags: Tags, *, whole: Collection[str] = ()) -> Tags:
    """`/tags?short`: texts of more than `LONGEST` bytes are null, but for the attributes `whole`, on every level."""
    return {
        name: [shortened(item, whole=whole) for item in value]
        if isinstance(value, list)
        else None
        if value is not None and is_too_long(value) and name not in whole
        else value
        for name, value in sorted(tags.items())
    }


def shared(instances: Sequence[Tags]) -> Tags:
    """`/series/{id}/shared-tags`: plain values that all have in common; no sequences and no texts beyond `LONGEST`."""
    plain = [{name: one for name, one in shortened(tags).items() if isinstance(one, str)} for tags in instances]
    return (
        {name: one for name, one in plain[0].items() if all(other.get(name) == one for other in plain[1:])} if plain else {}
    )


def is_too_long(text: str) -> bool:
    """Whether Orthanc keeps it out of main tags, and answers null: by its bytes in UTF-8."""
    return len(text.encode(errors="replace")) > LONGEST


def raw_value(file: bytes, steps: Sequence[str]) -> bytes | list[str] | None:
    """`/content/gggg-eeee/…`: the bytes of a value, what lies in a sequence or an item, None for what is not there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        level: Any = dcmread(BytesIO(file), force=True)
        for step in steps:
            level = _step(level, step)
    if isinstance(level, Dataset):
        return [_name(tag).replace(",", "-") for tag in sorted(level.keys())]
    if isinstance(level, DicomSequence):
        return [str(number) for number in range(len(level))]
    return level if isinstance(level, bytes) else None


def _step(level: Any, step: str) -> Any:
    if isinstance(level, DicomSequence):
        return level[int(step)] if step.isdigit() and int(step) < len(level) else None
    tag = _as_tag(step.replace("-", ",")) if isinstance(level, Dataset) else None
    if tag is None or tag not in level:
        return None
    element = level.get_item(tag)
    if isinstance(element, RawDataElement) and element.VR != "SQ" and (element.VR != "UN" or _known_vr(tag) != "SQ"):
        return element.value or b""
    return level[tag].value


def new_uid() -> str:
    """A UID that no file has (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def _looks_like_a_dataset(file: bytes) -> bool:
    """Files without the preamble, as Orthanc (DCMTK) takes them: they begin with group 0002 or 0008."""
    return file[:2] in (b"\x02\x00", b"\x08\x00") and len(file) > 128


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag


def _name(tag: Any) -> str:
    return f"{tag.group:04x},{tag.element:04x}"


def _as_tag(name: str) -> Any:
    return Tag("0x" + name.replace(",", ""))


def _value(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return None
    if isinstance(value, Sequence):
        if value and isinstance(value[0], Mapping):
            return [tags_of(item) for item in value]
        return "\\".join(map(str, value)) if value else []
    return str(value)


def _from_dataset(dataset: Dataset, encodings: tuple[str, ...] = ()) -> Tags:
    encodings = encodings or _encodings(dataset)
    tags: Tags = {}
    for tag in sorted(dataset.keys()):
        raw = dataset.get_item(tag)
        if tag == _TRAILING_PADDING:
            continue
        vr = raw.VR if raw.VR not in (None, "UN") else _known_vr(tag)
        if isinstance(raw, RawDataElement) and vr in _TEXT:
            tags[_name(tag)] = _text(raw.value or b"", encodings)
            continue
        element = dataset[tag]
        if element.VR == "SQ":
            tags[_name(tag)] = [_from_dataset(item, encodings) for item in element.value]
        elif element.VR in _BINARY or isinstance(element.value, bytes):
            tags[_name(tag)] = None
        else:
            several = list(element.value) if isinstance(element.value, MultiValue | list | tuple) else [element.value]
            # Of several attribute tags Orthanc answers the first.
            several = several[:1] if element.VR == "AT" else several
            tags[_name(tag)] = "\\".join(_number(one, element.VR) for one in several)
    return tags


def _text(raw: bytes, encodings: tuple[str, ...]) -> str:
    first, *more = encodings
    if first in _ESCAPES_FOLLOWED:
        text = decode_bytes(raw, ["iso8859", first], _DELIMITERS)
    elif first == "ascii":
        text = raw.replace(b"\x1b", b"").decode(first, errors="ignore")
    else:
        text = (_ESCAPES.sub(b"", raw) if more else raw).decode(first, errors="ignore")
    text = text.partition("\0")[0].rstrip(" ")
    # In the Japanese repertoire of ISO IR 13 this byte is the yen sign, and that is what Orthanc answers.
    return text.replace("\\", "¥").replace("~", "‾") if first.startswith("shift_jis") else text


def _number(value: Any, vr: str) -> str:
    if value is None:
        return ""
    if vr in ("FL", "FD"):
        return format(value, ".17g")
    return f"{value.group:04x},{value.element:04x}" if vr == "AT" else str(value).rstrip("\0 ")


def _encodings(dataset: Dataset) -> tuple[str, ...]:
    """Latin-1 where nothing is named; of several terms the first that is known, and that there are more."""
    raw = dataset.get_item("SpecificCharacterSet") if "SpecificCharacterSet" in dataset else None
    if raw is None or not raw.value:
        return ("iso8859",)
    text = raw.value.decode("ascii", "replace") if isinstance(raw.value, bytes) else raw.value
    names = text.split("\\") if isinstance(text, str) else list(text)
    terms = [term for term in (name.strip("\0 ").upper() for name in names) if term]
    known = [python_encoding[term] for term in terms if term in python_encoding and term not in _ASCII]
    if len(names) > 1 and terms and terms[0] in _ASCII:
        known = []
    return (*(known[:1] or ["ascii"]), *(["more"] if len(names) > 1 else []))


def _known_vr(tag: Any) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def _to_dataset(tags: Tags) -> Dataset:
    dataset = Dataset()
    for name, value in tags.items():
        tag = _as_tag(name)
        if isinstance(value, list):
            dataset.add_new(tag, "SQ", [_to_dataset(item) for item in value])
        elif value is not None:
            vr = dictionary_VR(tag)
            if vr in ("US", "SS", "UL", "SL"):
                dataset.add_new(tag, vr, [int(one) for one in value.split("\\")] if value else None)
            elif vr in ("FL", "FD"):
                dataset.add_new(tag, vr, [float(one) for one in value.split("\\")] if value else None)
            elif vr not in _BINARY:
                dataset.add_new(tag, vr, value.split("\\") if "\\" in value else value)
    return dataset
