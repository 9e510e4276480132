"""The second FHIR server of the tests: Medplum's router over its memory repository, R4, by Node (`server.mjs`).

It is independent of HAPI and differs where it counts: versions are UUIDs, a PUT creates with 200, no create-only form, no
tombstones, no check of references. `make test` installs its packages (Apache-2.0) into `.work/medplum`, as the lock in
this folder names them by version and SHA-512, wherever they come from; nothing of them is kept in this repository.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deploy.native.process import ServerProcess, fetch

HERE = Path(__file__).resolve().parent
MODULES = HERE.parent.parent / ".work" / "medplum"


def is_installed() -> bool:
    """Whether its packages are here."""
    return (MODULES / "node_modules" / "@medplum" / "fhir-router").is_dir()


class Medplum(ServerProcess):
    """One Medplum in memory: a restart finds an empty server."""

    name = "Medplum"
    advice = "Are its packages installed (python3 -m scripts.set_up test)?"

    @property
    def base_url(self) -> str:
        return f"{self.url}/fhir/R4"

    def command(self) -> Sequence[str]:
        return ("node", str(HERE / "server.mjs"), str(self.port), str(MODULES))

    def is_ready(self) -> bool:
        if f"Medplum ready on {self.port}" not in self.log_text():
            return False
        return fetch(f"{self.base_url}/metadata") is not None
