"""What a server confirms of a resource, version and time, in a form that can be compared later.

The same moment comes as `Last-Modified` (RFC 9110 5.6.7, whole seconds) with a write and as `meta.lastUpdated` (a FHIR
instant with milliseconds and any offset) with a read. Versions are opaque (FHIR R4 2.26.3.3), but where both are numbers
a lower one can only come from a backup (RULES E3).
"""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime


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
