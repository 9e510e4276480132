"""Keeping a resource that is wholly ours (Endpoint, Patient, sentinel) as it should be, without ever taking another's.

One PUT in the usual case, none when nothing changed. Much may have happened since: the resource exists already (a crash
after the write), was deleted, or belongs to somebody else; then it is read and judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from syncd.errors import Conflict, ServerReset, SyncdError, Transient
from syncd.model.work import Companion
from syncd.plan.decide import CREATE_ONLY, Absent, Current, Deleted
from syncd.plan.essence import digest, essence
from syncd.plan.ownership import installation_of
from syncd.publish.server import FhirServer

_TRIES = 5


class ForeignResource(SyncdError):
    """A resource that should be ours belongs to another writer."""


def keep(
    server: FhirServer,
    resource: Mapping[str, Any],
    *,
    known: Companion | None,
    installation_id: str,
    source_key: str = "",
    completed: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
) -> Companion:
    """Make the server hold `resource`; `known` is what we wrote last. Returns what is there now. `completed`: what to write
    instead over a resource of ours that turned out to be there, and something else than we knew; it may raise.

    Raises `ForeignResource` when the id is taken by another writer, `ServerReset` when an update had to create.
    """
    wanted = digest(resource)
    if known is not None and known.digest == wanted:
        return replace(known, source_key=source_key)
    expected = known.version if known is not None else CREATE_ONLY
    updating = known is not None
    current: Current | None = None
    for _ in range(_TRIES):
        try:
            written = server.put(resource, expected_version=expected)
        except Conflict:
            current = server.read(str(resource["resourceType"]), str(resource["id"]))
            if isinstance(current, Absent):
                server.refused_creations += expected == CREATE_ONLY
                expected, updating = CREATE_ONLY, False
            elif isinstance(current, Deleted):
                expected, updating = current.version, False
            elif installation_of(current.resource) != installation_id:
                raise ForeignResource(f"{resource['resourceType']}/{resource['id']} belongs to another writer") from None
            else:
                resource = completed(current.resource) if completed is not None else resource
                wanted, expected = digest(resource), current.version
                if essence(current.resource, base_url=server.base_url) == essence(resource):
                    return _companion(resource, current.version, wanted, source_key)
            continue
        if updating and written.created:
            raise ServerReset()
        return _companion(resource, written.version, wanted, source_key)
    if isinstance(current, Absent):
        raise Transient(
            f"The FHIR server refuses to create {resource['resourceType']}, though it is not there", server="fhir"
        )
    raise Transient(f"{resource['resourceType']} is being written by somebody else again and again", server="fhir")


def _companion(resource: Mapping[str, Any], version: str, wanted: str, source_key: str) -> Companion:
    return Companion(
        resource_type=str(resource["resourceType"]),
        resource_id=str(resource["id"]),
        version=version,
        digest=wanted,
        source_key=source_key,
    )
