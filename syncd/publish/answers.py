"""What an answer of the FHIR server means, as one table (RULES C6).

Servers say the same thing with different numbers, and different things with the same one: a 404 is "no such resource"
only when a FHIR server says so by an OperationOutcome, and a 409 is either a version conflict or a refused reference.
Reading the table top to bottom, the first row that fits decides.

What an answer confirms of a resource, version and time, is told in a form that can be compared later. The same moment
comes as `Last-Modified` (RFC 9110 5.6.7, whole seconds) with a write and as `meta.lastUpdated` (a FHIR instant with
milliseconds and any offset) with a read. Versions are opaque (FHIR R4 2.26.3.3), but where both are numbers a lower one
can only come from a backup (RULES E3). A version is told at several places, of which a proxy on the way may change one:
Apache makes `W/"2-gzip"` of the ETag `W/"2"` when it packs the answer, others leave the ETag out.
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from syncd.publish.http import Reply

_PLACE = re.compile(r"[\w.\[\]():/*-]{1,200}")
"""What a code or path looks like; some servers quote values in their paths, and those must not be logged (RULES S1)."""
_VERSION = re.compile(r"/_history/([A-Za-z0-9\-.]{1,64})")
_PACKED = re.compile(r"(--?|;)(gzip|br|deflate|zstd)$")
"""What Apache (`-gzip`), Jetty (`--gzip`) and others put behind the ETag of an answer that they packed."""


class Verdict(StrEnum):
    OK = "ok"
    CONFLICT = "conflict"
    REFERENCE = "reference-refused"
    GONE = "gone"
    ABSENT = "absent"
    PAUSED = "paused"
    FORBIDDEN = "forbidden"
    TOO_LARGE = "too-large"
    REFUSED = "refused"
    TRANSIENT = "transient"
    KEPT = "kept"
    """A DELETE that the server does not carry out: something refers to the resource, or nothing is ever deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: statuses (a range), whether an OperationOutcome or a reference of ours must be named, the verdict."""

    first: int
    last: int
    verdict: Verdict
    outcome: bool | None = None
    names_reference: bool | None = None


def _row(first: int, verdict: Verdict, *, last: int = 0, outcome: bool | None = None, ref: bool | None = None) -> Row:
    return Row(first=first, last=last or first, verdict=verdict, outcome=outcome, names_reference=ref)


TABLE: tuple[Row, ...] = (
    _row(200, Verdict.OK, last=299),
    _row(400, Verdict.REFERENCE, ref=True),
    _row(409, Verdict.REFERENCE, ref=True),
    _row(422, Verdict.REFERENCE, ref=True),
    _row(409, Verdict.CONFLICT),
    _row(412, Verdict.CONFLICT),
    _row(410, Verdict.GONE),
    _row(404, Verdict.ABSENT, outcome=True),
    _row(404, Verdict.PAUSED),
    _row(405, Verdict.PAUSED),
    _row(401, Verdict.PAUSED),
    _row(403, Verdict.FORBIDDEN),
    _row(413, Verdict.TOO_LARGE),
    _row(408, Verdict.TRANSIENT),
    _row(425, Verdict.TRANSIENT),
    _row(429, Verdict.TRANSIENT),
    _row(500, Verdict.TRANSIENT, last=599),
    _row(300, Verdict.PAUSED, last=399),
    _row(400, Verdict.REFUSED, last=499),
)

DELETE_TABLE: tuple[Row, ...] = (
    _row(404, Verdict.GONE, outcome=True),
    _row(409, Verdict.KEPT),
    _row(403, Verdict.KEPT, outcome=True),
    _row(405, Verdict.KEPT, outcome=True),
    _row(400, Verdict.KEPT, outcome=True),
    _row(422, Verdict.KEPT),
    _row(501, Verdict.KEPT),
    *TABLE,
)
"""The same for DELETE (RULES D2): HAPI refuses with 409 what something refers to; other servers delete nothing at all."""


def verdict(
    status: int,
    *,
    outcome: Mapping[str, Any] | None,
    references: frozenset[str] = frozenset(),
    table: tuple[Row, ...] = TABLE,
) -> Verdict:
    """The first row that fits; anything unknown is transient: nothing is dropped for an answer that we cannot read."""
    named = outcome is not None and any(text in _text_of(outcome) for text in references)
    for row in table:
        if not row.first <= status <= row.last:
            continue
        if row.outcome is not None and row.outcome != (outcome is not None):
            continue
        if row.names_reference is not None and row.names_reference != named:
            continue
        return row.verdict
    return Verdict.TRANSIENT


def issue_codes(outcome: Mapping[str, Any] | None) -> str:
    """What may be logged of an OperationOutcome: codes and expressions, never its text (RULES S1)."""
    if outcome is None:
        return "no OperationOutcome"
    parts = []
    for issue in _issues(outcome):
        if issue.get("severity") in ("error", "fatal", None):
            places = issue.get("expression") or issue.get("location") or ()
            parts.append(" ".join(filter(_PLACE.fullmatch, [str(issue.get("code", "")), *map(str, places)])))
    return "; ".join(parts[:5]) or "no issue"


def _text_of(outcome: Mapping[str, Any]) -> str:
    return " ".join(
        f"{issue.get('diagnostics', '')} {(issue.get('details') or {}).get('text', '')}" for issue in _issues(outcome)
    )


def _issues(outcome: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    issues = outcome.get("issue")
    return [issue for issue in issues if isinstance(issue, Mapping)] if isinstance(issues, list) else []


def version_of(reply: Reply, *, resource_type: str = "", resource_id: str = "") -> str:
    """The version that an answer confirms, empty where it names none: what the resource in it says of itself, else the
    history part of its location, else the ETag (`W/"2"`, or bare), without what a proxy put behind it."""
    body = reply.body or {}
    if resource_id and (body.get("resourceType"), body.get("id")) == (resource_type, resource_id):
        told = str((body.get("meta") or {}).get("versionId", ""))
        if told:
            return told
    locations = f"{reply.headers.get('Content-Location', '')} {reply.headers.get('Location', '')}"
    return version_told(locations, reply.headers.get("ETag", ""))


def version_told(location: str, etag: str) -> str:
    """The history part of a location, else the ETag (`W/"2"`, or bare), without what a proxy put behind it."""
    located = _VERSION.search(location)
    return located.group(1) if located else _PACKED.sub("", etag.strip().removeprefix("W/").strip('"'))


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
    try:
        return text if moment.tzinfo is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:  # before the year 1 or after 9999, there
        return text


def is_below(version: str, confirmed: str) -> bool:
    """Whether the server fell behind what it confirmed."""
    return version.isdecimal() and confirmed.isdecimal() and int(version) < int(confirmed)
