"""docs/architecture.md leads to what is there: every folder is told of, and who changes something finds the files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, text_of

PAGE = text_of(ROOT / "docs/architecture.md")
MOST = 6
"""Files that a small change may touch: more is a place where the rooms are cut wrongly."""


def folders() -> list[str]:
    """Every folder of the package that holds code."""
    package = ROOT / "syncd"
    found = {file.parent for file in package.rglob("*.py")} - {package}
    return sorted(str(folder.relative_to(package)) for folder in found)


def changes() -> dict[str, list[str]]:
    """What somebody may want to change, and the first file of each line."""
    section = PAGE.partition("## Where do I change …?\n")[2].partition("\n## ")[0]
    parts = re.findall(r"^### ([^\n]+)\n(.*?)(?=^### |\Z)", section, re.MULTILINE | re.DOTALL)
    return {title: re.findall(r"^- `([^`]+)`", text, re.MULTILINE) for title, text in parts}


@pytest.mark.parametrize("folder", folders())
def test_every_folder_is_told_of(folder: str) -> None:
    """What each room is for."""
    rooms = PAGE.partition("## The rooms\n")[2].partition("\n## ")[0]
    assert f"`{folder}`" in rooms


def test_no_folder_is_told_of_that_is_not_there() -> None:
    """The table follows the layout."""
    rooms = PAGE.partition("## The rooms\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z0-9_/]+)` \|", rooms, re.MULTILINE)) <= set(folders())


def test_small_changes_touch_few_files() -> None:
    """Six small changes, each list no longer than six."""
    assert len(changes()) == MOST
    assert {title: files for title, files in changes().items() if len(files) > MOST} == {}


def test_the_files_to_change_exist() -> None:
    """Each file, and the folder of each new one; files in the running text too."""
    section = PAGE.partition("## Where do I change …?\n")[2].partition("\n## ")[0]
    named = re.findall(r"`((?:syncd|tests|scripts|docs)/[^`]+|README\.md|CHANGELOG\.md|pyproject\.toml)`", section)
    assert {file for files in changes().values() for file in files} <= set(named)
    places = [ROOT / name for name in named]
    assert [str(one) for one in places if not (Path(one.parent) if "<" in one.name else one).exists()] == []
