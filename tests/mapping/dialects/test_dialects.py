"""Every FHIR version: the golden outputs of MAPPING K and M, and each difference of A.1 to A.3 by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.mapping.check.check import problems
from syncd.mapping.dialects.registry import VERSIONS, dialect, release
from syncd.mapping.resources.endpoints import endpoints
from syncd.mapping.resources.imagingstudy import registered_study, withdrawn_study
from syncd.mapping.resources.patient import patient, subject
from syncd.mapping.resources.sentinel import sentinel, sentinel_type
from syncd.mapping.values.identity import patient_key
from syncd.model.snapshot import Code, Moment, SeriesFacts
from tests.mapping.studies import POLICY, archive, golden_study, instance, mapped, person, series, study, with_series

DCM = "http://dicom.nema.org/resources/ontology/DCM"
CONNECTION = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
ABSENT = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}
MODERN = ("r4", "r4b", "r5", "r6")
LATER = ("r5", "r6")


def golden(version: str) -> dict[str, Any]:
    name = "r4" if version == "r4b" else version
    read: dict[str, Any] = json.loads((Path(__file__).parents[1] / f"golden_{name}.json").read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize("version", VERSIONS)
def test_the_golden_study_of_each_version(version: str) -> None:
    """MAPPING K and M: R4B says the bytes of R4."""
    assert mapped(golden_study(), dialect=version) == golden(version)
    assert problems(golden(version), fhir_version=version) == ()


@pytest.mark.parametrize("version", MODERN)
def test_registered_says_the_same_little_in_each_version(version: str) -> None:
    """RULES A6: identifier, subject, started, basedOn, endpoint; no modality, counts or series."""
    said = registered_study(golden_study(), subject={"reference": "Patient/p-1"}, policy=POLICY, dialect=version)
    kept = ("resourceType", "id", "meta", "identifier", "subject", "started", "basedOn", "endpoint")
    assert said == {name: golden(version)[name] for name in kept} | {"status": "registered"}
    assert problems(said, fhir_version=version) == ()


def test_dstu2_does_not_announce_a_study() -> None:
    """RULES A6."""
    assert [version for version in VERSIONS if not dialect(version).writes_registered] == ["dstu2"]
    with pytest.raises(ValueError, match="still arrives"):
        registered_study(study(), subject={"display": "x"}, policy=POLICY, dialect="dstu2")


@pytest.mark.parametrize("version", MODERN)
@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
def test_a_withdrawn_study_says_whose_it_was_and_that_it_is_no_more(version: str, status: str) -> None:
    """MAPPING F.3: identifiers, subject, status."""
    who = {"reference": "Patient/p-1"}
    said = withdrawn_study(golden_study(), subject=who, policy=POLICY, status=status, dialect=version)
    kept = ("resourceType", "id", "meta", "identifier", "subject")
    assert said == {name: golden(version)[name] for name in kept} | {"status": status}
    assert problems(said, fhir_version=version) == ()


def test_r6_says_inactive_and_nothing_before_it_does() -> None:
    """MAPPING F.3, A.1."""
    who = {"reference": "Patient/p-1"}
    fit = {
        version: not problems(
            withdrawn_study(golden_study(), subject=who, policy=POLICY, status="inactive", dialect=version),
            fhir_version=version,
        )
        for version in MODERN
    }
    assert fit == {"r4": False, "r4b": False, "r5": False, "r6": True}


RELEASES = [
    ("1.0.2", "dstu2"),
    ("3.0.2", "stu3"),
    ("4.0.1", "r4"),
    ("4.3.0", "r4b"),
    ("5.0.0", "r5"),
    ("6.0.0-ballot1", "r6-ballot1"),
    ("6.0.0-ballot4", "r6-ballot4"),
    ("6.0.0-ballot4-cibuild", "r6-ballot4"),
    ("6.0.0-ballot5", "r6"),
    ("6.0.0-ballot10", "r6"),
    ("6.0.0-snapshot1", "r6"),
    ("6.0.0-cibuild", "r6"),
    ("6.0.0", "r6"),
    ("7.0.0", "7.0.0"),
    ("", "unknown"),
]


@pytest.mark.parametrize(("said", "name"), RELEASES)
def test_a_servers_version_has_a_name(said: str, name: str) -> None:
    """MAPPING 0.1-1, I case 65: R6 before ballot5 is another standard, and has names that no dialect has."""
    assert release(said) == name
    assert (name in VERSIONS) == (name in ("dstu2", "r4", "r4b", "r5", "r6"))


@pytest.mark.parametrize("version", ["r6-ballot4", "stu3", "R4", ""])
def test_a_version_that_we_do_not_speak_has_no_dialect(version: str) -> None:
    """MAPPING 0.1-1."""
    with pytest.raises(ValueError, match="none of dstu2, r4, r4b, r5, r6"):
        dialect(version)


LOINC = Code(value="24627-2", scheme="LN", meaning="CT Chest")
CONCEPT = {"coding": [{"system": "http://loinc.org", "code": "24627-2", "display": "CT Chest"}], "text": "CT Chest"}
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("r4", {"procedureCode": [CONCEPT], "reasonCode": [{"text": "cough"}], "interpreter": [{"display": "Lang"}]}),
    ("r4b", {"procedureCode": [CONCEPT], "reasonCode": [{"text": "cough"}], "interpreter": [{"display": "Lang"}]}),
    ("r5", {"procedure": [{"concept": CONCEPT}], "reason": [{"concept": {"text": "cough"}}]}),
    ("r6", {"reason": [{"concept": {"text": "cough"}}]}),
    ("dstu2", {"interpreter": {"display": "Lang"}}),
]


@pytest.mark.parametrize(("version", "expected"), REQUESTS)
def test_what_was_done_why_and_who_read_it(version: str, expected: dict[str, Any]) -> None:
    """MAPPING A.1: R6 keeps a procedure's code in a Procedure only; nobody after R4 names the interpreter."""
    said = mapped(
        study(procedure_codes=(LOINC,), reason_texts=("cough",), interpreters=(person("Lang"), person("Lee"))),
        dialect=version,
    )
    if version in ("r4", "r4b"):
        expected = expected | {"interpreter": [{"display": "Lang"}, {"display": "Lee"}]}
    names = {"procedure", "procedureCode", "procedureReference", "reason", "reasonCode", "interpreter", "partOf"}
    assert {name: said[name] for name in names & said.keys()} == expected
    assert problems(said, fhir_version=version) == ()


ANATOMY: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    # version, chest without side, chest left, left without a body part
    (
        "r5",
        {"bodySite": {"concept": {"coding": ["chest"], "text": "CHEST"}}},
        {"bodySite": {"concept": {"coding": ["chest"], "text": "CHEST"}}, "laterality": {"coding": ["left"]}},
        {"laterality": {"coding": ["left"]}},
    ),
    (
        "r6",
        {"bodySite": [{"concept": {"coding": ["chest"], "text": "CHEST"}}]},
        {"bodySite": [{"concept": {"coding": ["chest"], "text": "Chest, left"}}]},
        {},
    ),
    ("r4", {"bodySite": "chest"}, {"bodySite": "chest", "laterality": "left"}, {"laterality": "left"}),
    ("dstu2", {"bodySite": "chest"}, {"bodySite": "chest", "laterality": "left"}, {"laterality": "left"}),
]
CHEST = {"system": "http://snomed.info/sct", "code": "816094009", "display": "Chest"}
LEFT = {"system": "http://snomed.info/sct", "code": "7771000", "display": "Left"}


@pytest.mark.parametrize(("version", "plain", "sided", "side_only"), ANATOMY)
def test_body_site_and_side(version: str, plain: dict[str, Any], sided: dict[str, Any], side_only: dict[str, Any]) -> None:
    """MAPPING C.6, I case 46: R6 has no element for the side; words say it behind the site, and never alone."""
    said = mapped(
        with_series(
            series(uid="2.25.1", body_part="CHEST"),
            series(uid="2.25.2", body_part="CHEST", laterality="L"),
            series(uid="2.25.3", laterality="L"),
        ),
        dialect=version,
    )
    short = json.loads(json.dumps(said).replace(json.dumps(CHEST), '"chest"').replace(json.dumps(LEFT), '"left"'))
    found = [{name: one[name] for name in ("bodySite", "laterality") if name in one} for one in short["series"]]
    assert found == [plain, sided, side_only]
    assert problems(said, fhir_version=version) == ()


def test_r6_says_the_side_of_a_site_without_a_code() -> None:
    """MAPPING C.6."""
    said = mapped(with_series(series(body_part="WEIRD", laterality="R")), dialect="r6")
    assert said["series"][0]["bodySite"] == [{"concept": {"text": "WEIRD, right"}}]


@pytest.mark.parametrize("version", LATER)
def test_concepts_have_words_from_r5_on(version: str) -> None:
    """MAPPING C.7: a private modality is text, an unknown one has a reason, and neither is under DCM."""
    tokens = ("", "DSA", "CT")
    said = mapped(
        with_series(*(series(uid=f"2.25.{place}", modality=token) for place, token in enumerate(tokens))), dialect=version
    )
    ct = {"coding": [{"system": DCM, "code": "CT", "display": "Computed Tomography"}]}
    assert [one["modality"] for one in said["series"]] == [ABSENT, {"text": "DSA"}, ct]
    assert said["modality"] == [{"text": "DSA"}, ct]
    assert problems(said, fhir_version=version) == ()


@pytest.mark.parametrize(("version", "count"), [("r4", 1), ("r5", 1), ("r6", 3)])
def test_r6_names_every_modality_whatever_the_policy_prefers(version: str, count: int) -> None:
    """MAPPING A.4 ist-7: with `acquisition` the other versions name CT only."""
    policy = replace(POLICY, modality_scope="acquisition")
    listed = [series(uid=f"2.25.{place}", modality=token) for place, token in enumerate(("CT", "KO", "SR"))]
    said = mapped(with_series(*listed), policy, dialect=version)
    assert len(said["modality"]) == count
    assert problems(said, fhir_version=version) == ()


CLASSES = [
    ("1.2.826.0.1.3680043.9.999.1", {"sopClass": "urn:oid:1.2.826.0.1.3680043.9.999.1"}),
    ("1.2.003.4", {"_sopClass": ABSENT}),
    ("", {"_sopClass": ABSENT}),
]


@pytest.mark.parametrize("version", ["r6", "dstu2"])
@pytest.mark.parametrize(("sop_class", "expected"), CLASSES)
def test_the_sop_class_is_an_oid_or_said_to_be_unknown(version: str, sop_class: str, expected: dict[str, Any]) -> None:
    """MAPPING A.3, I cases 26, 27 and 28: the instance counts either way."""
    said = mapped(with_series(series(instances=(instance(sop_class=sop_class),))), dialect=version)
    (one,) = said["series"][0]["instance"]
    assert {name: one[name] for name in ("sopClass", "_sopClass") if name in one} == expected
    assert said["numberOfInstances"] == 1
    assert problems(said, fhir_version=version) == ()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("frames", [None, 0, 60])
def test_only_r6_counts_frames(version: str, frames: int | None) -> None:
    """MAPPING A.3, C.4: from 1 on."""
    said = mapped(with_series(series(instances=(instance(frames=frames),))), dialect=version)
    assert said["series"][0]["instance"][0].get("numberOfFrames") == (60 if version == "r6" and frames else None)


def at(text: str) -> Moment:
    date, _, time = text.partition(" ")
    return Moment(date=date, time=time[:8], offset=time[8:])


STARTS = [
    # study, series, and what R6 says of the series
    ("2026-03-01 10:00:00+01:00", "2026-03-01 09:58:00+01:00", None),  # case 44
    ("2026-03-01 10:00:00+01:00", "2026-03-01 10:00:00+01:00", "2026-03-01T10:00:00+01:00"),
    ("2026-03-01 10:00:00+01:00", "2026-03-01 09:30:00+00:00", "2026-03-01T09:30:00+00:00"),
    ("2026-03-01 10:00:00+01:00", "2026-03-01 10:30:00+02:00", None),
    ("2026-03-01 09:15:00+01:00", "2026-03-01", None),  # case 45
    ("2026-03-01", "2026-03-01 09:15:00+01:00", "2026-03-01"),  # case 45
    ("2026-03-01", "2026-02-28 23:15:00+01:00", None),
    ("2026-03-01", "2026-03-02", "2026-03-02"),
    ("2026-03", "2026-03-02", "2026-03"),
    ("2026-03-01", "2026-03", None),
    ("", "2026-03-02 09:15:00+01:00", "2026-03-02T09:15:00+01:00"),
]


@pytest.mark.parametrize(("of_study", "of_series", "expected"), STARTS)
def test_no_series_starts_before_its_study_in_r6(of_study: str, of_series: str, expected: str | None) -> None:
    """MAPPING A.4 ist-8, I cases 44 and 45: the study's start is kept, the series' gives way; R5 keeps both."""
    odd = study(started=at(of_study) if of_study else None, series=(series(started=at(of_series)),))
    said = mapped(odd, dialect="r6")
    assert said["series"][0].get("started") == expected
    assert said.get("started", "") == of_study.replace(" ", "T")
    assert mapped(odd, dialect="r5")["series"][0]["started"] == of_series.replace(" ", "T")
    assert problems(said, fhir_version="r6") == ()


SERVICES = archive(qido_url="https://x.example/dicom-web", viewer_url="https://x.example/view")


@pytest.mark.parametrize("version", LATER)
def test_endpoints_from_r5_on(version: str) -> None:
    """MAPPING K and E: concepts, and payloads of type and media type."""
    wado, qido, viewer = endpoints(SERVICES, fhir_version=version)
    assert wado == {
        "resourceType": "Endpoint",
        "id": "orthanc-wado-rs",
        "meta": {"source": "urn:syncd", "tag": [{"system": "urn:syncd:installation", "code": "syncd"}]},
        "status": "active",
        "connectionType": [{"coding": [{"system": CONNECTION, "code": "dicom-wado-rs"}]}],
        "name": "orthanc WADO-RS",
        "payload": [{"type": [{"text": "DICOM WADO-RS"}], "mimeType": ["application/dicom"]}],
        "address": "https://archive.example.org/dicom-web",
    }
    assert qido["payload"][0]["mimeType"] == ["application/dicom+json"]
    assert viewer["connectionType"] == [{"text": "web viewer"}]
    assert [problems(one, fhir_version=version) for one in (wado, qido, viewer)] == [()] * 3
    (_, invoked) = endpoints(archive(viewer_url="https://x.example/IHEInvokeImageDisplay"), fhir_version=version)
    assert invoked["connectionType"] == [{"text": "IHE Invoke Image Display"}]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_summary_lists_no_instance(version: str) -> None:
    """MAPPING F.6, A.4 ist-4: counts are kept from ballot5 on."""
    said = mapped(golden_study(), summary=True, dialect=version)
    assert said["extension"] == [{"url": "urn:syncd:extension:summary", "valueBoolean": True}]
    assert [one["numberOfInstances"] for one in said["series"]] == [2, 1]
    assert said["numberOfInstances"] == 3
    assert not any("instance" in one for one in said["series"])
    assert problems(said, fhir_version=version) == ()


@pytest.mark.parametrize("version", MODERN)
def test_a_patient_is_the_same_in_every_version_with_logical_references(version: str) -> None:
    """MAPPING J.1."""
    key = patient_key(golden_study(), policy=POLICY)
    said = patient(golden_study(), key=key, policy=POLICY, fhir_version=version)
    assert said == patient(golden_study(), key=key, policy=POLICY)
    assert problems(said, fhir_version=version) == ()
    assert subject(key, golden_study(), literal=None, fhir_version=version)["identifier"]["value"] == "P-1"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_sentinel_of_each_version(version: str) -> None:
    """RULES E3: an Endpoint that is off, in DSTU2 a Basic; with our tag and the identifier that tells it."""
    said = sentinel("syncd-1", installation_id="site", fhir_version=version)
    assert said["resourceType"] == sentinel_type(version) == ("Basic" if version == "dstu2" else "Endpoint")
    assert said["identifier"] == [{"system": "urn:syncd:sentinel", "value": "syncd-1"}]
    assert said["meta"]["tag"] == [{"system": "urn:syncd:installation", "code": "site"}]
    assert said.get("status") == (None if version == "dstu2" else "off")
    assert problems(said, fhir_version=version) == ()


def test_no_dialect_changes_what_it_is_given() -> None:
    """RULES B3: the subject is the caller's, and used in both directions of a conflict."""
    key = patient_key(golden_study(), policy=POLICY)
    who = subject(key, golden_study(), literal=None)
    before = json.dumps(who)
    listed: tuple[SeriesFacts, ...] = golden_study().series
    for version in VERSIONS:
        mapped(golden_study(), dialect=version)
        dialect(version).subject(who)
    assert json.dumps(who) == before
    assert golden_study().series == listed
