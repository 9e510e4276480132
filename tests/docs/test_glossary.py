"""docs/glossary.md: each word has a place in the code, and it is there."""

from __future__ import annotations

import importlib
import re

import pytest

from tests.docs.pages import ROOT, text_of

ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \| `(syncd[\w.]*)` \|$", text_of(ROOT / "docs/glossary.md"), re.MULTILINE)


def is_there(name: str) -> bool:
    """Whether a dotted name is a module, or something that a module defines."""
    module, _, last = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return hasattr(importlib.import_module(module), last)
    return True


@pytest.mark.parametrize("name", [name for _, _, name in ROWS])
def test_a_name_is_there(name: str) -> None:
    """docs/glossary.md: by import."""
    assert is_there(name)


def test_every_line_of_the_tables_is_read() -> None:
    """docs/glossary.md: a word, the field's word and a name of the code; no word twice."""
    lines = [line for line in text_of(ROOT / "docs/glossary.md").splitlines() if line.startswith("| ")]
    headings = [line for line in lines if line.startswith("| our word |")]
    assert len(ROWS) == len(lines) - len(headings) > 50
    words = [ours for ours, _, _ in ROWS]
    assert len(set(words)) == len(words)


def test_a_name_that_is_not_there_is_noticed() -> None:
    """The reading itself."""
    assert is_there("syncd.errors") and is_there("syncd.errors.SyncdError")
    assert not is_there("syncd.errors.NoSuchError")
