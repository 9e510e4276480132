"""DSTU2, which differs most: no status, no Endpoint, no logical references, UIDs as OIDs (MAPPING M)."""

from __future__ import annotations

from syncd.mapping.check.check import problems
from syncd.mapping.resources.endpoints import endpoint_references, endpoints
from syncd.mapping.resources.imagingstudy import withdrawn_study
from syncd.mapping.resources.patient import patient, subject
from syncd.mapping.values.identity import patient_key
from syncd.model.ids import StudyInstanceUID
from syncd.model.snapshot import NameGroup, PatientFacts, PersonName
from tests.mapping.dialects.test_dialects import ABSENT, SERVICES, golden
from tests.mapping.studies import POLICY, archive, golden_study, instance, mapped, series, study, with_series


def test_a_withdrawn_study_is_unavailable_in_dstu2() -> None:
    """MAPPING M: it has no status, its counts are required, and there is no address any more."""
    said = withdrawn_study(
        golden_study(), subject={"reference": "Patient/p-1"}, policy=POLICY, status="cancelled", dialect="dstu2"
    )
    kept = ("resourceType", "id", "meta", "uid", "accession", "patient")
    counts = {"numberOfSeries": 0, "numberOfInstances": 0}
    assert said == {name: golden("dstu2")[name] for name in kept} | {
        "order": [{"display": "A1001"}],
        "availability": "UNAVAILABLE",
        **counts,
    }
    assert problems(said, fhir_version="dstu2") == ()


def test_dstu2_has_no_endpoint_but_addresses() -> None:
    """MAPPING M: the study's and series' own; without a public address there is none."""
    assert endpoints(SERVICES, fhir_version="dstu2") == endpoint_references(SERVICES, fhir_version="dstu2") == ()
    silent = mapped(study(), archive(dicomweb_url=""), dialect="dstu2")
    assert "url" not in silent
    assert "url" not in silent["series"][0]
    assert "content" not in silent["series"][0]["instance"][0]
    assert problems(silent, fhir_version="dstu2") == ()


def test_dstu2_says_a_uid_only_where_it_is_an_oid() -> None:
    """MAPPING M, I case 28: HAPI calls an OID with leading zeros an error; the addresses and `identifier` still tell."""
    odd = study(
        study_uid=StudyInstanceUID("1.2.003.4"), series=(series(uid="1.2.003.5", instances=(instance(uid="1.2.003.6"),)),)
    )
    said = mapped(odd, dialect="dstu2")
    (one,) = said["series"]
    assert [part["_uid"] for part in (said, one, one["instance"][0])] == [ABSENT] * 3
    assert said["identifier"] == [{"use": "official", "system": "urn:dicom:uid", "value": "urn:oid:1.2.003.4"}]
    assert one["instance"][0]["content"][0]["url"].endswith("/1.2.003.4/series/1.2.003.5/instances/1.2.003.6")
    assert problems(said, fhir_version="dstu2") == ()
    assert "identifier" not in mapped(study(), dialect="dstu2")


def test_dstu2_lists_only_acquisition_modalities_and_its_own_system() -> None:
    """MAPPING M: every series says what it is."""
    listed = [series(uid=f"2.25.{place}", modality=token) for place, token in enumerate(("CT", "KO", "DSA", ""))]
    said = mapped(with_series(*listed), dialect="dstu2")
    dicm = "http://nema.org/dicom/dicm"
    assert [one["code"] for one in said["modalityList"]] == ["CT"]
    assert [one["modality"].get("system") for one in said["series"]] == [dicm, dicm, None, None]
    assert [one["modality"].get("code") for one in said["series"]] == ["CT", "KO", None, None]


def test_dstu2_knows_less_of_a_patient() -> None:
    """MAPPING M: a family name is a list, types have the older system, `meta` has no source, references only words."""
    key = patient_key(golden_study(), policy=POLICY)
    assert patient(golden_study(), key=key, policy=POLICY, fhir_version="dstu2") == {
        "resourceType": "Patient",
        "id": key.resource_id,
        "meta": {"tag": [{"system": "urn:syncd:installation", "code": "syncd"}]},
        "identifier": [
            {
                "use": "usual",
                "type": {"coding": [{"system": "http://hl7.org/fhir/v2/0203", "code": "MR"}]},
                "value": "P-1",
                "assigner": {"display": "HOSP-A"},
            }
        ],
        "name": [{"use": "official", "text": "Jane Doe", "family": ["Doe"], "given": ["Jane"]}],
        "gender": "female",
        "birthDate": "1970-02-03",
    }
    assert subject(key, golden_study(), literal=None, fhir_version="dstu2") == {"display": "P-1 (HOSP-A)"}
    assert subject(key, golden_study(), literal="Patient/p-1", fhir_version="dstu2") == {"reference": "Patient/p-1"}


def test_an_unidentified_patient_is_nobody_in_dstu2_too() -> None:
    """MAPPING I case 11, RULES B2."""
    nobody = study(patient=PatientFacts(names=(PersonName(alphabetic=NameGroup(text="X")),)))
    key = patient_key(nobody, policy=POLICY)
    said = subject(key, nobody, literal=None, fhir_version="dstu2")
    assert said == {
        "extension": [{"url": "urn:syncd:extension:unidentified", "valueBoolean": True}],
        "display": "unidentified patient",
    }
    assert problems(patient(nobody, key=key, policy=POLICY, fhir_version="dstu2"), fhir_version="dstu2") == ()
