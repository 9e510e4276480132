"""Practitioner, Device, Procedure and BodyStructure: golden values per version, fit to be sent (MAPPING J)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncd.mapping.check.check import problems
from syncd.mapping.check.model_libraries import model_faults
from syncd.mapping.dialects.registry import VERSIONS
from syncd.mapping.resources.companions import companions, types, unsayable
from syncd.mapping.resources.device import syncd_device
from tests.mapping.companions import ALL, LOINC, of_type, referring
from tests.mapping.studies import POLICY, SCANNER, STEP, beside, full_study, mapped, series, study

META = {"source": "urn:syncd", "tag": [{"system": "urn:syncd:installation", "code": "syncd"}]}
CHEST = {"coding": [{"system": "http://snomed.info/sct", "code": "816094009", "display": "Chest"}], "text": "CHEST"}
LEFT = {"coding": [{"system": "http://snomed.info/sct", "code": "7771000", "display": "Left"}]}
MODERN = ("r4", "r4b", "r5", "r6")
LATER = ("r5", "r6")

PRAC = "prac-b696c581f5e49b62fa4cc5b3906bc34b8f1d3ecc"
DEV = "dev-512ad3e022bc07753fd92efd309c53ce59ed13a7"
PROC = "proc-7ec4673519e92d40498855cbc042cf2a0831270e"
BS = "bs-71e7fe4381ec047359000ee39ad541d547ecd0cc"


@pytest.mark.parametrize("version", MODERN)
def test_a_practitioner(version: str) -> None:
    """MAPPING J.2, B, C.5: identifier under its scheme's system, the name of C.2."""
    assert of_type("Practitioner", version) == [
        {
            "resourceType": "Practitioner",
            "id": PRAC,
            "meta": META,
            "identifier": [{"system": "urn:oid:2.25.5", "value": "4711"}],
            "name": [{"use": "official", "text": "Ana Ruiz", "family": "Ruiz", "given": ["Ana"]}],
        }
    ]


def test_a_practitioner_of_dstu2() -> None:
    """MAPPING M: one name, whose family name is a list; meta has no source."""
    [said] = of_type("Practitioner", "dstu2")
    assert said["name"] == {"use": "official", "text": "Ana Ruiz", "family": ["Ruiz"], "given": ["Ana"]}
    assert "source" not in said["meta"]
    assert referring("dstu2")["referrer"] == {"reference": f"Practitioner/{PRAC}"}


DEVICES: dict[str, dict[str, Any]] = {
    "r4": {
        "deviceName": [{"name": "Scan 3", "type": "model-name"}, {"name": "CT1", "type": "user-friendly-name"}],
        "version": [{"value": "1.2"}, {"value": "R7"}],
    },
    "r5": {
        "name": [{"value": "Scan 3", "type": "registered-name"}, {"value": "CT1", "type": "user-friendly-name"}],
        "version": [{"value": "1.2"}, {"value": "R7"}],
    },
    "r6": {
        "name": [
            {"value": text, "type": {"coding": [{"system": "http://hl7.org/fhir/device-nametype", "code": kind}]}}
            for text, kind in (("Scan 3", "registered-name"), ("CT1", "user-friendly-name"))
        ],
        "deviceVersion": [{"value": "1.2"}, {"value": "R7"}],
    },
}


@pytest.mark.parametrize("version", MODERN)
def test_a_device(version: str) -> None:
    """MAPPING J.2: `deviceName` in R4, `name` later; R6 codes its type and says `deviceVersion`."""
    [said] = of_type("Device", version)
    assert said == {
        "resourceType": "Device",
        "id": DEV,
        "meta": META,
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.25.900"}],
        "manufacturer": "Acme",
        "serialNumber": "S-17",
        **DEVICES["r4" if version == "r4b" else version],
    }
    performer = referring(version)["series"][0]["performer"][-1]
    assert performer["function"]["coding"][0]["code"] == "DEV"
    assert performer["actor"] == {"reference": f"Device/{said['id']}"}


@pytest.mark.parametrize("version", MODERN)
def test_a_procedure(version: str) -> None:
    """MAPPING J.4: `performedPeriod` in R4, `occurrencePeriod` later; referred to by three names."""
    [said] = of_type("Procedure", version)
    when = "performedPeriod" if version in ("r4", "r4b") else "occurrencePeriod"
    assert said == {
        "resourceType": "Procedure",
        "id": PROC,
        "meta": META,
        "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:2.25.800"}],
        "status": "completed",
        "code": LOINC,
        "subject": {"reference": "Patient/p-1"},
        when: {"start": "2026-03-01T09:15:00+01:00", "end": "2026-03-01T09:40:00+01:00"},
    }
    study = referring(version)
    reference = {"reference": f"Procedure/{said['id']}"}
    if version in ("r4", "r4b"):
        assert study["procedureReference"] == reference
        assert study["procedureCode"] == [LOINC]
    else:
        assert study["partOf" if version == "r5" else "procedure"] == [reference]
    assert ("partOf" in study) == (version == "r5")


def test_a_procedure_of_dstu2_needs_an_end_and_a_code() -> None:
    """MAPPING M: its status knows no `unknown`, and `code` is required."""
    [said] = of_type("Procedure", "dstu2")
    assert (said["status"], said["code"]) == ("completed", LOINC)
    assert referring("dstu2")["procedure"] == [{"reference": f"Procedure/{said['id']}"}]
    for step in (replace(STEP, ended=None), replace(STEP, description="")):
        snapshot = study(series=(series(performed_step=step),))
        assert bool(of_type("Procedure", "dstu2", snapshot)) is (step.ended is not None and bool(step.description))
        assert "procedure" not in referring("dstu2", snapshot)


@pytest.mark.parametrize("version", LATER)
def test_a_body_structure(version: str) -> None:
    """MAPPING J.7: site and side together, referred to by `series.bodySite`."""
    [said] = of_type("BodyStructure", version)
    assert said == {
        "resourceType": "BodyStructure",
        "id": BS,
        "meta": META,
        "includedStructure": [{"structure": CHEST, "laterality": LEFT}],
        "patient": {"reference": "Patient/p-1"},
    }
    site = referring(version)["series"][0]["bodySite"]
    site = site if version == "r5" else site[0]
    assert site["reference"] == {"reference": f"BodyStructure/{said['id']}"}
    assert site["concept"]["coding"] == CHEST["coding"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_companion_is_fit_to_be_sent(version: str) -> None:
    """RULES B1: by our own tables, by fhirclient and by fhir.resources."""
    found, said = beside(full_study(), ALL, version)
    assert [problems(one, fhir_version=version) for one in (*found, said)] == [()] * (len(found) + 1)
    kinds = [one["resourceType"] for one in found]
    expected = {"dstu2": ["Practitioner", "Procedure"], "r5": None, "r6": None}.get(
        version, ["Device", "Practitioner", "Procedure"]
    )
    assert kinds == (expected or ["Device", "Practitioner", "Procedure", "BodyStructure"])


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_wanted_by_default(version: str) -> None:
    """MAPPING J: off or logical by default."""
    assert types(POLICY) == ()
    found, said = beside(full_study(), POLICY, version)
    assert found == []
    assert said == mapped(full_study(), dialect=version)


BROKEN: list[tuple[str, str, dict[str, Any], str]] = [
    ("r4", "Device", {"deviceName": [{"name": "x", "type": "registered-name"}]}, "must be one of"),
    ("r5", "Device", {"name": [{"value": "x", "type": "model-name"}]}, "must be one of"),
    ("r6", "Device", {"version": [{"value": "1"}]}, "does not define"),
    ("r6", "Device", {"name": [{"value": "x", "type": "registered-name"}]}, "must be an object"),
    ("r4", "Procedure", {"status": "done"}, "must be one of"),
    ("r5", "Procedure", {"performedPeriod": {"start": "2026"}}, "does not define"),
    ("dstu2", "Procedure", {"status": "unknown"}, "must be one of"),
    ("r4", "Procedure", {"performedPeriod": {"start": "2026-03-02", "end": "2026-03-01"}}, "not before it"),
    ("r6", "Procedure", {"occurrencePeriod": {"start": "2026-03-02T00:00:00Z", "end": "2026-03-02"}}, "comparable"),
    ("r6", "BodyStructure", {"includedStructure": []}, "must not be empty"),
    ("r5", "BodyStructure", {"patient": {"reference": "Device/x"}}, "not allowed here"),
    ("r6", "Practitioner", {"name": {"text": "x"}}, "must be a list"),
    ("dstu2", "Practitioner", {"name": [{"text": "x"}]}, "must be an object"),
]


@pytest.mark.parametrize(("version", "resource_type", "change", "fault"), BROKEN)
def test_a_broken_companion_is_told(version: str, resource_type: str, change: dict[str, Any], fault: str) -> None:
    """RULES B1: what the libraries let pass, and what no library checks."""
    [sound] = of_type(resource_type, version)
    assert any(fault in one for one in problems({**sound, **change}, fhir_version=version))


@pytest.mark.parametrize("version", ["r4", "r4b", "r5"])
def test_the_libraries_check_each_type(version: str) -> None:
    """RULES B1: an element that FHIR does not define."""
    for sound in beside(full_study(), ALL, version)[0]:
        assert model_faults({**sound, "colour": "red"}, fhir_version=version)


def test_a_type_that_the_version_has_not_is_not_written() -> None:
    """MAPPING J.7, M: BodyStructure in R5 and R6 only, no Device in DSTU2."""
    assert {version: unsayable(ALL, fhir_version=version) for version in VERSIONS} == {
        "dstu2": ("Device", "BodyStructure"),
        "r4": ("BodyStructure",),
        "r4b": ("BodyStructure",),
        "r5": (),
        "r6": (),
    }


def test_series_that_cannot_be_said_lead_to_nothing() -> None:
    """MAPPING A.2: no Device that nothing refers to."""
    snapshot = study(series=(series(), series(uid="not an id", equipment=SCANNER, performed_step=STEP)))
    assert companions(snapshot, subject={"reference": "Patient/p"}, policy=ALL, fhir_version="r4") == ()


@pytest.mark.parametrize("version", VERSIONS)
def test_syncd_itself_is_a_device(version: str) -> None:
    """MAPPING J.2: one Device per installation, the agent of what it did; DSTU2 has no form for it."""
    said = syncd_device(ALL, version="1.0", fhir_version=version)
    if version == "dstu2":
        assert said is None
        return
    assert said is not None and problems(said, fhir_version=version) == ()
    assert said["identifier"] == [{"system": "urn:syncd:installation", "value": "syncd"}]
    other = syncd_device(replace(ALL, installation_id="siteb"), version="1.0", fhir_version=version)
    assert other is not None and other["id"] != said["id"]
