"""How soon a new study is available while others wait: `python -m benchmarks.arrival` (RULES A9: 10,000, within 2 s).

Measured is wall time from the moment at which the archive calls a study stable and the feed is asked, to the moment at
which the ledger has recorded it as published; the poll interval comes on top. The difficulty is that a study's own cost
belongs to a machine and its mood: so the same is measured without a backlog in the same run, and the ratio of both is
what two runs can be compared by. Both servers are the tests' own, in memory and in this process: they cost no network,
but their work shares the interpreter with ours, which a real server's does not.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from structlog.testing import capture_logs

from syncd.loop.workers.pool import Workers
from syncd.model.outcome import Outcome
from tests.loop.hands import workers_of
from tests.loop.world import World

WAITING = 10_000
ARRIVING = 15
"""Studies that arrive one after the other, each when the one before is available."""
ALLOWED_S = 2.0
"""RULES A9, beyond the poll interval."""

CONCURRENCY = 4
"""Writes at a time, as by default."""
_LONGEST = 120.0
_AT_ONCE = 50
"""Studies unstable at a time: the archive in memory looks through all of them at each request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Seconds until each newcomer was available; `waiting` others when the first came, `left` of them after the last."""

    waiting: int
    left: int
    took: tuple[float, ...]

    @property
    def within(self) -> bool:
        return max(self.took) <= ALLOWED_S


class Site:
    """Two servers in memory, and workers on a thread of their own once `working`."""

    def __init__(self, folder: Path, *, waiting: int) -> None:
        """`waiting` stable studies that only an inventory told of, so they wait as a backlog does."""
        self.world = World(folder)
        self.world.connect()
        self.world.poll()
        self.world.sweep()
        for number in range(1, waiting + 1):
            self.world.store(f"1.2.276.1.{number}", PatientID=f"P{number}")
            if number % _AT_ONCE == 0:
                self.world.settle()
        self.world.settle()
        self.world.orthanc.handle("DELETE", "/changes")
        if waiting:
            self.world.sweep()
        self._written: dict[str, threading.Event] = {}

    @contextmanager
    def working(self) -> Iterator[Workers]:
        workers = workers_of(self.world, concurrency=CONCURRENCY, on_outcome=self._heard)
        running = threading.Thread(target=workers.run)
        running.start()
        try:
            yield workers
        finally:
            workers.stop(grace=10.0)
            running.join()

    def waiting(self) -> int:
        return self.world.ledger.overview.counts(self.world.clock()).dirty

    def seconds_until_available(self, study_uid: str, *, workers: Workers) -> float:
        """A stable study appears in the archive, and the feed is asked as the clockwork does."""
        written = self._written[study_uid] = threading.Event()
        self.world.store(study_uid, PatientID=study_uid)
        self.world.settle()
        began = time.perf_counter()
        self.world.poll()
        workers.wake()
        if not written.wait(_LONGEST):
            raise SystemExit(f"a new study was not available within {_LONGEST:g} s")
        return time.perf_counter() - began

    def close(self) -> None:
        self.world.ledger.close()
        for archive in self.world.archives.values():
            archive.close()

    def _heard(self, outcome: Outcome) -> None:
        if outcome.record is not None and outcome.record.status == "available" and outcome.study_uid in self._written:
            self._written[outcome.study_uid].set()


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; 0 whatever it says, because a time is no test."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arrival", description="How soon a new study is available.")
    parser.add_argument("--waiting", type=int, default=WAITING, help="studies that wait as a backlog")
    parser.add_argument("--arriving", type=int, default=ARRIVING, help="studies that arrive meanwhile")
    given = parser.parse_args(arguments)
    if given.waiting < 1 or given.arriving < 1:
        parser.error("at least 1 study waits and 1 arrives")
    with capture_logs():  # a line per study would hide the table
        alone, beside = (measured(waiting, arriving=given.arriving) for waiting in (0, given.waiting))
    for line in table(alone, beside):
        print(line)
    return 0


def measured(waiting: int, *, arriving: int) -> Row:
    """The newcomers' times beside that backlog."""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), waiting=waiting)
        try:
            before = site.waiting()
            with site.working() as workers:
                names = (f"1.2.276.2.{number}" for number in itertools.count(1))
                took = tuple(
                    site.seconds_until_available(name, workers=workers) for name in itertools.islice(names, arriving)
                )
                left = site.waiting()
        finally:
            site.close()
    return Row(waiting=before, left=left, took=took)


def table(alone: Row, beside: Row) -> Iterator[str]:
    """Both rows for people, with a head, and what they say of A9."""
    head = ("waiting", "still after", "median ms", "worst ms", "within 2 s")
    yield "  ".join(f"{cell:>11}" for cell in head)
    for row in (alone, beside):
        numbers = (f"{median(row.took) * 1000:.1f}", f"{max(row.took) * 1000:.1f}", "yes" if row.within else "NO")
        yield "  ".join(f"{cell:>11}" for cell in (str(row.waiting), str(row.left), *numbers))
    yield f"ratio: {median(beside.took) / median(alone.took):.2f} times as long as with nothing waiting{_hint(beside)}"


def _hint(beside: Row) -> str:
    return "" if beside.left else " (the backlog was done before the last one came: let more wait)"


if __name__ == "__main__":
    sys.exit(main())
