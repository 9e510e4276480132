"""docs/security.md claims nothing without a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs/security.md").read_text()
_FILE = re.compile(r"tests/[\w/]+\.py(?:: `\w+`(?:, `\w+`)*)?")
_ROW = re.compile(r"^\| (?!tried by|claim|place|---)(.+) \|$", re.MULTILINE)


def _tests(text: str) -> list[tuple[Path, list[str]]]:
    return [(ROOT / one.split(":")[0], re.findall(r"`(\w+)`", one)) for one in _FILE.findall(text)]


def test_every_test_that_is_named_is_there() -> None:
    named = _tests(PAGE)
    assert len(named) > 20
    for file, functions in named:
        assert file.is_file(), file
        for name in functions:
            assert f"def {name}(" in file.read_text(), f"{file.name}: {name}"


def test_every_claim_names_a_test() -> None:
    """What is tried, and what holds: the last column says how one can see that."""
    claims = PAGE.split("\n## A hostile study\n")[1].split("\n## What is not held")[0]
    for row in _ROW.findall(claims):
        assert _tests(row), row
