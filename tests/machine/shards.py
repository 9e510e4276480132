"""The machine's histories, spread over every processor: each shard is a process of its own with a seed of its own."""

from __future__ import annotations

import faulthandler
import itertools
import logging
import multiprocessing
import os
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest.mock import patch

import structlog
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from syncd.ledger.ledger import Ledger
from syncd.loop.steps import Step
from tests.fakes import orthanc_modify
from tests.fakes.http import Clock
from tests.machine import machine

HAPPENINGS = 30
"""At most so many in one history."""

LONGEST = 300.0
"""Seconds of one history: one that takes longer is written down and ends its process, and with it the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What happened in the histories of a run, and what syncd passed and died at."""

    histories: int
    fired: Counter[str] = field(default_factory=Counter)
    reached: Counter[Step] = field(default_factory=Counter)
    killed: Counter[Step] = field(default_factory=Counter)

    def lines(self) -> list[str]:
        """For people."""
        said = {"rules": self.fired, "steps passed": self.reached, "deaths at steps": self.killed}
        return [
            f"{self.histories} histories, {self.fired.total()} happenings, {self.killed.total()} deaths at named steps",
            *(f"{name}: " + ", ".join(f"{one} {number}" for one, number in sorted(of.items())) for name, of in said.items()),
        ]


def tell(seeds: list[int], *, histories: int, shrink: bool = False) -> Told:
    """`histories` for each of `seeds`, as many at once as there are processors. Raises what the first bad one raises.

    A seed means the same histories everywhere, so the order of sets must be the same, too."""
    context = multiprocessing.get_context("spawn")
    with patch.dict(os.environ, PYTHONHASHSEED="0"), ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        parts = list(pool.map(partial(_shard, histories=histories, shrink=shrink), seeds))
    return Told(
        histories=sum(part.histories for part in parts),
        fired=sum((part.fired for part in parts), Counter()),
        reached=sum((part.reached for part in parts), Counter()),
        killed=sum((part.killed for part in parts), Counter()),
    )


class _Timed(machine.Convergence):
    """A history that cannot hang: where it stands is written to the standard error, and the process ends."""

    def __init__(self) -> None:
        faulthandler.dump_traceback_later(LONGEST, exit=True)
        super().__init__()

    def teardown(self) -> None:
        super().teardown()
        faulthandler.cancel_dump_traceback_later()


def _shard(number: int, *, histories: int, shrink: bool) -> Told:
    # Thousands of decisions are no log that anybody reads.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    numbers = itertools.count(1)
    orthanc_modify.new_uid = lambda: f"1.2.276.77.{next(numbers)}"
    for counter in (machine.fired, machine.reached, machine.killed):
        counter.clear()
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "ledger.db"
        Ledger.open(f"sqlite:///{ledger}", clock=Clock()).close()
        history = seed(number)(type("Convergence", (_Timed,), {"empty_ledger": ledger}))
        run_state_machine_as_test(
            history,
            settings=settings(
                max_examples=histories,
                stateful_step_count=HAPPENINGS,
                deadline=None,
                database=None,
                phases=(Phase.explicit, Phase.generate, *([Phase.shrink] if shrink else [])),
                print_blob=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
    return Told(histories=histories, fired=machine.fired, reached=machine.reached, killed=machine.killed)


if __name__ == "__main__":
    import sys

    first, runs = int(sys.argv[1]), int(sys.argv[2])
    print("\n".join(_shard(first, histories=runs, shrink="shrink" in sys.argv).lines()))
