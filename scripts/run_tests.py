"""The test run in parts, each timed: `python3 -m scripts.run_tests check|test|long`, after setting up what it needs.

A failed part does not hide the ones after it. A run that tested little is told from one that tested all: every skip is
listed at the end with its reason, and with CI=true only a missing container engine is one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from scripts import set_up
from scripts.steps import ROOT, WORK

REPORTS = WORK / "reports"
PARALLEL = ("-n", "auto", "--dist", "worksteal")
MEMORY = Path("/dev/shm")
QUICK = ("check", "stories")
"""Parts whose ledgers lie in memory: thousands of short lives, of which none outlives a loss of power."""
LONGEST, LONGEST_OF_LONG = 40, 240
"""Minutes of one part, and of one that only make test-long runs: what hangs must not hide the parts after it."""
ENDING = 10
"""Seconds in which a part that is ended says where it stands."""
UNCOMPILED = "PYTHONDONTWRITEBYTECODE"
"""Some images of Python set it. Thousands of processes start here, and each would compile all of syncd anew."""
BY_FILE = ("-n", "auto", "--dist", "loadfile")
"""Real servers are mostly waited for; each worker has its own, and a file's tests share theirs."""
COUNTED = ("passed", "failed", "error", "skipped")


class Part(NamedTuple):
    """A part of the run; `minutes` is its budget on two cores, printed beside what it took."""

    name: str
    run: Callable[[], bool]
    minutes: int


class Timed(NamedTuple):
    part: Part
    passed: bool
    seconds: float


def main(suite: str) -> int:
    os.environ.pop(UNCOMPILED, None)
    REPORTS.mkdir(parents=True, exist_ok=True)
    for old in REPORTS.glob("*.json"):
        old.unlink()
    done: list[Timed] = []
    for part in SUITES[suite]:
        print(f"\n=== {part.name}", flush=True)
        began = time.monotonic()
        done.append(Timed(part, part.run(), time.monotonic() - began))
        if part.name == "set-up" and not done[-1].passed:
            break
    return _closing(done)


def _set_up(mode: str) -> Callable[[], bool]:
    return lambda: set_up.main(mode) == 0


def _check() -> bool:
    """Style, types, doors between rooms, spelling, and every test that needs no server."""
    tools = (
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("lint-imports",),
        ("codespell",),
    )
    # All of them run, so that one complaint does not hide the next.
    return all(
        [*[_tool(*command) for command in tools], _pytest("check", *PARALLEL, "-m", "not real and not long and not machine")]
    )


def _machine() -> bool:
    """Two hundred histories of a site in memory, on every processor."""
    return _pytest("machine", "-m", "machine and not long", "tests/machine")


def _stories() -> bool:
    """In parallel, a death after every lasting change of a few stories in memory, and thousands of drawn values."""
    return _pytest("stories", *PARALLEL, "-m", "machine and not long", "--ignore=tests/machine")


def _mutants() -> bool:
    """Each fault that is kept must be noticed by a test of the quick suites."""
    return subprocess.call([str(set_up.PYTHON), "-m", "scripts.mutants"], cwd=ROOT, stdin=subprocess.DEVNULL) == 0


def _real() -> bool:
    """Against real servers, DSTU2's and R5's own among them; in CI both versions of Orthanc must have been asked."""
    elsewhere = ("--ignore=tests/crash", "--ignore=tests/faults")
    return _pytest("real", *BY_FILE, "-m", "real and not long", *elsewhere, *_both())


def _faults() -> bool:
    """kill -9 after each kind of lasting change and at random moments, a bad network, a sick disk, against real servers."""
    return _pytest("faults", *BY_FILE, "-m", "real and not long", "tests/crash", "tests/faults", *_both())


def _both() -> list[str]:
    return ["--both-orthancs"] if os.environ.get("CI") == "true" else []


def _rows() -> bool:
    """Against real servers, the rows of a kind that `make test` leaves out, and more deaths of a real daemon."""
    return _pytest("rows", *BY_FILE, "-m", "real and long", longest=LONGEST_OF_LONG)


def _long() -> bool:
    """Thousands of histories that are others each time, and any two deaths of every story."""
    return _pytest("long", "-m", "long and not real", longest=LONGEST_OF_LONG)


def _tool(name: str, *arguments: str) -> bool:
    began = time.monotonic()
    passed = subprocess.call([str(set_up.PYTHON.with_name(name)), *arguments], cwd=ROOT, stdin=subprocess.DEVNULL) == 0
    verdict = "passed" if passed else "FAILED"
    print(f"{' '.join((name, *arguments))}: {verdict} ({time.monotonic() - began:.1f} s)", flush=True)
    return passed


def _pytest(part: str, *arguments: str, longest: int = LONGEST) -> bool:
    report = REPORTS / f"{part}.json"
    command = [str(set_up.PYTHON), "-m", "pytest", "--durations=10", "--report", str(report), *arguments]
    folder = {"PYTEST_DEBUG_TEMPROOT": str(MEMORY)} if part in QUICK and MEMORY.is_dir() else {}
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True, env={**os.environ, **folder}
    ) as process:
        try:
            return process.wait(longest * 60) == 0
        except subprocess.TimeoutExpired:
            print(f"\nFAILED: {part} is not finished after {longest} minutes; this is where it stands:", flush=True)
            process.send_signal(signal.SIGABRT)  # pytest writes down every thread
            with suppress(subprocess.TimeoutExpired):
                process.wait(ENDING)
            return False
        finally:  # by a deadline or by Ctrl-C: nothing of it is left
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _closing(done: list[Timed]) -> int:
    reports = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(REPORTS.glob("*.json"))]
    print("\n=== skipped, and why")
    skips = {test: reason for report in reports for test, reason in report["skips"].items()}
    for reason in sorted(set(skips.values())):
        tests = [test for test, because in skips.items() if because == reason]
        print(f"{len(tests)} × {reason} (first: {tests[0]})")
    if not skips:
        print("nothing")
    print("\n=== time")
    for part, passed, seconds in done:
        print(f"{part.name:<10} {seconds:7.1f} s of {part.minutes} min  {'passed' if passed else 'FAILED'}")
    print(f"{'total':<10} {sum(one.seconds for one in done):7.1f} s")
    counts = {kind: sum(report["counts"][kind] for report in reports) for kind in COUNTED}
    failed = counts["failed"] + counts["error"]
    print(f"\n{counts['passed']} passed, {failed} failed, {counts['skipped']} skipped", flush=True)
    return 0 if all(one.passed for one in done) else 1


CHECK = Part("check", _check, 4)
REAL = [
    Part("machine", _machine, 3),
    Part("stories", _stories, 4),
    Part("mutants", _mutants, 3),
    Part("real", _real, 12),
    Part("faults", _faults, 5),
]
SUITES = {
    "check": [Part("set-up", _set_up("check"), 3), CHECK],
    "test": [Part("set-up", _set_up("test"), 3), CHECK, *REAL],
    "long": [Part("set-up", _set_up("test"), 3), CHECK, *REAL, Part("rows", _rows, 30), Part("long", _long, 120)],
}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in SUITES:
        sys.exit(f"usage: python3 -m scripts.run_tests {'|'.join(SUITES)}")
    sys.exit(main(sys.argv[1]))
