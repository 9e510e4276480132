"""The one thread that writes (RULES E6).

Callers hand over a function of a transaction and wait until it is committed. What queues up while a commit is on its
way to the disk goes into the next transaction together, each function in a savepoint of its own, so that sixteen
threads cost one fsync and one failing function does not spoil its neighbours. The database itself may fail: that may
have undone everything, so then each function is carried out again, alone, and fails or succeeds for itself. A function
therefore has no effect but through its transaction. Only a COMMIT whose answer was lost (PostgreSQL) is never repeated:
it may have happened, and nobody but the caller knows what that means to him.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Executable, bindparam
from sqlalchemy.exc import DBAPIError

from syncd.errors import LedgerUnavailable
from syncd.ledger.db.errors import meaning_of, speechless, translate_errors
from syncd.ledger.db.riders import Riders
from syncd.ledger.db.schema import ANYBODY, insert_of, tallies
from syncd.ledger.db.statements import Statement

LONGEST_WAIT = 1.0
"""Seconds that a rider waits for somebody else's transaction."""

LARGEST_GROUP = 256
"""Functions in one transaction at most, so that nobody waits long for the others."""

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Transaction:
    """What a writing function gets: the connection, and the tallies that it moves."""

    connection: Connection
    tallies: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, kind: str, *, word: str = "", by: int) -> None:
        """Move a tally; written with the transaction."""
        self.tallies[kind, word] += by


@dataclass(slots=True, kw_only=True)
class _Job:
    work: Callable[[Transaction], Any]
    future: Future[Any]


class _Reminder(Enum):
    RIDERS = "riders"


class Writer:
    """`guard` is asked at the beginning of each transaction and raises when this process may not write any more; then the
    `riders` are written, which leave when it is committed."""

    def __init__(self, engine: Engine, *, guard: Callable[[Connection], None]) -> None:
        self._engine = engine
        self._guard = guard
        self.riders = Riders()
        """What goes with the next transaction."""
        self._jobs: queue.SimpleQueue[_Job | _Reminder | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        with translate_errors():
            self._connection = engine.connect()
        self._thread = threading.Thread(target=self._loop, name="ledger-writer", daemon=True)
        self._thread.start()

    def run(self, work: Callable[[Transaction], T]) -> T:
        """What `work` returns, after its transaction is committed; raises what it raised, or a ledger error."""
        job = _Job(work=work, future=Future())
        with self._closing:
            if self._closed:
                raise LedgerUnavailable("the ledger is closed")
            self._jobs.put(job)
        result: T = job.future.result()
        return result

    def remind(self) -> None:
        """There are riders: let them go alone if nobody writes within `LONGEST_WAIT`."""
        self._jobs.put(_Reminder.RIDERS)

    def close(self) -> None:
        """Carry out what is queued, riders too, then end the thread."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        self._thread.join()
        self._connection.close()

    def _loop(self) -> None:
        while True:
            group, last = self._next_group()
            if group or self.riders:
                self._commit(group)
            if last:
                return

    def _next_group(self) -> tuple[list[_Job], bool]:
        group: list[_Job] = []
        until: float | None = None
        while len(group) < LARGEST_GROUP:
            try:
                job = self._jobs.get(block=not group, timeout=None if until is None else max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if job is None:
                return group, True
            if isinstance(job, _Job):
                group.append(job)
            elif until is None:
                until = time.monotonic() + LONGEST_WAIT
        return group, False

    def _commit(self, group: list[_Job], *, again: bool = False) -> None:
        try:
            with translate_errors():
                endings = self._transact(group)
        except _AnswerLost as error:
            for job in group:
                job.future.set_exception(_as_unavailable(error))
            return
        except BaseException as error:  # noqa: BLE001 - whoever waits for it gets it; the thread must live
            if len(group) == 1 and (again or not _is_cut(error)):
                group[0].future.set_exception(error)
                return
            # A connection that a restarted server had closed comes back with the next transaction.
            for job in group:
                self._commit([job], again=len(group) == 1)
            return
        for job, ending in zip(group, endings, strict=True):
            if isinstance(ending, _Failed):
                job.future.set_exception(ending.error)
            else:
                job.future.set_result(ending)

    def _transact(self, group: list[_Job]) -> list[Any]:
        complete = False
        try:
            with self._connection.begin():
                self._guard(self._connection)
                boarded = self.riders.board(self._connection)
                moved: Counter[tuple[str, str]] = Counter()
                endings = [self._carry_out(job, alone=len(group) == 1, moved=moved) for job in group]
                _write_tallies(self._connection, moved)
                complete = True
        except DBAPIError as error:
            if complete and error.connection_invalidated:
                raise _AnswerLost from error
            raise
        self.riders.arrive(boarded)
        return endings

    def _carry_out(self, job: _Job, *, alone: bool, moved: Counter[tuple[str, str]]) -> Any:
        transaction = Transaction(connection=self._connection)
        if alone:
            ending = job.work(transaction)
        else:
            self._connection.exec_driver_sql("SAVEPOINT job")
            try:
                ending = job.work(transaction)
            except BaseException as error:
                if isinstance(error, DBAPIError) and meaning_of(error) is not None:
                    raise
                self._connection.exec_driver_sql("ROLLBACK TO SAVEPOINT job")
                ending = _Failed(error=speechless(error))
            self._connection.exec_driver_sql("RELEASE SAVEPOINT job")
        if not isinstance(ending, _Failed):
            moved.update(transaction.tallies)
        return ending


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failed:
    error: BaseException


class _AnswerLost(Exception):
    """The connection broke while a COMMIT was on its way."""


def _as_unavailable(error: BaseException) -> LedgerUnavailable:
    unavailable = LedgerUnavailable("the connection to the ledger broke during a commit: what it held is looked at again")
    unavailable.__cause__ = error
    return unavailable


def _is_cut(error: BaseException) -> bool:
    """Whether a ledger error was made of a connection that is gone."""
    return isinstance(error.__cause__, DBAPIError) and error.__cause__.connection_invalidated


_TALLY = {"kind": bindparam("kind"), "word": bindparam("word"), "member": ANYBODY, "number": bindparam("by")}


def _add(dialect: str) -> Executable:
    inserted = insert_of(dialect)(tallies).values(_TALLY)
    keys = [column.name for column in tallies.primary_key]
    said: Executable = inserted.on_conflict_do_update(
        index_elements=keys, set_={"number": tallies.c.number + inserted.excluded.number}
    )
    return said


_ADD = Statement(_add)


def _write_tallies(connection: Connection, moved: Counter[tuple[str, str]]) -> None:
    changes = [{"kind": kind, "word": word, "by": by} for (kind, word), by in moved.items() if by]
    _ADD.run_many(connection, changes)
