"""The list of rules and situations is true: each has a test, each test exists, and the page says the same."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache

import pytest

from tests.cases import CASES
from tests.cases.page import cases_page
from tests.cases.row import Row
from tests.docs.pages import ROOT, text_of

RULES = [
    f"{letter}{number}" for letter, last in zip("ABCDES", (9, 12, 9, 3, 8, 3), strict=True) for number in range(1, last + 1)
]
GROUPS = {"Feed", "Convergence", "Errors", "Values"}


@cache
def names_in(file: str) -> frozenset[str]:
    """The names of the tests of a file, in classes too."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and one.name.startswith("test_"))


def unknown(row: Row) -> list[str]:
    """What the row names and nobody has."""
    named = [test.partition("::") for test in row.tests]
    return [f"{file}::{name}" for file, _, name in named if not (ROOT / file).is_file() or name not in names_in(file)]


@pytest.mark.parametrize("row", CASES, ids=lambda row: row.name or row.says)
def test_every_test_that_is_named_exists(row: Row) -> None:
    """Each rule of RULES and each line of docs/cases.md has a named test."""
    assert row.says and row.tests
    assert unknown(row) == []
    assert len(set(row.tests)) == len(row.tests)


def test_every_rule_has_its_row() -> None:
    """RULES A1 to E8 and S1 to S3: once each, in their order; situations stand under their four headings."""
    assert [row.name for row in CASES if row.name] == RULES
    assert {row.group for row in CASES if not row.name} == GROUPS
    assert [says for says, times in Counter(row.says for row in CASES).items() if times > 1] == []


def test_a_test_that_does_not_exist_would_be_noticed() -> None:
    """The check itself: a wrong file, and a wrong name in a right file."""
    wrong = ("tests/docs/test_nothing.py::test_x", "tests/docs/test_cases.py::test_x")
    assert unknown(Row(group="Feed", name="", says="x", tests=wrong)) == list(wrong)


def test_the_page_is_fresh_and_tells_what_is_missing() -> None:
    """Run `python scripts/generate_docs.py`. What no test shows is said, and so is every file of the rows."""
    page = text_of(ROOT / "docs/cases.md")
    assert page == cases_page()
    said = page.partition("## Not shown by a test")[2]
    assert [row.missing for row in CASES if row.missing not in said] == []
    assert "](cases.md)" in text_of(ROOT / "docs/guarantees.md")


def test_the_guarantees_name_tests_and_rules_that_exist() -> None:
    """Which test shows each; files, folders and the numbers of rules are real."""
    page = text_of(ROOT / "docs/guarantees.md")
    named = set(re.findall(r"`(tests/[^`]*)`", page))
    assert named and not [place for place in named if not (ROOT / place).exists()]
    rules = [cell for _, cell, _ in re.findall(r"^\| (.+) \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE) if cell != "rules"]
    assert rules and not set(re.findall(r"\b[A-Z][0-9]+\b", " ".join(rules))) - set(RULES)
    assert all(re.fullmatch(r"[A-ES][0-9]+(?:[, –]+[A-ES][0-9]+)*", cell) for cell in rules)
