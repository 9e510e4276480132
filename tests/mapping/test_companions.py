"""Practitioner, Device, Procedure and BodyStructure: golden values per version, and who gets none (MAPPING J)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncd.mapping.check import problems
from syncd.mapping.companions import companions, types, unsayable
from syncd.mapping.device import device_id, syncd_device
from syncd.mapping.dialects import VERSIONS
from syncd.mapping.models import model_faults
from syncd.mapping.notes import notes
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.procedure import period
from syncd.model.snapshot import Code, Equipment, Moment, PerformedStep, Person
from tests.mapping.studies import (
    COLLEAGUE,
    POLICY,
    SCANNER,
    STEP,
    WANTED,
    beside,
    full_study,
    mapped,
    person,
    series,
    study,
)

ALL = replace(POLICY, **WANTED)
META = {"source": "urn:syncd", "tag": [{"system": "urn:syncd:installation", "code": "syncd"}]}
LOINC = {"coding": [{"system": "http://loinc.org", "code": "24627-2", "display": "CT Chest"}], "text": "CT Chest"}
CHEST = {"coding": [{"system": "http://snomed.info/sct", "code": "816094009", "display": "Chest"}], "text": "CHEST"}
LEFT = {"coding": [{"system": "http://snomed.info/sct", "code": "7771000", "display": "Left"}]}
MODERN = ("r4", "r4b", "r5", "r6")
LATER = ("r5", "r6")

PRAC = "prac-b696c581f5e49b62fa4cc5b3906bc34b8f1d3ecc"
DEV = "dev-512ad3e022bc07753fd92efd309c53ce59ed13a7"
PROC = "proc-7ec4673519e92d40498855cbc042cf2a0831270e"
BS = "bs-71e7fe4381ec047359000ee39ad541d547ecd0cc"


def of_type(resource_type: str, version: str, snapshot: Any = None, policy: MappingPolicy = ALL) -> list[dict[str, Any]]:
    found, _ = beside(snapshot or full_study(), policy, version)
    return [one for one in found if one["resourceType"] == resource_type]


def referring(version: str, snapshot: Any = None, policy: MappingPolicy = ALL) -> dict[str, Any]:
    return beside(snapshot or full_study(), policy, version)[1]


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


WITHOUT_SYSTEM = Code(value="4711", scheme="99STAFF")


@pytest.mark.parametrize("who", [person("Ruiz"), person("Ruiz", identifiers=(WITHOUT_SYSTEM,))], ids=["name", "code"])
def test_a_name_alone_is_no_practitioner(who: Person) -> None:
    """MAPPING J.2: only an identifier that has a system; else `{display}`."""
    snapshot = study(referrer=who)
    assert of_type("Practitioner", "r4", snapshot) == []
    assert referring("r4", snapshot)["referrer"] == {"display": "Ruiz"}


def test_one_person_in_two_places_is_one_practitioner() -> None:
    """MAPPING J.2: deterministic by identifier; the first name is shown."""
    snapshot = study(
        referrer=person("Ruiz", "Ana", identifiers=(COLLEAGUE,)),
        series=(series(operators=(person("RUIZ A", identifiers=(COLLEAGUE,)),)),),
    )
    [said] = of_type("Practitioner", "r4", snapshot)
    assert said["name"][0]["family"] == "Ruiz"
    performer = referring("r4", snapshot)["series"][0]["performer"][0]
    assert performer["actor"] == {"reference": f"Practitioner/{said['id']}"}


SAME = Equipment(manufacturer="Acme", model="Scan 3", serial="S-17")
IDENTITIES: list[tuple[Equipment, Equipment, bool]] = [
    (SAME, replace(SAME, station="CT1", versions=("2",)), True),
    (SAME, replace(SAME, serial="S-18"), False),
    (SAME, replace(SAME, uid="2.25.900"), False),
    (replace(SAME, uid="2.25.900"), Equipment(uid="2.25.900"), True),
    (SAME, replace(SAME, uid="1.02.3"), True),
]


@pytest.mark.parametrize(("one", "other", "equal"), IDENTITIES)
def test_a_device_is_who_it_is_by_uid_or_serial_number(one: Equipment, other: Equipment, equal: bool) -> None:
    """MAPPING J.2: (0018,1002), else (0008,0070)+(0008,1090)+(0018,1000); what is no OID is no UID of a device."""
    assert (device_id(one) == device_id(other)) is equal
    assert device_id(one).startswith("dev-") and len(device_id(one)) == 44


@pytest.mark.parametrize("missing", ["manufacturer", "model", "serial"])
def test_equipment_that_cannot_be_told_from_others_is_words(missing: str) -> None:
    """MAPPING J.2: two scanners of one model must not become one."""
    snapshot = study(series=(series(equipment=replace(SAME, **{missing: ""})),))
    assert of_type("Device", "r4", snapshot) == []
    [performer] = referring("r4", snapshot)["series"][0]["performer"]
    assert performer["actor"] == {"display": {"manufacturer": "Scan 3", "model": "Acme", "serial": "Acme Scan 3"}[missing]}
    assert [note.rule for note in notes(snapshot, policy=ALL) if note.tag == "0018,1000"] == ["J.2"]


def at(date: str, time: str = "", offset: str = "+00:00") -> Moment:
    return Moment(date=date, time=time, offset=offset if time else "")


PERIODS: list[tuple[Moment | None, Moment | None, dict[str, str]]] = [
    (None, None, {}),
    (at("2026-03-01"), None, {"start": "2026-03-01"}),
    (None, at("2026-03-01"), {"end": "2026-03-01"}),
    (at("2026-03-01", "09:00:00"), at("2026-03-01"), {"start": "2026-03-01", "end": "2026-03-01"}),
    (at("2026-03-01"), at("2026-03-02", "01:00:00"), {"start": "2026-03-01", "end": "2026-03-02"}),
    (at("2026-03"), at("2026-03-02"), {"start": "2026-03", "end": "2026-03"}),
    (at("2026-03-02"), at("2026-03-01"), {"start": "2026-03-02"}),
    (at("2026-03-01", "09:00:00"), at("2026-03-01", "08:59:59"), {"start": "2026-03-01T09:00:00+00:00"}),
    (
        at("2026-03-01", "09:00:00", "+01:00"),
        at("2026-03-01", "08:30:00", "+00:00"),
        {"start": "2026-03-01T09:00:00+01:00", "end": "2026-03-01T08:30:00+00:00"},
    ),
]


@pytest.mark.parametrize(("started", "ended", "said"), PERIODS)
def test_a_period_is_said_in_one_precision_and_in_order(
    started: Moment | None, ended: Moment | None, said: dict[str, str]
) -> None:
    """MAPPING J.4, C.1: FHIR's per-1 refuses an end that lies before its start, or cannot be compared with it."""
    step = PerformedStep(uids=("2.25.1",), started=started, ended=ended)
    assert period(step, timezone="") == said
    [procedure] = of_type("Procedure", "r4", study(series=(series(performed_step=step),)))
    assert procedure["status"] == ("completed" if "end" in said else "unknown")
    noted = [note.tag for note in notes(study(series=(series(performed_step=step),)), policy=ALL) if note.rule == "J.4"]
    assert noted == (["0040,0250"] if ended and "end" not in said else [])


def test_each_step_is_a_procedure_and_the_study_one_only_without_steps() -> None:
    """MAPPING J.4: `proc-` and the step's UID, else the study's; only with (0008,1111) or (0008,1032)."""
    steps = tuple(series(uid=f"2.25.{n}", performed_step=replace(STEP, uids=(f"2.25.80{n % 2}",))) for n in range(1, 4))
    found = of_type("Procedure", "r5", study(series=steps))
    assert [one["identifier"][0]["value"] for one in found] == ["urn:oid:2.25.801", "urn:oid:2.25.800"]
    assert [one["code"] for one in found] == [{"text": "CT chest"}] * 2
    assert len(referring("r5", study(series=steps))["partOf"]) == 2
    assert referring("r4", study(series=steps))["procedureReference"]["reference"] == f"Procedure/{found[0]['id']}"

    coded = study(procedure_codes=(Code(value="24627-2", scheme="LN", meaning="CT Chest"),))
    [whole] = of_type("Procedure", "r5", coded)
    assert "identifier" not in whole
    assert (whole["status"], whole["code"]) == ("unknown", LOINC)
    assert of_type("Procedure", "r5", study(procedure_text="words")) == []


def test_a_step_whose_uid_is_none_is_noted() -> None:
    """MAPPING J.4, RULES S1: rule and tag, never the value."""
    snapshot = study(series=(series(performed_step=PerformedStep(uids=("secret",))),))
    assert of_type("Procedure", "r4", snapshot) == []
    [note] = [one for one in notes(snapshot, policy=ALL) if one.rule == "J.4"]
    assert note.tag == "0008,1111" and "secret" not in note.done
    assert [one for one in notes(snapshot, policy=POLICY) if one.rule == "J.4"] == []


def test_another_patients_left_chest_is_another_body_structure() -> None:
    """MAPPING J.7: by patient, site and side."""
    ids = {
        of_type("BodyStructure", "r5", replace(full_study(), **changed))[0]["id"]
        for changed in (
            {},
            {"patient": replace(full_study().patient, ids=())},
            {"series": (replace(full_study().series[0], laterality="R"),)},
            {"series": (replace(full_study().series[0], body_part="ABDOMEN"),)},
        )
    }
    assert len(ids) == 4
    assert of_type("BodyStructure", "r5", study(series=(series(body_part="CHEST"),))) == []


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
