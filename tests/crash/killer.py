"""The real `syncd`, which tells every step that it reaches and kills itself at one of them.

    python -m tests.crash.killer STEP NTH FILE -- run

Each step's name is appended to FILE as it is reached; on the NTH arrival at STEP the process gets SIGKILL, from itself,
so that nothing runs between the step and the death. With NTH 0 it lives, and only tells.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from syncd.cli.app import main
from syncd.loop.steps import Step, observe


class Killer:
    """What the program calls at each step, from several threads."""

    def __init__(self, step: Step, *, nth: int, file: Path) -> None:
        self._step = step
        self._left = nth
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._one = threading.Lock()

    def __call__(self, step: Step) -> None:
        with self._one:
            os.write(self._file, f"{step.value}\n".encode())
            if step is self._step:
                self._left -= 1
                if self._left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    step_name, number, told_to, _, *command = sys.argv[1:]
    observe(Killer(Step(step_name), nth=int(number), file=Path(told_to)))
    sys.argv = ["syncd", *command]
    main()
