"""The disk of the ledger is full, or takes no writes: syncd says so, loses nothing, and goes on by itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import sick_disk
from tests.faults.importing import Import
from tests.real.installation import Installation
from tests.servers import VERSIONS, Archive, FhirServer

_, NEW = VERSIONS
STUDIES = 60


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    os.mkfifo(path, 0o600)
    return path


@pytest.mark.parametrize(
    ("illness", "said"),
    [
        pytest.param(sick_disk.FULL, "the disk of the ledger is full: free space, syncd goes on by itself", id="full"),
        pytest.param(sick_disk.READ_ONLY, "the ledger is read-only: see to the rights of its file", id="read-only"),
    ],
)
def test_a_ledger_that_takes_no_writes_is_told_and_nothing_is_lost(
    new_orthanc: Callable[..., Archive],
    hapi: FhirServer,
    install: Callable[..., Installation],
    fifo: Path,
    illness: tuple[str, ...],
    said: str,
) -> None:
    """RULES E6, docs/cases.md "disk full or read-only ledger": a clear message, alive, and everything arrives once."""
    site = install(new_orthanc(NEW), hapi)
    site.syncd.run_as = ("tests.faults.sick_disk", str(fifo), "--")
    whole = Import.of(site, number=STUDIES)
    site.syncd.start()
    with whole.arriving():
        site.syncd.wait(lambda: whole.written >= STUDIES // 10, what="writing")
        _tell(site, fifo, illness)
        site.syncd.wait(lambda: said in site.syncd.page("/readyz").text, what="the trouble is said")
    assert site.syncd.page("/readyz").status == 503
    assert site.syncd.page("/livez").status == 200, "a restart would not help"
    _tell(site, fifo, sick_disk.WELL)
    whole.complete()
    site.syncd.wait(lambda: site.syncd.page("/readyz").status == 200, what="ready")
    whole.check()


def _tell(site: Installation, fifo: Path, statements: tuple[str, ...]) -> None:
    """Let the disk fall ill, or recover; returns when it has."""
    done = fifo.with_suffix(".done")
    before = len(done.read_text(encoding="utf-8").splitlines()) if done.exists() else 0
    fifo.write_text("".join(f"{one}\n" for one in statements), encoding="utf-8")
    wanted = before + len(statements)
    site.syncd.wait(lambda: done.exists() and len(done.read_text().splitlines()) >= wanted, what="the disk has changed")
