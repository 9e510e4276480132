"""A machine with nothing on it, and a site whose two servers are in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from structlog.testing import capture_logs
from typer.testing import CliRunner

from syncd import logs
from syncd.archive.orthanc import OrthancArchive
from syncd.archive.rest.connection import ArchiveConnection
from syncd.cli import wiring
from syncd.cli.app import app
from syncd.logs import exceptions_in_words, plain_values
from syncd.publish.http import FhirConnection, FhirHttp
from syncd.settings import sources
from tests.fakes.fhir import FakeFhir
from tests.fakes.http import Clock, FakeTransport
from tests.listening import hear, hear_command
from tests.loop.world import ShortOrthanc

Syncd = Callable[..., Result]


class Place:
    """The servers, and where the ledger is. Time of the servers stands still until told."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.orthanc = ShortOrthanc("1.12.7", clock=self.clock)
        self.second = ShortOrthanc("1.10.1", clock=self.clock, name="second")
        """For the tests that name an archive `second`."""
        self.fhir = FakeFhir(clock=self.clock)
        self.folder = folder
        self.file = folder / "ledger.db"
        self.ledger_url = f"sqlite:///{self.file}"

    def store(self, study: str, *, stable: bool = True, second: bool = False, **tags: Any) -> None:
        """One instance, of a study that is stable, or arriving."""
        orthanc = self.second if second else self.orthanc
        orthanc.store(
            StudyInstanceUID=study,
            SOPInstanceUID=f"{study}.{orthanc.index.highest}.1",
            **{"Modality": "CT", "SeriesNumber": "1", "InstanceNumber": "1", "PatientName": "Synthetic^Sam", **tags},
        )
        if stable:
            self.clock.advance(60.0)
            orthanc.tick()

    @property
    def writes(self) -> list[str]:
        return [one.path for one in self.fhir.requests if one.method in ("PUT", "DELETE")]


@pytest.fixture
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secrets, no state, no settings of this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "DOCKER_SECRETS", tmp_path / "run-secrets")
    monkeypatch.setattr(sources, "SYSTEM_STATE", tmp_path / "var-lib-syncd")
    monkeypatch.setattr(logs, "configure", lambda **_: None)  # logs are a process's own matter
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def place(tmp_path: Path, empty_machine: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    there = Place(tmp_path)

    def archive(connection: ArchiveConnection, **more: Any) -> OrthancArchive:
        fake = there.second if connection.name == "second" else there.orthanc
        return OrthancArchive(connection, transport=FakeTransport(fake), **more)

    def http(connection: FhirConnection, **more: Any) -> FhirHttp:
        return FhirHttp(connection, transport=FakeTransport(there.fhir), **more)

    monkeypatch.setattr(wiring, "OrthancArchive", archive)
    monkeypatch.setattr(wiring, "FhirHttp", http)
    monkeypatch.setenv("SYNCD_ARCHIVES__MAIN__URL", there.orthanc.url)
    monkeypatch.setenv("SYNCD_ARCHIVES__MAIN__PATIENT_ID_SYSTEM", "http://hospital.test/pid")
    monkeypatch.setenv("SYNCD_FHIR__URL", there.fhir.url)
    monkeypatch.setenv("SYNCD_LEDGER__URL", there.ledger_url)
    with capture_logs() as events:
        yield there
    hear("the log", str([plain_values(None, "", event) for event in map(partial(exceptions_in_words, None, ""), events)]))


@pytest.fixture
def syncd() -> Syncd:
    """`syncd("check")`: one command, in this process."""

    def run(*words: str) -> Result:
        result = CliRunner().invoke(app, words)
        hear_command(words, result.output)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return run
