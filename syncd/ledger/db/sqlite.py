"""A ledger in a file of SQLite, and one in memory for tests: `engine` and `place` behind the interface of `backend`.

In memory there is nothing to lock, to damage or to share with another process; what is left is the one code path.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from syncd.errors import LedgerRefused
from syncd.ledger.db import engine, plain
from syncd.ledger.db.errors import translate_errors
from syncd.ledger.db.file import MemoryPlace, OwnerLock, Place, missing, owner_of, prepare_folder


@dataclass(frozen=True, slots=True)
class FileBackend:
    """`sqlite:////path/to/ledger.db`."""

    place: Place

    @property
    def missing(self) -> str:
        return missing(self.place)

    def exists(self) -> bool:
        return self.place.file.exists()

    def take(self) -> OwnerLock:
        prepare_folder(self.place)
        return OwnerLock(self.place)

    def make_ready(self) -> None:
        engine.make_ready(self.place)

    def require_ready(self) -> None:
        plain.inspect(self.place, thorough=False)
        engine.require_current(self.place)

    def create_writing_engine(self, *, max_pages: int | None) -> Engine:
        return engine.create_writing_engine(self.place, max_pages=max_pages)

    def create_reading_engine(self) -> Engine:
        return engine.create_reading_engine(self.place)

    def finish_open(self) -> None:
        engine.tighten_all(self.place)

    def owner(self) -> int | None:
        return owner_of(self.place)


_held: set[str] = set()
"""The names of those ledgers in memory that somebody in this process owns."""


class MemoryBackend:
    """`sqlite:///file:/NAME?vfs=memdb`; LEDGER__URL takes no such address."""

    missing = "there is no ledger of this name in memory"

    def __init__(self, name: str) -> None:
        self.place = MemoryPlace(name=name)

    def exists(self) -> bool:
        opened = engine.create_reading_engine(self.place)
        try:
            with opened.connect() as connection:
                return opened.dialect.has_table(connection, "alembic_version")
        finally:
            opened.dispose()

    def take(self) -> _MemoryHold:
        return _MemoryHold(self.place.name)

    def make_ready(self) -> None:
        opened = engine.create_writing_engine(self.place)
        try:
            with translate_errors():
                engine.migrate(opened)
        finally:
            opened.dispose()

    def require_ready(self) -> None:
        engine.require_current(self.place)

    def create_writing_engine(self, *, max_pages: int | None) -> Engine:
        return engine.create_writing_engine(self.place, max_pages=max_pages)

    def create_reading_engine(self) -> Engine:
        return engine.create_reading_engine(self.place)

    def finish_open(self) -> None:
        return None

    def owner(self) -> int | None:
        return 0 if self.place.name in _held else None


class _MemoryHold:
    def __init__(self, name: str) -> None:
        if name in _held:
            raise LedgerRefused("the ledger is held by this process: close it first")
        _held.add(name)
        self._name = name

    def require(self, epoch: int) -> None:
        """Nobody else can come to it."""

    def release(self) -> None:
        _held.discard(self._name)
