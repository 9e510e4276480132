"""Who owns a ledger in PostgreSQL: an advisory lock, held by a session that does nothing else (RULES E4).

The server frees it when the session ends, however the process ended; so who finds the session gone does not own the
ledger any more. A session may end while its process lives (a restart of the server, a cut line, an administrator). Then
the lock is asked for again, and if no epoch began meanwhile nobody else owned the ledger in between and the work goes
on; else it is over for good.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, text

from syncd.errors import LedgerRefused, LedgerUnavailable
from syncd.ledger.db.errors import translate_errors

PATIENCE = 5.0
"""Seconds to wait for the lock of an owner that has just been killed: its server process has to notice first."""

TAKEN_OVER = "another process has taken the ledger over: stop this one"

POOLED = (
    "LEDGER__URL leads to a proxy that pools transactions, behind which no session can own the ledger: "
    "name PostgreSQL itself, or set the proxy to session pooling"
)

_CLASS = 0x73796E63
"""The upper half of the lock's number ("sync"); the lower one is the schema, so that a database may hold two ledgers."""

_TAKE = text(
    "SELECT pg_try_advisory_lock((CAST(:upper AS bigint) << 32) | current_schema()::regnamespace::oid::bigint)"
).bindparams(upper=_CLASS)
_WHO = text(
    "SELECT activity.application_name FROM pg_locks AS held"
    " JOIN pg_database AS here ON here.oid = held.database AND here.datname = current_database()"
    " LEFT JOIN pg_stat_activity AS activity ON activity.pid = held.pid"
    " WHERE held.locktype = 'advisory' AND held.classid = CAST(:upper AS oid) AND held.objsubid = 1 AND held.granted"
    " AND held.objid = current_schema()::regnamespace::oid"
).bindparams(upper=_CLASS)
_SESSION = text("SELECT pg_backend_pid()")
_STILL = text("SELECT pg_backend_pid(), (SELECT value FROM sequences WHERE name = 'epoch')")
_NAMED = re.compile(r"syncd owns (\d+)@(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """`pid` on `host`; 0 when it cannot be named."""

    pid: int
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.pid else "another process"


def holder(connection: Connection) -> Holder | None:
    """Who owns the ledger now."""
    row = connection.execute(_WHO).first()
    if row is None:
        return None
    named = _NAMED.fullmatch(row.application_name or "")
    return Holder(pid=int(named[1]), host=named[2]) if named else Holder(pid=0, host="")


def are_pooled(one: Connection, other: Connection) -> bool:
    """Whether two connections, one statement a transaction, are served by other sessions from one statement to the next.

    Asked in an order in which neither a pool that hands out what was returned last nor one that goes round gives each
    connection the same session every time."""
    first, second = _pid(one), _pid(other)
    return first == second or any(
        _pid(connection) != pid
        for connection, pid in ((other, second), (one, first), (one, first), (other, second), (other, second), (one, first))
    )


def _pid(connection: Connection) -> int:
    return int(connection.execute(_SESSION).scalar_one())


class SessionLock:
    """The right to write this ledger, until `release` or until its session ends."""

    def __init__(self, session: Callable[[str], Connection], *, shown: str) -> None:
        """`session` opens a connection whose name tells its part. Raises `LedgerRefused`, naming who holds the ledger."""
        self._open = session
        self._shown = shown
        self._guard = threading.Lock()
        self._session: Connection | None = None
        self._pid = 0
        self._over: LedgerRefused | None = None
        with translate_errors(), session("asks") as another:
            self._session = session("owns")
            try:
                if are_pooled(self._session, another):
                    raise LedgerRefused(POOLED)
                self._pid = _pid(self._session)
                self._wait()
            except BaseException:
                self._session.close()
                raise

    def require(self, epoch: int) -> None:
        """Ask the very session that holds the lock. Raises `LedgerRefused` when another owner came, `LedgerUnavailable`
        while the session is gone and cannot be had again."""
        with self._guard:
            if self._over is not None:
                raise self._over
            try:
                self._ask(epoch)
            except LedgerUnavailable:
                self._leave()
                self._come_again(epoch)
            except LedgerRefused as error:
                self._over = error
                raise

    def release(self) -> None:
        with self._guard:
            self._leave()

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._take():
            if time.monotonic() > deadline:
                raise LedgerRefused(f"{self._shown} is held by {self._holder()}: stop it first, or let it do the work")
            time.sleep(0.1)

    def _take(self) -> bool:
        assert self._session is not None  # noqa: S101 - opened by the caller
        return bool(self._session.execute(_TAKE).scalar_one())

    def _holder(self) -> Holder:
        assert self._session is not None  # noqa: S101 - opened by the caller
        return holder(self._session) or Holder(pid=0, host="")

    def _ask(self, epoch: int) -> None:
        if self._session is None:
            raise LedgerUnavailable("the session that owned the ledger is gone")
        with translate_errors():
            pid, current = self._session.execute(_STILL).one()
        if current != epoch:
            raise LedgerRefused(TAKEN_OVER)
        if pid != self._pid:
            raise LedgerRefused(POOLED)

    def _come_again(self, epoch: int) -> None:
        """A new session and the lock, if nobody else had it meanwhile."""
        with translate_errors():
            self._session = self._open("owns")
            try:
                self._pid = _pid(self._session)
                taken = self._take()
                self._ask(epoch)
                if not taken:
                    raise LedgerUnavailable(
                        f"the session that owned {self._shown} was lost, and {self._holder()} has the lock: nothing is sent"
                    )
            except BaseException as error:
                self._leave()
                if isinstance(error, LedgerRefused):
                    self._over = error
                raise

    def _leave(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()
