"""Writes the locks: every dependency with its version and hashes, for Python 3.11 and newer on any Linux machine.

The lock names no address: pip asks whatever index the machine is configured with, and the hashes say whether it got the
right thing. The one for development is made within the one for the runtime, so both hold the same versions; the one of
`make sbom` and `make audit` has nothing to do with them.
"""

from __future__ import annotations

import sys

from scripts.set_up import VENV_DIRECTORY
from scripts.steps import WORK, StepFailed, run

UV = "uv==0.13.9"
"""The resolver, in an environment of its own: nothing that syncd or its tests need."""

OPTIONS = ("--quiet", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-header")
COMPILE = ("pip", "compile", *OPTIONS)
PROJECT = ("pyproject.toml", "requirements.in")


def main(upgrade: bool) -> int:
    environment = WORK / "lock"
    uv = str(environment / "bin" / "uv")
    newest = ["--upgrade"] if upgrade else []
    try:
        run([sys.executable, "-m", "venv", str(environment)])
        run([str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV])
        run([uv, *COMPILE, *PROJECT, *newest, "--output-file", "requirements.txt"])
        development = ("--extra", "dev", "-c", "requirements.txt", "--output-file", "requirements-dev.txt")
        run([uv, *COMPILE, *PROJECT, *newest, *development])
        run([uv, *COMPILE, "requirements-audit.in", *newest, "--output-file", "requirements-audit.txt"])
    except StepFailed as error:
        print(error)
        return 1
    print(f"requirements*.txt are written; `make check` brings {VENV_DIRECTORY.name} up to them")
    return 0


if __name__ == "__main__":
    sys.exit(main("--upgrade" in sys.argv[1:]))
