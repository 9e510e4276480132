"""The `world` fixture: a site in memory, and as many as a test wants by `new_world(**policy)`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from syncd.ledger.ledger import Ledger
from syncd.loop.workers import pool as room
from tests.fakes.http import Clock
from tests.loop.world import OTHER, STUDY, World


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a ledger that knows nothing."""
    file = tmp_path_factory.mktemp("ledger") / "ledger.db"
    Ledger.open(f"sqlite:///{file}", clock=Clock()).close()
    return file


@pytest.fixture
def new_world(tmp_path: Path, empty_ledger: Path) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def create(**policy: Any) -> World:
        folder = tmp_path / str(len(worlds))
        folder.mkdir()
        worlds.append(World(folder, empty_ledger=empty_ledger, **policy))
        return worlds[-1]

    yield create
    for world in worlds:
        world.ledger.close()
        for archive in world.archives.values():
            archive.close()


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    return new_world()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of these tests stands still, so nobody waits for it."""
    monkeypatch.setattr(room, "_IDLE_WAIT", 0.01)


@pytest.fixture
def ready(world: World) -> World:
    """Two stable studies are due, and the FHIR server is known."""
    world.store(STUDY)
    world.store(OTHER, PatientID="P2")
    world.settle()
    world.poll()
    world.connect()
    return world
