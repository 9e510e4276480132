"""Modality, body part, laterality: a code only under the system that defines it (MAPPING C.6, C.7)."""

from __future__ import annotations

import pytest

from syncd.mapping.values.systems import DCM, SCT
from syncd.mapping.values.terms import ACQUISITION, Term, body_site, laterality, modality, procedures, reasons
from syncd.model.snapshot import Code
from tests.mapping.studies import series, study

MODALITIES = [
    ("CT", Term(system=DCM, code="CT", display="Computed Tomography")),
    ("KO", Term(system=DCM, code="KO", display="Key Object Selection")),
    ("RTINTENT", Term(system=DCM, code="RTINTENT")),
    ("DS", Term(system=DCM, code="DS")),
    ("DSA", Term(display="DSA")),
    ("ct", Term(display="ct")),
    ("", None),
]


@pytest.mark.parametrize(("token", "expected"), MODALITIES)
def test_a_modality_is_coded_only_if_dicom_defines_it(token: str, expected: Term | None) -> None:
    """MAPPING C.7: retired codes stay, private tokens are words."""
    assert modality(token) == expected


def test_acquisition_modalities_are_cid_29() -> None:
    """MAPPING C.7 lists 51."""
    assert len(ACQUISITION) == 51
    assert {"CT", "US", "SM"} <= ACQUISITION
    assert not {"KO", "SR", "PR", "SEG", "OT"} & ACQUISITION


@pytest.mark.parametrize(
    ("letter", "code"), [("L", "7771000"), ("R", "24028007"), ("B", "51440002"), ("", None), ("U", None)]
)
def test_laterality_is_cid_244(letter: str, code: str | None) -> None:
    """MAPPING C.6, I case 46."""
    term = laterality(letter)
    assert (term.code if term else None) == code


BODY_PARTS = [
    ("CHEST", "816094009", "Chest"),
    ("c-hest", "816094009", "Chest"),
    ("TSPINE", "122495006", "Thoracic spine"),
    ("T SPINE", "122495006", "Thoracic spine"),
    ("left thumb", "", "left thumb"),
]


@pytest.mark.parametrize(("text", "code", "shown"), BODY_PARTS)
def test_body_part_examined_is_found_by_its_normalised_key(text: str, code: str, shown: str) -> None:
    """MAPPING C.6: upper case, without blanks, `_`, `-`; an unknown one stays as words."""
    expected = Term(system=SCT, code=code, display=shown, words=text) if code else Term(display=shown)
    assert body_site(series(body_part=text)) == expected


def coded(code: str, meaning: str, system: str = SCT) -> Term:
    return Term(system=system, code=code, display=meaning, words=meaning)


ABDOMEN = Term(system=SCT, code="818981001", display="Abdomen", words="ABDOMEN")
REGIONS = [
    (Code(value="T-D3000", scheme="SRT", meaning="Chest"), coded("51185008", "Chest")),
    (Code(value="51185008", scheme="SCT", meaning="Chest"), coded("51185008", "Chest")),
    (Code(value="T-D3000", scheme="SNM3", meaning="Chest"), coded("51185008", "Chest")),
    (Code(value="X1", scheme="99HOSP", scheme_uid="2.25.5"), Term(system="urn:oid:2.25.5", code="X1")),
    (Code(value="T-NONE", scheme="SRT", meaning="Odd"), ABDOMEN),
    (Code(value="X1", scheme="99HOSP", meaning="Odd"), ABDOMEN),
    (Code(value="two  blanks", scheme="SCT", meaning="Odd"), ABDOMEN),
]


@pytest.mark.parametrize(("region", "expected"), REGIONS)
def test_a_codable_anatomic_region_wins_over_body_part_examined(region: Code, expected: Term) -> None:
    """MAPPING C.6, I case 48: SRT is converted; a region without a usable code leaves the word to (0018,0015)."""
    assert body_site(series(anatomic_region=region, body_part="ABDOMEN")) == expected


def test_words_of_the_region_are_shown_if_nothing_has_a_code() -> None:
    """MAPPING C.6."""
    region = Code(value="X1", scheme="99HOSP", meaning="Knee, weird")
    assert body_site(series(anatomic_region=region, body_part="WEIRDKNEE")) == Term(display="Knee, weird")
    assert body_site(series()) is None


HAND, FOOT = (Code(value=code, scheme="SRT", meaning=word) for code, word in (("T-D8700", "Hand"), ("T-D9700", "Foot")))


@pytest.mark.parametrize(
    ("part", "denied", "shown"),
    [
        ("HAND", (), True),
        ("HAND", (HAND,), True),
        ("HAND", (FOOT,), False),
        ("HAND", (FOOT, HAND), False),
        ("HAND", (Code(value="", scheme="", meaning="Foot"),), False),
        ("WEIRDHAND", (HAND,), False),
        ("", (HAND,), False),
    ],
)
def test_a_body_part_that_an_image_contradicts_by_code_is_not_shown(
    part: str, denied: tuple[Code, ...], shown: bool
) -> None:
    """RULES B9: all say FOOT, and one image is of a hand by its code."""
    site = body_site(series(body_part=part, regions_denied=denied))
    assert (site is not None) is shown


LOINC = Code(value="24627-2", scheme="LN", meaning="CT Chest")
LOCAL = Code(value="CTTHX", scheme="99HOSP", meaning="CT of the thorax")
BARE = Code(value="CTTHX", scheme="99HOSP")
CT_CHEST = coded("24627-2", "CT Chest", "http://loinc.org")

PROCEDURES: list[tuple[tuple[Code, ...], str, tuple[Term, ...]]] = [
    ((LOINC,), "CT", (CT_CHEST,)),
    ((LOINC, LOINC), "", (CT_CHEST,)),
    ((LOCAL,), "CT", (Term(display="CT of the thorax"),)),
    ((BARE,), "CT", (Term(display="CTTHX"),)),
    ((Code(value="P5-00001", scheme="SRT", meaning="Old"),), "", (Term(display="Old"),)),
    ((Code(value="", scheme=""),), "CT", (Term(display="CT"),)),
    ((), "CT", (Term(display="CT"),)),
    ((), "", ()),
]


@pytest.mark.parametrize(("items", "text", "expected"), PROCEDURES)
def test_procedures_are_their_codes_or_else_their_words(
    items: tuple[Code, ...], text: str, expected: tuple[Term, ...]
) -> None:
    """MAPPING A.1, C.5, I case 48: never a designator as a system; (0032,1060) only where there is no code item."""
    assert procedures(study(procedure_codes=items, procedure_texts=(text,))) == expected


REASONS: list[tuple[tuple[Code, ...], str, tuple[Term, ...]]] = [
    ((LOINC,), "cough", (CT_CHEST, Term(display="cough"))),
    ((LOINC,), "CT Chest", (CT_CHEST,)),
    ((LOCAL,), "", (Term(display="CT of the thorax"),)),
    ((), "cough", (Term(display="cough"),)),
    ((), "", ()),
]


@pytest.mark.parametrize(("items", "text", "expected"), REASONS)
def test_reasons_are_codes_and_words(items: tuple[Code, ...], text: str, expected: tuple[Term, ...]) -> None:
    """MAPPING A.1: one concept for each code item, one for the text that no code repeats."""
    assert reasons(study(reason_codes=items, reason_texts=(text,))) == expected
