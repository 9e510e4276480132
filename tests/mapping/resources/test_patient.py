"""Patient, names and subjects (MAPPING B, C.2, J.1; RULES B4)."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.mapping.check.check import problems
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.resources.patient import patient, subject, with_identifiers
from syncd.mapping.values.identity import patient_key
from syncd.mapping.values.people import human_names, practitioner
from syncd.model.snapshot import Code, IssuedId, Issuer, NameGroup, PatientFacts, Person, PersonName
from tests.mapping.studies import POLICY, archive, golden_study, study

ID_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"
EXTENSION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"


def made(facts: PatientFacts, policy: MappingPolicy = POLICY) -> dict[str, Any]:
    snapshot = study(patient=facts)
    return patient(snapshot, key=patient_key(snapshot, policy=policy), policy=policy)


def represented(code: str, **name: Any) -> dict[str, Any]:
    return {"extension": [{"url": EXTENSION, "valueCode": code}], **name}


def test_the_golden_patient() -> None:
    """MAPPING J.1, RULES B2: one constant tag."""
    policy = archive(issuers={"HOSP-A": "http://a.example/pid"})
    key = patient_key(golden_study(), policy=policy)
    assert patient(golden_study(), key=key, policy=policy) == {
        "resourceType": "Patient",
        "id": key.resource_id,
        "meta": {"source": "urn:syncd", "tag": [{"system": "urn:syncd:installation", "code": "syncd"}]},
        "identifier": [
            {
                "use": "usual",
                "type": {"coding": [{"system": ID_TYPE, "code": "MR"}]},
                "system": "http://a.example/pid",
                "value": "P-1",
            }
        ],
        "name": [{"use": "official", "text": "Jane Doe", "family": "Doe", "given": ["Jane"]}],
        "gender": "female",
        "birthDate": "1970-02-03",
    }


IDENTIFIERS = [
    (None, POLICY, {"assigner": {"display": "orthanc"}}),
    (Issuer(local="HOSP-C"), POLICY, {"assigner": {"display": "HOSP-C"}}),
    (None, archive(patient_id_system="urn:oid:2.25.9"), {"system": "urn:oid:2.25.9"}),
    (Issuer(local="HOSP-C"), archive(patient_id_system="urn:oid:2.25.9"), {"assigner": {"display": "HOSP-C"}}),
    (Issuer(universal_id="2.25.8", universal_type="ISO"), POLICY, {"system": "urn:oid:2.25.8"}),
]


@pytest.mark.parametrize(("issuer", "policy", "expected"), IDENTIFIERS)
def test_without_a_system_the_assigner_is_named(
    issuer: Issuer | None, policy: MappingPolicy, expected: dict[str, Any]
) -> None:
    """MAPPING B and I case 13: the archive where no issuer is given, never an invented URI."""
    (identifier,) = made(PatientFacts(ids=(IssuedId(value="123", issuer=issuer),)), policy)["identifier"]
    assert {key: identifier[key] for key in identifier if key in ("system", "assigner")} == expected


def test_other_patient_ids_are_secondary_and_repetitions_vanish() -> None:
    """MAPPING B: MADO repeats the primary; a type that table 0203 does not have is not said."""
    hosp = Issuer(local="HOSP-C")
    ids = (
        IssuedId(value="1", issuer=hosp, type_code="PI"),
        IssuedId(value="1", issuer=hosp),
        IssuedId(value="2", issuer=hosp, type_code="odd"),
        IssuedId(value="2", issuer=hosp, type_code="MR"),
        IssuedId(value="1", issuer=Issuer(local="HOSP-D"), type_code="SS"),
    )
    found = made(PatientFacts(ids=ids))["identifier"]
    assert [(one["use"], one.get("type", {}).get("coding", [{}])[0].get("code"), one["value"]) for one in found] == [
        ("usual", "PI", "1"),
        ("secondary", None, "2"),
        ("secondary", "SS", "1"),
    ]


def test_a_patient_without_patient_id_says_so() -> None:
    """MAPPING I case 11, RULES B2: our extension, no identifier, the name is kept."""
    resource = made(PatientFacts(names=(PersonName(alphabetic=NameGroup(family="Doe")),)))
    assert resource["extension"] == [{"url": "urn:syncd:extension:unidentified", "valueBoolean": True}]
    assert "identifier" not in resource
    assert resource["name"] == [{"use": "official", "text": "Doe", "family": "Doe"}]
    assert problems(resource) == ()


def test_a_patient_of_whom_nothing_is_known_is_still_a_patient() -> None:
    """MAPPING J.1: absent facts are absent elements."""
    assert made(PatientFacts()).keys() == {"resourceType", "id", "meta", "extension"}


NAMES = [
    (
        PersonName(ideographic=NameGroup(family="山田", given="太郎")),
        [represented("IDE", use="official", text="山田 太郎", family="山田", given=["太郎"])],
    ),
    (
        PersonName(
            alphabetic=NameGroup(family="Yamada", given="Tarou"),
            ideographic=NameGroup(family="山田", given="太郎"),
            phonetic=NameGroup(family="やまだ", given="たろう"),
        ),
        [
            represented("ABC", use="official", text="Tarou Yamada", family="Yamada", given=["Tarou"]),
            represented("IDE", text="山田 太郎", family="山田", given=["太郎"]),
            represented("SYL", text="やまだ たろう", family="やまだ", given=["たろう"]),
        ],
    ),
    (
        PersonName(
            alphabetic=NameGroup(family="Adams", given="John Robert", middle="Quincy", prefix="Rev.", suffix="B.A. M.Div.")
        ),
        [
            {
                "use": "official",
                "text": "Rev. John Robert Quincy Adams B.A. M.Div.",
                "family": "Adams",
                "given": ["John Robert", "Quincy"],
                "prefix": ["Rev."],
                "suffix": ["B.A. M.Div."],
            }
        ],
    ),
    (PersonName(alphabetic=NameGroup(text="Jane Doe")), [{"use": "official", "text": "Jane Doe"}]),
    (PersonName(ideographic=NameGroup(prefix="様")), [represented("IDE", use="official", text="様", prefix=["様"])]),
    (PersonName(alphabetic=NameGroup(), phonetic=NameGroup()), []),
    (PersonName(), []),
]


@pytest.mark.parametrize(("name", "expected"), NAMES)
def test_each_group_of_a_name_is_a_human_name(name: PersonName, expected: list[dict[str, Any]]) -> None:
    """MAPPING C.2, I cases 9 and 10."""
    assert human_names([name]) == expected


def test_only_the_first_name_is_official() -> None:
    """MAPPING J.1: what Other Patient Names mean is not known."""
    both = [PersonName(alphabetic=NameGroup(family=family)) for family in ("Doe", "Roe")]
    assert [name.get("use") for name in human_names(both)] == ["official", None]


def test_a_person_is_shown_and_logical_only_with_a_system() -> None:
    """MAPPING J.2: no Practitioner is made; a designator without a system identifies nobody."""
    name = PersonName(alphabetic=NameGroup(family="Ruiz", given="Ana", prefix="Dr."))
    local = Code(value="77", scheme="99HOSP")
    known = Code(value="78", scheme="99HOSP", scheme_uid="2.25.5")
    assert practitioner(Person(name=name, identifiers=(local,))) == {"display": "Dr. Ana Ruiz"}
    assert practitioner(Person(name=name, identifiers=(local, known))) == {
        "type": "Practitioner",
        "identifier": {"system": "urn:oid:2.25.5", "value": "78"},
        "display": "Dr. Ana Ruiz",
    }
    assert practitioner(Person(name=PersonName(), identifiers=(known,))) is None


def test_the_subject_is_literal_or_logical() -> None:
    """RULES B4 and POLICY__PATIENT: a logical subject carries the Patient's own primary identifier."""
    snapshot = golden_study()
    for policy in (POLICY, archive(issuers={"HOSP-A": "http://a.example/pid"})):
        key = patient_key(snapshot, policy=policy)
        assert subject(key, snapshot, literal="Patient/17") == {"reference": "Patient/17"}
        (usual,) = patient(snapshot, key=key, policy=policy)["identifier"]
        assert subject(key, snapshot, literal=None) == {"type": "Patient", "identifier": usual}


def test_an_unidentified_logical_subject_invents_no_identifier() -> None:
    """RULES B2, our rule for MAPPING I case 11 under POLICY__PATIENT `logical`."""
    snapshot = study(patient=PatientFacts())
    assert subject(patient_key(snapshot, policy=POLICY), snapshot, literal=None) == {
        "extension": [{"url": "urn:syncd:extension:unidentified", "valueBoolean": True}],
        "type": "Patient",
        "display": "unidentified patient",
    }


A, B, NAMED, BARE = (
    {"system": "urn:a", "value": "1"},
    {"system": "urn:b", "value": "2", "use": "secondary"},
    {"value": "3", "assigner": {"display": "C"}},
    {"value": "2", "assigner": {"display": "B"}},
)


@pytest.mark.parametrize(
    ("ours", "further", "expected"),
    [
        ([A], [A, B], [A, B]),
        ([A, B], [A], [A, B]),
        ([A], [A, NAMED], [A, NAMED]),
        ([A, B], [{**B, "use": "old"}], [A, B]),
        ([A], [{"system": "urn:a", "value": "2"}], [A, {"system": "urn:a", "value": "2"}]),
        ([A, B], [BARE], [A, B]),
        ([A, BARE], [B], [A, BARE, B]),
        ([A], [], [A]),
        ([], [B], [B]),
    ],
)
def test_identifiers_of_a_patient_are_a_union(
    ours: list[dict[str, Any]], further: list[dict[str, Any]], expected: list[dict[str, Any]]
) -> None:
    """RULES B9: ours first and as they are; made again it is the same (RULES B3)."""
    wanted = {"resourceType": "Patient", "identifier": ours}
    made = with_identifiers(wanted, of={"identifier": further, "gender": "male"})
    assert made == wanted | {"identifier": expected}
    assert with_identifiers(wanted, of=made) == made
