"""Exit codes (README.md) and errors in words."""

from __future__ import annotations

import inspect

import pytest
import typer

from syncd import errors
from syncd.cli.exits import Exit, code_of, exit_on_error
from syncd.errors import SyncdError

CODES: dict[str, Exit] = {
    "SyncdError": Exit.WORK_LEFT,
    "Transient": Exit.UNREACHABLE,
    "Unreachable": Exit.UNREACHABLE,
    "Unsuitable": Exit.UNREACHABLE,
    "TargetPaused": Exit.UNREACHABLE,
    "StudyError": Exit.WORK_LEFT,
    "Conflict": Exit.WORK_LEFT,
    "ServerReset": Exit.WORK_LEFT,
    "StudyGone": Exit.WORK_LEFT,
    "TornRead": Exit.WORK_LEFT,
    "CopyAway": Exit.WORK_LEFT,
    "ConfigurationError": Exit.SETTINGS,
    "LedgerRefused": Exit.LEDGER,
    "LedgerUnavailable": Exit.LEDGER,
}


def test_every_error_has_its_exit_code() -> None:
    """README.md: 1 work left, 2 settings, 3 a server cannot be reached, 4 ledger refused."""
    kinds = {name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, SyncdError)}
    assert {name: code_of(kind("x")) for name, kind in kinds.items()} == CODES


def test_the_numbers_are_those_of_the_contract() -> None:
    """README.md: scripts hold on to these."""
    assert {one.name: one.value for one in Exit} == {
        "DONE": 0,
        "WORK_LEFT": 1,
        "SETTINGS": 2,
        "UNREACHABLE": 3,
        "LEDGER": 4,
        "INTERRUPTED": 130,
    }


def test_an_error_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """README.md: its message on stderr, never a traceback."""
    with pytest.raises(typer.Exit) as raised, exit_on_error():
        raise errors.ConfigurationError("set this")
    assert raised.value.exit_code == 2
    assert capsys.readouterr().err == "syncd: set this\n"


def test_ctrl_c_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    """README.md: 130 interrupted."""
    with pytest.raises(typer.Exit) as raised, exit_on_error():
        raise KeyboardInterrupt
    assert raised.value.exit_code == 130
    assert "interrupted" in capsys.readouterr().err
