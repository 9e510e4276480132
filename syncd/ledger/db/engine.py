"""Opening the database: what is there, what it must become, and what its errors mean.

A file that exists is never silently replaced or emptied: it is ours, whole and not newer, or refused with a sentence
that says what to do. The first start needs care: SQLite makes a file when it connects, and a crash then would leave an
empty one that the next start must refuse; so a new ledger is built beside and renamed when it is complete.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.pool import NullPool, QueuePool

from syncd.errors import LedgerRefused
from syncd.ledger.db.errors import translate_errors
from syncd.ledger.db.file import MemoryPlace, Place, tighten
from syncd.ledger.db.plain import APPLICATION_ID, BUSY_TIMEOUT, MIGRATIONS, RESTORE, inspect, schema_of_this_version
from syncd.ledger.db.schema import metadata, sequences

if TYPE_CHECKING:
    from alembic.config import Config

_VERSION_TABLE = """CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)"""
"""As Alembic makes it."""

READERS = 8
"""Reading connections kept open between reads; more are opened when needed."""


def make_ready(place: Place) -> None:
    """A whole ledger of this version's schema lies at `place`, or `LedgerRefused`. The caller holds the lock."""
    if place.file.exists():
        inspect(place, thorough=True)
        bring_up_to_date(place)
    else:
        create(place)


def create(place: Place) -> None:
    """Build an empty ledger beside its place and give it its name when it is complete. The caller holds the lock."""
    if place.beside("-wal").exists():
        raise LedgerRefused(f"{place.file} is missing while its -wal file is there: {RESTORE}")
    for suffix in (".new", ".new-wal", ".new-shm", ".new-journal"):
        place.beside(suffix).unlink(missing_ok=True)
    try:
        os.close(os.open(place.new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise LedgerRefused(f"{place.file} cannot be created ({error.strerror}): set LEDGER__URL") from error
    with translate_errors():
        with closing(sqlite3.connect(place.new)) as fresh:
            fresh.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        engine = create_writing_engine(Place(file=place.new))
        try:
            migrate(engine)
        finally:
            engine.dispose()
    os.rename(place.new, place.file)
    _sync_folder(place.file.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_writing_engine(place: Place | MemoryPlace, *, max_pages: int | None = None) -> Engine:
    """Every transaction begins as `BEGIN IMMEDIATE` (RULES E6), and a commit has reached the disk when it returns."""
    engine = _engine(place, readers=0)

    @event.listens_for(engine, "connect")
    def _set(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        if max_pages is not None:
            connection.execute(f"PRAGMA max_page_count = {max_pages}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def create_reading_engine(place: Place | MemoryPlace) -> Engine:
    """Short transactions on one state of the ledger each; a statement that writes is an error."""
    engine = _engine(place, readers=READERS)

    @event.listens_for(engine, "connect")
    def _set(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _engine(place: Place | MemoryPlace, *, readers: int) -> Engine:
    return create_engine(
        f"sqlite:///{place.database}&uri=true",
        # Parameters are patient data (RULES S1): SQLAlchemy would put them into its messages.
        hide_parameters=True,
        # isolation_level None: the driver's own implicit, deferred transactions are what E6 forbids.
        connect_args={"isolation_level": None, "check_same_thread": False, "timeout": BUSY_TIMEOUT},
        **({"poolclass": QueuePool, "pool_size": readers, "max_overflow": -1} if readers else {"poolclass": NullPool}),
    )


def migrate(engine: Engine) -> None:
    """Bring the schema to this version's, in one transaction. Raises `LedgerRefused` when it is newer."""
    with engine.begin() as connection:
        upgrade(connection)


def upgrade(connection: Connection) -> bool:
    """The same within the caller's transaction; returns whether there was anything to do."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        _lay_out(connection)
        return True
    if is_current(connection):
        return False
    from alembic import command

    config = _alembic()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return True


def _lay_out(connection: Connection) -> None:
    """Today's schema at once: a new ledger has no history to go through. Tests hold it to what the migrations make."""
    metadata.create_all(connection, checkfirst=False)
    connection.execute(sequences.insert(), [{"name": "generation", "value": 0}, {"name": "epoch", "value": 0}])
    connection.exec_driver_sql(_VERSION_TABLE)
    connection.execute(text("INSERT INTO alembic_version VALUES (:schema)"), {"schema": schema_of_this_version()})


def bring_up_to_date(place: Place) -> None:
    """Migrate an existing ledger. Raises `LedgerRefused` when it is newer."""
    engine = create_writing_engine(place)
    try:
        with translate_errors():
            migrate(engine)
    finally:
        engine.dispose()


def require_current(place: Place | MemoryPlace) -> None:
    """Raises `LedgerRefused` unless the schema is this version's: a guest does not migrate beside a living owner."""
    engine = create_reading_engine(place)
    try:
        with translate_errors(), engine.connect() as connection:
            refuse_older(connection)
    finally:
        engine.dispose()


def refuse_older(connection: Connection) -> None:
    """Raises `LedgerRefused` unless the schema is this version's."""
    if not is_current(connection):
        raise LedgerRefused(
            "the ledger is of an older syncd: start `syncd run` of this version once, with SYNCD_POLICY__RERENDER=hold if "
            "you want to see first what it would render again"
        )


def is_current(connection: Connection) -> bool:
    """Whether the schema is this version's. Raises `LedgerRefused` when it is one that this version does not know."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return False
    revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if revision == schema_of_this_version():
        return True
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_alembic())
    if revision is not None and revision not in {script.revision for script in scripts.walk_revisions()}:
        raise LedgerRefused(f"the ledger was written by a newer syncd (schema {revision}): install that version again")
    return False


def _alembic() -> Config:
    """Alembic is imported for an older ledger only: its import costs as much CPU as opening one of this version."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def tighten_all(place: Place) -> None:
    """The ledger's files are for nobody else to read (mode 0600); SQLite gives new ones the rights of the first."""
    for file in (place.file, place.beside("-wal"), place.beside("-shm"), place.lock):
        if file.exists():
            tighten(file)
