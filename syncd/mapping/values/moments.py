"""A DICOM date and time as FHIR's dateTime (MAPPING C.1).

FHIR wants an offset wherever there is a time; DICOM mostly has none. The site's time zone supplies it. Two hours of a
year are odd: the doubled one takes the earlier reading, the one that does not exist keeps the offset from before the
gap. Without a zone there is a date only.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from syncd.model.snapshot import Moment

_FULL_DATE = len("YYYY-MM-DD")
_WESTERNMOST, _EASTERNMOST = timedelta(hours=-13, minutes=-59), timedelta(hours=14)


def date_time(moment: Moment | None, *, timezone: str) -> str:
    """`moment` as a FHIR dateTime; empty where there is none. `timezone` is an IANA name or empty (C.1-7)."""
    if moment is None:
        return ""
    if not moment.time or len(moment.date) != _FULL_DATE:
        return moment.date
    offset = moment.offset or _site_offset(moment, timezone=timezone)
    return f"{moment.date}T{moment.time}{offset}" if offset else moment.date


def in_order(start: str, end: str) -> bool:
    """Whether two FHIR dateTimes can be compared (both with a time, or both of one precision), and `start` is not later."""
    if ("T" in start) != ("T" in end) or ("T" not in start and len(start) != len(end)):
        return False
    return _instant(start) <= _instant(end) if "T" in start else start <= end


def _instant(text: str) -> datetime:
    """A leap second, which FHIR may name and Python cannot, as the second before it."""
    return datetime.fromisoformat(text.replace(":60", ":59"))


def lies_in_gap(moment: Moment | None, *, timezone: str) -> bool:
    """Whether the site's clocks never showed this time (the hour skipped in spring)."""
    if moment is None or not _needs_zone(moment) or not timezone:
        return False
    before, after = _offsets(moment, timezone=timezone)
    return before < after


def lacks_zone(moment: Moment | None, *, timezone: str) -> bool:
    """Whether a known time is left out because nobody says in which zone."""
    return moment is not None and _needs_zone(moment) and not _site_offset(moment, timezone=timezone)


def _needs_zone(moment: Moment) -> bool:
    return bool(moment.time) and len(moment.date) == _FULL_DATE and not moment.offset


def _site_offset(moment: Moment, *, timezone: str) -> str:
    """`±hh:mm` at the site, or empty: no zone, or local mean time (before about 1900), which FHIR cannot say."""
    if not timezone:
        return ""
    offset, _ = _offsets(moment, timezone=timezone)
    minutes, seconds = divmod(abs(offset), timedelta(minutes=1))
    if seconds or not _WESTERNMOST <= offset <= _EASTERNMOST:
        return ""
    return f"{'-' if offset < timedelta(0) else '+'}{minutes // 60:02}:{minutes % 60:02}"


def _offsets(moment: Moment, *, timezone: str) -> tuple[timedelta, timedelta]:
    """The offsets of the first and the second reading (PEP 495); within a gap the first is the one before it."""
    local = datetime.fromisoformat(f"{moment.date}T{moment.time}").replace(tzinfo=ZoneInfo(timezone))
    zero = timedelta(0)
    return local.utcoffset() or zero, local.replace(fold=1).utcoffset() or zero
