"""Speaking to a DSTU2 server: its media type, its search by UID, its way of comparing versions (MAPPING M, RULES C2, C4)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from syncd.errors import Conflict
from syncd.plan.decide import CREATE_ONLY, Absent
from syncd.publish import sentinel
from syncd.publish.lookups import imaging_studies
from syncd.publish.server import VERSION_IN_BODY, FhirServer
from tests.fakes.fhir import FakeFhir
from tests.fakes.http import Clock
from tests.publish.scripted import Scripted, fhir, server, statement

PATIENT: dict[str, Any] = {"resourceType": "Patient", "id": "p-1", "meta": {"tag": [{"system": "urn:s", "code": "c"}]}}


@pytest.fixture
def fake() -> FakeFhir:
    return FakeFhir("dstu2", clock=Clock())


@pytest.fixture
def asked(fake: FakeFhir) -> FhirServer:
    """Told by its Conformance, and proved."""
    made = server(fake)
    made.capabilities()
    made.create_form = VERSION_IN_BODY
    return made


@pytest.mark.parametrize(
    ("version", "media"),
    [("1.0.2", "application/json+fhir"), ("4.0.1", "application/fhir+json"), ("", "application/fhir+json")],
)
def test_a_server_is_spoken_to_in_its_versions_media_type(version: str, media: str) -> None:
    """MAPPING M: known from the CapabilityStatement on; for that itself both are accepted."""
    fake = Scripted(statement("Patient", version=version), fhir(PATIENT, status=201, ETag='W/"1"'))
    made = server(fake)
    made.capabilities()
    made.put(PATIENT, expected_version=CREATE_ONLY)
    first, second = fake.requests
    assert {"application/fhir+json", "application/json+fhir;q=0.9"} == set(first.headers["accept"].split(", "))
    assert (second.headers["accept"], second.headers["content-type"]) == (media, media)


def test_the_version_goes_into_the_body(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES C2, C4: beside `If-Match`, of creations and updates; what is there already or has moved on is a conflict."""
    assert asked.put(PATIENT, expected_version=CREATE_ONLY).created
    request = fake.requests[-1]
    assert (json.loads(request.body)["meta"]["versionId"], request.headers["if-match"]) == ("0", 'W/"0"')
    assert json.loads(request.body)["meta"]["tag"] == PATIENT["meta"]["tag"]
    assert asked.put({**PATIENT, "gender": "male"}, expected_version="1").version == "2"
    for stale in (CREATE_ONLY, "1"):
        with pytest.raises(Conflict):
            asked.put({**PATIENT, "gender": "female"}, expected_version=stale)
    assert fake.resources("Patient")[0]["gender"] == "male"
    assert "versionId" not in PATIENT["meta"]


def test_no_other_form_puts_a_version_into_the_body() -> None:
    """RULES B1: what is sent to the others stays as it is."""
    for form in ("if-match-0", "if-none-match"):
        fake = FakeFhir(clock=Clock())
        server(fake).put(PATIENT, expected_version=CREATE_ONLY, create_form=form)
        assert json.loads(fake.requests[-1].body) == PATIENT


def test_the_form_is_proved_with_a_basic(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES C2, E3: once, and again after a crash; known by its tag; absent after a reset."""
    known = {"installation_id": "syncd", "fhir_version": "dstu2"}
    for _ in range(2):
        assert sentinel.prove(asked, "syncd-1", **known) == VERSION_IN_BODY
        assert sentinel.present(asked, "syncd-1", **known)
    assert sentinel.find_sentinels(asked, **known) == ("syncd-1",)
    assert [one["id"] for one in fake.resources("Basic")] == ["syncd-1"]
    fake.wipe()
    assert not sentinel.present(asked, "syncd-1", **known)
    assert asked.read("Basic", "syncd-1") == Absent()


def _study(resource_id: str, **elements: Any) -> bytes:
    said = {"resourceType": "ImagingStudy", "id": resource_id, "patient": {"display": "x"}, **elements}
    return json.dumps(said).encode()


def test_studies_are_found_by_id_and_by_uid(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES C2: DSTU2 has no search by identifier; one whose UID is no OID is found by its id alone."""
    odd = [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.003"}]
    for path, body in {
        "1.2.1": _study("1.2.1", uid="urn:oid:1.2.1"),
        "theirs": _study("theirs", uid="urn:oid:1.2.2"),
        "1.2.003": _study("1.2.003", identifier=odd),
    }.items():
        assert fake.handle("PUT", f"/fhir/ImagingStudy/{path}", body=body).status == 201
    fake.requests.clear()
    ids = {uid: uid for uid in ("1.2.1", "1.2.2", "1.2.003", *(f"9.{number}" for number in range(50)))}
    hits = imaging_studies(asked, ids, fhir_version="dstu2")
    assert {uid: found for uid, found in hits.items() if found} == {
        "1.2.1": {"1.2.1"},
        "1.2.2": {"theirs"},
        "1.2.003": {"1.2.003"},
    }
    assert len(fake.requests) == 4
