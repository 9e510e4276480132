"""A real PostgreSQL of the tests' own: Debian's, in a folder that goes with it, each test in a database of its own.

PostgreSQL refuses to run as root, so for root it runs as the user `postgres` that its package made. Its databases
compare text as English dictionaries do, because that is what sites have and what the ledger must not depend on.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from deploy.native.process import ServerProcess
from tests.planted import POSTGRES_PASSWORD
from tests.servers import Unavailable

ROLE, PASSWORD = "ledger", POSTGRES_PASSWORD

ENDS_WITHIN = 60_000
"""Milliseconds that a session may take to end, on a busy machine too."""

_FAST = ("fsync=off", "full_page_writes=off", "listen_addresses=127.0.0.1", "max_connections=60")

_numbers = itertools.count(1)


def programs() -> Path:
    """The folder of Debian's newest PostgreSQL from version 15 on. Raises `Unavailable`."""
    versions = [folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if int(folder.parent.name) >= 15]
    if not versions:
        raise Unavailable("PostgreSQL 15 or newer is not installed (Debian: apt-get install postgresql)")
    return max(versions, key=lambda folder: int(folder.parent.name))


class Postgres(ServerProcess):
    """`new_database()` gives the address of an empty one; `admin()` a superuser's connection."""

    name = "PostgreSQL"
    advice = "apt-get install postgresql"

    def __init__(self) -> None:
        self._bin = programs()
        super().__init__(directory=Path(tempfile.mkdtemp(prefix="syncd-postgres-")), port=0)
        self._data = self.directory / "data"
        self._as_user: tuple[str, ...] = ()
        self._shared = ""
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.directory, user.pw_uid, user.pw_gid)
            ids = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
            # The parent-death signal is forgotten with a change of user: it is asked for again.
            self._as_user = ("setpriv", *ids, "--pdeathsig", "KILL", "--")
        words = self.directory / "password"
        words.write_text(PASSWORD, encoding="utf-8")
        words.chmod(0o644)
        subprocess.run(
            [*self._as_user, str(self._bin / "initdb"), "--pgdata", str(self._data), "--username", "admin", "--no-sync",
             "--pwfile", str(words), "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C",
             "--locale-provider", "icu", "--icu-locale", "en-US"],
            check=True, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def command(self) -> Sequence[str]:
        settings = [part for setting in _FAST for part in ("-c", setting)]
        server = (str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self.port), "-k", str(self.directory))
        return (*self._as_user, *server, *settings)

    def is_ready(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError), self.admin():
            return True
        return False

    def stop(self) -> None:
        """A fast shutdown: SIGTERM would wait for every client to leave."""
        if self.is_running and self._process is not None:
            self._process.send_signal(signal.SIGINT)
        super().stop()

    def admin(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="admin", password=PASSWORD, dbname=database, autocommit=True
        )

    def new_database(self, *, options: str = "") -> str:
        """The address of an empty database, owned by a user who may do nothing else."""
        name = f"ledger{next(_numbers)}"
        with self.admin() as admin:
            if not admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
                admin.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
            admin.execute(f"CREATE DATABASE {name} OWNER {ROLE} {options}")
        return self.address(name)

    def new_schema(self) -> str:
        """The address of an empty schema in a database that all such share: a tenth of the time of a new database."""
        self._shared = self._shared or self.new_database()
        name = f"schema{next(_numbers)}"
        with self.admin(self._shared.rsplit("/", 1)[1]) as admin:
            admin.execute(f"CREATE SCHEMA {name} AUTHORIZATION {ROLE}")
        return f"{self._shared}?options=-csearch_path%3D{name}"

    def drop(self, address: str) -> None:
        with self.admin() as admin:
            admin.execute(f"DROP DATABASE {address.rsplit('/', 1)[1]} WITH (FORCE)")

    def address(self, database: str, *, user: str = ROLE, password: str = PASSWORD, port: int = 0) -> str:
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{port or self.port}/{database}"

    def end_sessions(self, role: str, *, pid: int | str = "%") -> int:
        """`pg_terminate_backend` for syncd's sessions with this part (`owns`, `writes`, `reads`), of one process or all.
        They have ended, and let go of their locks, when this returns."""
        with self.admin() as admin:
            named = f"SELECT pg_terminate_backend(pid, {ENDS_WITHIN}) FROM pg_stat_activity WHERE application_name LIKE %s"
            return len(admin.execute(named, [f"syncd {role} {pid}@%"]).fetchall())


@contextlib.contextmanager
def running() -> Iterator[Postgres]:
    """A server for as long as the block lasts; a fast shutdown, then its folder is gone."""
    server = Postgres()
    try:
        yield server.start()
    finally:
        server.remove()
        shutil.rmtree(server.directory, ignore_errors=True)
