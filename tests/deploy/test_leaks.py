"""A run of the tests in which syncd says what was planted fails, whatever the tests themselves say (RULES S1)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.planted import DATES, FHIR_TOKEN, NAMES, ORTHANC_PASSWORD, SECRETS, find_planted

pytestmark = pytest.mark.machine

ROOT = Path(__file__).parents[2]
SAID = {
    "printed": "print('born ' + planted.DATES[0])",
    "written to standard error": "import sys; print(planted.WEB_TOKEN, file=sys.stderr)",
    "printed by another process": "import subprocess; subprocess.run(['echo', planted.FHIR_TOKEN])",
    "logged": "import structlog; structlog.get_logger().info('study_decided', study=planted.NAMES[0])",
    "raised and caught": (
        "from syncd.errors import StudyError\n    try:\n        raise StudyError('refused', planted.FHIR_TOKEN)\n"
        "    except StudyError:\n        pass"
    ),
    "on a page": "listening.hear('/readyz', 'archive main: password ' + planted.ORTHANC_PASSWORD)",
    "printed by a command": "listening.hear_command(('status', '--json'), planted.SAM)",
    "in a daemon's log": (
        "log = tmp_path / 'syncd.log'\n    listening.hear_file(log)\n    log.write_text('{\"event\": \"x\"}\\n')\n"
        "    log.write_text(log.read_text() + 'eyJhbGciOiJFUzM4NCJ9.eyJpc3MiOiJzeW5jZCJ9.c2ln\\n')"
    ),
}
"""How something planted is said by a test that passes."""
ALLOWED = {
    "by a command for who may read": "listening.hear_command(('parked', 'show', '1.2.3'), planted.SAM)",
    "within another word": "print('2.25.' + planted.DATES[0] + '1')",
    "by a test that is skipped": "import pytest; pytest.skip('none of ' + planted.NAMES[0])",
}
TEST = """
from tests import listening, planted

def test_inner(tmp_path):
    {statement}
"""


@pytest.mark.parametrize("statement", SAID.values(), ids=SAID)
def test_what_is_said_fails_the_run(tmp_path: Path, statement: str) -> None:
    """With the place where it was found, and without repeating it."""
    ended = _run(tmp_path, TEST.format(statement=statement))
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout
    assert "1 passed" in ended.stdout
    assert "RULES S1" in ended.stdout and "test_inner" in ended.stdout
    assert list(find_planted(ended.stdout + ended.stderr)) == []


def test_of_workers_too(tmp_path: Path) -> None:
    """With pytest-xdist it is found in one process and told by another."""
    ended = _run(tmp_path, TEST.format(statement=SAID["printed"]), "-n", "1")
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout
    assert "date of birth 19…" in ended.stdout


def test_of_whoever_speaks_last(tmp_path: Path) -> None:
    """What a fixture of the whole session says at its end belongs to the last test."""
    fixture = (
        "import pytest\n\n@pytest.fixture(scope='session', autouse=True)\ndef last():\n    yield\n    print('Quagmire')\n"
    )
    ended = _run(tmp_path, fixture + TEST.format(statement="pass"))
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout


@pytest.mark.parametrize("statement", ALLOWED.values(), ids=ALLOWED)
def test_what_may_be_said_does_not(tmp_path: Path, statement: str) -> None:
    """Commands that show a patient to whoever may read; numbers that happen to contain a date."""
    ended = _run(tmp_path, TEST.format(statement=statement))
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (f"postgresql://ledger:{'p%40ss%3A%20w%C3%B6rd%2F%2541%3F'}@127.0.0.1", ["secret"]),
        ('{"password": "p@ss: w\\u00f6rd/%41?"}', ["secret"]),
        ("Authorization: Basic c3luY2QtdGVzdDphIHBhc3N3b3JkOiB3aXRoIHNwYWNlcw==", ["account"]),
        ("-----BEGIN EC PRIVATE KEY-----", ["private key"]),
        ("PID-123456789, ACC-987654321", ["number of a patient", "accession number"]),
        ("PID-12, eyJh, the PRIVATE KEY----- of nobody", []),
        *((f"({value})", ["secret"]) for value in SECRETS),
        *((f"{value},", ["name"]) for value in NAMES),
        *((f"born {value}", ["date of birth"]) for value in DATES),
    ],
)
def test_every_form_is_found(text: str, kinds: list[str]) -> None:
    """Escaped in an address or in JSON, in base64, or made anew by each run."""
    assert [find.kind for find in find_planted(text)] == kinds


def test_a_find_is_told_without_being_repeated() -> None:
    """The log of a run is read by many."""
    told = [str(find) for find in find_planted(f"{FHIR_TOKEN} {ORTHANC_PASSWORD}")]
    assert len(told) == 2
    assert not any(FHIR_TOKEN[3:] in one or ORTHANC_PASSWORD[3:] in one for one in told)


def _run(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_inner.py").write_text(text, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    alone = ("-p", "tests.conftest", "-c", os.devnull, "--rootdir", str(folder))
    return subprocess.run(
        [sys.executable, "-m", "pytest", *alone, *arguments, folder],
        cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
