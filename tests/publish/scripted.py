"""A FHIR server that says what a test wants, and one that behaves like HAPI but for its create-only forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from syncd.publish.http import FhirConnection, FhirHttp
from syncd.publish.server import FhirServer
from tests.fakes.http import Clock, FakeServer, FakeTransport, Request, Response, json_response

JSON = "application/fhir+json;charset=utf-8"


class Scripted(FakeServer):
    """Gives its answers one after the other, the last one for ever."""

    mount = "/fhir"

    def __init__(self, *answers: Response) -> None:
        super().__init__(clock=Clock())
        self._answers = list(answers)

    def answer(self, request: Request) -> Response:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def http(fake: FakeServer, **connection: Any) -> FhirHttp:
    return FhirHttp(FhirConnection(url=fake.url, **connection), transport=FakeTransport(fake))


def server(fake: FakeServer, **connection: Any) -> FhirServer:
    return FhirServer(http(fake, **connection))


def fhir(value: Any, *, status: int = 200, **headers: str) -> Response:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return json_response(value, status=status, headers={"Content-Type": JSON, **named})


def outcome(text: str = "", *, status: int = 400, code: str = "processing", **headers: str) -> Response:
    issue = {"severity": "error", "code": code, "diagnostics": text}
    return fhir({"resourceType": "OperationOutcome", "issue": [issue]}, status=status, **headers)


def bundle(*resources: Mapping[str, Any], next_link: str = "") -> Response:
    links = [{"relation": "self", "url": "x"}]
    if next_link:
        links.append({"relation": "next", "url": next_link})
    entries = [{"resource": one, "search": {"mode": "match"}} for one in resources]
    return fhir({"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries})


def statement(*types: str, version: str = "4.0.1") -> Response:
    rest = [{"mode": "server", "resource": [{"type": one} for one in types]}]
    return fhir({"resourceType": "CapabilityStatement", "fhirVersion": version, "rest": rest, "software": {"name": "X"}})


def paths(fake: FakeServer) -> Iterator[str]:
    return (f"{one.method} {one.path}" for one in fake.requests)
