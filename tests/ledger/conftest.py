"""The `ledger` fixture is a backend: a new one joins the contract suite by its name in `BACKENDS` and a way to open it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.ledger.ledger import Ledger
from tests.ledger.studies import NOW, Clock

BACKENDS = ("sqlite",)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    assert request.param == "sqlite"
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def ledger(url: str, clock: Clock) -> Iterator[Ledger]:
    with Ledger.open(url, clock=clock) as opened:
        yield opened
