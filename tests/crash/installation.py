"""One syncd between two real servers: its settings, its ledger, its processes, and what it said.

The ledger is read here by SQL alone, read-only and past every line of syncd's: a test that asks the program under test
whether all is well proves little.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from typer.testing import CliRunner

from syncd.cli.app import app
from syncd.ledger.ledger import Ledger
from syncd.loop.steps import Step
from syncd.model.ids import ArchiveName
from syncd.model.work import Mark, MarkKind
from tests.listening import hear, hear_file
from tests.servers import Archive, FhirServer, wait_until

ROOT = Path(__file__).parents[2]

TO_SETTLE = 60.0
"""Seconds until everything must be published; it takes two or three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """`name` is its INSTALLATION_ID; `folder` is its own."""

    name: str
    archive: Archive
    fhir: FhirServer
    folder: Path
    archive_url: str = ""
    """Another way to the archive than the direct one."""

    @property
    def prefix(self) -> str:
        """Of its Endpoints' ids."""
        return f"{self.name[-8:]}-"

    @property
    def dicomweb(self) -> str:
        return f"http://archive.invalid/{self.name}/dicom-web"

    @property
    def told(self) -> list[str]:
        """The steps that processes started with `kill_at` reached, in order."""
        file = self.folder / "steps"
        return file.read_text(encoding="utf-8").split() if file.exists() else []

    @property
    def only_corrections(self) -> bool:
        """Whether only corrections leave a Provenance here."""
        return (self.folder / "only-corrections").exists()

    @property
    def log(self) -> str:
        """What all its processes said."""
        return (self.folder / "log").read_text(encoding="utf-8")

    def settings(self) -> dict[str, str]:
        return {
            "SYNCD_ARCHIVES__MAIN__URL": self.archive_url or self.archive.base_url,
            "SYNCD_ARCHIVES__MAIN__USERNAME": self.archive.username,
            "SYNCD_ARCHIVES__MAIN__PASSWORD": self.archive.password,
            "SYNCD_ARCHIVES__MAIN__PUBLIC_DICOMWEB_URL": self.dicomweb,
            "SYNCD_ARCHIVES__MAIN__POLL_INTERVAL": "100ms",
            "SYNCD_ARCHIVES__MAIN__SETTLE_AFTER": "500ms",
            "SYNCD_FHIR__URL": self.fhir.base_url,
            "SYNCD_INSTALLATION_ID": self.name,
            "SYNCD_POLICY__ENDPOINT_PREFIX": self.prefix,
            "SYNCD_POLICY__PROVENANCE": "all",
            "SYNCD_POLICY__VERIFY_INTERVAL": "1s",
            "SYNCD_LEDGER__URL": f"sqlite:///{self.folder / 'ledger.db'}",
            "SYNCD_WEB__BIND": "127.0.0.1:0",
            "SYNCD_POLICY__ON_DELETE": "delete",
        }

    @contextmanager
    def running(self, *, kill_at: tuple[str, int] | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """`syncd run`, a real process; ended with the block if it still lives. `kill_at`: (step, which arrival)."""
        if kill_at is None:
            command = ["-m", "syncd", "run"]
        else:
            step, nth = kill_at
            command = ["-m", "tests.crash.killer", step, str(nth), str(self.folder / "steps"), "--", "run"]
        # HAPI deletes nothing that a Provenance names; where a deletion is awaited, only corrections leave one.
        if kill_at is not None and kill_at[0] in (Step.RETRACTION_CLAIMED, Step.DELETED):
            (self.folder / "only-corrections").touch()
        otherwise = {"SYNCD_POLICY__PROVENANCE": "corrections"} if self.only_corrections else {}
        hear_file(self.folder / "log")
        with (self.folder / "log").open("ab") as log:
            process = self._start(command, otherwise=otherwise, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def stop(self, process: subprocess.Popen[bytes]) -> int:
        """SIGTERM; the exit code."""
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout=40)

    def wait_healthy(self) -> dict[str, Any]:
        """The document of `syncd status --json` as soon as it exits 0: the daemon tells how it is every two seconds."""
        said: list[tuple[int, dict[str, Any]]] = []

        def healthy() -> bool:
            said.append(self.status())
            return said[-1][0] == 0

        try:
            wait_until(healthy, timeout=TO_SETTLE, what="healthy", every=0.25)
        except AssertionError as sick:
            raise AssertionError(f"{sick}: {said[-1]}\n{self.log}") from None
        return said[-1][1]

    def status(self) -> tuple[int, dict[str, Any]]:
        """Exit code and document of `syncd status --json`, called in this process: another one would take a second."""
        said = CliRunner().invoke(app, ["status", "--json"], env=self.settings())
        hear("`syncd status`", said.output)
        return said.exit_code, json.loads(said.stdout)

    def rows(self, query: str) -> list[dict[str, Any]]:
        """What a SELECT on the ledger answers; nothing while there is no ledger yet."""
        file = self.folder / "ledger.db"
        if not file.exists():
            return []
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=10)) as ledger:
            ledger.row_factory = sqlite3.Row
            return [dict(row) for row in ledger.execute(query)]

    def mark(self, study_uid: str) -> None:
        """As a sweep would, of a study that it misses."""
        with Ledger.open_guest(self.settings()["SYNCD_LEDGER__URL"]) as ledger:
            mark = Mark(study_uid=study_uid, kind=MarkKind.INVENTORY, archive=ArchiveName("main"))
            ledger.marks.add([mark], settle_after=0.0)

    def wait_published(self, instances: Mapping[str, int], *, process: subprocess.Popen[bytes]) -> None:
        """Until every study is `available` with so many instances, and nothing is left to do; `process` has begun by then,
        also where the one before had finished everything."""

        def published() -> bool:
            assert process.poll() is None, f"syncd ended by itself:\n{self.log}"
            found = {one["study_uid"]: one["instances"] for one in self.rows(_AVAILABLE)}
            # The Provenance of a study that was deleted before it could be sent is refused, and given up.
            owed = self.rows("SELECT study_uid FROM dirty UNION SELECT study_uid FROM outbox WHERE state = 'waiting'")
            return found == instances and not owed and self._beats(process)

        try:
            wait_until(published, timeout=TO_SETTLE, what=f"published by {self.name}")
        except AssertionError as late:
            left = {table: self.rows(f"SELECT * FROM {table}") for table in ("dirty", "records", "parked", "intents")}
            raise AssertionError(f"{late}: {json.dumps(left, indent=1)}\n{self.log}") from None

    def _beats(self, process: subprocess.Popen[bytes]) -> bool:
        beats = self.rows("SELECT value FROM facts WHERE name = 'heartbeat'")
        return bool(beats) and json.loads(beats[0]["value"])["pid"] == process.pid

    def _start(
        self, command: list[str], *, otherwise: Mapping[str, str] = MappingProxyType({}), **where: Any
    ) -> subprocess.Popen[bytes]:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **self.settings(), **otherwise}
        return subprocess.Popen(
            [sys.executable, *command], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, **where
        )


_AVAILABLE = "SELECT study_uid, instances FROM records WHERE status = 'available'"
