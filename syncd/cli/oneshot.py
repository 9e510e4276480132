"""How a one-shot command opens the ledger, and how it shows that it is alive.

Beside a living daemon a command is a guest: it reads, marks, and watches. Without one it may own the ledger. Where
there is none yet, a question does not create it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from syncd.ledger.ledger import Ledger
from syncd.settings import Settings


@contextmanager
def open_to_read(settings: Settings) -> Iterator[Ledger]:
    """The ledger to be read, or an empty one that is thrown away where there is none yet."""
    with TemporaryDirectory() as folder:
        known = Ledger.exists(settings.ledger.url)
        ledger = Ledger.open_guest(settings.ledger.url) if known else Ledger.open(f"sqlite:///{folder}/asked.db")
        try:
            yield ledger
        finally:
            ledger.close()


@contextmanager
def open_to_work(settings: Settings) -> Iterator[tuple[Ledger, bool]]:
    """The ledger to work with, and whether that is beside a living daemon, as its guest."""
    beside = Ledger.owner_alive(settings.ledger.url) is not None
    ledger = Ledger.open_guest(settings.ledger.url) if beside else Ledger.open(settings.ledger.url)
    try:
        yield ledger, beside
    finally:
        ledger.close()


def bar() -> Progress:
    """A progress bar on a terminal, nothing elsewhere."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
