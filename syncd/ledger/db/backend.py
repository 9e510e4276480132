"""What SQLite and PostgreSQL do differently, as one interface: where a ledger lies, who owns it, how it is opened.

Everything else is one code path. `backend_of` is the only place that asks which database an address names.
"""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from syncd.errors import ConfigurationError
from syncd.ledger.db.file import place_of
from syncd.ledger.db.postgresql import PostgresBackend
from syncd.ledger.db.sqlite import FileBackend, MemoryBackend


class Hold(Protocol):
    """The right to write a ledger, from `Backend.take` to `release`."""

    def require(self, epoch: int) -> None:
        """Raises `LedgerRefused` if it is lost for good, `LedgerUnavailable` while it may come back."""

    def release(self) -> None: ...


class Backend(Protocol):
    """A ledger's database. Every method may raise `LedgerRefused` or `LedgerUnavailable`, saying what to do."""

    @property
    def missing(self) -> str:
        """What a guest is told where `exists` is false."""

    def exists(self) -> bool:
        """Whether there is anything that calls itself a ledger; `require_ready` says whether it is one."""

    def take(self) -> Hold:
        """Own the ledger, or raise `LedgerRefused` naming who does."""

    def make_ready(self) -> None:
        """A whole ledger of this version's schema is there afterwards. The caller holds it."""

    def require_ready(self) -> None:
        """The same for a guest, who makes and changes nothing."""

    def create_writing_engine(self, *, max_pages: int | None) -> Engine:
        """One writing transaction at a time among all processes; what it committed is on the disk."""

    def create_reading_engine(self) -> Engine:
        """Short transactions on one state of the ledger each; a statement that writes is an error."""

    def finish_open(self) -> None:
        """Told to an owner after the first transaction."""

    def owner(self) -> int | None:
        """The process that owns the ledger now; 0 when it cannot be named, `None` when nobody does."""


def backend_of(url: str) -> Backend:
    """The database that LEDGER__URL names. Raises `ConfigurationError`, which never repeats a password."""
    try:
        parsed = make_url(str.__str__(url))
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError("LEDGER__URL is not an address: write sqlite:////path/to/ledger.db") from error
    if parsed.get_backend_name() == "postgresql":
        return PostgresBackend(parsed)
    if parsed.database and parsed.database.startswith("file:/") and parsed.query.get("vfs") == "memdb":
        return MemoryBackend(parsed.database.removeprefix("file:/"))
    return FileBackend(place_of(url))
