"""Synthetic DICOM instances of a few hundred bytes, and the real files that the pydicom wheel ships.

Everything is derived from its arguments: the same call gives the same bytes and the same UIDs, so that two tests mean the
same study when they say the same words. The difficulty is values that no honest writer produces: a `bytes` value goes
into the file exactly as it is, past every check of pydicom.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path
from typing import Any

from pydicom import config as pydicom_config
from pydicom.data import get_testdata_file
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian

from tests.planted import SAM

SOP_CLASSES = {
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "KO": "1.2.840.10008.5.1.4.1.1.88.59",
    "MG": "1.2.840.10008.5.1.4.1.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PR": "1.2.840.10008.5.1.4.1.1.11.1",
    "SEG": "1.2.840.10008.5.1.4.1.1.66.4",
    "SR": "1.2.840.10008.5.1.4.1.1.88.22",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "DOC": "1.2.840.10008.5.1.4.1.1.104.1",
}
"""Modality → the SOP class that its instances usually have (PS3.4 B.5); others get Secondary Capture."""

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def uid(*words: object) -> str:
    """The UID that stands for these words, always the same one (PS3.5 B.2: 2.25 and a decimal number)."""
    digest = hashlib.sha256("\0".join(map(str, words)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def make_instance(
    *,
    study_uid: str | None = None,
    series_uid: str | None = None,
    sop_uid: str | None = None,
    patient_id: str | None = "SYN-1",
    modality: str | None = "CT",
    number: int | None = 1,
    sop_class: str | None = None,
    **tags: Any,
) -> bytes:
    """One DICOM file. What is None is left out; unnamed UIDs follow from the study, the modality and the number.

    `tags` are keywords of the DICOM dictionary with pydicom values (a sequence is a list of dictionaries or Datasets);
    None removes an attribute, `bytes` are written raw.
    """
    study = study_uid or uid("study")
    series = series_uid or uid(study, "series", modality)
    instance = sop_uid or uid(series, "instance", number)
    kind = sop_class or SOP_CLASSES.get(modality or "", SECONDARY_CAPTURE)
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": kind,
        "SOPInstanceUID": instance,
        "StudyDate": "20240102",
        "StudyTime": "030405",
        "AccessionNumber": "",
        "Modality": modality,
        "StudyDescription": "Synthetic study",
        "PatientName": SAM,
        "PatientID": patient_id,
        "PatientBirthDate": "",
        "PatientSex": "O",
        "StudyInstanceUID": study,
        "SeriesInstanceUID": series,
        "StudyID": "",
        "SeriesNumber": 1,
        "InstanceNumber": number,
        **tags,
    }
    with pydicom_config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a dirty value makes pydicom say
        return _written(_dataset(values), sop_class=kind, sop_uid=instance)


def make_study(*, study_uid: str, series: int = 1, instances: int = 1, modality: str = "CT", **tags: Any) -> list[bytes]:
    """`series` × `instances` files of one study; series are numbered from 1, instances from 1 within each."""
    return [
        make_instance(
            study_uid=study_uid,
            series_uid=uid(study_uid, "series", modality, series_number),
            modality=modality,
            number=number,
            **{"SeriesNumber": series_number, **tags},
        )
        for series_number in range(1, series + 1)
        for number in range(1, instances + 1)
    ]


def pydicom_files() -> tuple[Path, ...]:
    """The files under pydicom's `test_files`, in a fixed order: real, of many modalities, some dirty, some not DICOM."""
    known = get_testdata_file("CT_small.dcm", download=False)
    if known is None:
        raise FileNotFoundError("this pydicom ships no test files: install it from its wheel")
    return tuple(sorted(path for path in Path(str(known)).parent.rglob("*") if path.is_file() and path.suffix != ".py"))


def _dataset(values: dict[str, Any]) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        tag = tag_for_keyword(keyword)
        if tag is None:
            raise ValueError(f"{keyword} is no keyword of the DICOM dictionary")
        if value is None:
            continue
        if isinstance(value, bytes):
            raw = value + b" " * (len(value) % 2)
            dataset[tag] = RawDataElement(Tag(tag), dictionary_VR(tag), len(raw), raw, 0, False, True)
        elif dictionary_VR(tag) == "SQ":
            items = [item if isinstance(item, Dataset) else _dataset(item) for item in value]
            dataset.add_new(tag, "SQ", items)
        else:
            setattr(dataset, keyword, value)
    return dataset


def _written(dataset: Dataset, *, sop_class: str, sop_uid: str) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(sop_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = io.BytesIO()
    whole = FileDataset(file, dataset, preamble=b"\0" * 128, file_meta=meta)
    _keep_raw(whole)
    whole.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _keep_raw(dataset: Dataset) -> None:
    """Say that every value is already encoded as the file will be: only then pydicom writes raw ones untouched."""
    dataset.set_original_encoding(False, True, dataset._character_set)
    for tag in tuple(dataset.keys()):
        element = dataset.get_item(tag)
        if isinstance(element, DataElement) and element.VR == "SQ":
            for item in element.value:
                _keep_raw(item)
