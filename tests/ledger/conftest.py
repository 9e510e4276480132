"""The `ledger` fixture is a backend: a new one joins the contract suite by its name in `BACKENDS` and a way to open it.

Tests that are about files take `file_url`; all others take `url` and hold on memory, SQLite and PostgreSQL alike. The
last needs a real server, so it runs in the part of the suite that has them.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from syncd.ledger.ledger import Ledger
from tests.ledger.made import NOW, Clock

BACKENDS = ("memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.real))

_names = itertools.count(1)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, new_url: Callable[[str], str]) -> str:
    """The address of a ledger that is not there yet."""
    return new_url(request.param)


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def new_url(request: pytest.FixtureRequest, file_url: str) -> Iterator[Callable[[str], str]]:
    kept: list[sqlite3.Connection] = []

    def new(backend: str) -> str:
        if backend == "memory":
            name = f"ledger{next(_names)}"
            # As long as one connection is open, what is in memory survives that a ledger is closed.
            kept.append(sqlite3.connect(f"file:/{name}?vfs=memdb", uri=True))
            return f"sqlite:///file:/{name}?vfs=memdb"
        if backend == "postgresql":
            return str(request.getfixturevalue("postgres").new_schema())
        return file_url

    yield new
    for connection in kept:
        connection.close()


@pytest.fixture
def ledger(url: str, clock: Clock) -> Iterator[Ledger]:
    with Ledger.open(url, clock=clock) as opened:
        yield opened


@pytest.fixture
def file_ledger(file_url: str, clock: Clock) -> Iterator[Ledger]:
    with closing(Ledger.open(file_url, clock=clock)) as opened:
        yield opened
