"""Plain HTTP to a FHIR server under test, by requests alone, with ids that no other test uses."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any, Protocol

import requests

JSON = "application/fhir+json"
NO_CACHE = {"Cache-Control": "no-cache"}
TAG = {"system": "urn:contract", "code": "a"}

Resource = dict[str, Any]


class FhirUnderTest(Protocol):
    """A FHIR server, real or not."""

    @property
    def url(self) -> str:
        """The base URL."""


class FhirClient:
    """One session with a server; `patient` is the id of a Patient that is there, where the server takes ids of ours."""

    def __init__(self, server: FhirUnderTest, *, takes_ids: bool = True) -> None:
        self.url = server.url
        self.root = f"2.25.{uuid.uuid4().int >> 40}"
        self._count = 0
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update({"Accept": JSON})
        self.patient = self.new_id("pat")
        if takes_ids:
            assert self.put({"resourceType": "Patient", "id": self.patient}).status_code in (200, 201)

    def close(self) -> None:
        self._session.close()

    def new_id(self, prefix: str = "") -> str:
        self._count += 1
        return f"{prefix}{'-' if prefix else ''}{self.root}.{self._count}"

    def ask(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> requests.Response:
        """`path` is below the base URL, or a whole URL."""
        url = path if path.startswith("http") else f"{self.url}/{path}" if path else self.url
        data = body if isinstance(body, bytes | str | None) else json.dumps(body)
        sent = {**({"Content-Type": JSON} if body is not None else {}), **(headers or {})}
        return self._session.request(method, url, data=data, headers=sent, timeout=60)

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.ask("GET", path, headers=headers)

    def put(self, resource: Resource, *, if_match: str = "", **headers: str) -> requests.Response:
        condition = {"If-Match": f'W/"{if_match}"'} if if_match else {}
        path = f"{resource['resourceType']}/{resource['id']}"
        return self.ask("PUT", path, body=resource, headers={**condition, **headers})

    def delete(self, path: str, **headers: str) -> requests.Response:
        return self.ask("DELETE", path, headers=headers)

    def search(self, query: str, *, fresh: bool = True) -> Resource:
        answer = self.ask("GET", query, headers=NO_CACHE if fresh else {})
        assert answer.status_code == 200, answer.text[:300]
        bundle: Resource = answer.json()
        return bundle

    def found(self, query: str, *, fresh: bool = True) -> list[str]:
        """The ids on the first page."""
        return [entry["resource"]["id"] for entry in self.search(query, fresh=fresh).get("entry", ())]

    def bundle(self, kind: str, *entries: Resource, **headers: str) -> requests.Response:
        body = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
        return self.ask("POST", "", body=body, headers=headers)

    # -- what is written -----------------------------------------------------------------------------------------

    def study(self, uid: str = "", **elements: Any) -> Resource:
        """An ImagingStudy of the client's patient."""
        uid = uid or self.new_id()
        return {
            "resourceType": "ImagingStudy",
            "id": uid,
            "meta": {"source": "urn:contract", "tag": [TAG]},
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}],
            "status": "available",
            "subject": {"reference": f"Patient/{self.patient}"},
            **elements,
        }

    def stored(self, **elements: Any) -> Resource:
        """An ImagingStudy that is there now."""
        study = self.study(**elements)
        assert self.put(study).status_code in (200, 201)
        return study

    def endpoint(self) -> Resource:
        endpoint = {
            "resourceType": "Endpoint",
            "id": self.new_id("end"),
            "status": "active",
            "connectionType": {
                "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
                "code": "dicom-wado-rs",
            },
            "payloadType": [{"text": "DICOM"}],
            "address": "https://pacs.example/dicom-web",
        }
        assert self.put(endpoint).status_code in (200, 201)
        return endpoint


def version_of(answer: requests.Response) -> str:
    """The version that an answer's ETag names."""
    return answer.headers["ETag"].removeprefix("W/").strip('"')


def diagnostics_of(answer: requests.Response) -> str:
    """The text of an OperationOutcome."""
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome", outcome
    return str(outcome["issue"][0]["diagnostics"])


def put_entry(resource: Resource, *, if_match: str = "") -> Resource:
    """A bundle entry that PUTs."""
    request = {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}
    return {"resource": resource, "request": request | ({"ifMatch": f'W/"{if_match}"'} if if_match else {})}
