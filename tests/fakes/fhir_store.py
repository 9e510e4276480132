"""Resources with their versions, written as HAPI writes them (docs/fhir-servers.md).

The quirks are the content: an equal PUT answers the old version, tags left out come back, `If-Match` on an absent id is
ignored while `W/"0"` on an existing one never matches, and a PUT over a tombstone is a 201 that skips a version number.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.fakes.fhir_references import allowed_types, indexed, local, normalised

Resource = dict[str, Any]
Key = tuple[str, str]

TYPES = frozenset(
    {"Account", "Appointment", "Basic", "Binary", "BodyStructure", "Bundle", "CarePlan", "Condition", "Device"}
    | {"DiagnosticReport", "DocumentReference", "Encounter", "Endpoint", "Group", "ImagingStudy", "Location", "Observation"}
    | {"Organization", "Patient", "Practitioner", "PractitionerRole", "Procedure", "Provenance", "ServiceRequest", "Task"}
)
_IMAGING_STUDY = {"registered", "available", "cancelled", "entered-in-error", "unknown"}
CODES: Mapping[tuple[str, str], frozenset[str]] = {
    ("ImagingStudy", "status"): frozenset(_IMAGING_STUDY),
    ("Endpoint", "status"): frozenset({"active", "suspended", "error", "off", "entered-in-error", "test"}),
    ("Patient", "gender"): frozenset({"male", "female", "other", "unknown"}),
}
"""Required codes: another one is refused while the body is read."""
_DATE_TIME = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


class Refusal(Exception):
    """HAPI's answer to what it does not do; `diagnostics` is its text."""

    def __init__(self, status: int, diagnostics: str, *, code: str = "processing", location: str = "") -> None:
        super().__init__(diagnostics)
        self.status = status
        self.diagnostics = diagnostics
        self.code = code
        self.location = location


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version. `resource` is what is answered, `stored` what equality is judged by; both None in a tombstone."""

    number: int
    moment: float
    method: str
    resource: Resource | None
    stored: Resource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a write came to: 201, 200; `code` is HAPI's storage response code."""

    status: int
    version: Version
    resource: Resource
    code: str


class Store:
    """Every version of every resource. Nothing is locked here: the server does."""

    def __init__(self, *, clock: Callable[[], float], base_url: Callable[[], str], keeps_source: bool = True) -> None:
        self._clock = clock
        self._base_url = base_url
        self._keeps_source = keeps_source
        self.versions: dict[Key, tuple[Version, ...]] = {}
        self._numbers = itertools.count(1001)
        self._writes = itertools.count(1)

    def snapshot(self) -> dict[Key, tuple[Version, ...]]:
        """All of it, for a transaction to go back to or a backup to be restored from."""
        return dict(self.versions)

    def current(self, key: Key) -> Version | None:
        return self.versions[key][-1] if key in self.versions else None

    def living(self, resource_type: str) -> Iterator[Resource]:
        """The resources of a type that are not deleted, in the order in which they came."""
        for (kind, _), versions in self.versions.items():
            if kind == resource_type and versions[-1].resource is not None:
                yield versions[-1].resource

    def read(self, key: Key, number: str = "") -> Version:
        """The current version, or a numbered one. Raises `Refusal` 404 or 410."""
        if key not in self.versions:
            raise Refusal(404, f"HAPI-2001: Resource {'/'.join(key)} is not known")
        found = [one for one in self.versions[key] if not number or str(one.number) == number]
        if not found:
            raise Refusal(404, f'HAPI-0979: Version "{number}" is not valid for resource {"/".join(key)}')
        version = found[-1]
        if version.resource is None:
            location = f"{self._base_url()}/{'/'.join(key)}/_history/{version.number}"
            raise Refusal(410, f"Resource was deleted at {instant(version.moment)}", location=location)
        return version

    def create(self, resource: Resource) -> Outcome:
        """POST: an id of the server's, of digits only."""
        resource_type = resource["resourceType"]
        number = next(one for one in self._numbers if (resource_type, str(one)) not in self.versions)
        outcome = self.put((resource_type, str(number)), {**resource, "id": str(number)}, assigned=True)
        return Outcome(status=201, version=outcome.version, resource=outcome.resource, code="SUCCESSFUL_CREATE")

    def put(self, key: Key, resource: Resource, *, if_match: str = "", assigned: bool = False) -> Outcome:
        """Create or update `key`. Raises `Refusal`. References are checked apart (`check_references`)."""
        _check_id(key, resource)
        current = self.current(key)
        if current is None and key[1].isdigit() and not assigned:
            raise Refusal(
                400,
                f"HAPI-0960: Can not create resource with ID[{key[1]}], no resource with this ID exists and clients may only"
                " assign IDs which contain at least one non-numeric character",
            )
        if if_match and current is not None and str(current.number) != if_match:
            raise Refusal(
                409,
                f"HAPI-0550: HAPI-0989: Trying to update {'/'.join(key)}/_history/{if_match}"
                " but this is not the current version",
            )
        before = current.resource if current is not None else None
        stored = normalised(resource, self._base_url(), keep_absolute=True)
        stored["meta"] = _carried(stored.get("meta", {}), before)
        if current is not None and current.stored is not None and _same(current.stored, stored):
            shown = _without_source(before or {}, resource.get("meta", {}).get("source", ""))
            return Outcome(status=200, version=current, resource=shown, code="SUCCESSFUL_UPDATE_NO_CHANGE")
        number = 1 if current is None else current.number + (1 if before is not None else 2)
        return self._write(key, stored, number=number, created=before is None)

    def _write(self, key: Key, stored: Resource, *, number: int, created: bool) -> Outcome:
        now = self._clock()
        shown = normalised(stored, self._base_url())
        source = stored["meta"].get("source", "").partition("#")[0]
        kept = {name: value for name, value in stored["meta"].items() if name not in ("versionId", "lastUpdated", "source")}
        meta = {"versionId": str(number), "lastUpdated": instant(now)}
        if self._keeps_source:
            meta["source"] = f"{source}#{next(self._writes):016x}"
        shown = {"resourceType": key[0], "id": key[1], "meta": {**meta, **kept}} | {
            name: value for name, value in shown.items() if name not in ("resourceType", "id", "meta")
        }
        method = "POST" if created and number == 1 else "PUT"
        version = Version(number=number, moment=now, method=method, resource=shown, stored=stored)
        self.versions[key] = (*self.versions.get(key, ()), version)
        code = "SUCCESSFUL_UPDATE_AS_CREATE" if created else "SUCCESSFUL_UPDATE"
        return Outcome(status=201 if created else 200, version=version, resource=shown, code=code)

    def delete(self, key: Key) -> tuple[Version | None, str]:
        """DELETE, which ignores `If-Match`. Raises `Refusal` 409 while an indexed reference names it."""
        current = self.current(key)
        if current is None:
            return None, "SUCCESSFUL_DELETE_NOT_FOUND"
        if current.resource is None:
            return current, "SUCCESSFUL_DELETE_ALREADY_DELETED"
        for versions in self.versions.values():
            other = versions[-1].resource
            for path, reference in indexed(other) if other is not None else ():
                if local(reference, self._base_url()) == "/".join(key):
                    assert other is not None
                    raise Refusal(
                        409,
                        f"Unable to delete {'/'.join(key)} because at least one resource has a reference to this resource."
                        f" First reference found was resource {other['resourceType']}/{other['id']} in path {path}",
                    )
        version = Version(number=current.number + 1, moment=self._clock(), method="DELETE", resource=None)
        self.versions[key] = (*self.versions[key], version)
        return version, "SUCCESSFUL_DELETE"

    def remove_meta(self, key: Key, meta: Mapping[str, Any]) -> Version:
        """`$meta-delete`: tags and labels go without a new version."""
        version = self.read(key)
        changed = [copy.deepcopy(version.resource), copy.deepcopy(version.stored)]
        for one in changed:
            for name in ("tag", "security", "profile"):
                left = [item for item in (one or {})["meta"].get(name, ()) if item not in meta.get(name, ())]
                if left:
                    one["meta"][name] = left  # type: ignore[index]
                else:
                    one["meta"].pop(name, None)  # type: ignore[index]
        kept = Version(
            number=version.number, moment=version.moment, method=version.method, resource=changed[0], stored=changed[1]
        )
        self.versions[key] = (*self.versions[key][:-1], kept)
        return kept

    def check_references(self, resource: Mapping[str, Any]) -> None:
        """Raises `Refusal` for an indexed reference to what is not there, or is of a wrong type."""
        for path, reference in indexed(resource):
            target = local(reference, self._base_url())
            if not target:
                continue
            kind, _, resource_id = target.partition("/")
            allowed = allowed_types(resource["resourceType"], path)
            if allowed and kind not in allowed:
                text = (
                    f"HAPI-0931: Invalid reference found at path '{path}'. Resource type '{kind}' is not valid for this path"
                )
                raise Refusal(422, text)
            current = self.current((kind, resource_id))
            if current is None or current.resource is None:
                raise Refusal(400, f"HAPI-1094: Resource {target} not found, specified in path: {path}")


def instant(moment: float) -> str:
    """A FHIR instant of milliseconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment % 1 * 1000):03d}+00:00"


def check_shape(resource: Any, resource_type: str, *, codes: Mapping[tuple[str, str], frozenset[str]] = CODES) -> Resource:
    """What HAPI's parser refuses: 400 for another type, an unknown required code, a `started` that is no dateTime."""
    if not isinstance(resource, dict) or resource.get("resourceType") != resource_type:
        found = resource.get("resourceType") if isinstance(resource, dict) else None
        raise unreadable(f'HAPI-1814: Incorrect resource type found, expected "{resource_type}" but found "{found}"')
    for (kind, name), allowed in codes.items():
        if kind == resource_type and name in resource and resource[name] not in allowed:
            text = f"""Invalid attribute value "{resource[name]}": Unknown {kind}Status code '{resource[name]}'"""
            raise unreadable(f'HAPI-1821: [element="{name}"] {text}')
    started = resource.get("started")
    if resource_type == "ImagingStudy" and started is not None and not _DATE_TIME.fullmatch(str(started)):
        text = f'Invalid attribute value "{started}": Invalid date/time format: "{started}"'
        raise unreadable(f'HAPI-1821: [element="started"] {text}')
    return resource


def unreadable(text: str) -> Refusal:
    return Refusal(400, f"HAPI-0450: Failed to parse request body as JSON resource. Error was: {text}")


def _check_id(key: Key, resource: Resource) -> None:
    why = "Can not update resource, resource body must contain an ID element"
    if not resource.get("id"):
        raise Refusal(400, f"HAPI-0419: {why} for update (PUT) operation")
    if resource["id"] != key[1]:
        raise Refusal(400, f"HAPI-0420: {why} which matches the request URL for update (PUT) operation")
    if not _ID.fullmatch(key[1]):
        raise Refusal(400, f"HAPI-0521: Can not process entity with ID[{key[1]}], this is not a valid FHIR ID")


def _carried(meta: Mapping[str, Any], before: Resource | None) -> dict[str, Any]:
    """`meta` as stored: tags and security labels of the version before stay, profiles do not."""
    merged = dict(meta)
    for name in ("tag", "security"):
        old = list((before or {}).get("meta", {}).get(name, ()))
        union = old + [one for one in meta.get(name, ()) if one not in old]
        if union:
            merged[name] = union
    return merged


def _same(one: Resource, other: Resource) -> bool:
    return _compared(one) == _compared(other)


def _compared(resource: Resource) -> Resource:
    meta = {name: value for name, value in resource["meta"].items() if name not in ("versionId", "lastUpdated", "source")}
    for name in ("tag", "security"):
        # Tags are a set: their order is neither kept nor compared.
        meta[name] = sorted(meta.get(name, ()), key=lambda one: json.dumps(one, sort_keys=True))
    return {**{name: value for name, value in resource.items() if value not in ("", [], {})}, "meta": meta}


def _without_source(resource: Resource, source: str) -> Resource:
    """What a no-op answers: the old version, with the source that was sent."""
    meta = {name: value for name, value in resource["meta"].items() if name != "source"}
    return {**resource, "meta": meta | ({"source": source} if source else {})}
