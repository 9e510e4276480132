"""`syncd` with its SQL counted: `python -m benchmarks.site.counted FILE resync …` writes statements and transactions to
FILE.

Counted is at the driver, below SQLAlchemy, so that it does not matter who asks: a statement once, however many rows
`executemany` gives it; a write transaction where a commit leaves something changed. BEGIN, COMMIT and PRAGMA are no
statements. The question who owns the ledger that PostgreSQL is asked before each write to FHIR (RULES E4) is counted
apart. So is what goes to the FHIR server: what is asked, and what may change something.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import sqlite3.dbapi2
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from syncd.http.messages import Answer, Request
from syncd.http.pool import Pool

_NO_STATEMENT = re.compile(r"\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|PRAGMA|SET|SHOW)\b", re.IGNORECASE)
_CHANGE = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE|CREATE|ALTER|DROP|WITH)\b", re.IGNORECASE)
_FENCE = re.compile(r"pg_backend_pid\(\)[\s,(]+SELECT value FROM sequences", re.IGNORECASE)


class Counts:
    """Statements, write transactions and fences so far."""

    def __init__(self) -> None:
        self.statements = self.transactions = self.fences = 0
        self.asked = self.writes = 0
        self._one = threading.Lock()

    def saw(self, statement: str) -> None:
        with self._one:
            if _FENCE.search(statement):
                self.fences += 1
            elif not _NO_STATEMENT.match(statement):
                self.statements += 1

    def committed(self) -> None:
        """A transaction that changed something."""
        with self._one:
            self.transactions += 1

    def requested(self, method: str, path: str) -> None:
        """A request to a FHIR server; a search by POST changes nothing."""
        with self._one:
            if method in ("PUT", "DELETE", "PATCH") or (method == "POST" and not path.partition("?")[0].endswith("_search")):
                self.writes += 1
            else:
                self.asked += 1

    def written(self) -> dict[str, int]:
        names = ("statements", "transactions", "fences", "asked", "writes")
        return {name: getattr(self, name) for name in names}


def count_sqlite(counts: Counts) -> Callable[[], None]:
    """Every connection that is opened from now on counts; returns what undoes it."""

    class Cursor(sqlite3.Cursor):
        def execute(self, statement: str, *parameters: Any) -> Any:
            return self._counted(super().execute, statement, *parameters)

        def executemany(self, statement: str, *parameters: Any) -> Any:
            return self._counted(super().executemany, statement, *parameters)

        def _counted(self, carry_out: Callable[..., Any], statement: str, *parameters: Any) -> Any:
            counts.saw(statement)
            found = carry_out(statement, *parameters)
            if not self.connection.in_transaction:  # after COMMIT, and without BEGIN after each statement
                self.connection.note_commit()  # type: ignore[attr-defined]
            return found

    class Connection(sqlite3.Connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._changes = 0

        def cursor(self, factory: Any = None) -> Any:
            return super().cursor(Cursor)

        def execute(self, *words: Any) -> Any:
            return self.cursor().execute(*words)

        def executemany(self, *words: Any) -> Any:
            return self.cursor().executemany(*words)

        def commit(self) -> None:
            super().commit()
            self.note_commit()

        def __exit__(self, *raised: Any) -> Any:
            found = super().__exit__(*raised)
            self.note_commit()
            return found

        def note_commit(self) -> None:
            if self.total_changes != self._changes:
                self._changes = self.total_changes
                counts.committed()

    before = sqlite3.connect

    def connect(*arguments: Any, **options: Any) -> Any:
        options["factory"] = Connection
        return before(*arguments, **options)

    def put(function: Any) -> None:
        sqlite3.connect = sqlite3.dbapi2.connect = function

    put(connect)
    return lambda: put(before)


def count_postgresql(counts: Counts) -> None:
    """The same of psycopg's cursors and connections; for the rest of the process."""
    import psycopg

    changed: set[int] = set()

    def counting(carry_out: Callable[..., Any]) -> Callable[..., Any]:
        def counted(cursor: Any, statement: Any, *arguments: Any, **options: Any) -> Any:
            text = statement if isinstance(statement, str) else str(statement)
            counts.saw(text)
            if _CHANGE.match(text):
                changed.add(id(cursor.connection))
            return carry_out(cursor, statement, *arguments, **options)

        return counted

    def committing(carry_out: Callable[..., Any]) -> Callable[..., Any]:
        def commit(connection: Any) -> Any:
            found = carry_out(connection)
            if id(connection) in changed:
                changed.discard(id(connection))
                counts.committed()
            return found

        return commit

    for cursor in (psycopg.Cursor, psycopg.ClientCursor, psycopg.ServerCursor):
        for name in ("execute", "executemany"):
            if name in vars(cursor):
                setattr(cursor, name, counting(vars(cursor)[name]))
    psycopg.Connection.commit = committing(psycopg.Connection.commit)  # type: ignore[method-assign]


def count_requests(counts: Counts, *, to: str) -> None:
    """Requests whose host and port are those of the address `to`; for the rest of the process."""
    at, before = urlsplit(to), Pool.send

    def send(pool: Pool, request: Request) -> Answer:
        if (request.origin.host, request.origin.port) == (at.hostname, at.port):
            counts.requested(request.method, request.target)
        return before(pool, request)

    Pool.send = send  # type: ignore[method-assign]


def main(arguments: list[str]) -> int:
    """Runs the command, writes the file, and ends as the command does."""
    file, *words = arguments
    counts = Counts()
    count_sqlite(counts)
    count_postgresql(counts)
    count_requests(counts, to=os.environ["SYNCD_FHIR__URL"])
    from syncd.cli.app import main as syncd

    sys.argv = ["syncd", *words]
    try:
        syncd()
    finally:
        Path(file).write_text(json.dumps(counts.written()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
