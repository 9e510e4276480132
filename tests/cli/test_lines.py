"""Lists in a pipe: one line each, whatever the width (one line a thing)."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from syncd.cli.lines import align_rows
from tests.cli.conftest import Place, Syncd
from tests.loop.world import puts, refused

UIDS = [f"1.2.840.113619.2.21.848.246800003.0.1952805748.3{number}" for number in range(3)]


@pytest.fixture(params=["20", "80", None], ids=["20 columns", "80 columns", "unset"])
def narrow(request: pytest.FixtureRequest, place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Three studies with long UIDs, and output that goes nowhere in particular."""
    if request.param is None:
        monkeypatch.delenv("COLUMNS")
    else:
        monkeypatch.setenv("COLUMNS", request.param)
    for number, uid in enumerate(UIDS):
        place.store(uid, PatientID=f"P{number}", StudyDate="20240102")
    return place


@pytest.fixture
def set_aside(narrow: Place, syncd: Syncd) -> Place:
    narrow.fhir.rules.append(lambda request: refused(422, "no") if puts()(request) else None)
    assert syncd("resync").exit_code == 1
    return narrow


def _of(text: str, uid: str) -> list[str]:
    """The line of a study, in columns; there is one."""
    (line,) = (line for line in text.splitlines() if uid in line)
    return re.split(r" {2,}", line.strip())


def test_each_parked_study_is_one_line(set_aside: Place, syncd: Syncd) -> None:
    """README.md: `parked list` piped is one line a study."""
    shown = syncd("parked", "list").stdout
    assert [len(_of(shown, uid)) for uid in UIDS] == [6, 6, 6]
    assert _of(shown, UIDS[0])[:2] == [UIDS[0], "refused"] and "422" in _of(shown, UIDS[0])[-1]


def test_each_difference_is_one_line(narrow: Place, syncd: Syncd) -> None:
    """README.md: `audit --deep` piped is one line a study; so is what `resync` leaves."""
    shown = syncd("audit", "--deep").stdout
    assert "1 in main" not in shown and shown.splitlines()[0].endswith("3 studies compared by every element.")
    assert all(len(_of(shown, uid)) == 3 for uid in UIDS)
    narrow.fhir.rules.append(lambda request: refused(422, "no") if puts()(request) else None)
    left = syncd("resync").stdout
    assert all(len(_of(left, uid)) == 2 for uid in UIDS)


def test_what_is_told_of_one_thing_is_one_line(set_aside: Place, syncd: Syncd) -> None:
    """README.md: `status`, `explain` and `archive list` fold nothing either."""
    status = syncd("status").stdout
    assert "\nparked       3 refused\n" in status
    assert status.splitlines()[-1] == "not ready    no daemon is running on this ledger"
    explained = syncd("explain", UIDS[0]).stdout
    assert f"study      {UIDS[0]}\n" in explained
    assert [line for line in explained.splitlines() if "Orthanc id" in line and "LastUpdate" in line]
    assert syncd("archive", "list").stdout == "main  ok\n"


def test_a_pipe_gets_whole_lines(set_aside: Place) -> None:
    """README.md: as a process of its own, whose output is a pipe."""
    environment = {**os.environ, "PYTHONPATH": str(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))}
    done = subprocess.run(
        [sys.executable, "-m", "syncd", "parked", "list"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert [len(_of(done.stdout, uid)) for uid in UIDS] == [6, 6, 6]


def test_a_cell_is_one_line_and_an_empty_end_is_none() -> None:
    """Whatever a server's code or an operator's reason holds."""
    assert list(align_rows([("a", "b\nc", ""), ("longer", "d", "e")])) == ["a       b c", "longer  d    e"]
