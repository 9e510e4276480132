"""MAPPING C.1 and its cases I.1, as tables."""

from __future__ import annotations

import pytest

from syncd.model.snapshot import Moment
from syncd.snapshot.values.dates import birth_date, date, moment, offset, sort_digits, time
from tests.snapshot.studies import Heard


@pytest.mark.parametrize(
    ("text", "expected", "rules"),
    [
        ("20260301", "2026-03-01", []),
        (" 20260301 \x00", "2026-03-01", []),
        ("1999.02.03", "1999-02-03", []),
        ("20240229", "2024-02-29", []),
        ("", "", []),
        ("20240230", "", ["C.1-9"]),
        ("1999.02.31", "", ["C.1-9"]),
        ("00000101", "", ["C.1-9"]),
        ("20260301-20260302", "", ["C.1-13"]),
        ("2026*", "", ["C.1-13"]),
        ("202603", "", ["C.1-1"]),
        ("heute", "", ["C.1-1"]),
        ("٢٠٢٦٠٣٠١", "", ["C.1-1"]),
        ("20260301\\20260401", "2026-03-01", ["C.1"]),
    ],
)
def test_a_date_is_a_calendar_date_or_nothing(text: str, expected: str, rules: list[str]) -> None:
    """MAPPING C.1-1, -9, -13."""
    heard = Heard()
    assert date(text, note=heard) == expected
    assert heard.rules == rules


@pytest.mark.parametrize(
    ("text", "expected", "rules"),
    [
        ("091500", "09:15:00", []),
        ("0915", "09:15:00", []),
        ("09:15:00.25", "09:15:00.25", []),
        ("09", "", ["C.1-3"]),
        ("2400", "", ["C.1-2"]),
        ("240000", "", ["C.1-2"]),
        ("126000", "", ["C.1-2"]),
        ("091561", "", ["C.1-2"]),
        ("noon", "", ["C.1-2"]),
        ("091500.1234567", "", ["C.1-2"]),
        ("235960", "23:59:59", ["C.1-4"]),
        ("091500.123456", "09:15:00.123", []),
        ("091500.999999", "09:15:00.999", []),
        ("091500.500000", "09:15:00.5", []),
        ("091500.000400", "09:15:00", []),
        ("", "", []),
    ],
)
def test_a_time_is_cut_to_what_fhir_can_say(text: str, expected: str, rules: list[str]) -> None:
    """MAPPING C.1-2 to C.1-5."""
    heard = Heard()
    assert time(text, note=heard) == expected
    assert heard.rules == rules


@pytest.mark.parametrize(
    ("text", "expected", "rules"),
    [
        ("+0100", "+01:00", []),
        ("+0000", "+00:00", []),
        ("-1200", "-12:00", []),
        ("-1359", "-13:59", []),
        ("+1400", "+14:00", []),
        ("+1401", "", ["C.1-8"]),
        ("-1400", "", ["C.1-8"]),
        ("-0000", "", ["C.1-8"]),
        ("+0160", "", ["C.1-8"]),
        ("0100", "", ["C.1-8"]),
        ("Z", "", ["C.1-8"]),
        ("", "", []),
    ],
)
def test_an_offset_is_valid_or_as_good_as_absent(text: str, expected: str, rules: list[str]) -> None:
    """MAPPING C.1-6, C.1-8."""
    heard = Heard()
    assert offset(text, note=heard) == expected
    assert heard.rules == rules


@pytest.mark.parametrize(
    ("case", "day", "clock", "zone", "expected"),
    [
        ("1: a time without a date", "", "101500", "", None),
        ("2: a date without a time", "20260301", "", "+0100", Moment(date="2026-03-01")),
        ("3: hours and minutes", "20260301", "0915", "+0100", Moment(date="2026-03-01", time="09:15:00", offset="+01:00")),
        ("4: hours only", "20260301", "09", "+0100", Moment(date="2026-03-01")),
        (
            "5: a leap second",
            "20161231",
            "235960.500000",
            "+0000",
            Moment(date="2016-12-31", time="23:59:59.5", offset="+00:00"),
        ),
        ("7: no offset is kept as none", "20260701", "120000", "", Moment(date="2026-07-01", time="12:00:00")),
    ],
)
def test_date_time_and_offset_make_a_moment(case: str, day: str, clock: str, zone: str, expected: Moment | None) -> None:
    """MAPPING I.1 cases 1 to 7 (the site's zone of case 7 is the mapping's)."""
    assert moment(day, time_text=clock, offset_text=zone) == expected, case


def test_a_clamped_leap_second_says_so() -> None:
    """MAPPING I.1 case 5."""
    heard = Heard()
    moment("20161231", time_text="235960.500000", offset_text="+0000", note=heard)
    assert heard.said == [("C.1-4", "leap_second_clamped")]


@pytest.mark.parametrize(
    ("text", "expected", "rules"),
    [
        ("19800229", "1980-02-29", []),
        ("1980.02.03", "1980-02-03", []),
        ("1980", "1980", ["C.1-10"]),
        ("198002", "1980-02", ["C.1-10"]),
        ("19800000", "1980", ["C.1-10"]),
        ("19800200", "1980-02", ["C.1-10"]),
        ("00000000", "", ["C.1-9"]),
        ("19801300", "", ["C.1-9"]),
        ("19810229", "", ["C.1-9"]),
        ("unknown", "", ["C.1-1"]),
        ("", "", []),
    ],
)
def test_a_birth_date_may_be_partial(text: str, expected: str, rules: list[str]) -> None:
    """MAPPING C.1-10."""
    heard = Heard()
    assert birth_date(text, note=heard) == expected
    assert heard.rules == rules


def test_sort_digits_order_times_as_text() -> None:
    """RULES B4: the greatest study of a patient is found by comparing these digits."""
    texts = ["", "09", "0915", "09:15:00", "091500.5", "0916", "1000"]
    assert [sort_digits(text) for text in texts] == sorted(sort_digits(text) for text in texts)
    assert sort_digits("nonsense") == ""
