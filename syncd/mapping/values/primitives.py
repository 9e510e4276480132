"""FHIR's primitive types as rules: a value in, the rule that it breaks out (empty: none). R4 data types, MAPPING A.6.

These are the patterns that model libraries let pass: ids with blanks, OIDs with leading zeros, numbers out of range, days
that no calendar has. A rule's text never repeats the value, which may identify a patient (RULES S1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date as calendar_date

_MAX_INT = 2147483647
_MAX_STRING = 1048576

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_VISIBLE = r"[^\s\x00-\x1f]+"
_CODE = re.compile(rf"{_VISIBLE}( {_VISIBLE})*")
_URI = re.compile(_VISIBLE)
_ABSOLUTE = re.compile(rf"(https?://|urn:){_VISIBLE}")
_URL = re.compile(rf"[A-Za-z][A-Za-z0-9+.\-]*:{_VISIBLE}")
_OID = re.compile(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+")
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REFERENCE = re.compile(
    rf"#{_VISIBLE}|(https?://{_VISIBLE}/)?[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{{1,64}}(/_history/[A-Za-z0-9\-.]{{1,64}})?|urn:{_VISIBLE}"
)
_DATE = re.compile(r"(?!0000)[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?")
_TIME = r"T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_DATE_TIME = re.compile(rf"{_DATE.pattern}|(?!0000)[0-9]{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]){_TIME}")
_INSTANT = re.compile(rf"(?!0000)[0-9]{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]){_TIME}")
_FULL_DATE = len("YYYY-MM-DD")

Rule = Callable[[object], str]


def text(value: object) -> str:
    """string, markdown: never empty or blank, no control characters but TAB, LF and CR."""
    if not isinstance(value, str):
        return "must be a string"
    if not value or value.isspace():
        return "a string must not be empty"
    if _FORBIDDEN.search(value):
        return "a string must not hold control characters"
    return "a string must not exceed 1 MB" if len(value) > _MAX_STRING else ""


def uri(value: object) -> str:
    """uri: no blanks; what calls itself an OID or a UUID must be one."""
    fault = _match(value, _URI, "a uri must not hold blanks")
    if fault or not isinstance(value, str):
        return fault
    if value.startswith("urn:oid:"):
        return oid(value)
    if value.startswith("urn:uuid:") and _UUID.fullmatch(value) is None:
        return "must be a valid UUID in lower case"
    return ""


def oid(value: object) -> str:
    return _match(value, _OID, "must be a valid OID (urn:oid:, no leading zeros)")


def system(value: object) -> str:
    """`system` of a Coding or an Identifier. HAPI 8.8 refuses any other form ("must be an absolute reference")."""
    return _match(value, _ABSOLUTE, "a system must be an absolute URI") or uri(value)


def date(value: object) -> str:
    return _match(value, _DATE, "must be a FHIR date") or _in_calendar(value)


def date_time(value: object) -> str:
    return _match(value, _DATE_TIME, "must be a FHIR dateTime; a time needs seconds and an offset") or _in_calendar(value)


def unsigned_int(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        return "must be an integer"
    return "" if 0 <= value <= _MAX_INT else "must lie between 0 and 2147483647"


def boolean(value: object) -> str:
    return "" if isinstance(value, bool) else "must be true or false"


def pattern_rule(pattern: re.Pattern[str], fault: str) -> Rule:
    """A rule from a pattern that the whole value must have."""
    return lambda value: _match(value, pattern, fault)


def one_of(*codes: str) -> Rule:
    """A code of a required binding."""
    allowed = frozenset(codes)
    fault = f"must be one of {', '.join(sorted(allowed))}"
    return lambda value: "" if isinstance(value, str) and value in allowed else fault


RULES: Mapping[str, Rule] = {
    "boolean": boolean,
    "code": pattern_rule(_CODE, "must be a code: no outer blanks, single inner ones"),
    "date": date,
    "dateTime": date_time,
    "instant": pattern_rule(_INSTANT, "must be an instant: date, time with seconds, offset"),
    "id": pattern_rule(_ID, "must be an id: 1 to 64 of A-Z a-z 0-9 - ."),
    "oid": oid,
    "reference": pattern_rule(_REFERENCE, "must be a reference: Type/id, an absolute URL, urn: or #id"),
    "string": text,
    "system": system,
    "unsignedInt": unsigned_int,
    "uri": uri,
    "url": pattern_rule(_URL, "must be an absolute URL"),
}


def _match(value: object, pattern: re.Pattern[str], fault: str) -> str:
    if not isinstance(value, str):
        return "must be a string"
    if pattern.fullmatch(value) is None:
        return fault
    return "" if value.isascii() or _FORBIDDEN.search(value) is None else "a string must not hold control characters"


def _in_calendar(value: object) -> str:
    """29 February and the like; a partial date has no day to be wrong."""
    if not isinstance(value, str) or len(value) < _FULL_DATE:
        return ""
    try:
        calendar_date.fromisoformat(value[:_FULL_DATE])
    except ValueError:
        return "must be a day of the calendar"
    return ""
