"""A site in memory that dies after its n-th lasting change: a commit to the ledger, or a write that the FHIR server took.

Between two such changes a killed process leaves nothing behind, so these are all the deaths there are. The difficulty is
that a thread cannot be killed: so everything runs in the test's own, and death is an exception that nothing catches and
that every later change raises again.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from syncd.ledger.ledger import Ledger
from syncd.model.work import MarkKind
from tests.fakes.http import Clock, Request, Response
from tests.loop.world import World

QUICKLY = 0.5
"""Seconds until the next process: less than StableAge, so what arrived meanwhile still arrives."""


class Killed(BaseException):
    """kill -9."""


class Mortal(World):
    """`dies_after` counts lasting changes down from the moment it is set; None lives for ever."""

    def __init__(self, folder: Path, **policy: Any) -> None:
        super().__init__(folder, **policy)
        self.changes: list[str] = []
        """What changed lastingly, in order, over all lives."""
        self.dies_after: int | None = None
        self.gone: set[str] = set()
        """Studies that the archive lost, which it tells nobody."""
        self.dies_at = ""
        """A change, as `changes` names it, at which it dies whatever the number."""
        self._watch()
        self.fhir.rules.append(self._written)

    def restart(self) -> None:
        """The next process: the ledger and both servers are all that it has."""
        self.dies_after, self.dies_at = None, ""
        self.ledger.close()
        self.clock.advance(QUICKLY)
        self.ledger = Ledger.open(self.ledger_url, clock=self.clock)
        self._watch()
        self._context = None

    def live(self) -> None:
        """What a process does until nothing is left to do: from its start on, or one that lives since then."""
        if self._context is None:
            self.connect()
            self.poll()
            self.sweep()
        else:
            self.poll()
        for study in sorted(self.gone):
            record = self.ledger.records.find(study)
            if record is None or not record.retracted:
                self.mark(study, MarkKind.INVENTORY)
        self.work_here()

    def work_here(self) -> None:
        """Let workers do what is due, in this thread."""
        workers = self.workers()
        workers._pool.shutdown()
        workers._pool = Inline()  # type: ignore[assignment]
        workers._rest = lambda seen: None  # type: ignore[method-assign]
        workers.run(until_idle=True)

    def _changed(self, what: str) -> None:
        self.changes.append(what)
        if what == self.dies_at:
            self.dies_after = 1
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after <= 0:
                raise Killed(what)

    def _watch(self) -> None:
        commit = self.ledger._writer.run

        def run(work: Callable[..., Any]) -> Any:
            if self.dies_after is not None and self.dies_after <= 0:
                raise Killed("dead already")
            done = commit(work)
            named = getattr(work, "func", work).__qualname__  # a `partial` has the name of what it calls
            self._changed(f"ledger {named.removesuffix('.<locals>.<lambda>')}")
            return done

        self.ledger._writer.run = run  # type: ignore[method-assign]

    def _written(self, request: Request) -> Response | None:
        if request.method not in ("PUT", "DELETE"):
            return None
        if self.dies_after is not None and self.dies_after <= 0:
            raise Killed("dead already")
        answer = self.fhir.answer(request)
        if answer.status in (200, 201):
            self._changed(f"{request.method} {request.path.split('/')[2]}")
        return answer


def empty_ledger(folder: Path) -> Path:
    """A file for `Mortal(empty_ledger=…)`: many lives begin with a copy of it, which costs less than a schema each."""
    file = folder / "empty.db"
    Ledger.open(f"sqlite:///{file}", clock=Clock()).close()
    return file


class Inline(Executor):
    """A pool without threads."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future
