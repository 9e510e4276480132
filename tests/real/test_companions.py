"""Companions of a study on real servers of two versions: stored, valid, referred to, and written once (MAPPING J)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncd.mapping.check.check import problems
from syncd.mapping.dialects.registry import release
from tests.mapping.studies import POLICY, WANTED, beside, full_study
from tests.planted import PATIENT
from tests.real.conftest import Install
from tests.real.installation import study
from tests.servers import Archive, FhirServer

pytestmark = pytest.mark.real

SETTINGS = {
    "SYNCD_POLICY__PRACTITIONER_FROM_NAME": "resource",
    "SYNCD_POLICY__WRITE_DEVICES": "true",
    "SYNCD_POLICY__WRITE_PROCEDURES": "true",
}
WRITTEN = {"r4": ("Device", "Practitioner", "Procedure"), "r5": ("Device", "Practitioner", "Procedure", "BodyStructure")}
TAGS: dict[str, Any] = {
    "ReferringPhysicianName": PATIENT["ReferringPhysicianName"],
    "ReferringPhysicianIdentificationSequence": [
        {
            "PersonIdentificationCodeSequence": [
                {"CodeValue": "4711", "CodingSchemeDesignator": "99STAFF", "CodingSchemeUID": "2.25.5", "CodeMeaning": "id"}
            ]
        }
    ],
    "DeviceUID": "2.25.900",
    "Manufacturer": "Acme",
    "ManufacturerModelName": "Scan 3",
    "DeviceSerialNumber": "S-17",
    "SoftwareVersions": ["1.2", "R7"],
    "StationName": "CT1",
    "BodyPartExamined": "KNEE",
    "Laterality": "L",
    "ProcedureCodeSequence": [{"CodeValue": "24627-2", "CodingSchemeDesignator": "LN", "CodeMeaning": "CT Chest"}],
    "ReferencedPerformedProcedureStepSequence": [
        {"ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.3", "ReferencedSOPInstanceUID": "2.25.800"}
    ],
    "PerformedProcedureStepStartDate": "20240102",
    "PerformedProcedureStepStartTime": "030405",
    "PerformedProcedureStepEndDate": "20240102",
    "PerformedProcedureStepEndTime": "040506",
    "TimezoneOffsetFromUTC": "+0100",
}


@pytest.fixture(params=["hapi", "r5_hapi"], ids=["r4", "r5"])
def fhir(request: pytest.FixtureRequest) -> FhirServer:
    server: FhirServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def version(fhir: FhirServer) -> str:
    return release(fhir.get("metadata")["fhirVersion"])


@pytest.mark.quick("r4")
def test_each_type_passes_the_servers_validation(fhir: FhirServer, version: str) -> None:
    """RULES B1: `$validate` finds no error in what the mapping makes, nor does our own check."""
    found, said = beside(full_study(), replace(POLICY, **WANTED), version)
    assert tuple(one["resourceType"] for one in found) == WRITTEN[version]
    for one in (*found, said):
        assert (fhir.errors_in(one), problems(one, fhir_version=version)) == ([], ())


@pytest.mark.quick("r4")
def test_a_study_brings_them_and_they_stay_as_they_are(
    install: Install, archive: Archive, fhir: FhirServer, version: str
) -> None:
    """MAPPING J.6, RULES B3: stored whole and valid, the study refers to each, and a second run writes nothing."""
    more = {"SYNCD_POLICY__BODY_STRUCTURE": "true"} if version == "r5" else {}
    site = install(archive, fhir, **SETTINGS, **more)
    study_uid, files = study(f"companions {version}", **TAGS)
    site.send(*files)
    site.wait_stable(study_uid)
    site.syncd.command("resync", expect=0)

    ours = f"_tag=urn:syncd:installation%7C{site.name}"
    stored = {kind: fhir.search(f"{kind}?{ours}&_count=10") for kind in WRITTEN[version]}
    assert {kind: len(found) for kind, found in stored.items()} == dict.fromkeys(WRITTEN[version], 1)
    said = fhir.get(f"ImagingStudy/{study_uid}")
    for kind, [one] in stored.items():
        assert fhir.errors_in(one) == []
        assert f"'{kind}/{one['id']}'" in str(said)
    assert fhir.errors_in(said) == []
    assert [one["value"] for one in stored["Device"][0]["version"]] == ["1.2", "R7"]

    site.before_fhir.forget()
    site.syncd.command("resync", expect=0)
    assert not site.before_fhir.exchanges(method="PUT")
