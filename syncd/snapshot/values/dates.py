"""Dates and times: DA, TM and the offset (0008,0201) become a `Moment` (MAPPING C.1).

Half a value is worth keeping and a wrong one is worth nothing: a date without a usable time is a date, a time without a
date is nothing, and a date that no calendar has is nothing either. No zone is guessed here: where (0008,0201) is
silent, `Moment.offset` is empty and the site's zone is the mapping's business (C.1-7).
"""

from __future__ import annotations

import datetime
import re

from syncd.model.snapshot import Moment
from syncd.snapshot.notes import Noting, note_nothing
from syncd.snapshot.values.text import clean

# ASCII digits throughout: `\d` would take any script's. The dotted and coloned forms are ACR-NEMA's.
_DA = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})|([0-9]{4})\.([0-9]{2})\.([0-9]{2})")
_TM = re.compile(r"([0-9]{2})(?:(:?)([0-9]{2})(?:\2([0-9]{2})(?:\.([0-9]{1,6}))?)?)?")
_OFFSET = re.compile(r"([+-])([0-9]{2})([0-9]{2})")
_BIRTH = re.compile(r"([0-9]{4})\.?([0-9]{2})?\.?([0-9]{2})?")

_FURTHEST_WEST = -(13 * 60 + 59)
_FURTHEST_EAST = 14 * 60


def date(text: str, *, note: Noting = note_nothing) -> str:
    """DA → `YYYY-MM-DD`, or empty: no calendar date, a range, a wildcard (C.1-1, -9, -13)."""
    value = _first(text, note=note)
    if not value:
        return ""
    match = _DA.fullmatch(value)
    if match is None:
        note("C.1-13" if "*" in value or "-" in value else "C.1-1", "date omitted: not a DA value")
        return ""
    year, month, day = (part for part in match.groups() if part is not None)
    if not _in_calendar(year, month=month, day=day):
        note("C.1-9", "date omitted: not in the calendar")
        return ""
    return f"{year}-{month}-{day}"


def time(text: str, *, note: Noting = note_nothing) -> str:
    """TM → `HH:MM:SS[.fff]`, or empty where FHIR could not say it (C.1-2 to C.1-5)."""
    value = _first(text, note=note)
    if not value:
        return ""
    match = _TM.fullmatch(value)
    if match is None:
        note("C.1-2", "time omitted: not a TM value")
        return ""
    hour, _, minute, second, fraction = match.groups()
    if minute is None:
        note("C.1-3", "time omitted: hours only")
        return ""
    second = second or "00"
    if second == "60":
        note("C.1-4", "leap_second_clamped")
        second = "59"
    if int(hour) > 23 or int(minute) > 59 or int(second) > 59:
        note("C.1-2", "time omitted: not a time of day")
        return ""
    return f"{hour}:{minute}:{second}" + _fraction(fraction or "")


def offset(text: str, *, note: Noting = note_nothing) -> str:
    """(0008,0201) `±ZZXX` → `±hh:mm`, or empty where it is as good as absent (C.1-6, C.1-8)."""
    value = _first(text, note=note)
    if not value:
        return ""
    match = _OFFSET.fullmatch(value)
    if match is None or value == "-0000" or int(match.group(3)) > 59:
        note("C.1-8", "offset ignored: malformed")
        return ""
    sign, hours, minutes = match.groups()
    total = (int(hours) * 60 + int(minutes)) * (-1 if sign == "-" else 1)
    if not _FURTHEST_WEST <= total <= _FURTHEST_EAST:
        note("C.1-8", "offset ignored: out of range")
        return ""
    return f"{sign}{hours}:{minutes}"


def moment(date_text: str, *, time_text: str = "", offset_text: str = "", note: Noting = note_nothing) -> Moment | None:
    """A DA with its TM and the instance's (0008,0201); None without a date, whatever the time says (C.1-1)."""
    day = date(date_text, note=note)
    if not day:
        return None
    clock = time(time_text, note=note)
    return Moment(date=day, time=clock, offset=offset(offset_text, note=note) if clock else "")


def birth_date(text: str, *, note: Noting = note_nothing) -> str:
    """(0010,0030) → `YYYY[-MM[-DD]]`: a partial date is a date, cut where a part is 00 (C.1-10)."""
    value = _first(text, note=note)
    if not value:
        return ""
    match = _BIRTH.fullmatch(value)
    if match is None:
        note("C.1-1", "birth date omitted: not a DA value")
        return ""
    year, month, day = match.groups()
    if month in (None, "00"):
        month = day = None
    if day in (None, "00"):
        day = None
    if not _in_calendar(year, month=month or "01", day=day or "01"):
        note("C.1-9", "birth date omitted: not in the calendar")
        return ""
    if day is None:
        note("C.1-10", "birth date is partial")
    return "-".join(part for part in (year, month, day) if part)


def sort_digits(text: str) -> str:
    """The digits of a TM value, for comparing two of them as text (RULES B4): `0915` < `091500.5`. Empty if malformed."""
    value = _first(text, note=note_nothing)
    return re.sub(r"[:.]", "", value) if _TM.fullmatch(value) else ""


def _first(text: str, *, note: Noting) -> str:
    """The first value: these attributes have one (VM 1), and Orthanc passes on what else is there."""
    value, backslash, _ = text.partition("\\")
    if backslash:
        note("C.1", "several values: the first taken")
    return clean(value)


def _fraction(digits: str) -> str:
    """Milliseconds at most, cut and not rounded: rounding up could reach into the next day (C.1-5)."""
    kept = digits[:3].rstrip("0")
    return f".{kept}" if kept else ""


def _in_calendar(year: str, *, month: str, day: str) -> bool:
    try:
        datetime.date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True
