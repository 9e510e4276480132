"""What a database's errors mean to an operator: refused (somebody must act) or unavailable (waiting may mend it).

SQLite tells by error codes (`plain`) and PostgreSQL by SQLSTATE; both are tables. PostgreSQL needs more than its table: a
connection that was refused carries no SQLSTATE, only words, and those of a server that speaks another language than
English match nothing; and its messages quote the row that failed, so what is not in the tables loses its text on the
way out (RULES S1).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from syncd.errors import LedgerRefused, LedgerUnavailable, SyncdError
from syncd.ledger.db.plain import RESTORE, meaning_of_code

PASSWORD_REFUSED = "PostgreSQL refuses the ledger's user or password: see to LEDGER__URL and to pg_hba.conf"  # noqa: S105 - no secret
NO_DATABASE = "the ledger's database does not exist: create it, owned by the ledger's user, or set LEDGER__URL"
AWAY = "the ledger's PostgreSQL cannot be reached or ended the connection: is it running, and LEDGER__URL right?"

_SQLSTATE_REFUSED = {
    "28000": PASSWORD_REFUSED,
    "28P01": PASSWORD_REFUSED,
    "3D000": NO_DATABASE,
    "3F000": "the ledger's schema does not exist: create it, or see to the search_path of the ledger's user",
    "42501": "PostgreSQL does not permit what the ledger needs: make its user the owner of the database and of its tables",
    "42P01": f"a table of the ledger is missing: {RESTORE}",
    "42703": f"a column of the ledger is missing: {RESTORE}",
    "XX001": f"the ledger is damaged: {RESTORE}",
    "XX002": "an index of the ledger is damaged: run REINDEX on its database",
}
_SQLSTATE_UNAVAILABLE = {
    "25006": "the ledger's PostgreSQL takes no writes (is it a standby?): set LEDGER__URL to the primary",
    "40001": "another process keeps the ledger busy",
    "40P01": "another process keeps the ledger busy",
    "53100": "the disk of the ledger's PostgreSQL is full: free space, syncd goes on by itself",
    "53200": "the ledger's PostgreSQL has no memory left",
    "53300": "the ledger's PostgreSQL has no connection left: see to max_connections",
    "55P03": "another process keeps the ledger busy",
    "57014": "the ledger's PostgreSQL took too long to answer",
    "58030": "the disk of the ledger's PostgreSQL answers with I/O errors: see its log",
}
_CLASSES_UNAVAILABLE = ("08", "57P", "25P03")
"""Connection exceptions, a server that stops or starts, a session that the server ended."""

_SAID_REFUSED = {
    "password authentication failed": PASSWORD_REFUSED,
    "no password supplied": PASSWORD_REFUSED,
    "no pg_hba.conf entry": PASSWORD_REFUSED,
    "authentication failed": PASSWORD_REFUSED,
    'role "': PASSWORD_REFUSED,
    'database "': NO_DATABASE,
    "does not support SSL": "the ledger's PostgreSQL offers no TLS: set sslmode in LEDGER__URL, or configure the server",
    "certificate": "the certificate of the ledger's PostgreSQL was refused: see to sslmode and sslrootcert in LEDGER__URL",
    "invalid connection option": "LEDGER__URL holds an option that PostgreSQL does not know",
}
"""What libpq says of a connection that did not come about; only in English, else it counts as unavailable."""


@contextmanager
def translate_errors() -> Iterator[None]:
    """Database errors become `LedgerRefused` or `LedgerUnavailable`; a mistake in a statement stays what it is, but for
    the text of PostgreSQL, which holds the row."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        meaning = meaning_of(error)
        if meaning is not None:
            raise meaning from error
        if _sqlstate(error) is None:
            raise
        raise speechless(error) from None


def meaning_of(error: DBAPIError | sqlite3.Error) -> SyncdError | None:
    origin = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(origin, "sqlite_errorcode", None)
    if code is not None:
        return meaning_of_code(code)
    state = _sqlstate(error)
    if state is None:
        return None
    if state in _SQLSTATE_REFUSED:
        return LedgerRefused(_SQLSTATE_REFUSED[state])
    if state in _SQLSTATE_UNAVAILABLE:
        return LedgerUnavailable(_SQLSTATE_UNAVAILABLE[state])
    if state.startswith(_CLASSES_UNAVAILABLE) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return LedgerUnavailable(AWAY)
    if state:
        return None
    said = str(origin)
    if refused := next((text for words, text in _SAID_REFUSED.items() if words in said), None):
        return LedgerRefused(refused)
    # The others are mistakes in a statement, noticed before it was sent.
    return LedgerUnavailable(AWAY) if type(origin).__name__ in ("OperationalError", "InterfaceError") else None


def speechless(error: BaseException) -> BaseException:
    """`error` itself, or what may be told of it where PostgreSQL's own words quote what is stored (RULES S1)."""
    state = _sqlstate(error)
    if state is None:
        return error
    origin = getattr(error, "orig", error)
    return SyncdError(f"the ledger's database refused a statement ({type(origin).__name__}, {state or 'no SQLSTATE'})")


def _sqlstate(error: BaseException) -> str | None:
    """PostgreSQL's five characters, empty where it gave none; `None` for what is not PostgreSQL's."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    if not type(origin).__module__.startswith("psycopg"):
        return None
    return getattr(origin, "sqlstate", None) or ""
