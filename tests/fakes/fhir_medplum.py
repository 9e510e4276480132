"""Medplum's router over its memory repository, as far as syncd and its tests speak to one: the other kind of server.

`tests/contracts/fhir_unordered.py` holds fake and real to what is otherwise than in HAPI, `fhir_relied.py` to what is the
same. The habits are the content: versions without order, 200 for every PUT, no create-only form, no tombstones, nothing
checked, meta as it was sent. What is not there: transactions' references, patches, graphql.
"""

from __future__ import annotations

import itertools
import json
import re
import uuid
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.fakes.fhir_search import matches
from tests.fakes.fhir_store import TYPES, Key, Resource, instant
from tests.fakes.http import FakeServer, Request, Response

DEFAULT_COUNT = 20
_RESULT_PARAMETERS = frozenset({"_count", "_elements", "_offset"})
_VERSION = re.compile(r'"([^"]+)"')
_OUTCOMES = {200: "ok", 400: "invalid", 404: "not-found", 412: "precondition-failed"}


class FakeMedplum(FakeServer):
    """One FHIR R4 server, mounted at `/fhir/R4` as the real one is."""

    mount = "/fhir/R4"

    def __init__(self, *, clock: Callable[[], float], authorization: str = "") -> None:
        super().__init__(clock=clock, authorization=authorization)
        self._numbers = itertools.count(1)
        self.wipe()

    def wipe(self) -> None:
        """Another, empty server at the same address."""
        self.held: dict[Key, Resource] = {}

    def backup(self) -> dict[Key, Resource]:
        """All of it as it is now."""
        return dict(self.held)

    def restore(self, backup: dict[Key, Resource]) -> None:
        """What was written since the backup never happened."""
        self.held = dict(backup)

    def resources(self, resource_type: str) -> list[Resource]:
        """What is there now, for tests to look at without a request."""
        return [one for (kind, _), one in self.held.items() if kind == resource_type]

    def answer(self, request: Request) -> Response:
        if request.path != self.mount and not request.path.startswith(self.mount + "/"):
            return Response(status=404)
        parts = [part for part in request.path.removeprefix(self.mount).split("/") if part]
        match request.method, parts:
            case "GET", ["metadata"]:
                return self._json(self._statement())
            case "POST", []:
                return self._bundle(request)
            case "GET", [kind]:
                return self._search(kind, request.query)
            case "POST", [kind, "_search"]:
                return self._search(kind, dict(parse_qsl(request.body.decode(), keep_blank_values=True)))
            case "POST", [kind]:
                return self._create(request, kind)
            case "GET", [kind, resource_id]:
                found = self.held.get((kind, resource_id))
                return self._json(found) if found else _outcome(404)
            case "PUT", [kind, resource_id]:
                return self._put((kind, resource_id), request.json, condition=request.headers.get("if-match", ""))
            case "DELETE", [kind, resource_id]:
                return _outcome(200 if self.held.pop((kind, resource_id), None) else 404)
        return _outcome(404)

    def _put(self, key: Key, resource: Resource, *, condition: str) -> Response:
        if (resource.get("resourceType"), resource.get("id")) != key:
            return _outcome(400)
        wanted, current = _VERSION.search(condition), self.held.get(key)
        if wanted and current is None:
            return _outcome(404)
        if wanted and current is not None and current["meta"]["versionId"] != wanted.group(1):
            return _outcome(412)
        return self._json(self._keep(key, resource))

    def _create(self, request: Request, kind: str) -> Response:
        name, _, value = request.headers.get("if-none-exist", "").partition("=")
        existing = [one for one in self.resources(kind) if name and matches(one, name, value, self.url)]
        if existing:
            return self._json(existing[0])
        resource_id = str(uuid.UUID(int=next(self._numbers)))
        kept = self._keep((kind, resource_id), {**request.json, "id": resource_id})
        return self._json(kept, status=201, headers={"Location": f"{self.url}/{kind}/{resource_id}"})

    def _keep(self, key: Key, resource: Resource) -> Resource:
        number = next(self._numbers)
        meta = {name: value for name, value in resource.get("meta", {}).items() if name not in ("versionId", "lastUpdated")}
        # Neither ascending nor descending, as UUIDs are.
        told = {"versionId": str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))), "lastUpdated": instant(self.clock())}
        self.held[key] = {**resource, "meta": {**meta, **told}}
        return self.held[key]

    def _bundle(self, request: Request) -> Response:
        """Each entry for itself, also where it is called a transaction."""
        for entry in request.json.get("entry", ()):
            method, _, path = entry["request"]["method"], "", entry["request"]["url"]
            if method == "PUT":
                kind, _, resource_id = path.partition("/")
                self._put((kind, resource_id), entry["resource"], condition=entry["request"].get("ifMatch", ""))
        return self._json({"resourceType": "Bundle", "type": f"{request.json.get('type')}-response"})

    def _search(self, kind: str, params: Mapping[str, str]) -> Response:
        filters = {name: value for name, value in params.items() if name not in _RESULT_PARAMETERS}
        found = [
            one
            for one in self.resources(kind)
            if all(matches(one, name, value, self.url) for name, value in filters.items())
        ]
        count, offset = int(params.get("_count", DEFAULT_COUNT)), int(params.get("_offset", 0))
        links = [{"relation": "self", "url": self._page(kind, params, offset)}]
        if offset + count < len(found):
            links.append({"relation": "next", "url": self._page(kind, params, offset + count)})
        entries = [{"resource": one} for one in found[offset : offset + count]]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(found), "link": links}
        return self._json(bundle | ({"entry": entries} if entries else {}))

    def _page(self, kind: str, params: Mapping[str, str], offset: int) -> str:
        return f"{self.url}/{kind}?{urlencode({**params, '_offset': str(offset)})}"

    def _statement(self) -> Resource:
        listed = [{"type": one, "versioning": "versioned"} for one in sorted(TYPES)]
        return {
            "resourceType": "CapabilityStatement",
            "fhirVersion": "4.0.1",
            "software": {"name": "medplum"},
            "rest": [{"mode": "server", "resource": listed}],
        }

    def _json(self, value: Resource, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        sent = {"Content-Type": "application/fhir+json; charset=utf-8", **(headers or {})}
        meta: Mapping[str, Any] = value.get("meta", {})
        if meta.get("versionId"):
            sent["ETag"] = f'W/"{meta["versionId"]}"'
            sent["Last-Modified"] = formatdate(self.clock(), usegmt=True)
        return Response(status=status, headers=sent, body=json.dumps(value).encode())


def _outcome(status: int) -> Response:
    severity = "information" if status == 200 else "error"
    issue = {"severity": severity, "code": "processing", "details": {"text": _OUTCOMES[status]}}
    body = {"resourceType": "OperationOutcome", "id": _OUTCOMES[status], "issue": [issue]}
    return Response(
        status=status, headers={"Content-Type": "application/fhir+json; charset=utf-8"}, body=json.dumps(body).encode()
    )
