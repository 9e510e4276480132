"""What a server confirms of a resource, version and time, in a form that can be compared later.

The same moment comes as `Last-Modified` (RFC 9110 5.6.7, whole seconds) with a write and as `meta.lastUpdated` (a FHIR
instant with milliseconds and any offset) with a read. Versions are opaque (FHIR R4 2.26.3.3), but where both are numbers
a lower one can only come from a backup (RULES E3). A version is told at several places, of which a proxy on the way may
change one: Apache makes `W/"2-gzip"` of the ETag `W/"2"` when it packs the answer, others leave the ETag out.
"""

from __future__ import annotations

import email.utils
import re
from datetime import UTC, datetime

from syncd.publish.http import Reply

_VERSION = re.compile(r"/_history/([A-Za-z0-9\-.]{1,64})")
_PACKED = re.compile(r"(--?|;)(gzip|br|deflate|zstd)$")
"""What Apache (`-gzip`), Jetty (`--gzip`) and others put behind the ETag of an answer that they packed."""


def version_of(reply: Reply, *, resource_type: str = "", resource_id: str = "") -> str:
    """The version that an answer confirms, empty where it names none: what the resource in it says of itself, else the
    history part of its location, else the ETag (`W/"2"`, or bare), without what a proxy put behind it."""
    body = reply.body or {}
    if resource_id and (body.get("resourceType"), body.get("id")) == (resource_type, resource_id):
        told = str((body.get("meta") or {}).get("versionId", ""))
        if told:
            return told
    located = _VERSION.search(f"{reply.headers.get('Content-Location', '')} {reply.headers.get('Location', '')}")
    if located:
        return located.group(1)
    return _PACKED.sub("", reply.headers.get("ETag", "").strip().removeprefix("W/").strip('"'))


def moment_of(reply: Reply) -> str:
    """When the version that an answer confirms was written."""
    told = ((reply.body or {}).get("meta") or {}).get("lastUpdated") if reply.outcome is None else None
    return second(str(told or reply.headers.get("Last-Modified", "")))


def second(text: str) -> str:
    """The second that `text` names, as `YYYY-MM-DDTHH:MM:SSZ`; what cannot be read stays as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = email.utils.parsedate_to_datetime(text)
        except ValueError:
            return text
    if moment.tzinfo is None:
        return text
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_below(version: str, confirmed: str) -> bool:
    """Whether the server fell behind what it confirmed."""
    return version.isdecimal() and confirmed.isdecimal() and int(version) < int(confirmed)
