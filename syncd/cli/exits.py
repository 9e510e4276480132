"""Exit codes (README.md) and how an error becomes one: its message on stderr, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer

from syncd.cli.lines import echo
from syncd.errors import (
    ConfigurationError,
    LedgerRefused,
    LedgerUnavailable,
    StudyError,
    StudyGone,
    SyncdError,
    TargetPaused,
    Transient,
)


class Exit(IntEnum):
    DONE = 0
    WORK_LEFT = 1
    SETTINGS = 2
    UNREACHABLE = 3
    LEDGER = 4
    INTERRUPTED = 130


_CODES: tuple[tuple[type[SyncdError], Exit], ...] = (
    (ConfigurationError, Exit.SETTINGS),
    (LedgerRefused, Exit.LEDGER),
    (LedgerUnavailable, Exit.LEDGER),
    (Transient, Exit.UNREACHABLE),
    (TargetPaused, Exit.UNREACHABLE),
    (StudyGone, Exit.WORK_LEFT),
    (StudyError, Exit.WORK_LEFT),
)


def code_of(error: SyncdError) -> Exit:
    """The exit code for an error that ended a command."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.WORK_LEFT)


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn a `SyncdError` into its message and exit code, and Ctrl-C into 130."""
    try:
        yield
    except SyncdError as error:
        echo(f"syncd: {error}", err=True)
        raise typer.Exit(code_of(error)) from error
    except KeyboardInterrupt as error:
        echo("syncd: interrupted; what was done is kept, the next run goes on", err=True)
        raise typer.Exit(Exit.INTERRUPTED) from error
