"""A ledger's file by SQLite's own driver: whether it is one, of which schema, and a question or two.

A health check is asked every few seconds and cannot pay for SQLAlchemy and Alembic, whose import alone costs more than its
answer; so nothing here imports either.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from syncd.errors import LedgerRefused, LedgerUnavailable, SyncdError
from syncd.ledger.db.file import Place

Ask = Callable[[str, Mapping[str, Any]], list[tuple[Any, ...]]]
"""One SELECT with its named parameters (`:name`), by whichever driver: its rows."""

APPLICATION_ID = 0x73796E63
"""SQLite's application_id of a ledger ("sync"): tells it from any other database."""

BUSY_TIMEOUT = 10.0
"""Seconds to wait for another process's transaction (marks beside a live daemon are short)."""

MIGRATIONS = Path(__file__).parents[1] / "migrations"

RESTORE = "restore it from a backup, or move it away and let `syncd resync` rebuild it from both servers"

REFUSED = {
    sqlite3.SQLITE_CORRUPT: f"the ledger is damaged: {RESTORE}",
    sqlite3.SQLITE_NOTADB: "the ledger's file is not a database: set LEDGER__URL to another file",
}
UNAVAILABLE = {
    sqlite3.SQLITE_FULL: "the disk of the ledger is full: free space, syncd goes on by itself",
    sqlite3.SQLITE_READONLY: "the ledger is read-only: see to the rights of its file and folder",
    sqlite3.SQLITE_IOERR: "the disk of the ledger answers with I/O errors: see the system's log",
    sqlite3.SQLITE_CANTOPEN: "the ledger cannot be opened: see to the rights of its file and folder",
    sqlite3.SQLITE_BUSY: "another process keeps the ledger busy",
    sqlite3.SQLITE_LOCKED: "another process keeps the ledger busy",
    sqlite3.SQLITE_NOMEM: "there is no memory left for the ledger",
    sqlite3.SQLITE_PERM: "the ledger may not be accessed: see to the rights of its file and folder",
}


def schema_of_this_version() -> str:
    """The revision of the last migration, which Alembic calls the head: their files are numbered."""
    return max(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def inspect(place: Place, *, thorough: bool) -> None:
    """Raises `LedgerRefused` unless the file that exists is a whole ledger; changes nothing in it."""
    if not place.file.is_file():
        raise LedgerRefused(f"{place.file} is not a file: set LEDGER__URL to a file in a folder of its own")
    if place.file.stat().st_size == 0:
        raise LedgerRefused(f"{place.file} is empty, which no ledger ever is: {RESTORE}")
    with _open(place) as found:
        (application_id,) = found.execute("PRAGMA application_id").fetchone()
        if application_id != APPLICATION_ID:
            raise LedgerRefused(f"{place.file} is not a ledger of syncd: set LEDGER__URL to another file")
        # The whole file is read, about a second per gigabyte: a damaged page is better found now than in the middle.
        if thorough and found.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise LedgerRefused(REFUSED[sqlite3.SQLITE_CORRUPT])


@contextmanager
def open_to_ask(place: Place) -> Iterator[Ask]:
    """All that is asked is answered from one state of the ledger; a statement that writes is an error."""
    with _open(place) as opened:
        opened.execute("PRAGMA query_only = ON")
        opened.execute("BEGIN")
        yield lambda statement, parameters: opened.execute(statement, parameters).fetchall()


@contextmanager
def _open(place: Place) -> Iterator[sqlite3.Connection]:
    try:
        opened = sqlite3.connect(place.database, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)
        with closing(opened):
            yield opened
    except sqlite3.Error as error:
        meaning = meaning_of_code(error.sqlite_errorcode)
        if meaning is None:
            raise
        raise meaning from error


def meaning_of_code(code: int) -> SyncdError | None:
    """An error of SQLite as ours: refused (somebody must act), unavailable (waiting may mend it), or neither."""
    primary = code & 0xFF
    if primary in REFUSED:
        return LedgerRefused(REFUSED[primary])
    return LedgerUnavailable(UNAVAILABLE[primary]) if primary in UNAVAILABLE else None
