"""The sentinel: an Endpoint with a random id by which a ledger knows its server again (RULES E3).

If it is missing, the server was wiped or is another one, whatever its address says. It also proves, once, which
create-only form the server honours (RULES C2): HAPI takes `If-Match: W/"0"` and ignores `If-None-Match: *`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from syncd.errors import Conflict, StudyError
from syncd.plan.decide import CREATE_ONLY, Found
from syncd.plan.ownership import TAG_SYSTEM, installation_of
from syncd.publish.server import FhirServer, token

SYSTEM = "urn:syncd:sentinel"
_FORMS = ("if-match-0", "if-none-match")
GET_THEN_PUT = "get-then-put"


def new_id() -> str:
    """A fresh sentinel id."""
    return f"syncd-{uuid.uuid4().hex}"


def resource(sentinel_id: str, *, installation_id: str) -> dict[str, Any]:
    """The sentinel in R4: an Endpoint that is off, and leads nowhere."""
    return {
        "resourceType": "Endpoint",
        "id": sentinel_id,
        "meta": {"source": "urn:syncd", "tag": [{"system": TAG_SYSTEM, "code": installation_id}]},
        "identifier": [{"system": SYSTEM, "value": sentinel_id}],
        "status": "off",
        "connectionType": {
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
            "code": "hl7-fhir-rest",
        },
        "name": "syncd sentinel: tells whether this is still the same server; do not delete",
        "payloadType": [{"text": "none"}],
        "address": SYSTEM,
    }


def known_to(server: FhirServer, *, installation_id: str) -> tuple[str, ...]:
    """Ids of the sentinels with our tag that the server holds, confirmed by GET."""
    hits = [
        str(found["id"])
        for found in server.search("Endpoint", {"_tag": token(TAG_SYSTEM, installation_id), "status": "off"})
        if _is_sentinel(found)
    ]
    return tuple(sorted(one for one in hits if present(server, one, installation_id=installation_id)))


def present(server: FhirServer, sentinel_id: str, *, installation_id: str) -> bool:
    """Whether the server still holds this sentinel of ours."""
    current = server.read("Endpoint", sentinel_id)
    return (
        isinstance(current, Found)
        and _is_sentinel(current.resource)
        and installation_of(current.resource) == installation_id
    )


def prove(server: FhirServer, sentinel_id: str, *, installation_id: str) -> str:
    """Write the sentinel, and find the create-only form that refuses to write it twice.

    Where it is there already (a crash, a lost ledger) the standard's form is tried first: a strict server refuses version
    0 of anything, so only a sentinel that `If-Match: W/"0"` created shows that this form can create.
    """
    wanted = resource(sentinel_id, installation_id=installation_id)
    there = present(server, sentinel_id, installation_id=installation_id)
    for form in reversed(_FORMS) if there else _FORMS:
        try:
            server.put(wanted, expected_version=CREATE_ONLY, create_form=form)
        except Conflict:
            pass  # it is there: written before a crash, or by the form tried first
        except StudyError:
            continue  # the server does not understand the header at all
        try:
            server.put(wanted, expected_version=CREATE_ONLY, create_form=form)
        except Conflict:
            if present(server, sentinel_id, installation_id=installation_id):
                return form
            # Refused although it is not there: a tombstone, which this form cannot write over.
    if not present(server, sentinel_id, installation_id=installation_id):
        server.put(wanted, expected_version=CREATE_ONLY, create_form=GET_THEN_PUT)
    return GET_THEN_PUT


def _is_sentinel(found: Mapping[str, Any]) -> bool:
    return any(item.get("system") == SYSTEM for item in found.get("identifier", ()))
