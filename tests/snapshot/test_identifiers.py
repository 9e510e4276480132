"""MAPPING B and C.5: identifiers with their issuers, coded entries."""

from __future__ import annotations

import re
from typing import Any

import pytest

from syncd.model.snapshot import Code, IssuedId, Issuer
from syncd.model.study.raw import Tags
from syncd.snapshot.notes import Notes
from syncd.snapshot.orders import accessions, admission, filler_orders, placer_orders
from syncd.snapshot.people.issuers import patient_ids
from syncd.snapshot.people.patient import patient_facts
from syncd.snapshot.values.codes import code, codes
from syncd.snapshot.values.tags import Tagset
from tests.snapshot.studies import coded, tagset

ISO = {"0040,0032": "1.2.99", "0040,0033": "ISO"}
LOCAL = {"0040,0031": "RIS"}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"0010,0020": " 007 "}, (IssuedId(value="007"),)),
        ({"0010,0020": "P1", "0010,0021": "HOSP-A"}, (IssuedId(value="P1", issuer=Issuer(local="HOSP-A")),)),
        (
            {"0010,0020": "P1", "0010,0021": "HOSP-A", "0010,0024": [ISO | {"0040,0035": "PI"}]},
            (
                IssuedId(
                    value="P1", issuer=Issuer(local="HOSP-A", universal_id="1.2.99", universal_type="ISO"), type_code="PI"
                ),
            ),
        ),
        ({}, ()),
        ({"0010,0020": "  "}, ()),
        ({"0010,0020": None, "0010,1002": [{"0010,0020": "P2"}]}, ()),
        (
            {
                "0010,0020": "P1",
                "0010,0021": "A",
                "0010,1002": [
                    {"0010,0020": "P1", "0010,0021": "A"},
                    {"0010,0020": "P1", "0010,0021": "B", "0010,0022": "RFID"},
                    {"0010,0020": ""},
                ],
            },
            (IssuedId(value="P1", issuer=Issuer(local="A")), IssuedId(value="P1", issuer=Issuer(local="B"))),
        ),
        ({"0010,0020": "P1", "0010,1000": "X\\Y"}, (IssuedId(value="P1"),)),
        ({"0010,0020": "P1", "0010,0024": [{"0040,0035": "pi"}]}, (IssuedId(value="P1", type_code="PI"),)),
    ],
)
def test_patient_ids_travel_with_their_issuer(tags: Tags, expected: tuple[IssuedId, ...]) -> None:
    """MAPPING B, cases I.2 11 and 13; retired Other Patient IDs have no issuer, so they are none of these."""
    assert patient_ids(tagset(tags))[0] == expected


@pytest.mark.parametrize(
    ("study", "series", "expected"),
    [
        ({"0008,0050": "A1001"}, {}, [IssuedId(value="A1001")]),
        ({"0008,0050": "A1", "0008,0051": [LOCAL]}, {}, [IssuedId(value="A1", issuer=Issuer(local="RIS"))]),
        ({"0008,0050": "A1\\A2\\A1"}, {}, [IssuedId(value="A1"), IssuedId(value="A2")]),
        (
            {"0008,0050": ""},
            {"0040,0275": [{"0008,0050": "A3", "0008,0051": [ISO]}, {"0008,0050": "A4"}]},
            [IssuedId(value="A3", issuer=Issuer(universal_id="1.2.99", universal_type="ISO")), IssuedId(value="A4")],
        ),
        ({}, {"0040,a370": [{"0008,0050": "A5"}]}, [IssuedId(value="A5")]),
        (
            {"0008,0050": "A1"},
            {"0040,0275": [{"0008,0050": "A2"}, {"0008,0050": "A1"}]},
            [IssuedId(value="A1"), IssuedId(value="A2")],
        ),
        ({"0008,0050": "A9"}, {"0040,0275": [{"0008,0050": "A3"}]}, [IssuedId(value="A9"), IssuedId(value="A3")]),
        ({}, {}, []),
    ],
)
def test_accessions_are_those_of_the_study_and_of_its_requests(study: Tags, series: Tags, expected: list[IssuedId]) -> None:
    """MAPPING B, several accessions, RULES B9; PS3.3 10.6 and IHE's grouped procedures; case I.5 34."""
    assert list(accessions([tagset(study), tagset(series)])) == expected


BY_RIS, BY_ISO = Issuer(local="RIS"), Issuer(universal_id="1.2.99", universal_type="ISO")
BY_BOTH = Issuer(local="RIS", universal_id="1.2.99", universal_type="ISO")


@pytest.mark.parametrize(
    ("own", "asked", "expected"),
    [
        ({}, [LOCAL], [BY_RIS]),
        (LOCAL, [{}], [BY_RIS]),
        (LOCAL, [LOCAL | ISO], [BY_BOTH]),
        (LOCAL, [ISO], [BY_RIS, BY_ISO]),
        ({}, [LOCAL, ISO], [BY_ISO, BY_RIS]),
        ({}, [{}, {}], [None]),
    ],
)
def test_a_number_with_and_without_its_issuer_is_one_order_and_of_two_issuers_two(
    own: Tags, asked: list[Tags], expected: list[Issuer | None]
) -> None:
    """RULES B9, MAPPING B: whichever of both the study's level has; one who says more of an issuer is not another."""
    main = tagset({"0008,0050": "A1"})
    image = tagset(
        {
            "0008,0050": "A1",
            "0008,0051": [own] if own else [],
            "0040,0275": [{"0008,0050": "A1", "0008,0051": [each] if each else []} for each in asked],
        }
    )
    assert accessions([main, image]) == tuple(IssuedId(value="A1", issuer=one) for one in expected)
    assert main.notes.in_order() == ()


def test_an_issuer_is_never_given_to_another_level_s_number() -> None:
    """RULES B9: the archive's main tags have no sequences, and another image's issuer is not theirs."""
    main, image = tagset({"0008,0050": "A1"}), tagset({"0008,0050": "A2", "0008,0051": [LOCAL]})
    assert accessions([main, image]) == (IssuedId(value="A1"), IssuedId(value="A2", issuer=BY_RIS))


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ([{"0008,0050": "A1"}, {"0008,0050": "A2"}], "differs within the study: all named"),
        (
            [{}, {"0008,0050": "A1", "0040,0275": [{"0008,0050": "A2"}]}],
            "none of the study's requests has it: all named",
        ),
        ([{"0008,0050": "A1"}, {"0008,0050": "A1", "0040,0275": [{"0008,0050": "A1"}, {"0008,0050": "A2"}]}], ""),
        ([{"0008,0050": "A1"}, {"0040,0275": [{"0008,0050": "A1"}]}, {"0040,0275": [{"0008,0050": "A2"}]}], ""),
        ([{"0008,0050": "A1"}, {}], ""),
    ],
)
def test_only_numbers_that_exclude_each_other_are_a_doubt(levels: list[Tags], said: str) -> None:
    """RULES B9: named all the same, with a safety note; grouped procedures are none."""
    notes = Notes()
    assert len(accessions([Tagset(level, notes) for level in levels])) == len(set(re.findall(r"A\d", str(levels))))
    assert [(one.tag, one.rule, one.done, one.safety) for one in notes.in_order()] == (
        [("0008,0050", "RULES B9", said, True)] if said else []
    )


def test_orders_and_admission_have_their_own_issuers() -> None:
    """MAPPING B: (0040,0026), (0040,0027), (0038,0014)."""
    ris = Issuer(local="RIS")
    study = tagset(
        {
            "0040,2016": "PL1",
            "0040,0026": [LOCAL],
            "0038,0010": "V1",
            "0038,0014": [LOCAL],
        }
    )
    request = tagset({"0040,0275": [{"0040,2017": "F1", "0040,0027": [LOCAL]}]})
    more = tagset({"0040,a370": [{"0040,2016": "PL0", "0040,2017": "F1"}]})
    assert placer_orders([study, request, more]) == (IssuedId(value="PL1", issuer=ris), IssuedId(value="PL0"))
    assert filler_orders([study, request, more]) == (IssuedId(value="F1", issuer=ris),)
    assert admission(study) == IssuedId(value="V1", issuer=ris)
    assert admission(tagset({})) is None


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (coded("T-D3000", scheme="SRT", meaning="Chest"), Code(value="T-D3000", scheme="SRT", meaning="Chest")),
        (
            {"0008,0119": "a-long-code-value-indeed", "0008,0102": "SCT"},
            Code(value="a-long-code-value-indeed", scheme="SCT"),
        ),
        ({"0008,0120": "urn:oid:1.2.3"}, Code(value="urn:oid:1.2.3", scheme="")),
        ({"0008,0104": "Chest"}, Code(value="", scheme="", meaning="Chest")),
        ({"0008,0102": "SCT"}, None),
        ({}, None),
    ],
)
def test_a_code_is_its_value_wherever_it_stands(item: Tags, expected: Code | None) -> None:
    """MAPPING C.5."""
    assert code(tagset(item)) == expected


def test_a_private_scheme_is_explained_by_its_instance() -> None:
    """MAPPING C.5: (0008,0110) Coding Scheme Identification Sequence > (0008,010C)."""
    instance: dict[str, Any] = {
        "0008,0110": [{"0008,0102": "99X", "0008,010c": "1.2.77"}],
        "0008,1032": [coded("P1", scheme="99X"), coded("P2", scheme="99Y"), coded("P1", scheme="99X")],
    }
    assert codes(tagset(instance).items("0008,1032")) == (
        Code(value="P1", scheme="99X", scheme_uid="1.2.77"),
        Code(value="P2", scheme="99Y"),
    )


@pytest.mark.parametrize(
    ("sex", "gender", "noted"),
    [
        ("M", "male", False),
        ("F ", "female", False),
        ("O", "other", False),
        ("", "", False),
        ("X", "unknown", True),
        ("m", "male", True),
    ],
)
def test_sex_becomes_a_gender(sex: str, gender: str, noted: bool) -> None:
    """MAPPING C.3."""
    level = tagset({"0010,0040": sex})
    assert patient_facts(level).gender == gender
    assert bool(level.notes.in_order()) is noted


def test_other_patient_names_follow_the_official_one() -> None:
    """MAPPING J.1: (0010,1001)."""
    names = patient_facts(tagset({"0010,0010": "Doe^Jane", "0010,1001": "Roe^Jane\\Doe^Jane"})).names
    assert [name.alphabetic.family for name in names if name.alphabetic] == ["Doe", "Roe"]


def test_retired_other_patient_ids_are_kept_apart() -> None:
    """MAPPING B, (0010,1000): VM n; without those that are known with an issuer."""
    level = tagset({"0010,0020": "P1", "0010,1000": "X\\P1\\ Y \\X", "0010,1002": [{"0010,0020": "Y"}]})
    assert patient_ids(level)[1] == ("X",)
    assert patient_ids(tagset({})) == ((), ())


def test_further_ids_of_any_series_are_the_patients() -> None:
    """RULES B9: a union, of all that is under the same PatientID and not under another issuer."""
    first = tagset({"0010,0020": "P1", "0010,0021": "A", "0010,1000": "X"})
    others = [
        tagset({"0010,0020": "P1", "0010,0021": "A", "0010,1002": [{"0010,0020": "P2", "0010,0021": "B"}]}),
        tagset({"0010,0020": "P1", "0010,1000": "Y", "0010,1002": [{"0010,0020": "P3", "0010,0021": "B"}]}),
        tagset({"0010,0020": "P1", "0010,0021": "C", "0010,1000": "Z", "0010,1002": [{"0010,0020": "P4"}]}),
        tagset({"0010,0020": "P9", "0010,1002": [{"0010,0020": "P5"}]}),
    ]
    ids, retired = patient_ids(first, everywhere=others)
    assert [one.value for one in ids] == ["P1", "P2", "P3"]
    assert retired == ("X", "Y")
