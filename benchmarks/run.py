"""Everything that is measured on real servers, in one session: `python -m benchmarks.run short|full [--only ARM …]`.

Each row is printed when it is known; at the end the table once more, and `docs/performance.md` is written. An arm that
fails costs its own rows only: it is told, the others go on, and the run ends with 1. What was not measured for want of a
server is told in its row. A value that misses its goal is no failure: what a time is worth is its reader's to judge.
"""

from __future__ import annotations

import argparse
import platform
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from benchmarks import beside as others
from benchmarks.arms import backlog, beside, idle, large, live, scale, started, unchanged
from benchmarks.plan import PLANS, Plan
from benchmarks.report import Row, Setting, head, line, page, summary
from benchmarks.site.program import ROOT
from benchmarks.site.session import Session, cores

PAGE = ROOT / "docs" / "performance.md"
METHOD = Path(__file__).with_name("method.md")

Arm = Callable[[], Iterator[Row]]


class Interrupted(BaseException):
    """SIGTERM: as Ctrl-C."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0: everything was measured; 1: an arm failed; 130: interrupted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="What a study costs, on real servers.")
    parser.add_argument("plan", choices=list(PLANS), help="how much is measured")
    parser.add_argument("--only", nargs="+", default=[], metavar="ARM", help="these arms; the page is not written then")
    parser.add_argument("--page", type=Path, default=None, help="where the page goes (default: docs/performance.md)")
    parser.add_argument(
        "--dicom2fhir", type=Path, default=None, help="a Python that has dicom2fhir (default: one of our own)"
    )
    parser.add_argument("--scale", type=int, nargs="+", metavar="STUDIES", help="sizes of the ledgers on the tests' servers")
    given = parser.parse_args(arguments)
    plan = PLANS[given.plan] if given.scale is None else replace(PLANS[given.plan], scale=tuple(given.scale))
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return measure(plan, only=given.only, page_at=given.page, python=given.dicom2fhir)
    except (KeyboardInterrupt, Interrupted):
        print("interrupted; every server that was started has ended", file=sys.stderr)
        return 130


def measure(plan: Plan, *, only: Sequence[str], page_at: Path | None, python: Path | None) -> int:
    """All arms, or those that are named; the page is written of a whole run, or where it is asked for."""
    began = time.monotonic()
    rows: list[Row] = []
    failed: list[str] = []
    with Session(say=_progress(began)) as session:
        arms = arms_of(session, plan, python=python)
        unknown = set(only) - arms.keys()
        if unknown:
            raise SystemExit(f"no arm {', '.join(sorted(unknown))}; there are {', '.join(arms)}")
        print(head(), flush=True)
        for name, arm in arms.items():
            if not only or name in only:
                _carry_out(name, arm, rows=rows, failed=failed)
        setting = setting_of(plan, session.versions)
    if page_at is not None or not only:
        (page_at or PAGE).write_text(page(rows, setting=setting, method=METHOD.read_text("utf-8")), encoding="utf-8")
    print(f"\n{summary(rows)} ({time.monotonic() - began:.0f} s)")
    for name in failed:
        print(f"FAILED: {name}")
    return 1 if failed else 0


def arms_of(session: Session, plan: Plan, *, python: Path | None = None) -> Mapping[str, Arm]:
    """Name → arm, in the order in which they are carried out."""
    known: dict[str, started.Started] = {}

    def start() -> started.Started:
        if not known:
            session.say("warming both servers, and what a resync of nothing takes")
            backlog.warm_up(session, plan)
            known["resync"] = started.started(session, "resync", repetitions=plan.repetitions)
        return known["resync"]

    return {
        "backlog": lambda: backlog.rows(session, plan, start=start()),
        "beside": lambda: beside.rows(session, plan, start=start(), python=python or others.python_with_dicom2fhir()),
        "unchanged": lambda: unchanged.rows(session, plan, start=start()),
        "start": lambda: started.rows(session, plan),
        "live": lambda: live.rows(session, plan),
        "large": lambda: large.rows(session, plan),
        "idle": lambda: idle.rows(session, plan),
        "scale": lambda: scale.rows(session, plan),
    }


def setting_of(plan: Plan, versions: Mapping[str, str]) -> Setting:
    """This machine, by what may be told of it."""
    return Setting(
        date=datetime.now(tz=UTC).date().isoformat(),
        command=plan.name,
        cores=cores(),
        memory=_total_memory(Path("/proc/meminfo").read_text("ascii")),
        processor=_processor(Path("/proc/cpuinfo").read_text("utf-8")),
        versions={"Python": platform.python_version(), **versions},
    )


def _carry_out(name: str, arm: Arm, *, rows: list[Row], failed: list[str]) -> None:
    try:
        for row in arm():
            rows.append(row)
            print(line(row), flush=True)
    except Exception:  # noqa: BLE001  told below; the other arms go on
        traceback.print_exc()
        failed.append(name)
        rows.append(Row(measure=f"({name})", value=None, note="This arm failed: what it measures is missing."))


def _progress(began: float) -> Callable[[str], None]:
    return lambda told: print(f"[{time.monotonic() - began:5.0f} s] {told}", file=sys.stderr, flush=True)


def _total_memory(meminfo: str) -> int:
    found = re.search(r"^MemTotal:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _processor(cpuinfo: str) -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise Interrupted


if __name__ == "__main__":
    sys.exit(main())
