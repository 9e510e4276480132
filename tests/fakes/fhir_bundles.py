"""`transaction` (all or nothing) and `batch` (each for itself), as HAPI answers them.

A transaction's refusal names no entry; its response carries `etag` as a bare number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from tests.fakes.fhir_search import Searches
from tests.fakes.fhir_store import Outcome, Refusal, Resource, Store, check_shape, instant, unreadable

_ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "GET": 3}
CODE_SYSTEM = "https://hapifhir.io/fhir/CodeSystem/hapi-fhir-storage-response-code"


def outcome_of(code: str, text: str) -> Resource:
    """An OperationOutcome that says how a write went."""
    details = {"coding": [{"system": CODE_SYSTEM, "code": code}]}
    issue = {"severity": "information", "code": "informational", "details": details, "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def refusal_of(refusal: Refusal, *, code: str = "processing") -> Resource:
    """An OperationOutcome that says why not."""
    issue = {"severity": "error", "code": code, "diagnostics": refusal.diagnostics}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


class Bundles:
    """Carries out transactions and batches on a store."""

    def __init__(self, store: Store, searches: Searches) -> None:
        self._store = store
        self._searches = searches

    def process(self, bundle: Mapping[str, Any], *, representation: bool) -> Resource:
        """The response Bundle. Raises `Refusal` for a transaction that fails, with nothing written."""
        kind, entries = bundle.get("type"), list(bundle.get("entry", ()))
        if kind not in ("transaction", "batch"):
            raise unreadable(f"""HAPI-1821: [element="type"] Invalid attribute value "{kind}": Unknown BundleType code""")
        answers = self._transaction(entries) if kind == "transaction" else [self._alone(entry) for entry in entries]
        if not representation:
            answers = [
                {name: value for name, value in answer.items() if name != "resource" or _method(entry) == "GET"}
                for entry, answer in zip(entries, answers, strict=True)
            ]
        response: dict[str, Any] = {"resourceType": "Bundle", "type": f"{kind}-response"}
        return response | ({"entry": answers} if answers else {})

    def _transaction(self, entries: list[Mapping[str, Any]]) -> list[Resource]:
        self._check_ids(entries)
        before = self._store.snapshot()
        answers: dict[int, Resource] = {}
        try:
            for position in sorted(range(len(entries)), key=lambda one: _ORDER[_method(entries[one])]):
                answers[position] = self._one(entries[position], check=False)
            for entry in entries:
                if _method(entry) in ("POST", "PUT"):
                    self._store.check_references(entry["resource"])
        except Refusal:
            self._store.versions = before
            raise
        return [answers[position] for position in range(len(entries))]

    def _check_ids(self, entries: list[Mapping[str, Any]]) -> None:
        for entry in entries:
            if _method(entry) in ("POST", "PUT"):
                check_shape(entry.get("resource"), str(entry.get("resource", {}).get("resourceType")))
        urls = Counter(entry["request"]["url"] for entry in entries if _method(entry) == "PUT")
        for url, times in urls.items():
            if times > 1:
                raise Refusal(400, f"HAPI-0535: Transaction bundle contains multiple resources with ID: {url}")

    def _alone(self, entry: Mapping[str, Any]) -> Resource:
        before = self._store.snapshot()
        try:
            return self._one(entry, check=True)
        except Refusal as refusal:
            self._store.versions = before
            status = f"{refusal.status} {HTTPStatus(refusal.status).phrase}"
            return {"response": {"status": status, "outcome": refusal_of(refusal, code="exception")}}

    def _one(self, entry: Mapping[str, Any], *, check: bool) -> Resource:
        request = entry["request"]
        resource_type, _, resource_id = request["url"].partition("?")[0].partition("/")
        match request["method"]:
            case "GET":
                version = self._store.read((resource_type, resource_id))
                return {"resource": version.resource, "response": {"status": "200 OK"}}
            case "DELETE":
                gone, code = self._store.delete((resource_type, resource_id))
                response: dict[str, Any] = {"status": "204 No Content", "outcome": outcome_of(code, "Delete")}
                if gone is not None:
                    location = f"{resource_type}/{resource_id}/_history/{gone.number}"
                    response |= {"location": location, "etag": str(gone.number)}
                return {"response": response}
            case "POST":
                outcome = self._create(resource_type, entry)
            case _:
                if_match = etag_version(request.get("ifMatch", ""))
                outcome = self._store.put((resource_type, resource_id), dict(entry["resource"]), if_match=if_match)
        if check:
            self._store.check_references(entry["resource"])
        return _written(outcome)

    def _create(self, resource_type: str, entry: Mapping[str, Any]) -> Outcome:
        condition = entry["request"].get("ifNoneExist", "")
        existing = conditional(self._searches, resource_type, condition) if condition else None
        if existing is None:
            return self._store.create(dict(entry["resource"]))
        version = self._store.read((resource_type, existing))
        assert version.resource is not None
        return Outcome(
            status=200, version=version, resource=version.resource, code="SUCCESSFUL_CREATE_WITH_CONDITIONAL_MATCH"
        )


def conditional(searches: Searches, resource_type: str, condition: str) -> str | None:
    """The one id that matches, or None. Raises `Refusal` 412 when several do."""
    name, _, value = condition.rpartition("?")[2].partition("=")
    found = searches.matching(resource_type, {name: value})
    if len(found) > 1:
        text = f'HAPI-0958: Failed to CREATE {resource_type} with match URL "{condition}" because this search matched'
        raise Refusal(412, f"{text} {len(found)} resources")
    return found[0] if found else None


def etag_version(header: str) -> str:
    """`W/"3"` → `3`."""
    return header.removeprefix("W/").strip('" ')


def _written(outcome: Outcome) -> Resource:
    resource, number = outcome.resource, outcome.version.number
    response = {
        "status": "201 Created" if outcome.status == 201 else "200 OK",
        "location": f"{resource['resourceType']}/{resource['id']}/_history/{number}",
        "etag": str(number),
        "outcome": outcome_of(outcome.code, "Written"),
    }
    if outcome.code != "SUCCESSFUL_UPDATE_NO_CHANGE":
        response["lastModified"] = instant(outcome.version.moment)
    return {"resource": resource, "response": response}


def _method(entry: Mapping[str, Any]) -> str:
    return str(entry["request"]["method"])
