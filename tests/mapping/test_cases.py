"""MAPPING I: each of its cases has a test that names it."""

from __future__ import annotations

import re
from pathlib import Path

CASES = {
    *(1, 2, 3, 4, 5, 7, 9, 10, 11, 13, 14, 17, 19, 20, 22, 23, 24, 25, 26, 27, 28, 29, 31, 33, 34, 37, 38, 39, 40, 41, 43),
    *(44, 45, 46, 48, *range(50, 66)),
}

_NAMED = re.compile(r"(?:\bI|[Cc]ases?)[ _-](?:I\.[0-9] )?((?:[0-9]{1,2}(?:, | and | to )?)+)")


def named_in(text: str) -> set[int]:
    """The numbers behind the words `case` and `cases`, and behind `I-`."""
    found: set[int] = set()
    for numbers in _NAMED.findall(text):
        for first, last in re.findall(r"([0-9]{1,2})(?: to ([0-9]{1,2}))?", numbers):
            found |= set(range(int(first), int(last or first) + 1))
    return found


def test_every_case_of_section_i_has_a_test_that_names_it() -> None:
    """MAPPING I: all cases, as reference tables."""
    here = Path(__file__)
    tests = [file for file in here.parents[1].rglob("test_*.py") if file != here]
    named = set().union(*(named_in(file.read_text(encoding="utf-8")) for file in tests))
    assert CASES - named == set()


def test_numbers_are_read_as_they_are_written() -> None:
    """The reading itself: lists and ranges, and nothing else."""
    assert named_in("MAPPING I cases 20, 22 and 25: x") == {20, 22, 25}
    assert named_in("I-14, case 44, test_case_62_x, cases I.2 11 and 13") == {14, 44, 62, 11, 13}
    assert named_in("CASES, values: 12; C.1-7") == set()
