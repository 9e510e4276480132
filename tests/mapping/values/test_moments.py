"""Dates and times in FHIR's form, with the site's zone where the study does not say one (MAPPING C.1, I.1)."""

from __future__ import annotations

import pytest

from syncd.mapping.values.moments import date_time, in_order, lacks_zone, lies_in_gap
from syncd.model.snapshot import Moment

BERLIN = "Europe/Berlin"

MOMENTS = [
    (None, BERLIN, ""),  # case 1: no StudyDate
    (Moment(date="2026-03-01"), BERLIN, "2026-03-01"),  # cases 2, 4
    (Moment(date="2026-03-01", time="09:15:00", offset="+01:00"), "", "2026-03-01T09:15:00+01:00"),  # case 3
    (Moment(date="2016-12-31", time="23:59:59.5", offset="+00:00"), BERLIN, "2016-12-31T23:59:59.5+00:00"),  # case 5
    (Moment(date="2026-07-01", time="12:00:00"), BERLIN, "2026-07-01T12:00:00+02:00"),  # case 7a
    (Moment(date="2026-10-25", time="02:30:00"), BERLIN, "2026-10-25T02:30:00+02:00"),  # case 7b: doubled hour
    (Moment(date="2026-03-29", time="02:30:00"), BERLIN, "2026-03-29T02:30:00+01:00"),  # case 7c: skipped hour
    (Moment(date="2026-07-01", time="12:00:00"), "", "2026-07-01"),  # case 7d: no zone
    (Moment(date="2026-07-01", time="12:00:00"), "America/St_Johns", "2026-07-01T12:00:00-02:30"),
    (Moment(date="2026-07-01", time="12:00:00"), "Pacific/Kiritimati", "2026-07-01T12:00:00+14:00"),
    (Moment(date="1880-07-01", time="12:00:00"), BERLIN, "1880-07-01"),  # local mean time, +00:53:28
    (Moment(date="0001-01-01", time="00:00:00", offset="+01:00"), BERLIN, "0001-01-01T00:00:00+01:00"),
    (Moment(date="9999-12-31", time="23:59:59.999"), BERLIN, "9999-12-31T23:59:59.999+01:00"),
    (Moment(date="2026-03", time="12:00:00", offset="+01:00"), BERLIN, "2026-03"),
]


@pytest.mark.parametrize(("moment", "zone", "expected"), MOMENTS)
def test_a_moment_as_dateTime(moment: Moment | None, zone: str, expected: str) -> None:  # noqa: N802 - FHIR's type
    """MAPPING C.1-1 to C.1-7, I cases 1 to 7."""
    assert date_time(moment, timezone=zone) == expected


@pytest.mark.parametrize(
    ("time", "offset", "zone", "gap", "unsaid"),
    [
        ("02:30:00", "", BERLIN, True, False),
        ("02:30:00", "+01:00", BERLIN, False, False),
        ("03:00:00", "", BERLIN, False, False),
        ("02:30:00", "", "", False, True),
        ("", "", "", False, False),
    ],
)
def test_odd_hours_are_known(time: str, offset: str, zone: str, gap: bool, unsaid: bool) -> None:
    """MAPPING C.1-7: what is noted of the night when clocks go forward."""
    moment = Moment(date="2026-03-29", time=time, offset=offset)
    assert (lies_in_gap(moment, timezone=zone), lacks_zone(moment, timezone=zone)) == (gap, unsaid)


def test_a_leap_second_is_compared_as_the_second_before_it() -> None:
    """RULES B1: FHIR may name one; it must not cost the check."""
    leap, before = "2016-12-31T23:59:60Z", "2016-12-31T23:59:58Z"
    assert in_order(before, leap)
    assert not in_order(leap, before)
