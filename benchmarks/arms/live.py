"""Studies that arrive, five in a second, at a running daemon: how soon each is available in the FHIR server.

The clock of a study starts when Orthanc's feed says that it is stable, which is looked for every 20 ms, and ends at the
`lastUpdated` of its `available` version, which HAPI stamps to the millisecond: both servers and this program share one
clock.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from statistics import median, quantiles
from typing import Any

from benchmarks.floor import Connection
from benchmarks.plan import Plan
from benchmarks.report import Row, at_most
from benchmarks.site import shapes
from benchmarks.site.program import Installation, begin, end
from benchmarks.site.session import Sender, Session
from benchmarks.site.shapes import Shape
from deploy.native.process import fetch, free_port
from tests.servers import VERSIONS, Archive, FhirServer

INTERVAL = 0.2
"""Seconds between two studies."""
POLL = 1.0
"""Seconds between two looks of syncd at the feed, as by default."""
BEYOND = 0.3
"""Seconds that may be added to that, for 95 of 100 studies."""
INSTANCES = 3
LOOKS_EVERY = 0.02
PATIENCE = 120.0
READY_WITHIN = 1800.0
"""Seconds: a large ledger's first look around."""


def rows(session: Session, plan: Plan) -> Iterator[Row]:
    """Median and the 95th of a hundred."""
    session.say(f"{plan.arriving} studies arrive, five in a second")
    took = _measured(session, plan)
    what = f"stable → available at 5 studies/s, Orthanc {VERSIONS[0]}"
    yield Row(measure=f"{what}: median", value=median(took), unit="s")
    yield Row(
        measure=f"{what}: 95 of 100 within",
        value=percentile(took, 95),
        unit="s",
        goal=at_most(POLL + BEYOND, unit="s"),
        raw={"s": sorted(took)},
    )


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many of a hundred do not exceed; of one value, that one."""
    return values[0] if len(values) == 1 else quantiles(values, n=100, method="inclusive")[percent - 1]


@contextlib.contextmanager
def running(installation: Installation) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon that is ready; it ends with the block."""
    port = free_port()
    environment = {**installation.environment(), "SYNCD_WEB__BIND": f"127.0.0.1:{port}"}
    with (installation.directory / "run.log").open("wb") as log:
        command = [sys.executable, "-m", "syncd", "run"]
        daemon = begin(command, directory=installation.directory, environment=environment, out=log, err=log)
        try:
            deadline = time.monotonic() + READY_WITHIN
            while fetch(f"http://127.0.0.1:{port}/readyz") is None:
                assert daemon.poll() is None and time.monotonic() < deadline, _told(installation)
                time.sleep(0.1)
            yield daemon
        finally:
            end(daemon, grace=30.0)


class Stable(threading.Thread):
    """Looks at the feed until it is ended; `seen`: Orthanc's id of a study → when it was said to be stable."""

    def __init__(self, archive: Archive) -> None:
        super().__init__(daemon=True)
        self.seen: dict[str, float] = {}
        self._at = Connection(archive.url, headers=dict(archive._headers))
        self._since = archive.last_change()
        self._ended = threading.Event()

    def run(self) -> None:
        with contextlib.closing(self._at):
            while not self._ended.wait(LOOKS_EVERY):
                page: dict[str, Any] = json.loads(self._at.ask("GET", f"/changes?since={self._since}&limit=1000"))
                now = time.time()
                for change in page["Changes"]:
                    if change["ChangeType"] == "StableStudy":
                        self.seen.setdefault(change["ID"], now)
                    self._since = change["Seq"]

    def finish(self) -> None:
        self._ended.set()
        self.join()


def _measured(session: Session, plan: Plan) -> list[float]:
    archive = session.orthanc()
    shape, run = Shape(studies=plan.arriving, instances=INSTANCES), shapes.new_run()
    with running(session.installation(archive)):
        stable = Stable(archive)
        stable.start()
        try:
            _arrive(archive, shape, run=run)
            deadline = time.monotonic() + PATIENCE
            ids = {archive.study_ids(shapes.study_uid(run, study))[0]: study for study in range(shape.studies)}
            available: dict[int, float] = {}
            while len(available) < shape.studies or len(stable.seen) < shape.studies:
                assert time.monotonic() < deadline, f"{len(available)} of {shape.studies} studies are available"
                for study in range(shape.studies):
                    if study not in available and (at := _available_at(session.hapi, shapes.study_uid(run, study))):
                        available[study] = at
                time.sleep(0.2)
        finally:
            stable.finish()
    archive.discard()
    return [available[study] - stable.seen[found] for found, study in ids.items()]


def _arrive(archive: Archive, shape: Shape, *, run: int) -> None:
    sender = Sender(archive)
    began = time.monotonic()
    for study in range(shape.studies):
        time.sleep(max(0.0, began + study * INTERVAL - time.monotonic()))
        for file in shapes.study_files(shape, run=run, study=study):
            sender.send(file)


def _available_at(hapi: FhirServer, study_uid: str) -> float | None:
    reply = hapi.request("GET", f"ImagingStudy/{study_uid}", headers={"Cache-Control": "no-cache"})
    if reply.status != 200 or reply.json["status"] != "available":
        return None
    return datetime.fromisoformat(reply.json["meta"]["lastUpdated"]).timestamp()


def _told(installation: Installation) -> str:
    return "the daemon is not ready\n" + (installation.directory / "run.log").read_text(errors="replace")[-2000:]
