"""A ledger in a PostgreSQL database: its connections, its schema, and what is refused.

One writing transaction at a time, as on SQLite: each begins by locking one row (`owner.takeover.guard`), and so sees
whatever another process committed. A server brings much along that a file does not: a password that no message may
repeat, a version too old, somebody else's tables, and above all a proxy that hands every transaction to another
session, where a session's lock would protect nothing (RULES E4).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, bindparam, create_engine, event, text
from sqlalchemy.pool import NullPool, QueuePool

from syncd.errors import ConfigurationError, LedgerRefused
from syncd.ledger.db import engine
from syncd.ledger.db.errors import translate_errors
from syncd.ledger.db.plain import BUSY_TIMEOUT, RESTORE
from syncd.ledger.db.schema import metadata
from syncd.ledger.db.session_lock import POOLED, SessionLock, are_pooled, holder

OLDEST = 15
"""The oldest PostgreSQL that is tested: Debian bookworm's."""

PATIENCE = {"connect_timeout": 10, "keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3,
            "tcp_user_timeout": 30_000}  # fmt: skip
"""libpq's options, in seconds and (the last) milliseconds: a server that vanished is noticed within half a minute. Those
that LEDGER__URL names itself win."""

_SESSION = (
    f"SET lock_timeout = {int(BUSY_TIMEOUT * 1000)}",
    # A process that is stopped in the middle of a transaction must not keep the others out for ever.
    "SET idle_in_transaction_session_timeout = 60000",
    # A commit has reached the disk when it returns, whatever the server's default is.
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
)

_FIT = text("SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), current_schema()")
_TABLES = text("SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()")
_UNORDERED = text(
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
    " AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C' AND table_name IN :ours ORDER BY 1, 2"
).bindparams(bindparam("ours", expanding=True))


class PostgresBackend:
    """`postgresql://user:password@host:port/database`, with libpq's options after `?`."""

    def __init__(self, url: URL) -> None:
        """Raises `ConfigurationError` for an address that names no database."""
        if not url.database:
            raise ConfigurationError("LEDGER__URL names no database: write postgresql://user@host/database")
        if url.drivername not in ("postgresql", "postgresql+psycopg"):
            raise ConfigurationError("LEDGER__URL names a driver: write postgresql://user@host/database")
        self._url = url.set(drivername="postgresql+psycopg")
        self.shown = url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)

    @property
    def missing(self) -> str:
        return f"there is no ledger in {self.shown}: start `syncd run`, or set LEDGER__URL"

    def exists(self) -> bool:
        with self._ask() as connection:
            return "alembic_version" in _tables(connection)

    def take(self) -> SessionLock:
        with self._ask() as connection:
            _refuse_unfit(connection)
        return SessionLock(self.session, shown=self.shown)

    def make_ready(self) -> None:
        opened = self.create_writing_engine(max_pages=None)
        try:
            with translate_errors(), opened.begin() as connection:
                _refuse_unfit(connection)
                _refuse_strangers(connection)
                if engine.upgrade(connection):
                    _order_by_bytes(connection)
                _refuse_gaps(connection)
        finally:
            opened.dispose()

    def require_ready(self) -> None:
        with self._ask() as connection, self._ask() as another:
            if are_pooled(connection, another):
                raise LedgerRefused(POOLED)
            _refuse_unfit(connection)
            _refuse_strangers(connection)
            engine.refuse_older(connection)
            _refuse_gaps(connection)

    def create_writing_engine(self, *, max_pages: int | None) -> Engine:
        return self._engine("writes", poolclass=NullPool)

    def create_reading_engine(self) -> Engine:
        opened = self._engine(
            "reads", poolclass=QueuePool, pool_size=engine.READERS, max_overflow=-1, pool_pre_ping=True,
            isolation_level="REPEATABLE READ",
        )  # fmt: skip
        return opened.execution_options(postgresql_readonly=True)

    def finish_open(self) -> None:
        return None

    def owner(self) -> int | None:
        with self._ask() as connection:
            found = holder(connection)
            return None if found is None else found.pid

    def session(self, role: str) -> Connection:
        """A connection of its own, each statement a transaction; closing it ends the session."""
        return self._engine(role, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect()

    @contextmanager
    def _ask(self) -> Iterator[Connection]:
        with translate_errors(), self.session("asks") as connection:
            yield connection

    def _engine(self, role: str, **wanted: Any) -> Engine:
        named = {"application_name": f"syncd {role} {os.getpid()}@{socket.gethostname()}"[:63]}
        opened = create_engine(
            self._url,
            # Parameters are patient data (RULES S1): SQLAlchemy would put them into its messages.
            hide_parameters=True,
            connect_args={**{key: value for key, value in PATIENCE.items() if key not in self._url.query}, **named},
            **wanted,
        )

        @event.listens_for(opened, "connect")
        def _set(connection: Any, record: object) -> None:
            with connection.cursor() as cursor:
                for statement in _SESSION:
                    cursor.execute(statement)
            connection.commit()

        return opened


def _tables(connection: Connection) -> set[str]:
    return set(connection.execute(_TABLES).scalars())


def _refuse_unfit(connection: Connection) -> None:
    version, encoding, schema = connection.execute(_FIT).one()
    if version < OLDEST * 10_000:
        raise LedgerRefused(f"the ledger's PostgreSQL is version {version // 10_000}; syncd needs {OLDEST} or newer")
    if encoding != "UTF8":
        raise LedgerRefused(f"the ledger's database has the encoding {encoding}: create it with ENCODING 'UTF8'")
    if schema is None:
        raise LedgerRefused("the ledger's user has no schema in this database: create the one that its search_path names")


def _refuse_strangers(connection: Connection) -> None:
    """Another program's tables under our names, or under Alembic's, are nothing to begin in."""
    found = _tables(connection)
    ours = {"sequences", "dirty", "records"}
    if "alembic_version" in found and not ours <= found:
        raise LedgerRefused("the database is not a ledger of syncd: set LEDGER__URL to a database of its own")
    if "alembic_version" not in found and found & metadata.tables.keys():
        raise LedgerRefused("the database holds tables of another program: set LEDGER__URL to a database of its own")


def _refuse_gaps(connection: Connection) -> None:
    """RULES E7: a ledger that lost a table is refused, never silently empty."""
    if lost := sorted(metadata.tables.keys() - _tables(connection)):
        raise LedgerRefused(f"the ledger is damaged, {', '.join(lost)} is missing: {RESTORE}")
    sequences = set(connection.execute(text("SELECT name FROM sequences")).scalars())
    if lost := sorted({"generation", "epoch"} - sequences):
        raise LedgerRefused(f"the ledger is damaged, its {', '.join(lost)} is missing: {RESTORE}")


def _order_by_bytes(connection: Connection) -> None:
    """Text is compared byte by byte, as SQLite does: pages are in the same order everywhere, and no index depends on the
    operating system's idea of an alphabet, which its upgrades change."""
    for table, column in connection.execute(_UNORDERED, {"ours": list(metadata.tables)}).all():
        connection.exec_driver_sql(f'ALTER TABLE "{table}" ALTER COLUMN "{column}" TYPE text COLLATE "C"')
