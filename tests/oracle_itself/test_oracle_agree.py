"""What the oracle expects where images or people disagree: the first, second, seventh and twelfth kind of fault."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pydicom
import pytest

from tests import oracle_agree as agree
from tests import oracle_orders as orders
from tests import oracle_people as people
from tests.dicom import SOP_CLASSES, make_instance
from tests.oracle_answers import Among, Either, fits
from tests.oracle_archive import Copy, Header, Instance, Series
from tests.oracle_expect import studies
from tests.oracle_itself import pair

LEFT, RIGHT, BOTH = (f"{pair.SCT}|{code}" for code in ("7771000", "24028007", "51440002"))
HAND = {"CodeValue": "85562004", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Hand"}
FOOT = {"CodeValue": "56459004", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Foot"}


def image(**tags: Any) -> Header:
    file = make_instance(**{"modality": "DX", **tags})
    return Header.of(pydicom.dcmread(BytesIO(file), stop_before_pixels=True))


def series(*images: Header) -> Series:
    return Series(instances=tuple(Instance(header=one) for one in images))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([("", "L"), ("", "L")], LEFT),
        ([("", "R"), ("", "L")], None),
        ([("", "R"), ("", "")], None),
        ([("L", ""), ("L", "")], LEFT),
        ([("L", ""), ("R", "")], BOTH),
        ([("B", ""), ("B", "")], BOTH),
        ([("L", ""), ("", "")], None),
        ([("L", ""), ("U", "")], None),
        ([("U", ""), ("U", "")], None),
        ([("L", "L"), ("L", "L")], LEFT),
        ([("L", "R"), ("L", "R")], None),
        ([("L", "L"), ("R", "L")], None),
        ([("L", "L"), ("", "L")], Either((None, LEFT))),
        ([("R", "L"), ("", "L")], None),
        ([("", ""), ("", "")], None),
    ],
)
def test_a_side_is_said_only_where_all_images_carry_it_and_agree(said: list[tuple[str, str]], expected: Any) -> None:
    """RULES B6, B9; MAPPING I case 46: (0020,0062) of each image, (0020,0060) of each."""
    images = [image(ImageLaterality=own or None, Laterality=whole or None) for own, whole in said]
    assert agree.laterality(images) == expected


def test_the_side_of_frames_counts_if_all_frames_have_one() -> None:
    """MAPPING C.6: enhanced (0020,9072)."""
    right, silent = {"FrameLaterality": "R"}, {"FrameLaterality": ""}
    shared = image(SharedFunctionalGroupsSequence=[{"FrameAnatomySequence": [right]}])
    assert agree.laterality([shared]) == RIGHT
    some = image(PerFrameFunctionalGroupsSequence=[{"FrameAnatomySequence": [one]} for one in (right, silent)])
    assert agree.laterality([some]) is None


@pytest.mark.parametrize(
    ("regions", "parts", "expected"),
    [
        ([HAND, HAND], ["", ""], f"{pair.SCT}|85562004"),
        ([HAND, FOOT], ["", ""], None),
        ([HAND, None], ["", ""], None),
        ([None, None], ["CHEST", "CHEST"], f"{pair.SCT}|816094009"),
        ([None, None], ["CHEST", "HAND"], None),
        ([None, None], ["CHEST", ""], None),
        ([None, None], ["SOMEWHERE", "SOMEWHERE"], "|SOMEWHERE"),
        ([HAND, HAND], ["FOOT", "FOOT"], Either((None, f"{pair.SCT}|85562004"))),
        ([FOOT, None], ["HAND", "HAND"], None),
        ([HAND, None], ["HAND", "HAND"], Either((None, f"{pair.SCT}|85562004"))),
    ],
)
def test_a_region_is_said_only_where_all_images_carry_it_and_agree(
    regions: list[Any], parts: list[str], expected: Any
) -> None:
    """RULES B9; PS3.3 C.8.11.2: (0008,2218) is of the image in DX and MG."""
    images = [
        image(AnatomicRegionSequence=[region] if region else None, BodyPartExamined=part or None)
        for region, part in zip(regions, parts, strict=True)
    ]
    assert agree.body_site(images) == expected


def test_an_anatomic_region_wins_over_the_body_part() -> None:
    """MAPPING I case 48: a retired SNOMED-RT code is converted; a text without a code is a display."""
    region = {"CodeValue": "T-D3000", "CodingSchemeDesignator": "SRT", "CodeMeaning": "Chest"}
    told = agree.body_site([image(BodyPartExamined="CHEST", AnatomicRegionSequence=[region])])
    assert fits(told, f"{pair.SCT}|51185008")
    own = {"CodeValue": "X1", "CodingSchemeDesignator": "99LOCAL", "CodeMeaning": "Chest"}
    assert agree.body_site([image(AnatomicRegionSequence=[own])]) == "|Chest"


@pytest.mark.parametrize(
    ("keyword", "how"),
    [
        ("SeriesDescription", agree.description),
        ("ProtocolName", agree.description),
        ("OperatorsName", lambda images: agree.performers(images)["SPRF"]),
        ("PerformingPhysicianName", lambda images: agree.performers(images)["PRF"]),
        ("SeriesNumber", lambda images: series(*images).number),
    ],
)
def test_what_differs_within_a_series_is_left_out(keyword: str, how: Any) -> None:
    """RULES B9: all that carry it agree; one that carries none does not disagree, though it may be left out then."""
    same, other, none = (image(**{"SeriesNumber": None, keyword: said}) for said in ("1", "2", None))
    assert how([same, same]) != how([none])
    assert fits(how([same, none]), how([same, same]))
    assert fits(how([same, other]), None)
    assert not fits(how([same, other]), how([same]))
    assert not fits(how([same, other]), how([other]))


def test_a_value_that_nobody_can_read_agrees_with_none() -> None:
    """RULES B9, B11: what cannot be shown to be true is left out."""
    told, untold = (image(SpecificCharacterSet="ISO_IR 192", SeriesDescription=raw) for raw in (b"Hand", b"H\xfcfte"))
    assert agree.description([told]) == "Hand"
    assert agree.description([told, untold]) is None


def test_of_two_descriptions_in_doubt_one_may_be_read_and_the_other_not() -> None:
    """RULES B11: UTF-8 that is declared nowhere, and Shift-JIS under ISO_IR 13: then the protocol is the description."""
    first = image(SpecificCharacterSet=None, SeriesDescription="Грудь".encode(), ProtocolName="Chest")
    second = image(SpecificCharacterSet="ISO_IR 13", SeriesDescription="Грудь".encode("shift_jis"))
    assert all(fits(agree.description([first, second]), one) for one in ("Грудь", "Chest", None))
    assert agree.description([image(SeriesDescription="Chest"), image(SeriesDescription="Chest")]) == "Chest"


def test_a_series_of_two_modalities_has_both_in_the_study() -> None:
    """RULES B9; RULES B9: a list's union. One Coding of the series cannot say two."""
    both = series(image(modality="CT"), image(modality="RTSTRUCT", sop_class="1.2.840.10008.5.1.4.1.1.481.3"))
    told = agree.study_modalities([both])
    assert fits(told, (f"{pair.DCM}|RTSTRUCT", f"{pair.DCM}|CT"))
    assert not fits(told, (f"{pair.DCM}|CT",))
    assert not fits(agree.modality(both), f"{pair.DCM}|MR")
    assert fits(agree.study_modalities([series(image(modality="CT"), image(modality=None))]), (f"{pair.DCM}|CT",))
    assert agree.study_modalities([series(image(modality="ct", sop_class=SOP_CLASSES["CT"]))]) == (f"{pair.DCM}|CT",)


def test_orders_are_the_union_of_all_images_and_requests() -> None:
    """RULES B9; PS3.3 10.6, IHE grouped procedures."""
    first = image(AccessionNumber="A1", RequestAttributesSequence=[{"AccessionNumber": n} for n in ("A1", "A2")])
    issuer = [{"UniversalEntityID": "2.25.77", "UniversalEntityIDType": "ISO"}]
    second = image(PlacerOrderNumberImagingServiceRequest="P1", OrderPlacerIdentifierSequence=issuer)
    numbers = frozenset([("ACSN", "", "A1"), ("ACSN", "", "A2"), ("PLAC", "urn:oid:2.25.77", "P1")])
    told = orders.orders([first, second])
    assert told == Among(least=numbers, most=numbers)
    assert not fits(told, (("ACSN", "", "A1"),))


def test_procedures_and_reasons_are_the_union_of_all_images() -> None:
    """RULES B9: all series."""
    images = [image(ProcedureCodeSequence=[one], ReasonForRequestedProcedureCodeSequence=[one]) for one in (HAND, FOOT)]
    told = (f"{pair.SCT}|85562004", f"{pair.SCT}|56459004")
    assert fits(orders.procedures(images), told)
    assert fits(orders.reasons(images), told)
    assert not fits(orders.procedures(images), told[:1])


def copy(*images: Header) -> Copy:
    return Copy(orthanc_id="x", stable=True, series=(series(*images),))


ANNA = {"PatientBirthDate": "19700101", "PatientSex": "F"}
BERT = {"PatientBirthDate": "19331111", "PatientSex": "M"}


@pytest.mark.parametrize(
    ("one", "other", "surely", "perhaps"),
    [
        (ANNA, BERT, True, True),
        (ANNA, {**ANNA, "PatientBirthDate": "19700102"}, False, False),
        (ANNA, {**ANNA, "PatientSex": "M"}, False, False),
        (ANNA, {**BERT, "PatientSex": "O"}, False, True),
        (ANNA, {**BERT, "PatientBirthDate": "1970"}, False, True),
        (ANNA, {**BERT, "PatientBirthDate": ""}, False, False),
    ],
)
def test_birth_date_and_sex_together_make_two_people(one: Any, other: Any, surely: bool, perhaps: bool) -> None:
    """RULES B4, B10."""
    some, others = people.people([copy(image(**one))]), people.people([copy(image(**other))])
    assert people.contradict(some, others, surely=True) is surely
    assert people.contradict(some, others, surely=False) is perhaps


def test_what_people_disagree_on_is_left_out_of_the_patient() -> None:
    """RULES B9, B10; the other ids of all studies are kept (RULES B9)."""
    other_id = [{"PatientID": "X", "IssuerOfPatientID": "", "IssuerOfPatientIDQualifiersSequence": [
        {"UniversalEntityID": "2.25.7", "UniversalEntityIDType": "ISO"}]}]  # fmt: skip
    older = copy(image(StudyDate="20200101", **{**ANNA, "PatientSex": ""}, OtherPatientIDsSequence=other_id))
    newer = copy(image(StudyDate="20210101", **{**ANNA, "PatientSex": "M"}), image(**ANNA))
    (known,) = people.acquainted([([("2020", "", "")], older), ([("2021", "", "")], newer)]).values()
    told = people.patient(known)
    assert told["subject.birthDate"] == "1970-01-01"
    assert told["subject.gender"] is None
    assert fits(told["subject.identifier.secondary"], (("urn:oid:2.25.7", "X"),))
    assert not fits(told["subject.identifier.secondary"], ())


def test_issuers_that_differ_name_nobody() -> None:
    """RULES B9, B10."""
    told = people.subject(copy(*(image(patient_id="1", IssuerOfPatientID=name) for name in ("A", "B"))))
    assert (told["subject.identifier"], told["subject.identifier.assigner"]) == (Either((None, ("MR", "", "1"))), "")


def test_the_greatest_study_is_that_of_the_greatest_date() -> None:
    """RULES B4."""
    dates = {"2.25.2": "20200101", "2.25.1": "2021.01.01"}
    found = studies(copy(image(study_uid=one, StudyDate=date)) for one, date in dates.items())
    assert max(found.values(), key=lambda one: one.sort_keys).uid == "2.25.1"


def test_a_study_that_names_birth_date_and_sex_speaks_before_a_later_one() -> None:
    """RULES B10."""
    older = copy(image(patient_id="1", PatientName="A", PatientBirthDate="19700101", PatientSex="F"))
    newer = copy(image(patient_id="1", study_uid="2.25.2", PatientName="B", PatientBirthDate="", PatientSex="F"))
    (known,) = people.acquainted([([("2020", "", "")], older), ([("2021", "", "")], newer)]).values()
    assert known.written_by == (older,)
