"""Each write a transaction of one entry, with the same outcome as the write itself (FHIR__WRITES=transaction)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from syncd.errors import Conflict, StudyError, SyncdError, Transient
from syncd.plan.decide import CREATE_ONLY
from syncd.publish.enveloped import EnvelopedHttp
from syncd.publish.http import FhirConnection, FhirHttp
from syncd.publish.server import FhirServer
from tests.fakes.fhir import FakeFhir
from tests.fakes.http import Clock, FakeTransport, Request, Response
from tests.publish.scripted import Scripted, fhir, outcome

PATIENT: dict[str, Any] = {"resourceType": "Patient", "id": "pat-1", "gender": "female"}
STUDY: dict[str, Any] = {
    "resourceType": "ImagingStudy",
    "id": "1.2.3",
    "status": "available",
    "subject": {"reference": "Patient/pat-1"},
}
Told = list[Any]


def _server(kind: type[FhirHttp], fake: Any) -> FhirServer:
    asked = FhirServer(kind(FhirConnection(url=fake.url), transport=FakeTransport(fake)))
    asked.create_form = "if-match-0"
    return asked


def _outcome(step: Callable[[], Any]) -> Any:
    try:
        return step()
    except SyncdError as error:
        return type(error), str(error)


def _story(asked: FhirServer) -> Told:
    """Creations, updates, conflicts, a refusal and a deletion, one after the other."""

    def put(resource: dict[str, Any], version: str, **more: Any) -> Any:
        return _outcome(lambda: asked.put(resource | more, expected_version=version))

    return [
        put(PATIENT, CREATE_ONLY),
        put(PATIENT, CREATE_ONLY),
        put(PATIENT, "1", gender="male"),
        put(PATIENT, "1", gender="other"),
        put(STUDY, CREATE_ONLY),
        put(STUDY, CREATE_ONLY, id="1.2.4", subject={"reference": "Patient/nobody"}),
        put(STUDY, "7"),
        _outcome(lambda: asked.delete("ImagingStudy", "1.2.3", expected_version="1")),
        put(STUDY, "2"),
        asked.read("ImagingStudy", "1.2.3"),
    ]


def test_a_write_in_an_envelope_ends_as_the_write_does() -> None:
    """And nothing that changes the server goes another way."""
    plain, enveloped = FakeFhir(clock=Clock()), FakeFhir(clock=Clock())
    assert _story(_server(EnvelopedHttp, enveloped)) == _story(_server(FhirHttp, plain))
    writes = [one for one in enveloped.requests if one.method != "GET" and not one.path.endswith("/_search")]
    assert {(one.method, one.path) for one in writes} == {("POST", "/fhir")}
    assert [len(json.loads(one.body)["entry"]) for one in writes] == [1] * len(writes)


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match", "If-None-Exist"])
def test_the_conditions_of_a_write_are_those_of_its_entry(header: str) -> None:
    """FHIR R4 Bundle.entry.request; other headers stay the request's."""
    fake = Scripted(fhir({"resourceType": "Bundle", "type": "transaction-response", "entry": [{"response": {}}]}))
    asked = EnvelopedHttp(FhirConnection(url=fake.url), transport=FakeTransport(fake))
    asked.exchange("PUT", "Patient/pat-1", resource=PATIENT, headers={header: "x", "Prefer": "return=minimal"})
    (sent,) = fake.requests
    (entry,) = json.loads(sent.body)["entry"]
    name = {"If-Match": "ifMatch", "If-None-Match": "ifNoneMatch", "If-None-Exist": "ifNoneExist"}[header]
    assert entry["request"] == {"method": "PUT", "url": "Patient/pat-1", name: "x"}
    assert (entry["fullUrl"], entry["resource"]) == (f"{fake.url}/Patient/pat-1", PATIENT)
    assert header.lower() not in sent.headers and sent.headers["prefer"] == "return=minimal"


def test_where_nobody_says_what_became_of_the_entry_it_is_read() -> None:
    """A Bundle without entries, or no Bundle: the write was taken."""
    for body in ({"resourceType": "Bundle", "type": "transaction-response"}, {"resourceType": "OperationOutcome"}):
        there = fhir(PATIENT | {"meta": {"versionId": "4"}})
        asked = _server(EnvelopedHttp, Scripted(fhir(body), there))
        assert asked.put(PATIENT, expected_version="3").version == "4"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (outcome("another version", status=412), Conflict),
        (outcome("no", status=422), StudyError),
        (Response(status=503), Transient),
        (fhir({"resourceType": "Bundle", "entry": [{"response": {"status": "412 Precondition Failed"}}]}), Conflict),
    ],
)
def test_a_refusal_is_that_of_the_write(answer: Response, error: type[SyncdError]) -> None:
    """Of the transaction, or of its entry, as a server answers that takes it for a batch."""
    with pytest.raises(error):
        _server(EnvelopedHttp, Scripted(answer)).put(PATIENT, expected_version="3")


def test_what_several_write_together_is_no_transaction_within_another() -> None:
    """A batch's small studies go as they are."""
    seen: list[Request] = []
    fake = Scripted(fhir({"resourceType": "Bundle", "type": "transaction-response"}))
    fake.rules.append(seen.append)
    _server(EnvelopedHttp, fake).post_transaction({"resourceType": "Bundle", "type": "transaction", "entry": []})
    assert json.loads(seen[0].body) == {"resourceType": "Bundle", "type": "transaction", "entry": []}
