"""Orders, visits and people: logical references or displays, nothing invented (MAPPING A.1, A.2, B, J.2)."""

from __future__ import annotations

from syncd.model.snapshot import IssuedId, Issuer, Person, PersonName
from tests.mapping.studies import archive, mapped, person, series, study

TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"


def test_an_accession_without_issuer_has_no_system() -> None:
    """MAPPING I case 34: in identifier and in basedOn alike."""
    resource = mapped(study(accessions=(IssuedId(value="A1001"),)))
    accession = {"type": {"coding": [{"system": TYPES, "code": "ACSN"}]}, "value": "A1001"}
    assert resource["identifier"][1:] == [accession]
    assert resource["basedOn"] == [{"type": "ServiceRequest", "identifier": accession}]


def test_several_orders_are_several_references() -> None:
    """MAPPING B: accessions, placer and filler; repetitions vanish; the archive's system is for accessions only."""
    hosp = Issuer(local="HOSP-C")
    resource = mapped(
        study(
            accessions=(IssuedId(value="A1"), IssuedId(value="A1"), IssuedId(value="A2", issuer=hosp)),
            placer_orders=(IssuedId(value="P1", issuer=Issuer(universal_id="2.25.7", universal_type="ISO")),),
            filler_orders=(IssuedId(value="F1"),),
        ),
        archive(accession_system="http://hosp.example/acsn"),
    )
    said = [
        (
            order["identifier"]["type"]["coding"][0]["code"],
            order["identifier"].get("system"),
            order["identifier"]["value"],
            order["identifier"].get("assigner"),
        )
        for order in resource["basedOn"]
    ]
    assert said == [
        ("ACSN", "http://hosp.example/acsn", "A1", None),
        ("ACSN", None, "A2", {"display": "HOSP-C"}),
        ("PLAC", "urn:oid:2.25.7", "P1", None),
        ("FILL", None, "F1", None),
    ]
    assert len(resource["identifier"]) == 3


def test_study_id_and_visit_need_a_system() -> None:
    """MAPPING B: without one they are left out; StudyID has a type text, there is no code for it."""
    facts = {"study_id": "S1", "admission": IssuedId(value="V1", issuer=Issuer(local="HOSP-A"))}
    bare = mapped(study(**facts))
    assert len(bare["identifier"]) == 1
    assert "encounter" not in bare
    resource = mapped(
        study(**facts), archive(study_id_system="http://h.example/s", issuers={"HOSP-A": "http://h.example/v"})
    )
    assert resource["identifier"][1] == {"type": {"text": "Study ID"}, "system": "http://h.example/s", "value": "S1"}
    assert resource["encounter"] == {
        "type": "Encounter",
        "identifier": {
            "type": {"coding": [{"system": TYPES, "code": "VN"}]},
            "system": "http://h.example/v",
            "value": "V1",
        },
    }


def test_people_are_shown_and_the_nameless_left_out() -> None:
    """MAPPING A.1, A.2, J.2: referrer, interpreters (R4 only), performers with their function."""
    nobody = Person(name=PersonName())
    resource = mapped(
        study(
            referrer=nobody,
            interpreters=(person("Ito"), nobody, person("Kim")),
            location_text="Room 3",
            series=(series(performing_physicians=(person("Lang"), nobody), operators=(person("Opp"),)),),
        )
    )
    assert "referrer" not in resource
    assert resource["interpreter"] == [{"display": "Ito"}, {"display": "Kim"}]
    assert resource["location"] == {"display": "Room 3"}
    performers = resource["series"][0]["performer"]
    assert [(one["function"]["coding"][0]["code"], one["actor"]) for one in performers] == [
        ("PRF", {"display": "Lang"}),
        ("SPRF", {"display": "Opp"}),
    ]
