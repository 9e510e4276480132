"""docs/testing.md tells the parts of scripts/run_tests.py, in their order, with their budgets."""

from __future__ import annotations

import re

from scripts.run_tests import SUITES
from tests.docs.pages import ROOT, text_of

PAGE = text_of(ROOT / "docs/testing.md")
ROWS = re.findall(r"^\| `([\w-]+)` \| [^|]+ \| (\d+) \| `make ([\w-]+)` \| ([^|]+) \|$", PAGE, re.MULTILINE)
IN_HAND, BAR = 10, 45
"""Minutes that are left for what comes next, below the longest that a run may take."""


def test_the_parts_of_the_table_are_those_that_run() -> None:
    """Names, order and budgets."""
    assert [(name, int(minutes)) for name, minutes, _, _ in ROWS] == [(part.name, part.minutes) for part in SUITES["long"]]


def test_each_part_is_in_the_suite_that_its_row_names() -> None:
    """The smallest of the three that runs it."""
    suites = {"check": SUITES["check"], "test": SUITES["test"], "test-long": SUITES["long"]}
    for name, _, target, _ in ROWS:
        smallest = next(suite for suite, parts in suites.items() if name in {part.name for part in parts})
        assert smallest == target, name


def test_the_budgets_leave_ten_minutes_in_hand() -> None:
    """The bar of CI: 45 minutes on two cores."""
    assert sum(part.minutes for part in SUITES["test"]) <= BAR - IN_HAND


def test_every_place_that_is_named_exists() -> None:
    """A page names no file that is gone."""
    places = re.findall(r"`((?:tests|scripts)/[^`:\s]*)", PAGE)
    assert places and not [place for place in places if not (ROOT / place).exists()]
