"""Several conditional PUTs as one transaction, which the server carries out whole or not at all (RULES C7).

A transaction is refused whole, and its refusal names no entry; so whoever sends one must be ready to go on singly. Not
every server heeds the conditions of entries: that is proved, by an entry that must be refused, before the first is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from syncd.errors import Conflict, StudyError, Transient
from syncd.plan.decide import CREATE_ONLY, Found
from syncd.publish.answers import second, version_told
from syncd.publish.server import FhirServer, Written

log = structlog.get_logger(__name__)

IF_MATCH = "if-match-0"
"""The create-only form that an entry of a transaction can say, too."""

Wanted = tuple[Mapping[str, Any], str]
"""A resource, and the version that must still be there (`CREATE_ONLY`: none)."""


def heeds_conditions(server: FhirServer, sentinel_id: str) -> bool:
    """Whether this server refuses a transaction of which an entry expects another version. Asked with the sentinel, as it
    is: a server that overlooks the condition writes nothing new. Raises what `FhirServer.read` and `transact` raise, but for
    refusals of the transaction itself."""
    if server.create_form != IF_MATCH:
        return False
    current = server.read("Endpoint", sentinel_id)
    if not isinstance(current, Found):
        return False
    try:
        transact(server, [(current.resource, CREATE_ONLY)])
    except Conflict:
        return True
    except StudyError:
        pass  # it takes no transactions
    log.info("transactions_not_used", reason="the server does not heed the conditions of a transaction's entries")
    return False


def transact(server: FhirServer, wanted: Sequence[Wanted]) -> list[Written]:
    """Write them all, or none; what was written, in their order.

    Raises `Conflict`, `StudyError` and `TargetPaused` for a refusal, and `Transient` also where the answer does not tell
    what became of each: then they must be read."""
    reply = server.post_transaction(_bundle(server.base_url, wanted))
    answers = [(entry or {}).get("response") or {} for entry in (reply.body or {}).get("entry", ())]
    written = [_written(answer) for answer in answers]
    if len(written) != len(wanted) or not all(one.version for one in written):
        raise Transient("The FHIR server does not say what became of a transaction's entries", server="fhir")
    return written


def _bundle(base_url: str, wanted: Sequence[Wanted]) -> dict[str, Any]:
    entries = []
    for resource, expected_version in wanted:
        path = f"{resource['resourceType']}/{resource['id']}"
        request = {"method": "PUT", "url": path, "ifMatch": f'W/"{expected_version}"'}
        entries.append({"fullUrl": f"{base_url}/{path}", "resource": resource, "request": request})
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _written(answer: Mapping[str, Any]) -> Written:
    return Written(
        version=version_told(str(answer.get("location", "")), str(answer.get("etag", ""))),
        last_updated=second(str(answer.get("lastModified", ""))),
        created=str(answer.get("status", "")).startswith("201"),
    )
