"""One step of the set-up: said, timed, and if it fails, named together with what to do.

It is quiet and yet helpful: what the tools print goes to a log, and its end is shown only on failure.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".work"
LOG = WORK / "set-up.log"
TAIL_LINES = 20


class StepFailed(Exception):
    """A step could not be done; the message says what to do."""


class Step(NamedTuple):
    """`is_done` decides whether what exists is used again; `advice` is what to do if `do` fails.

    Without an `optional` step the machine can do less: it is said, and the rest goes on.
    """

    name: str
    is_done: Callable[[], bool]
    do: Callable[[], None]
    advice: str
    optional: bool = False


def carry_out(step: Step) -> bool:
    """Do the step unless it is done, and print a line about it. False if a step that is needed failed."""
    began = time.monotonic()
    try:
        outcome = "reused"
        if not step.is_done():
            print(f"set-up: {step.name} …", flush=True)
            step.do()
            outcome = "done"
    except (StepFailed, OSError) as error:
        verdict = "left out" if step.optional else "FAILED"
        print(f"set-up: {step.name}: {verdict} ({time.monotonic() - began:.1f} s)\n{error}\n→ {step.advice}", flush=True)
        return step.optional
    print(f"set-up: {step.name}: {outcome} ({time.monotonic() - began:.1f} s)", flush=True)
    return True


def run(command: Sequence[str], *, directory: Path = ROOT, environment: Mapping[str, str] | None = None) -> None:
    """Run with its output in the log and without a standard input. Raises StepFailed with the end of the output."""
    WORK.mkdir(exist_ok=True)
    with LOG.open("ab") as log:
        begins_at = log.tell()
        log.write(f"$ {' '.join(command)}\n".encode())
        log.flush()
        code = subprocess.call(
            list(command), cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    if code:
        with LOG.open("rb") as log:
            log.seek(begins_at)
            lines = log.read().decode(errors="replace").splitlines()
        raise StepFailed("\n".join(lines[:1] + lines[1:][-TAIL_LINES:] + [f"(exit code {code}; all of it in {LOG})"]))
