"""A FHIR server that insists on ids of its own, spoken to as if it took ours (RULES C1, FHIR__IDS).

Everything in syncd knows a resource by an id that follows from what it is. A server may refuse such ids: then a
resource is created by a conditional POST, the server names it, and this layer keeps which name stands for which id of
ours: outward ids and references become the server's, inward they become ours again, and nobody else notices. A name may
get lost, with a reply or with the ledger; so every resource of ours carries our id as an identifier, by which a search
finds it again, and by which the conditional POST makes no second one. A Provenance has no identifiers: there it is a
tag.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from syncd.errors import Conflict, Transient
from syncd.plan.decide import CREATE_ONLY, Absent, Current, Deleted, Found
from syncd.plan.essence import reference_of
from syncd.publish.answers import Verdict
from syncd.publish.bases import Page, translate_references
from syncd.publish.server import FhirServer, Written, token

ASSIGNED = "server-ids"
"""The create-only form of such a server: a conditional POST."""

KEY = "urn:syncd:id"
"""Identifier system of our own id, `<INSTALLATION_ID>/<id>`: two installations derive equal ids for equal things."""

_WITHOUT_IDENTIFIER = frozenset({"Provenance"})
"""Types whose resources carry our id as a tag."""

_DICOM_UID = "urn:dicom:uid"
_LOCATED = re.compile(r"/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?/?$")


class Names(Protocol):
    """The memory of which id the server gave to which of ours."""

    def find_assigned_id(self, resource_type: str, own_id: str) -> str | None: ...

    def own(self, resource_type: str, assigned_id: str) -> str | None: ...

    def keep(self, resource_type: str, own_id: str, assigned_id: str) -> None: ...


class AssigningServer(FhirServer):
    """As `FhirServer`, in our ids, once `create_form` is `ASSIGNED`; before that, exactly as `FhirServer`.

    What has no name here is asked for as it is: somebody else's resources, and ours of the time when the server took ids.
    """

    def __init__(self, server: FhirServer, *, names: Names, installation_id: str) -> None:
        super().__init__(server._http)
        self._names = names
        self._prefix = f"{installation_id}/"
        self._tombstones: dict[tuple[str, str], str] = {}

    def read(self, resource_type: str, resource_id: str) -> Current:
        current = super().read(resource_type, self._assigned_id(resource_type, resource_id))
        if isinstance(current, Absent) and self.create_form == ASSIGNED and not self.is_named(resource_type, resource_id):
            assigned = self._find(resource_type, resource_id)  # its name may have been forgotten (RULES E7)
            current = super().read(resource_type, assigned) if assigned else current
        if not isinstance(current, Found):
            if isinstance(current, Deleted) and self.create_form == ASSIGNED:
                self._tombstones[resource_type, resource_id] = current.version
            return current
        resource = self._inward(current.resource)
        return Found(resource=resource, version=current.version, last_updated=current.last_updated)

    def search_page(
        self, resource_type: str, params: Mapping[str, str], *, following: str = "", count: int | None = None
    ) -> Page:
        if self.create_form == ASSIGNED and set(params) == {"_id", "_elements"}:
            named = (self._assigned_id(resource_type, one) for one in params["_id"].split(","))
            params = {**params, "_id": ",".join(named)}
        if self.create_form == ASSIGNED and "patient" in params:
            params = {**params, "patient": self._reference_outward(params["patient"])}
        page = super().search_page(resource_type, params, following=following, count=count)
        for found in page.resources:
            self._learn(found)
        return Page(resources=tuple(self._inward(found) for found in page.resources), following=page.following)

    def put(self, resource: Mapping[str, Any], *, expected_version: str, create_form: str = "") -> Written:
        if (create_form or self.create_form) != ASSIGNED:
            return super().put(resource, expected_version=expected_version, create_form=create_form)
        key = str(resource["resourceType"]), str(resource["id"])
        # What was deleted gets another name: such a server need not let a client bring an old one back.
        if expected_version == CREATE_ONLY or self._tombstones.pop(key, None) == expected_version:
            return self._create(resource, *key)
        outward = {**self._outward(resource), "id": self._assigned_id(*key)}
        return super().put(outward, expected_version=expected_version)

    def delete(self, resource_type: str, resource_id: str, *, expected_version: str) -> Deleted | None:
        assigned = self._assigned_id(resource_type, resource_id)
        return super().delete(resource_type, assigned, expected_version=expected_version)

    def _create(self, resource: Mapping[str, Any], resource_type: str, own_id: str) -> Written:
        body = {name: value for name, value in self._outward(resource).items() if name != "id"}
        reply, found = self._post(resource_type, body, self._condition_of(resource, own_id))
        if found is not Verdict.OK:
            self._raise_for_write(found, reply)
        located = _LOCATED.search(reply.headers.get("Location", ""))
        if reply.status != 201:
            self._find(resource_type, own_id)
            raise Conflict("A resource with the identifier exists already")
        assigned = located.group(1) if located else self._find(resource_type, own_id)
        if not assigned:
            raise Transient("The FHIR server does not say which id it gave", server="fhir")
        self._names.keep(resource_type, own_id, assigned)
        current = super().read(resource_type, assigned)
        if not isinstance(current, Found):
            raise Conflict("The resource vanished behind its own write")
        return Written(version=current.version, last_updated=current.last_updated, created=True)

    def _condition_of(self, resource: Mapping[str, Any], own_id: str) -> str:
        """An ImagingStudy is one whoever wrote it (C2); of anything else only our own one is the same."""
        if resource["resourceType"] == "ImagingStudy":
            for item in resource.get("identifier", ()):
                if item.get("system") == _DICOM_UID:
                    return f"identifier={token(_DICOM_UID, str(item.get('value', '')))}"
        return "&".join(f"{name}={value}" for name, value in self._by_key(str(resource["resourceType"]), own_id).items())

    def _by_key(self, resource_type: str, own_id: str) -> dict[str, str]:
        """The search for our own resource."""
        name = "_tag" if resource_type in _WITHOUT_IDENTIFIER else "identifier"
        return {name: token(KEY, self._prefix + own_id)}

    def _find(self, resource_type: str, own_id: str) -> str | None:
        """Ask for the server's name of our resource, by the identifier that it carries; remembered if it is there."""
        for _ in self.search(resource_type, self._by_key(resource_type, own_id)):
            pass  # learnt by being seen
        return self._names.find_assigned_id(resource_type, own_id)

    def is_named(self, resource_type: str, own_id: str) -> bool:
        return self._names.find_assigned_id(resource_type, own_id) is not None

    def _learn(self, found: Mapping[str, Any]) -> None:
        own_id = self._own_key(found) if self.create_form == ASSIGNED else ""
        if own_id and self._names.find_assigned_id(str(found["resourceType"]), own_id) is None:
            current = super().read(str(found["resourceType"]), str(found["id"]))  # a hit is only a hint (C9)
            if isinstance(current, Found) and self._own_key(current.resource) == own_id:
                self._names.keep(str(found["resourceType"]), own_id, str(found["id"]))

    def _own_key(self, resource: Mapping[str, Any]) -> str:
        held, named = _keys(resource)
        for item in _identifiers_in(held.get(named)):
            value = str(item.get("code" if named == "tag" else "value", ""))
            if item.get("system") == KEY and value.startswith(self._prefix):
                return value.removeprefix(self._prefix)
        return ""

    def _assigned_id(self, resource_type: str, own_id: str) -> str:
        return (self._names.find_assigned_id(resource_type, own_id) if self.create_form == ASSIGNED else None) or own_id

    def _outward(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """The resource as the server shall hold it: its references by the server's names, our id among its identifiers."""
        sent = dict(translate_references(resource, self._reference_outward))
        held, named = _keys(sent)
        value = self._prefix + str(resource["id"])
        key = {"system": KEY, "code" if named == "tag" else "value": value}
        return _with_keys(sent, [*_identifiers_in(held.get(named)), key])

    def _inward(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """The resource in our ids, without what only this layer needs."""
        if self.create_form != ASSIGNED:
            return dict(resource)
        said = dict(translate_references(resource, self._reference_inward))
        own_id = self._names.own(str(resource.get("resourceType")), str(resource.get("id")))
        if own_id is not None:
            said["id"] = own_id
        if self._own_key(resource):
            held, named = _keys(said)
            said = _with_keys(said, [item for item in _identifiers_in(held.get(named)) if item.get("system") != KEY])
        return said

    def _reference_outward(self, reference: str) -> str:
        return _rename_reference(reference, self._names.find_assigned_id) or reference

    def _reference_inward(self, reference: str) -> str:
        return _rename_reference(reference_of(reference, base_url=self.base_url), self._names.own) or reference


def _rename_reference(reference: str, name_of: Callable[[str, str], str | None]) -> str:
    """`Type/id`, or one version of it (`Type/id/_history/2`), by its other name; empty where it has none."""
    resource_type, _, rest = reference.partition("/")
    known_id, slash, version = rest.partition("/")
    named = name_of(resource_type, known_id) if known_id else None
    return f"{resource_type}/{named}{slash}{version}" if named else ""


def _keys(resource: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Where the resource carries our id: the object, and its element."""
    if resource.get("resourceType") in _WITHOUT_IDENTIFIER:
        return resource.get("meta") or {}, "tag"
    return resource, "identifier"


def _with_keys(resource: Mapping[str, Any], items: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The resource with these where it carries our id; without the element where there are none."""
    held, named = _keys(resource)
    changed = {name: value for name, value in held.items() if name != named} | ({named: items} if items else {})
    return dict(changed) if held is resource else {**resource, "meta": changed}


def _identifiers_in(value: object) -> list[Mapping[str, Any]]:
    """Identifiers; what else stands there is not ours."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []
