"""A HAPI FHIR server in memory, as far as syncd and its tests speak to one.

Every answer was taken from HAPI 8.8.0 (R4), and `tests/contracts/fhir_contract.py` holds fake and real to it; so does
`fhir_dstu2.py` there for what is otherwise in DSTU2. What is not there: `$validate` and every check of content but
required codes, `started` and indexed references; unknown elements, which HAPI drops; XML; searches other than by id, token,
reference and `_lastUpdated`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from tests.fakes import fhir_dstu2
from tests.fakes.fhir_bundles import Bundles, conditional, etag_version, outcome_of, refusal_of
from tests.fakes.fhir_search import Searches, subset
from tests.fakes.fhir_store import (
    CODES,
    TYPES,
    Key,
    Outcome,
    Refusal,
    Resource,
    Store,
    Version,
    check_shape,
    instant,
    unreadable,
)
from tests.fakes.http import FakeServer, Request, Response

JSON = "application/fhir+json;charset=utf-8"
FHIR_VERSIONS = {"dstu2": "1.0.2", "stu3": "3.0.2", "r4": "4.0.1", "r4b": "4.3.0", "r5": "5.0.0"}


class FakeFhir(FakeServer):
    """One FHIR server, mounted at `/fhir` as the real one is."""

    mount = "/fhir"

    def __init__(
        self, version: str = "r4", *, clock: Callable[[], float], authorization: str = "", refuses_ids: int = 0
    ) -> None:
        """`refuses_ids`: the status by which a PUT to an id that is not there is refused, for servers that insist on ids of
        their own. HAPI, told to, says 404 (`tests/contracts/fhir_ids.py` holds the fake to that) and still brings back what
        was deleted; FHIR R4 3.1.0.4.1 says 405; 405, 400 and 422 stand for servers that are stricter than HAPI can be."""
        super().__init__(clock=clock, authorization=authorization)
        self.refuses_ids = refuses_ids
        self.says_ids: bool | None = None
        """What the CapabilityStatement says of `updateCreate`; HAPI says nothing."""
        self.version = version
        self.types = set(fhir_dstu2.TYPES if version == "dstu2" else TYPES)
        self.wipe()

    # -- what happens to a server --------------------------------------------------------------------------------

    def wipe(self) -> None:
        """Another, empty server at the same address."""
        self.store = Store(clock=self.clock, base_url=lambda: self.url, keeps_source=self.version != "dstu2")
        self._searches = Searches(self.store, clock=self.clock, base_url=lambda: self.url, dstu2=self.version == "dstu2")
        self._bundles = Bundles(self.store, self._searches)

    def backup(self) -> dict[Key, tuple[Version, ...]]:
        """All versions as they are now."""
        return self.store.snapshot()

    def restore(self, backup: dict[Key, tuple[Version, ...]]) -> None:
        """What was written since the backup never happened."""
        self.store.versions = dict(backup)
        self._searches.forget()

    def resources(self, resource_type: str) -> list[Resource]:
        """What is there now, for tests to look at without a request."""
        return list(self.store.living(resource_type))

    # -- HTTP ----------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Response:
        if request.path != self.mount and not request.path.startswith(self.mount + "/"):
            return Response(status=404)
        parts = [part for part in request.path.removeprefix(self.mount).split("/") if part]
        try:
            response = self._route(request, parts)
        except Refusal as refusal:
            headers = {"Location": refusal.location} if refusal.location else {}
            return self._json(refusal_of(refusal), status=refusal.status, headers=headers)
        written = request.method in ("PUT", "POST") and parts and not parts[-1].startswith(("_", "$"))
        if "return=minimal" in request.headers.get("prefer", "") and written:
            headers = {name: value for name, value in response.headers.items() if name != "Content-Type"}
            return Response(status=response.status, headers=headers)
        return response

    def _route(self, request: Request, parts: list[str]) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        if parts == ["metadata"]:
            return self._json(self._capabilities())
        if not parts:
            return self._root(request, method)
        if parts[0] not in self.types:
            raise Refusal(404, f"HAPI-0302: Unknown resource type '{parts[0]}' - Server knows how to handle: ImagingStudy")
        match method, parts[1:]:
            case "GET", []:
                return self._search(request, parts[0], request.query)
            case "POST", ["_search"]:
                form = dict(parse_qsl(_body(request).decode(), keep_blank_values=True))
                return self._search(request, parts[0], {**request.query, **form})
            case "POST", []:
                return self._create(request, parts[0])
            case "PUT", []:
                return self._conditional_put(request, parts[0])
            case "GET", [resource_id]:
                return self._read(request, (parts[0], resource_id))
            case "GET", [resource_id, "_history"]:
                return self._history((parts[0], resource_id))
            case "GET", [resource_id, "_history", number]:
                return self._read(request, (parts[0], resource_id), number)
            case "PUT", [resource_id]:
                return self._put(request, (parts[0], resource_id))
            case "DELETE", [resource_id]:
                return self._delete((parts[0], resource_id))
            case "POST", [resource_id, "$meta-delete"]:
                meta = self._parsed(request)["parameter"][0]["valueMeta"]
                version = self.store.remove_meta((parts[0], resource_id), meta)
                assert version.resource is not None
                return self._json({"resourceType": "Parameters", "parameter": [{"name": "return"}]})
        raise Refusal(404, f"Invalid request: this server does not know how to handle {method}[{'/'.join(parts)}]")

    def _root(self, request: Request, method: str) -> Response:
        if method == "GET" and "_getpages" in request.query:
            return self._json(self._searches.page(request.query))
        if method != "POST":
            raise Refusal(400, "Invalid request: this server does not know how to handle that on its root")
        bundle = check_shape(self._parsed(request), "Bundle")
        representation = "return=representation" in request.headers.get("prefer", "")
        return self._json(self._bundles.process(bundle, representation=representation))

    def _search(self, request: Request, resource_type: str, params: Any) -> Response:
        fresh = "no-cache" in request.headers.get("cache-control", "")
        via = request.path.removeprefix(self.mount + "/")
        bundle, hit = self._searches.search(resource_type, params, fresh=fresh, via=via)
        headers = {"Last-Modified": formatdate(self.clock(), usegmt=True)}
        return self._json(bundle, headers=headers | ({"X-Cache": f"HIT from {self.url}"} if hit else {}))

    def _read(self, request: Request, key: Key, number: str = "") -> Response:
        version = self.store.read(key, number)
        assert version.resource is not None
        elements = request.query.get("_elements", "")
        shown = subset(version.resource, elements.split(",")) if elements else version.resource
        return self._json(shown, headers=self._headers(key, version))

    def _history(self, key: Key) -> Response:
        if key not in self.store.versions:
            raise Refusal(404, f"HAPI-2001: Resource {'/'.join(key)} is not known")
        entries: list[Resource] = []
        for version in reversed(self.store.versions[key]):
            entry: dict[str, Any] = {"fullUrl": f"{self.url}/{'/'.join(key)}"}
            if version.resource is not None:
                entry["resource"] = version.resource
            entry["request"] = {"method": version.method, "url": f"{'/'.join(key)}/_history/{version.number}"}
            status = "201 Created" if version.method == "POST" else "200 OK"
            entry["response"] = {"status": status, "etag": f'W/"{version.number}"'}
            entries.append(entry)
        bundle = {"resourceType": "Bundle", "type": "history", "total": len(entries), "entry": entries}
        return self._json(bundle)

    def _fitting(self, request: Request, resource_type: str) -> Resource:
        """The body; DSTU2 takes unknown codes."""
        return check_shape(self._parsed(request), resource_type, codes={} if self.version == "dstu2" else CODES)

    def _put(self, request: Request, key: Key) -> Response:
        resource = self._fitting(request, key[0])
        before = self.store.versions.get(key)
        current = self.store.current(key)
        gone = current is not None and current.resource is None
        if self.refuses_ids and (current is None or (gone and self.refuses_ids != 404)):
            raise Refusal(
                self.refuses_ids,
                f"HAPI-0959: No resource exists on this server resource with ID[{key[1]}], and client-assigned IDs are not"
                " enabled.",
            )
        expected = etag_version(request.headers.get("if-match", ""))
        if self.version == "dstu2":
            expected = str(resource.get("meta", {}).get("versionId", ""))
        outcome = self.store.put(key, resource, if_match=expected)
        return self._checked(request, key, outcome, before)

    def _conditional_put(self, request: Request, resource_type: str) -> Response:
        if len(request.query) != 1:
            raise Refusal(400, "HAPI-0419: Can not update resource without an ID or one condition")
        resource = self._fitting(request, resource_type)
        [(name, value)] = request.query.items()
        existing = conditional(self._searches, resource_type, f"{name}={value}")
        if existing is None:
            outcome = self.store.create(resource)
            return self._checked(request, (resource_type, outcome.resource["id"]), outcome, None)
        key = (resource_type, existing)
        before = self.store.versions.get(key)
        return self._checked(request, key, self.store.put(key, {**resource, "id": existing}), before)

    def _create(self, request: Request, resource_type: str) -> Response:
        resource = self._fitting(request, resource_type)
        condition = request.headers.get("if-none-exist", "")
        existing = conditional(self._searches, resource_type, condition) if condition else None
        if existing is not None:
            key = (resource_type, existing)
            version = self.store.read(key)
            assert version.resource is not None
            return self._json(version.resource, headers=self._headers(key, version, created=True))
        outcome = self.store.create(resource)
        return self._checked(request, (resource_type, outcome.resource["id"]), outcome, None, located=True)

    def _checked(
        self, request: Request, key: Key, outcome: Outcome, before: tuple[Version, ...] | None, *, located: bool = False
    ) -> Response:
        """The answer to a write, which is taken back if a reference leads nowhere."""
        try:
            self.store.check_references(outcome.resource)
        except Refusal:
            if before is None:
                del self.store.versions[key]
            else:
                self.store.versions[key] = before
            raise
        headers = self._headers(key, outcome.version, created=located)
        if "return=OperationOutcome" in request.headers.get("prefer", ""):
            return self._json(outcome_of(outcome.code, "Written"), status=outcome.status, headers=headers)
        return self._json(outcome.resource, status=outcome.status, headers=headers)

    def _delete(self, key: Key) -> Response:
        version, code = self.store.delete(key)
        location = f"{self.url}/{'/'.join(key)}" + (f"/_history/{version.number}" if version else "")
        return self._json(outcome_of(code, "Delete"), headers={"Content-Location": location})

    def _headers(self, key: Key, version: Version, *, created: bool = False) -> dict[str, str]:
        location = f"{self.url}/{'/'.join(key)}/_history/{version.number}"
        headers = {"ETag": f'W/"{version.number}"', "Content-Location": location}
        headers["Last-Modified"] = formatdate(version.moment, usegmt=True)
        return headers | ({"Location": location} if created else {})

    def _parsed(self, request: Request) -> Any:
        content_type = request.headers.get("content-type", "application/fhir+json")
        if "json" not in content_type:
            raise Refusal(400, f'HAPI-0449: Incorrect Content-Type header value of "{content_type}" was provided')
        try:
            return json.loads(_body(request))
        except ValueError as error:
            raise unreadable("HAPI-1861: Failed to parse JSON encoded FHIR content") from error

    def _capabilities(self) -> Resource:
        kind = "Conformance" if self.version == "dstu2" else "CapabilityStatement"
        # Update as create works, and is not declared.
        listed = [
            {"type": one, "versioning": "versioned-update", "conditionalCreate": True, "conditionalUpdate": True}
            for one in sorted(self.types)
        ]
        if self.says_ids is not None:
            listed = [{**one, "updateCreate": self.says_ids} for one in listed]
        rest = {"mode": "server", "resource": listed, "interaction": [{"code": "transaction"}]}
        return {
            "resourceType": kind,
            "status": "active",
            "date": instant(self.clock()),
            "kind": "instance",
            "software": {"name": "HAPI FHIR Server", "version": "8.8.0"},
            "fhirVersion": FHIR_VERSIONS[self.version],
            "format": ["application/fhir+json", "json"],
            "rest": [rest],
        }

    def _json(self, value: Resource, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        sent = {"Content-Type": fhir_dstu2.JSON if self.version == "dstu2" else JSON, **(headers or {})}
        return Response(status=status, headers=sent, body=json.dumps(value).encode())


def _body(request: Request) -> bytes:
    return gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
