"""How the cost grows with the studies in the ledger: first import, `resync`, an inventory, `audit`, on the tests'
servers.

A real server with a million studies is none that a benchmark can make; the tests' own are processes beside syncd, and
what is told is syncd's own CPU and memory.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator

from benchmarks.arms.idle import inventory_taken
from benchmarks.arms.large import slope
from benchmarks.arms.live import running
from benchmarks.plan import Plan
from benchmarks.report import Row, at_most
from benchmarks.site.program import ROOT, Installation, begin, cpu_of, end, peak_of
from benchmarks.site.session import Session

MB = 1e6
ONE = 1
"""Studies of the ledger whose cost is that of the commands themselves: it is taken off."""
LEAST = 0.001
SLOPE = at_most(1.1)
MEMORY = at_most(250, unit="MB", digits=0)


def rows(session: Session, plan: Plan) -> Iterator[Row]:
    """A slope for each kind of work, and the highest peak of the largest ledger."""
    sizes = list(plan.scale)
    named = " → ".join(f"{size:,}" for size in sizes)
    if len(sizes) < 2:
        yield Row(
            measure="growth with the studies in the ledger",
            value=None,
            goal=SLOPE,
            note="Only `make bench-full` measures it.",
        )
        return
    cpu: dict[str, list[float]] = defaultdict(list)
    nothing = _measured(session, studies=ONE)
    peaks: list[float] = []
    for size in sizes:
        session.say(f"{size:,} studies on the tests' servers")
        taken = _measured(session, studies=size)
        for kind, (seconds, _) in taken.items():
            cpu[kind].append(max(seconds - nothing[kind][0], LEAST))
        peaks.append(max(peak for _, peak in taken.values()) / MB)
    for kind, spent in cpu.items():
        raw = {f"s of CPU, {size:,}": [each] for size, each in zip(sizes, spent, strict=True)}
        yield Row(
            measure=f"{named} studies, {kind}: log-log slope of its CPU", value=slope(sizes, spent), goal=SLOPE, raw=raw
        )
    yield Row(
        measure=f"the same: peak memory at {sizes[-1]:,}",
        value=peaks[-1],
        unit="MB",
        digits=0,
        goal=MEMORY,
        raw={"MB": peaks},
    )


def _measured(session: Session, *, studies: int) -> dict[str, tuple[float, float]]:
    """Kind of work → seconds of CPU, starts included, and peak memory in bytes."""
    with _servers(session, studies=studies) as at:
        installation = _installation(session, at)
        imported = installation.command("resync")
        again = installation.command("resync")
        audited = installation.command("audit")
        with running(installation) as daemon:
            inventory_taken(installation)
            swept = cpu_of(daemon.pid), peak_of(daemon.pid)
    commands = {"first import": imported, "resync unchanged": again, "audit": audited}
    return {**{kind: (cost.cpu, cost.peak) for kind, cost in commands.items()}, "start and inventory": swept}


def _installation(session: Session, at: dict[str, str]) -> Installation:
    name = "scale"
    block = f"SYNCD_ARCHIVES__{name.upper()}__"
    variables = {
        f"{block}URL": at["archive"],
        "SYNCD_FHIR__URL": at["fhir"],
        f"{block}PATIENT_ID_SYSTEM": f"urn:example:{name}",
    }
    return Installation(directory=session.new_folder(name), name=name, variables=variables)


@contextlib.contextmanager
def _servers(session: Session, *, studies: int) -> Iterator[dict[str, str]]:
    """Both servers in a process of their own, for as long as the block lasts."""
    folder = session.new_folder("fakes")
    with (folder / "err").open("wb") as err:
        command = [sys.executable, "-m", "benchmarks.site.fakes", str(studies)]
        with begin(command, directory=ROOT, out=subprocess.PIPE, err=err, stdin=subprocess.PIPE) as servers:
            try:
                assert servers.stdout is not None
                said = servers.stdout.readline()
                assert said, (folder / "err").read_text(errors="replace")[-2000:]
                yield json.loads(said)
            finally:
                end(servers)
