"""Provenance and the Device of its agent, as each FHIR version says them (MAPPING J.2, J.5)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from syncd.mapping.check.check import problems
from syncd.mapping.policy import ArchivePolicy, MappingPolicy
from syncd.mapping.resources.patient import replaced_patient
from syncd.mapping.resources.provenance import device, device_id, provenance, writes_provenance
from syncd.model.ids import ArchiveName
from syncd.model.provenance import Occasion, OwedProvenance

Json = dict[str, Any]

WRITTEN = ("r4", "r4b", "r5", "r6")
POLICY = MappingPolicy(archive=ArchivePolicy(name=ArchiveName("main")), endpoint_prefix="siteb-")
META = {"source": "urn:syncd", "tag": [{"system": "urn:syncd:installation", "code": "syncd"}]}
OWED = OwedProvenance(
    provenance_id="prov-1",
    study_uid="1.2.276.1",
    resource_id="1.2.276.1",
    version="3",
    occasion=Occasion.SUBJECT,
    recorded=1_700_000_000.25,
)


def made(version: str, occasion: Occasion = Occasion.SUBJECT, *, with_device: bool = True, **owed: Any) -> Json:
    debt = OwedProvenance(**{**_values(), "occasion": occasion, **owed})
    return provenance(debt, policy=POLICY, with_device=with_device, fhir_version=version)


def _values() -> Json:
    return {name: getattr(OWED, name) for name in OwedProvenance.__slots__}


def golden(system: str, code: str) -> Json:
    role = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
    return {
        "resourceType": "Provenance",
        "id": "prov-1",
        "meta": META,
        "target": [{"reference": "ImagingStudy/1.2.276.1/_history/3"}],
        "recorded": "2023-11-14T22:13:20.250Z",
        "activity": {"coding": [{"system": system, "code": code}]},
        "agent": [
            {
                "type": {"coding": [{"system": role, "code": "assembler"}]},
                "who": {"reference": f"Device/{device_id(POLICY)}", "type": "Device"},
            },
            {
                "type": {"coding": [{"system": role, "code": "author"}]},
                "who": {"type": "Device", "display": "DICOM archive main"},
            },
        ],
        "entity": [
            {
                "role": "source",
                "what": {
                    "type": "ImagingStudy",
                    "identifier": {"system": "urn:dicom:uid", "value": "urn:oid:1.2.276.1"},
                },
            }
        ],
    }


OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"


@pytest.mark.parametrize(
    ("version", "system", "code"),
    [
        ("r4", OPERATION, "UPDATE"),
        ("r4b", OPERATION, "UPDATE"),
        ("r5", LIFECYCLE, "amend"),
        ("r6", LIFECYCLE, "amend"),
    ],
)
def test_the_whole_provenance(version: str, system: str, code: str) -> None:
    """MAPPING J.5, golden."""
    assert made(version) == golden(system, code)


@pytest.mark.parametrize(
    ("occasion", "early", "late", "role"),
    [
        (Occasion.CREATED, "CREATE", "originate", "source"),
        (Occasion.UPDATED, "UPDATE", "amend", "source"),
        (Occasion.SUBJECT, "UPDATE", "amend", "source"),
        (Occasion.REPLACED, "UPDATE", "amend", "source"),
        (Occasion.RETRACTED, "DELETE", "deprecate", "removal"),
    ],
)
@pytest.mark.parametrize("version", WRITTEN)
def test_the_occasion_gives_activity_and_role(version: str, occasion: Occasion, early: str, late: str, role: str) -> None:
    """MAPPING J.5: v3-DataOperation, and iso-21089-lifecycle from R5 on."""
    said = made(version, occasion)
    assert said["activity"]["coding"][0]["code"] == (early if version in ("r4", "r4b") else late)
    assert [one["role"] for one in said["entity"]] == [role]


@pytest.mark.parametrize("with_device", [True, False])
@pytest.mark.parametrize("occasion", Occasion)
@pytest.mark.parametrize("version", WRITTEN)
def test_what_is_made_may_be_sent(version: str, occasion: Occasion, with_device: bool) -> None:
    """RULES B1: tables and model libraries agree, in every version that has it."""
    assert problems(made(version, occasion, with_device=with_device), fhir_version=version) == ()
    assert problems(device(POLICY, fhir_version=version), fhir_version=version) == ()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("recorded",), "2023-11-14"),
        (("recorded",), "2023-11-14T22:13:20"),
        (("entity", 0, "role"), "derived"),
        (("entity", 0, "what"), {}),
        (("agent",), []),
        (("agent", 0, "who"), {"reference": "ImagingStudy/1"}),
        (("target",), []),
        (("activity", "coding", 0), {"code": "amend"}),
    ],
)
@pytest.mark.parametrize("version", WRITTEN)
def test_what_is_wrong_is_found(version: str, path: tuple[str | int, ...], value: Any) -> None:
    """RULES B1: also where a model library lets it pass."""
    broken = copy.deepcopy(made(version))
    inner: Any = broken
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    assert problems(broken, fhir_version=version)


def test_the_device_has_another_name_in_each_version() -> None:
    """MAPPING J.2: the installation itself; no software version, so that an upgrade rewrites nothing."""
    said = {version: device(POLICY, fhir_version=version) for version in WRITTEN}
    assert {one["id"] for one in said.values()} == {device_id(POLICY)}
    assert said["r4"]["deviceName"] == [{"name": "syncd", "type": "user-friendly-name"}]
    assert said["r5"]["name"] == [{"value": "syncd", "type": "user-friendly-name"}]
    assert not [one for one in said.values() if "version" in one or "deviceVersion" in one]


def test_a_study_that_replaces_others_names_them_alone() -> None:
    """MAPPING I case 39: entity source A; what is no UID is no OID."""
    said = made("r4", Occasion.REPLACED, sources=("1.2.3", "abc"))
    assert [one["what"]["identifier"]["value"] for one in said["entity"]] == ["urn:oid:1.2.3", "abc"]


def test_dstu2_has_none() -> None:
    """MAPPING J.5, M: its Provenance is another one."""
    assert [version for version in ("dstu2", *WRITTEN) if writes_provenance(version)] == list(WRITTEN)


@pytest.mark.parametrize(
    ("version", "kind"),
    [("dstu2", "replace"), ("r4", "replaced-by"), ("r4b", "replaced-by"), ("r5", "replaced-by"), ("r6", "replaced-by")],
)
def test_a_patient_that_gave_way_leads_on(version: str, kind: str) -> None:
    """RULES B4: `active=false` and the link; nothing else of it is lost, and what the server added is not sent back."""
    held = {
        "resourceType": "Patient",
        "id": "pat-1",
        "meta": {"versionId": "4"},
        "text": {"status": "generated", "div": "<div/>"},
        "gender": "female",
    }
    said = replaced_patient(held, by="Patient/his-1", policy=POLICY, fhir_version=version)
    assert said == {
        "resourceType": "Patient",
        "id": "pat-1",
        "meta": META if version != "dstu2" else {"tag": META["tag"]},
        "gender": "female",
        "active": False,
        "link": [{"other": {"reference": "Patient/his-1"}, "type": kind}],
    }
    assert problems(said, fhir_version=version) == ()
