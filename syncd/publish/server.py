"""The FHIR server as syncd needs it: read, search, and writes that are never unconditional (RULES C2, C4, C9).

HAPI caches searches for a minute, ignores `If-None-Match: *` and honours `If-Match: W/"0"` as create-only, but not in
DSTU2; other servers differ. So every search says `no-cache` and its hits are only hints, and which create-only form a
server honours is proved once (`syncd.publish.sentinel`) and handed to `put`.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from syncd.errors import Conflict, StudyError, TargetPaused, Transient, Unsuitable
from syncd.http.failures import redirected
from syncd.model.words import ParkedReason
from syncd.plan.decide import CREATE_ONLY, Absent, Current, Deleted, Found
from syncd.plan.essence import reference_of
from syncd.publish.answers import DELETE_TABLE, Verdict, issue_codes, moment_of, second, verdict, version_of
from syncd.publish.bases import Bases, Page, Pages, has_absolute
from syncd.publish.http import ANY_VERSION, FhirHttp, Reply, media_type

_PASS = 5.0
"""Seconds for which the CapabilityStatement is believed: without it, every absent resource would cost one."""

PAGE = "500"
"""Resources per page of a search."""

_NO_CACHE = {"Cache-Control": "no-cache"}

GET_THEN_PUT = "get-then-put"
"""Of a server without any create-only form: it is asked before, and the write carries no condition."""

VERSION_IN_BODY = "version-in-body"
"""The form of a server that overlooks `If-Match` and compares `meta.versionId` of what is sent: HAPI 8.8 in DSTU2."""
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What `/metadata` says: `fhir_version` such as `4.0.1`, the resource types served, the software's name."""

    fhir_version: str
    types: frozenset[str]
    software: str
    refuses_ids: bool = False
    """Whether it says of a type that clients may not choose ids: `updateCreate` is false. Most say nothing."""
    clock: float | None = None
    """The server's clock when it answered (RFC 9110 `Date`), in seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A confirmed write."""

    version: str
    last_updated: str
    created: bool


class FhirServer:
    """Reads and writes on one FHIR server. `create_form` is set once the target was proved."""

    def __init__(self, http: FhirHttp) -> None:
        self._http = http
        self.base_url = http.base_url
        self.create_form = ""
        self.refused_creations = 0
        """How often in a row nothing was there, and the server refused to create it all the same."""
        self._bases = Bases(http.base_url)
        self._types_seen: tuple[float, frozenset[str]] = (-math.inf, frozenset())
        self._pages = Pages(self._bases)
        self._told_its_base = False

    def guard_writes(self, check: Callable[[], None]) -> None:
        """Have `check` asked immediately before every write, of whatever kind; it raises when we must not (RULES E4)."""
        self._http.before_write = check

    @property
    def requests_at_once(self) -> int:
        """How many the server gets at once now, by what it takes."""
        return self._http.flow.limit

    def capabilities(self) -> Capabilities:
        """The CapabilityStatement; from then on the server is spoken to in its version's media type.

        Raises `Unsuitable` when something else than a FHIR server answers."""
        reply = self._http.exchange("GET", "metadata", headers={"Accept": ANY_VERSION, **_NO_CACHE})
        self._raise_unless_ok(reply)
        body = reply.body or {}
        if body.get("resourceType") not in ("CapabilityStatement", "Conformance"):
            what = f"no CapabilityStatement ({reply.fault})" if reply.fault else "no CapabilityStatement"
            raise Unsuitable(f"{self.base_url}/metadata is {what}: is SYNCD_FHIR__URL the base URL?", server="fhir")
        resources = [item for rest in body.get("rest", ()) for item in rest.get("resource", ())]
        fhir_version = str(body.get("fhirVersion", ""))
        self._http.media_type = media_type(fhir_version)
        return Capabilities(
            fhir_version=fhir_version,
            types=frozenset(str(item.get("type")) for item in resources),
            software=str((body.get("software") or {}).get("name", "")),
            refuses_ids=any(item.get("updateCreate") is False for item in resources if item.get("type") == "ImagingStudy"),
            clock=reply.date,
        )

    def read(self, resource_type: str, resource_id: str) -> Current:
        """GET by id, uncached. A 404 counts as absence only from a FHIR server that serves the type (RULES C6)."""
        reply = self._http.exchange("GET", f"{resource_type}/{_require_id(resource_id)}", headers=_NO_CACHE)
        match verdict(reply.status, outcome=reply.outcome):
            case Verdict.OK:
                return self._local(_parse_found(reply, resource_type, resource_id))
            case Verdict.GONE:
                return Deleted(version=version_of(reply))
            case Verdict.ABSENT:
                self._require_served(resource_type)
                return Absent()
            case Verdict.FORBIDDEN:
                # Of one resource, which may be hidden from us alone; whoever asks for the server's own says so for all.
                raise StudyError(ParkedReason.FORBIDDEN, f"reading {resource_type}: {issue_codes(reply.outcome)}")
        self._raise_unless_ok(reply)
        raise Transient(f"The FHIR server answered {reply.status}", server="fhir")

    def _require_served(self, resource_type: str) -> None:
        """A 404 is about one resource only where the server serves its type (RULES C6)."""
        if resource_type not in self._types():
            raise TargetPaused(f"The FHIR server does not serve {resource_type}", status=404)

    def _types(self) -> frozenset[str]:
        """The resource types served, asked anew in each pass; a pass is not longer than a few seconds."""
        at, types = self._types_seen
        if time.monotonic() - at > _PASS:
            types = self.capabilities().types
            self._types_seen = time.monotonic(), types
        return types

    def search(self, resource_type: str, params: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """Every match of a search, all pages, by `POST _search` so that ids stay out of access logs. Only hints (C9)."""
        page = self.search_page(resource_type, params)
        read = set[str]()
        while True:
            yield from page.resources
            if not page.following:
                return
            if page.following in read:
                raise Transient("The FHIR server's pages lead back to one that was read already", server="fhir")
            read.add(page.following)
            page = self.search_page(resource_type, params, following=page.following)

    def search_page(
        self, resource_type: str, params: Mapping[str, str], *, following: str = "", count: int | None = None
    ) -> Page:
        """The first page of a search, or the one that `following` of the page before names. Raises `PageGone`."""
        if following:
            self._learn_base(resource_type)
            reply = self._http.exchange("GET", following, headers=_NO_CACHE)
            if reply.status in (404, 410):
                raise self._pages.count_gone(following)
            self._pages.note_served()
        else:
            form = {**params, "_count": str(count or PAGE)}
            reply = self._http.exchange("POST", f"{resource_type}/_search", form=form, headers=_NO_CACHE)
        self._raise_unless_ok(reply)
        bundle = reply.body or {}
        if bundle.get("resourceType") != "Bundle":
            why = f": it {reply.fault}" if reply.fault else ""
            raise Transient(f"The FHIR server answered a search with something else than a Bundle{why}", server="fhir")
        entries = [(entry.get("resource") or {}, entry.get("search", {}).get("mode")) for entry in bundle.get("entry", ())]
        if not following:
            self._bases.learn_from_search(bundle, resource_type=resource_type)
            self._told_its_base = True
        return Page(
            resources=tuple(
                self._bases.localise(found)
                for found, mode in entries
                if found.get("resourceType") == resource_type and mode != "outcome"
            ),
            following=self._pages.after(bundle),
        )

    def _local(self, found: Found) -> Found:
        """What was read, its references to the server itself made relative, whatever the server calls itself."""
        if not has_absolute(found.resource):
            return found
        self._learn_base(str(found.resource["resourceType"]))
        return replace(found, resource=self._bases.localise(found.resource))

    def _learn_base(self, resource_type: str) -> None:
        """Know what the server calls itself: the first page of any search tells, and a restart forgot it."""
        if not self._told_its_base:
            FhirServer.search_page(self, resource_type, {"_id": "none", "_elements": "identifier"})

    def put(self, resource: Mapping[str, Any], *, expected_version: str, create_form: str = "") -> Written:
        """PUT under `expected_version`: `CREATE_ONLY` (in `create_form`, else the proved one), or the version that must
        still be there.

        Raises `Conflict`, `StudyError`, `TargetPaused`, `Transient`.
        """
        resource_type, resource_id = str(resource["resourceType"]), _require_id(str(resource["id"]))
        path = f"{resource_type}/{resource_id}"
        form = create_form or self.create_form
        if not expected_version:  # a tombstone whose version nobody tells: nothing else can be demanded
            expected_version, form = CREATE_ONLY, GET_THEN_PUT
        headers = {"Prefer": "return=minimal", **self._condition(path, expected_version, form)}
        sent = _with_version(resource, expected_version) if form == VERSION_IN_BODY else resource
        reply = self._http.exchange("PUT", path, resource=sent, headers=headers)
        found = verdict(reply.status, outcome=reply.outcome, references=_references(resource))
        if found is Verdict.ABSENT:
            self._types_seen = (-math.inf, frozenset())  # rare for a write, and what was served a moment ago may be why
            self._require_served(resource_type)
        if found is not Verdict.OK:
            self._raise_for_write(found, reply)
        if expected_version == CREATE_ONLY:
            self.refused_creations = 0
        created = reply.status == 201
        version = version_of(reply, resource_type=resource_type, resource_id=resource_id)
        if version:
            return Written(version=version, last_updated=moment_of(reply), created=created)
        current = self.read(resource_type, resource_id)
        if not isinstance(current, Found):
            raise Conflict("The resource vanished behind its own write")
        if not current.version:
            raise Unsuitable("The FHIR server tells no versions, so that no update can be conditional", server="fhir")
        return Written(version=current.version, last_updated=current.last_updated, created=created)

    def delete(self, resource_type: str, resource_id: str, *, expected_version: str) -> Deleted | None:
        """DELETE what was just written as `expected_version`; the tombstone, or None where the server keeps it.

        HAPI ignores the condition, so nothing may come between that write and this (RULES D2). Raises `Conflict`,
        `TargetPaused`, `Transient`.
        """
        path = f"{resource_type}/{_require_id(resource_id)}"
        reply = self._http.exchange("DELETE", path, headers={"If-Match": f'W/"{expected_version}"'})
        found = verdict(reply.status, outcome=reply.outcome, table=DELETE_TABLE)
        if found is Verdict.KEPT:
            return None
        if found not in (Verdict.OK, Verdict.GONE):
            self._raise_for_write(found, reply)
        current = self.read(resource_type, resource_id)
        if isinstance(current, Found):
            raise Conflict("The resource is there again behind its own deletion")
        return current if isinstance(current, Deleted) else Deleted(version="")

    def is_named(self, resource_type: str, own_id: str) -> bool:
        """Whether the server gave a resource of ours another id than this, which is ours (RULES C1)."""
        return False

    def _post(self, resource_type: str, body: Mapping[str, Any], condition: str) -> tuple[Reply, Verdict]:
        """A conditional create (FHIR R4 3.1.0.8.1): only if nothing matches `condition`."""
        headers = {"Prefer": "return=minimal", "If-None-Exist": condition}
        reply = self._http.exchange("POST", resource_type, resource=body, headers=headers)
        return reply, verdict(reply.status, outcome=reply.outcome, references=_references(body))

    def post_transaction(self, bundle: Mapping[str, Any]) -> Reply:
        """`POST [base]` (FHIR R4 3.1.0.11.2), answered by a Bundle. Raises as `put` does."""
        reply = self._http.exchange("POST", "", resource=bundle, headers={"Prefer": "return=minimal"})
        found = verdict(reply.status, outcome=reply.outcome)
        if found is not Verdict.OK:
            self._raise_for_write(found, reply)
        return reply

    def _condition(self, path: str, expected_version: str, create_form: str) -> dict[str, str]:
        if expected_version != CREATE_ONLY:
            return {"If-Match": f'W/"{expected_version}"'}
        if create_form == "if-none-match":
            return {"If-None-Match": "*"}
        if create_form == GET_THEN_PUT:
            resource_type, _, resource_id = path.partition("/")
            if isinstance(self.read(resource_type, resource_id), Found):
                raise Conflict("The resource exists already")
            return {}
        return {"If-Match": 'W/"0"'}

    def _raise_for_write(self, found: Verdict, reply: Reply) -> None:
        codes = issue_codes(reply.outcome)
        outcome = dict(reply.outcome) if reply.outcome else None
        match found:
            case Verdict.CONFLICT:
                raise Conflict(f"The FHIR server answered {reply.status}: another version is there")
            case Verdict.REFERENCE:
                raise StudyError(ParkedReason.REFERENCE_REFUSED, codes, outcome=outcome)
            case Verdict.REFUSED:
                raise StudyError(ParkedReason.REFUSED, f"{reply.status} {codes}", outcome=outcome)
            case Verdict.FORBIDDEN:
                raise StudyError(ParkedReason.FORBIDDEN, codes, outcome=outcome)
            case Verdict.TOO_LARGE:
                raise StudyError(ParkedReason.TOO_LARGE, f"{reply.status}", outcome=outcome)
            case Verdict.GONE:
                raise Conflict("The resource was deleted meanwhile")
            case Verdict.ABSENT:
                raise Conflict("The resource that was to be replaced is not there")
        self._raise_unless_ok(reply)

    def _raise_unless_ok(self, reply: Reply) -> None:
        found = verdict(reply.status, outcome=reply.outcome)
        if found is Verdict.OK:
            return
        if 300 <= reply.status < 400:
            raise TargetPaused(redirected(self._http.connection, reply.status), status=reply.status)
        if found in (Verdict.PAUSED, Verdict.FORBIDDEN, Verdict.ABSENT):
            raise TargetPaused(
                f"The FHIR server at {self.base_url} answered {reply.status}: check SYNCD_FHIR__URL and SYNCD_FHIR__AUTH__*",
                status=reply.status,
            )
        if found is Verdict.TRANSIENT:
            raise Transient(f"The FHIR server answered {reply.status}", server="fhir", retry_after=reply.retry_after)
        raise StudyError(
            ParkedReason.REFUSED,
            f"{reply.status} {issue_codes(reply.outcome)}",
            outcome=dict(reply.outcome) if reply.outcome else None,
        )


def token(system: str, value: str) -> str:
    """`system|value` as a search parameter."""
    return f"{escape(system)}|{escape(value)}"


def escape(text: str) -> str:
    """A value of a search parameter (FHIR R4 3.1.1.5.7: `\\`, `,`, `|` and `$` are escaped)."""
    for character in "\\,|$":
        text = text.replace(character, "\\" + character)
    return text


def _with_version(resource: Mapping[str, Any], version: str) -> dict[str, Any]:
    return {**resource, "meta": {**resource.get("meta", {}), "versionId": version}}


def _require_id(resource_id: str) -> str:
    if not _ID.fullmatch(resource_id):
        raise StudyError(ParkedReason.UNMAPPABLE, "a resource id that FHIR does not allow")
    return resource_id


def _parse_found(reply: Reply, resource_type: str, resource_id: str) -> Found:
    if reply.body is None or (reply.body.get("resourceType"), reply.body.get("id")) != (resource_type, resource_id):
        why = f": it {reply.fault}" if reply.fault else ""
        raise Transient(f"The FHIR server answered a read with something else than the resource{why}", server="fhir")
    meta = reply.body.get("meta", {})
    return Found(
        resource=reply.body,
        version=version_of(reply, resource_type=resource_type, resource_id=resource_id),
        last_updated=second(str(meta.get("lastUpdated", ""))),
    )


def _references(resource: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(reference_of(text) for text in _reference_texts(resource))


def _reference_texts(value: object) -> Iterable[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name == "reference" and isinstance(item, str):
                yield item
            elif name != "instance":
                yield from _reference_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _reference_texts(item)
