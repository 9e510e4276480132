"""`syncd` and the other programs as processes of their own, and what they cost: wall time, CPU, peak memory.

The kernel tells what an ended child took (`wait4`), so nothing has to be asked while it works. A child ends with us,
also when we are killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
TAIL = 2000
"""Characters of its output that a failure shows."""


class ProgramFailed(RuntimeError):
    """It ended with another code than the expected ones; the message has the end of what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds of wall time and of CPU (user + system), peak of resident memory in bytes; what it printed."""

    wall: float
    cpu: float
    peak: int
    code: int = 0
    out: str = ""

    @property
    def json(self) -> Any:
        """The last line of its output."""
        return json.loads(self.out.strip().splitlines()[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One syncd: its folder, its name at the FHIR server, its settings."""

    directory: Path
    name: str
    variables: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """Ours without any SYNCD_ variable but this installation's."""
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("SYNCD_")}
        own = {"SYNCD_LEDGER__URL": f"sqlite:///{self.directory}/ledger.db", "SYNCD_INSTALLATION_ID": self.name}
        quiet = {"SYNCD_WEB__BIND": "127.0.0.1:0", "SYNCD_LOG__FORMAT": "json"}
        return {**kept, "PYTHONPATH": str(ROOT), **own, **quiet, **self.variables}

    def command(self, *arguments: str, codes: Sequence[int] = (0,)) -> Cost:
        """`syncd …` until it has ended. Raises `ProgramFailed`."""
        return self.module("syncd", *arguments, codes=codes)

    def module(self, *words: str, codes: Sequence[int] = (0,)) -> Cost:
        """`python -m …` with this installation's settings."""
        return run([sys.executable, "-m", *words], directory=self.directory, environment=self.environment(), codes=codes)


def run(
    command: Sequence[str], *, directory: Path, environment: Mapping[str, str] | None = None, codes: Sequence[int] = (0,)
) -> Cost:
    """Start it, wait for its end, and tell what it took. Raises `ProgramFailed`."""
    with open_log(directory, "out") as out, open_log(directory, "err") as err:
        began = time.perf_counter()
        child = begin(command, directory=directory, environment=environment, out=out, err=err)
        try:
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        finally:
            end(child)
        wall = time.perf_counter() - began
    said = (directory / "out").read_text(encoding="utf-8", errors="replace")
    if child.returncode not in codes:
        told = said[-TAIL:] + (directory / "err").read_text(encoding="utf-8", errors="replace")[-TAIL:]
        raise ProgramFailed(f"{command[1:5]} ended with {child.returncode}\n{told}")
    cpu = used.ru_utime + used.ru_stime
    return Cost(wall=wall, cpu=cpu, peak=used.ru_maxrss * 1024, code=child.returncode, out=said)


def begin(
    command: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str] | None = None,
    out: Any,
    err: Any,
    stdin: Any = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start it in a session of its own: Ctrl-C reaches us only, and we end it."""
    return subprocess.Popen(
        [*_DIES_WITH_US, *command],
        stdin=stdin,
        stdout=out,
        stderr=err,
        cwd=directory,
        env=None if environment is None else dict(environment),
        start_new_session=True,
    )


def end(child: subprocess.Popen[bytes], *, grace: float = 0.0) -> None:
    """SIGTERM if it is given time, and SIGKILL; nothing if it has ended."""
    if child.returncode is None and grace:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace)
    if child.returncode is None:
        child.kill()
        child.wait()


@contextlib.contextmanager
def open_log(directory: Path, name: str) -> Iterator[Any]:
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / name).open("wb") as file:
        yield file


def cpu_of(pid: int) -> float:
    """Seconds of CPU, user and system, that a living process has used (proc(5))."""
    return _cpu_in(Path(f"/proc/{pid}/stat").read_text(encoding="ascii"), ticks=os.sysconf("SC_CLK_TCK"))


def memory_of(pid: int) -> int:
    """Bytes of resident memory of a living process."""
    return _memory_in(Path(f"/proc/{pid}/status").read_text(encoding="utf-8"), what="VmRSS")


def peak_of(pid: int) -> int:
    """Bytes that were the most so far."""
    return _memory_in(Path(f"/proc/{pid}/status").read_text(encoding="utf-8"), what="VmHWM")


def _cpu_in(stat: str, *, ticks: int) -> float:
    after_name = stat.rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / ticks


def _memory_in(status: str, *, what: str) -> int:
    found = re.search(rf"^{what}:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
