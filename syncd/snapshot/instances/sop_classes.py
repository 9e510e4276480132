"""What a storage SOP Class says by itself: the modality of its IOD, and where a document keeps its title.

PS3.3 fixes (0008,0060) Modality for some IODs and leaves it open for others: secondary capture, raw data, parametric maps,
hanging protocols may come from anything. Only the fixed ones, and those where practice leaves no doubt, are in the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

STORAGE = "1.2.840.10008.5.1.4.1.1."
KEY_OBJECT_SELECTION = STORAGE + "88.59"

_BY_MODALITY: Mapping[str, str] = {
    "CR": "1",
    "DX": "1.1 1.1.1",
    "MG": "1.2 1.2.1 13.1.3 13.1.4 13.1.5",
    "IO": "1.3 1.3.1",
    "CT": "2 2.1 2.2",
    "US": "3 3.1 6 6.1 6.2",
    "MR": "4 4.1 4.2 4.3 4.4",
    "NM": "5 20",
    "ECG": "9.1.1 9.1.2 9.1.3 9.1.4",
    "HD": "9.2.1 9.5.1",
    "EPS": "9.3.1",
    "AU": "9.4.1 9.4.2",
    "RESP": "9.6.1 9.6.2",
    "EEG": "9.7.1 9.7.4",
    "EMG": "9.7.2",
    "EOG": "9.7.3",
    "POS": "9.8.1",
    "PR": "11.1 11.2 11.3 11.4 11.5 11.6 11.7 11.8 11.9 11.10 11.11 11.12",
    "XA": "12.1 12.1.1 12.3 13.1.1",
    "RF": "12.2 12.2.1",
    "IVOCT": "14.1 14.2",
    "REG": "66.1 66.3",
    "FID": "66.2",
    "SEG": "66.4 66.5",
    "RWV": "67",
    "ES": "77.1.1 77.1.1.1",
    "GM": "77.1.2 77.1.2.1",
    "SM": "77.1.3 77.1.6",
    "XC": "77.1.4 77.1.4.1",
    "OP": "77.1.5.1 77.1.5.2 77.1.5.5 77.1.5.6",
    "SMR": "77.1.5.3",
    "OPT": "77.1.5.4",
    "LEN": "78.1",
    "AR": "78.2",
    "KER": "78.3",
    "SRF": "78.4",
    "VA": "78.5",
    "OAM": "78.7",
    "IOL": "78.8",
    "OPV": "80.1",
    "OPM": "81.1",
    "SR": (
        "88.1 88.2 88.3 88.4 88.11 88.22 88.33 88.34 88.35 88.40 88.50 88.65 88.67 88.68 88.69 88.70 88.71 88.72 88.73 "
        "88.74 88.75 88.76 88.77 79.1"
    ),
    "KO": "88.59",
    "ANN": "91.1",
    "DOC": "104.1 104.2",
    "M3D": "104.3 104.4 104.5",
    "PT": "128 128.1 130",
    "CTPROTOCOL": "200.1 200.2",
    "XAPROTOCOL": "200.7 200.8",
    "RTIMAGE": "481.1 481.23 481.24",
    "RTDOSE": "481.2",
    "RTSTRUCT": "481.3",
    "RTRECORD": "481.4 481.6 481.7 481.9",
    "RTPLAN": "481.5 481.8",
    "RTINTENT": "481.10",
    "RTSEGANN": "481.11",
}

MODALITY_OF: Mapping[str, str] = {
    STORAGE + suffix: modality for modality, suffixes in _BY_MODALITY.items() for suffix in suffixes.split()
}

_OPEN = frozenset({"CR", "DX", "US", "XC", "DOC", "M3D"})
"""Here another modality is usual, or the standard's own: mammograms and teeth on plates, US for IVUS, photographs of
anything, documents "appropriate for the document creation process" (PS3.3 C.24.1)."""

_ALIKE = (
    frozenset({"MG", "IO", "PX", "CR", "DX", "RG", "BMD", "XA", "RF", "DS", "CF", "DF", "VF"}),
    frozenset({"NM", "PT", "ST"}),
    frozenset({"MR", "MA", "MS"}),
    frozenset({"ES", "GM", "SM", "XC", "DMS", "CP", "LP", "EC", "CS"}),
    frozenset({"OP", "OPT", "OPTBSV", "OPTENF", "OPM", "OPV", "OPR", "KER", "LEN", "AR", "SRF", "VA", "OAM", "IOL", "SMR"}),
    frozenset({"IVOCT", "OCT", "IVUS"}),
    frozenset({"ECG", "EPS", "HD", "AU", "RESP", "EEG", "EMG", "EOG", "POS"}),
    frozenset({"RTPLAN", "RTRECORD", "RTINTENT", "RTRAD", "RTSEGANN", "PLAN"}),
    frozenset({"CTPROTOCOL", "XAPROTOCOL"}),
)
"""Modalities whose objects borrow each other's SOP Classes: one in a series of the other is no contradiction."""


@lru_cache(maxsize=1024)
def other_modality(sop_class: str, *, than: str) -> str:
    """The modality that a SOP Class leaves no doubt of, where that is another one than the series says (`than`): an
    RTSTRUCT in a series of CT. Empty where the class fixes none, or the series says none."""
    fixed = MODALITY_OF.get(sop_class, "")
    if not than or fixed in ("", than) or fixed in _OPEN or any({fixed, than} <= alike for alike in _ALIKE):
        return ""
    return fixed


CONCEPT_NAME = "0040,a043"
CONTENT_LABEL = "0070,0080"
DOCUMENT_TITLE = "0042,0010"

_TITLED: tuple[tuple[str, str], ...] = (
    (STORAGE + "88.", CONCEPT_NAME),
    (STORAGE + "11.", CONTENT_LABEL),
    (STORAGE + "104.", DOCUMENT_TITLE),
)


@lru_cache(maxsize=1024)
def title_tag(sop_class: str) -> str:
    """The attribute that names a document of this SOP Class (MAPPING A.3); empty for images, which have no title."""
    return next((tag for family, tag in _TITLED if sop_class.startswith(family)), "")
