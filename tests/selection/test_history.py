"""History, and the window of the day (docs/settings.md, `HISTORY`, `POLICY__BACKFILL_WINDOW`)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.model.study.dates import plain_date
from syncd.selection.history import History, parse_history
from syncd.selection.rules import UnusableRule
from syncd.selection.window import Window, parse_window


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", History()),
        ("NONE", History(word="none")),
        ("since:2020-01-31", History(word="since", since="20200131")),
        ("since: 20200131", History(word="since", since="20200131")),
    ],
)
def test_a_history_is_a_word_or_a_date(text: str, expected: History) -> None:
    """docs/settings.md, `HISTORY`."""
    assert parse_history(text) == expected
    assert parse_history(expected.text) == expected


@pytest.mark.parametrize(
    "text", ["", "some", "all:2020", "since", "since:", "since:2020-02-30", "since:2020", "since:1.1.2020"]
)
def test_any_other_history_is_refused(text: str) -> None:
    """docs/settings.md: exit 2, with what to write."""
    with pytest.raises(UnusableRule) as refused:
        parse_history(text)
    assert "since:2020-01-31" in refused.value.advice


@pytest.mark.parametrize(
    ("study_date", "taken"),
    [("20200131", True), ("20200130", False), ("2020.01.30", False), ("19990101", False), ("", True), ("unknown", True)],
)
def test_a_study_without_a_usable_date_is_not_taken_for_an_old_one(study_date: str, taken: bool) -> None:
    """What is not known to be old is published."""
    assert parse_history("since:2020-01-31").takes(study_date) is taken
    assert History().takes(study_date)
    assert not History(word="none").takes(study_date)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("20240102", "20240102"),
        ("2024-01-02", "20240102"),
        ("2024.01.02", "20240102"),
        ("2024", ""),
        ("", ""),
        ("2024-01", ""),
    ],
)
def test_dates_of_both_sides_sort_alike(text: str, plain: str) -> None:
    """RULES A9: the newest first, whether its date comes from DICOM or from what was published."""
    assert plain_date(text) == plain


@pytest.mark.parametrize(
    ("text", "is_open", "is_closed"),
    [
        ("20:00-06:00", (20 * 60, 23 * 60 + 59, 0, 5 * 60 + 59), (6 * 60, 12 * 60, 19 * 60 + 59)),
        ("1:30-04:00", (90, 239), (0, 89, 240, 1439)),
    ],
)
def test_a_window_may_hold_midnight(text: str, is_open: tuple[int, ...], is_closed: tuple[int, ...]) -> None:
    """RULES A9."""
    window = parse_window(text)
    assert window is not None
    assert all(window.is_open(minute) for minute in is_open)
    assert not any(window.is_open(minute) for minute in is_closed)


def test_always_is_no_window() -> None:
    """docs/settings.md, `POLICY__BACKFILL_WINDOW`."""
    assert parse_window("Always") is None


@pytest.mark.parametrize("text", ["", "20-6", "24:00-06:00", "20:00", "20:60-21:00", "06:00-06:00"])
def test_no_other_window_is_taken(text: str) -> None:
    """docs/settings.md."""
    with pytest.raises(UnusableRule):
        parse_window(text)


@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(0, 1439))
def test_each_minute_is_in_a_window_or_in_its_complement(start: int, end: int, minute: int) -> None:
    """RULES A9: no minute is lost between two windows."""
    if start != end:
        assert Window(start=start, end=end).is_open(minute) != Window(start=end, end=start).is_open(minute)
