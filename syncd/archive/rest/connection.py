"""How one archive is reached."""

from __future__ import annotations

from dataclasses import dataclass

from syncd.http.connection import Connection
from syncd.model.ids import ArchiveName

DEFAULT_TIMEOUT = 30.0
"""Seconds for one read or write on the socket: 2,000 instances take 0.1 s, a busy 1.12 with a large index some seconds."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ArchiveConnection(Connection):
    """One archive's REST API."""

    name: ArchiveName
    timeout: float = DEFAULT_TIMEOUT

    @property
    def server(self) -> str:
        return self.name

    @property
    def name_told(self) -> str:
        return f"archive {self.name}"

    @property
    def software(self) -> str:
        return "Orthanc"

    def setting(self, word: str) -> str:
        return f"SYNCD_ARCHIVES__{self.name.upper()}__{word}"
