"""`syncd run` as a child process of the demo: the real command, with the settings file that the demo wrote.

A variable `SYNCD_…` of the shell that started the demo would win over that file and lead the demo's daemon to somebody
else's servers; so none of them is passed on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from deploy.native.demo_places import DemoFailed
from deploy.native.process import ServerProcess, fetch


def syncd_command() -> tuple[str, ...]:
    """The `syncd` installed beside this interpreter, else the package in the checkout."""
    installed = Path(sys.executable).with_name("syncd")
    return (str(installed),) if installed.exists() else (sys.executable, "-m", "syncd")


class Daemon(ServerProcess):
    """`syncd run`; `variables` point it to its settings."""

    name = "syncd"
    advice = "`syncd check`, with the two variables below, says what is wrong."
    ready_within = 60.0

    def __init__(self, *, directory: Path, port: int, variables: Mapping[str, str]) -> None:
        super().__init__(directory=directory, port=port)
        self.advice = f"See what `{self.shown(variables)} {' '.join(syncd_command())} check` says."
        self._variables = variables

    @staticmethod
    def shown(variables: Mapping[str, str]) -> str:
        return " ".join(f"{name}={value}" for name, value in variables.items())

    def command(self) -> Sequence[str]:
        return (*syncd_command(), "run")

    def start(self) -> Self:
        with _environment(self._variables):
            return super().start()

    def is_ready(self) -> bool:
        return fetch(f"{self.url}/livez") is not None

    def parked(self) -> dict[str, str]:
        """The parked studies with their reasons, as `syncd status --json` tells them."""
        with _environment(self._variables):
            said = subprocess.run(
                [*syncd_command(), "status", "--json"], capture_output=True, text=True, timeout=60, check=False
            )
        try:
            studies = json.loads(said.stdout)["parked_studies"]
        except (ValueError, KeyError) as error:
            raise DemoFailed(
                f"`syncd status --json` gave no answer (exit {said.returncode}): {said.stderr.strip()}"
            ) from error
        return {str(one["study"]): str(one["reason"]) for one in studies}


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """What a child started meanwhile inherits: everything but other SYNCD_ variables, and these."""
    before = dict(os.environ)
    for name in [name for name in before if name.upper().startswith("SYNCD_")]:
        del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
