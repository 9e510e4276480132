"""A FHIR server that takes writes as transactions only, spoken to as if it took them singly (FHIR__WRITES).

Each write becomes a transaction of one entry (FHIR R4 3.1.0.11.2), its conditions those of the entry, and what is answered
of the entry is answered for the write; a transaction that is refused is refused as the write would be. Reads, searches and
transactions of several entries go as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from syncd.http.messages import Headers
from syncd.publish.http import FhirHttp, Reply

_CONDITIONS = {"If-Match": "ifMatch", "If-None-Match": "ifNoneMatch", "If-None-Exist": "ifNoneExist"}
"""Headers of a write, and the elements of Bundle.entry.request that say the same."""

_OF_THE_WRITE = {"location": "location", "content-location": "", "etag": "etag", "last-modified": "lastModified"}
"""Headers that tell of a write, and the elements of Bundle.entry.response that say the same."""

_STATUS = re.compile(r"[1-5][0-9]{2}\b")


class EnvelopedHttp(FhirHttp):
    """As `FhirHttp`; only what is written goes another way."""

    def exchange(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, str] | None = None,
        resource: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        if method == "GET" or not path or form is not None:
            return super().exchange(method, path, form=form, resource=resource, headers=headers)
        said = headers or {}
        request = {"method": method, "url": path} | {_CONDITIONS[name]: said[name] for name in said if name in _CONDITIONS}
        entry: dict[str, Any] = {"request": request}
        if resource is not None:
            url = f"{self.base_url}/{path}" if method == "PUT" else f"urn:uuid:{uuid4()}"
            entry = {"fullUrl": url, "resource": resource, "request": request}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        others = {name: value for name, value in said.items() if name not in _CONDITIONS}
        return _of_the_entry(super().exchange("POST", "", resource=bundle, headers=others))


def _of_the_entry(reply: Reply) -> Reply:
    """What is answered of the only entry; where that is not told, the write was taken, and nobody knows as what."""
    if not 200 <= reply.status < 300:
        return reply
    entries = (reply.body or {}).get("entry") or [{}]
    response = entries[0].get("response")
    response = response if isinstance(response, dict) else {}
    status = _STATUS.match(str(response.get("status", "")))
    headers = [(name, value) for name, value in reply.headers.items() if name.lower() not in _OF_THE_WRITE]
    headers += [(name, str(response[element])) for name, element in _OF_THE_WRITE.items() if element in response]
    outcome = response.get("outcome")
    return replace(
        reply,
        status=int(status.group()) if status else reply.status,
        headers=Headers(headers),
        body=outcome if isinstance(outcome, dict) else None,
    )
