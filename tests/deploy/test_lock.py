"""The locks hold what pyproject.toml asks for, with hashes, and no address."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.txt", "requirements-dev.txt")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address_and_no_path(lock: str) -> None:
    """The index is the machine's business; hashes say whether it gave the right thing."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert re.findall(r"https?://|--index|--find-links|--extra-index|file:|@ ", text) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_locked_has_hashes(lock: str) -> None:
    """pip install --require-hashes."""
    entries = re.split(r"\n(?=\S)", (ROOT / lock).read_text(encoding="utf-8"))
    assert len(entries) > 30
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_locks_hold_everything_that_is_asked_for() -> None:
    """`make lock` after a change in pyproject.toml."""
    runtime = [_name(requirement) for requirement in PYPROJECT["project"]["dependencies"]]
    development = [_name(requirement) for requirement in PYPROJECT["project"]["optional-dependencies"]["dev"]]
    assert [name for name in [*runtime, "setuptools"] if name not in _locked("requirements.txt")] == []
    assert [name for name in development if name not in _locked("requirements-dev.txt")] == []


def test_both_locks_agree() -> None:
    """The tests run on the versions that users get."""
    runtime, development = _locked("requirements.txt"), _locked("requirements-dev.txt")
    assert {name: development.get(name) for name in runtime} == runtime


def _locked(lock: str) -> dict[str, str]:
    pinned = re.findall(r"^([a-zA-Z0-9._-]+)==(\S+)", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)
    return {_name(name): version for name, version in pinned}


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found.group()).lower()
