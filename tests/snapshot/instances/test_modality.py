"""MAPPING C.7: the modality of a series."""

from __future__ import annotations

import pytest
from pydicom.sr.codedict import codes
from pydicom.uid import UID

from syncd.snapshot.instances.modality import infer_modality, token
from syncd.snapshot.instances.sop_classes import (
    CONCEPT_NAME,
    CONTENT_LABEL,
    DOCUMENT_TITLE,
    MODALITY_OF,
    STORAGE,
    other_modality,
    title_tag,
)
from tests.snapshot.studies import CT, KO, PDF, PR, SR, Heard

NEWER_THAN_CID_33 = {"ANN", "RTINTENT", "RTSEGANN", "XAPROTOCOL"}


@pytest.mark.parametrize(
    ("text", "expected", "rules"),
    [
        ("CT", "CT", []),
        (" CT\x00", "CT", []),
        ("CT\\MR", "CT", ["C.7"]),
        ("\\MR", "MR", []),
        ("DSA", "DSA", []),
        ("A  B", "A B", []),
        ("", "", []),
        ("ct", "CT", ["C.3"]),
        ("rtstruct", "RTSTRUCT", ["C.3"]),
        ("ds", "DS", ["C.3"]),
        ("our own", "our own", []),
    ],
)
def test_a_token_is_the_first_value(text: str, expected: str, rules: list[str]) -> None:
    """MAPPING I.3 case 19; a code string is in upper case (PS3.5 6.2), and what DICOM knows is read so."""
    heard = Heard()
    assert token(text, note=heard) == expected
    assert heard.rules == rules


def test_a_missing_modality_is_inferred_and_flagged() -> None:
    """MAPPING I.3 case 17."""
    heard = Heard()
    assert infer_modality(["", STORAGE + "7", CT], note=heard) == "CT"
    assert heard.said == [("C.7", "modality_inferred")]


def test_an_open_sop_class_says_no_modality() -> None:
    """MAPPING C.7: a secondary capture may come from anything."""
    assert infer_modality([STORAGE + "7", "1.2.826.0.1.3680043.9.999.1"]) == ""


def test_the_table_holds_real_sop_classes_and_real_modalities() -> None:
    """MAPPING C.7: every row is a storage class that pydicom knows and a term of CID 33 or newer."""
    assert [uid for uid in MODALITY_OF if UID(uid).name == uid] == []
    known = {code.value for code in codes.cid33.concepts.values()} | NEWER_THAN_CID_33
    assert set(MODALITY_OF.values()) - known == set()


@pytest.mark.parametrize(
    ("sop_class", "tag"),
    [(SR, CONCEPT_NAME), (KO, CONCEPT_NAME), (PR, CONTENT_LABEL), (PDF, DOCUMENT_TITLE), (CT, ""), ("", "")],
)
def test_documents_have_a_title_and_images_none(sop_class: str, tag: str) -> None:
    """MAPPING A.3, title."""
    assert title_tag(sop_class) == tag


@pytest.mark.parametrize(
    ("sop_class", "series", "other"),
    [
        (STORAGE + "481.3", "CT", "RTSTRUCT"),
        (STORAGE + "66.4", "MR", "SEG"),
        (CT, "PT", "CT"),
        (CT, "OT", "CT"),
        (SR, "CT", "SR"),
        (KO, "US", "KO"),
        (CT, "CT", ""),
        (CT, "", ""),
        (STORAGE + "7", "CT", ""),
        (STORAGE + "1", "MG", ""),
        (STORAGE + "1", "CT", ""),
        (STORAGE + "1.2", "CR", ""),
        (STORAGE + "3.1", "IVUS", ""),
        (STORAGE + "6.1", "XA", ""),
        (STORAGE + "12.2", "XA", ""),
        (STORAGE + "20", "PT", ""),
        (STORAGE + "9.1.1", "EPS", ""),
        (PDF, "OPV", ""),
        ("1.2.826.0.1.3680043.9.999.1", "CT", ""),
    ],
)
def test_a_sop_class_contradicts_its_series_only_where_it_leaves_no_doubt(sop_class: str, series: str, other: str) -> None:
    """MAPPING C.7: secondary captures, plates, IVUS and documents may come from anything."""
    assert other_modality(sop_class, than=series) == other
