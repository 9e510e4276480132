"""A daemon with nothing to do, and a large ledger: what its looking costs, once its first inventory is taken."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.arms.live import running
from benchmarks.plan import Plan
from benchmarks.report import Row, at_most
from benchmarks.site.multiplied import multiply
from benchmarks.site.program import Installation, cpu_of, memory_of
from benchmarks.site.session import Session
from benchmarks.site.shapes import Shape

MODELS = 200
"""Studies that are really stored and published; a tenth of a smaller ledger."""
MB = 1e6
TAKEN = '"event": "inventory_taken"'
PATIENCE = 1800.0


def rows(session: Session, plan: Plan) -> Iterator[Row]:
    """CPU as a share of a core at 1 s polling, and what its memory gained meanwhile."""
    models = min(MODELS, max(1, plan.idle_studies // 10))
    content = session.filled(Shape(studies=models, instances=1))
    installation = session.installation(content.archive)
    installation.command("resync")
    times = plan.idle_studies // models
    session.say(f"{models} published studies become {models * times:,}, in the archive's index and in the ledger")
    multiply(content.archive, installation, times=times)
    session.say(f"a daemon idles for {plan.idle_seconds:g} s")
    with running(installation) as daemon:
        taken = inventory_taken(installation)
        assert '"studies_marked": 0' in taken and f'"studies_listed": {models * times}' in taken, taken
        began, cpu, memory = time.monotonic(), cpu_of(daemon.pid), memory_of(daemon.pid)
        time.sleep(plan.idle_seconds)
        share = (cpu_of(daemon.pid) - cpu) / (time.monotonic() - began) * 100
        after = memory_of(daemon.pid)
    content.archive.discard()
    ledger = f"idle at 1 s polling, {models * times:,} studies in the ledger"
    yield Row(
        measure=f"{ledger}: CPU", value=share, unit="% of a core", goal=at_most(1.0, unit="% of a core"),
    )  # fmt: skip
    yield Row(
        measure=f"{ledger}: memory gained meanwhile",
        value=(after - memory) / MB,
        unit="MB",
        digits=1,
        goal=at_most(1.0, unit="MB", digits=1),
        raw={"MB before and after": [memory / MB, after / MB]},
        note=f"Over {plan.idle_seconds:g} s, after the first inventory.",
    )


def inventory_taken(installation: Installation) -> str:
    """The line of the daemon's log that tells of its first inventory, waited for."""
    log = installation.directory / "run.log"
    deadline = time.monotonic() + PATIENCE
    while not (taken := [line for line in log.read_text(errors="replace").splitlines() if TAKEN in line]):
        assert time.monotonic() < deadline, "no inventory was taken"
        time.sleep(0.2)
    return taken[0]
