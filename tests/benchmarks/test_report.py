"""The table and the page say what was measured, beside its goal; the numbers themselves are no test's business."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.report import Row, Setting, at_least, at_most, head, line, page, summary, told

RATIO = Row(measure="rate ÷ floor", value=0.5, goal=at_least(0.9), raw={"studies/s": [1.0, 2.0, 12345.6]})
MISSING = Row(measure="transactions", value=None, goal=at_least(1.2), note="There are none.")
SETTING = Setting(
    date="2026-01-02",
    command="make bench",
    cores=2,
    memory=8 * 2**30,
    processor="A processor",
    versions={"Python": "3.11.2", "Orthanc": "1.10.1"},
)


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (RATIO, "NOT MET"),
        (replace(RATIO, value=0.9), "met"),
        (replace(RATIO, goal=at_most(0.5)), "met"),
        (replace(RATIO, goal=at_most(0.49)), "NOT MET"),
        (replace(RATIO, goal=None), ""),
        (MISSING, "NOT MET"),
    ],
)
def test_a_goal_is_met_at_its_own_number_and_never_without_a_value(row: Row, verdict: str) -> None:
    assert row.verdict == verdict


def test_a_line_tells_goal_value_and_verdict_below_its_head() -> None:
    assert head().split() == ["measure", "goal", "value"]
    assert line(RATIO).split() == ["rate", "÷", "floor", "≥", "0.90", "0.50", "NOT", "MET"]
    first, note = line(MISSING).splitlines()
    assert "not measured" in first and note.strip() == "There are none."


@pytest.mark.parametrize(
    ("number", "wanted", "text"),
    [
        (1234.5, {"digits": 0, "unit": "studies/s"}, "1,234 studies/s"),
        (0.456, {}, "0.46"),
        (150, {"digits": 0, "unit": "MB"}, "150 MB"),
    ],
)
def test_numbers_are_written_for_people(number: float, wanted: dict[str, object], text: str) -> None:
    assert told(number, **wanted) == text  # type: ignore[arg-type]


def test_the_page_has_machine_versions_goals_notes_and_raw_values() -> None:
    text = page([RATIO, MISSING, replace(MISSING, measure="once more")], setting=SETTING, method="## How\n\nSo.")
    assert "Machine: 2 cores (A processor), 8 GiB of memory." in text
    assert "Versions: Python 3.11.2, Orthanc 1.10.1." in text
    assert "| rate ÷ floor | ≥ 0.90 | **0.50** | NOT MET |" in text
    assert text.count("1. There are none.") == 1 and text.count("<sup>1</sup>") == 2
    assert "0 of 3 goals met." in text
    assert "| rate ÷ floor | studies/s | 1, 2, 12,346 |" in text
    assert "So." in text


def test_a_row_without_a_goal_is_not_counted() -> None:
    assert summary([RATIO, replace(RATIO, value=1.0), replace(RATIO, goal=None)]) == "1 of 2 goals met"
