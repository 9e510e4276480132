"""A run that left something out says so, and in CI it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.machine

ROOT = Path(__file__).parents[2]
SKIPS = """
import pytest

def test_runs():
    pass

@pytest.mark.skip(reason="{reason}")
def test_skipped():
    pass
"""
ROWS = """
import pytest

@pytest.mark.quick("r4")
@pytest.mark.parametrize("what", ["a", "b"])
@pytest.mark.parametrize("version", ["r4", "r4b"])
def test_one(version, what):
    pass
"""


@pytest.mark.parametrize(
    ("reason", "environment", "code"),
    [
        ("no Chromium here", {}, 0),
        ("no Chromium here", {"CI": "true"}, 1),
        ("no container engine answers", {"CI": "true"}, 0),
    ],
)
def test_only_a_missing_container_engine_is_forgiven_in_ci(
    tmp_path: Path, reason: str, environment: dict[str, str], code: int
) -> None:
    """Skipped with the reason in a list at the end; CI allows no skip but the container engine."""
    said = _run(tmp_path, SKIPS.format(reason=reason), environment=environment)
    assert said.returncode == code, said.stdout
    assert f"test_inner.py::test_skipped: {reason}" in said.stdout
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["counts"] == {"passed": 1, "failed": 0, "error": 0, "skipped": 1}
    assert list(report["skips"].values()) == [reason]


def test_a_module_skipped_whole_counts(tmp_path: Path) -> None:
    """A skip while collecting hides every test of a file."""
    text = "import pytest\npytest.skip('left out', allow_module_level=True)\n"
    (tmp_path / "test_other.py").write_text("def test_runs(): pass\n", encoding="utf-8")
    assert _run(tmp_path, text, environment={"CI": "true"}).returncode == 1


def test_a_run_without_either_orthanc_fails_where_both_are_demanded(tmp_path: Path) -> None:
    """CI prints both /system versions and fails without either."""
    said = _run(tmp_path, "def test_runs(): pass\n", "--both-orthancs", environment={})
    assert said.returncode == 1
    assert "no Orthanc 1.10.1 was asked" in said.stdout
    assert "no Orthanc 1.12.7 was asked" in said.stdout


def test_the_rows_that_quick_does_not_name_are_long(tmp_path: Path) -> None:
    """docs/testing.md: one row of a kind stays in `make test`; a name is one of a row's parameters, or several."""
    said = _run(tmp_path, ROWS, "--collect-only", "-q", "-m", "not long", environment={})
    rows = [line.partition("::")[2] for line in said.stdout.splitlines() if "::" in line]
    assert rows == ["test_one[r4-a]", "test_one[r4-b]"], said.stdout


def test_a_name_that_is_no_rows_fails(tmp_path: Path) -> None:
    """Else a slip of the pen would leave the whole test to make test-long."""
    said = _run(tmp_path, ROWS.replace('quick("r4")', 'quick("r4", "r7")'), environment={})
    assert said.returncode == pytest.ExitCode.USAGE_ERROR
    assert "test_one[r7]" in said.stdout + said.stderr


def _run(folder: Path, text: str, *arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    (folder / "test_inner.py").write_text(text, encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", os.devnull, "--rootdir", str(folder),
         "--report", str(folder / "report.json"), *arguments, str(folder)],
        cwd=ROOT, env={**inherited, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
