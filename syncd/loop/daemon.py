"""The daemon: clockwork around intake, inventory and the workers, until a signal says stop.

APScheduler ticks; every tick may fail and is simply repeated, because the work itself lies in the ledger. The difficulty
is to be honest while waiting: whatever keeps the daemon from working is kept in words for `/readyz` and `status`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from syncd.errors import ConfigurationError, LedgerRefused, SyncdError, Unsuitable
from syncd.ledger.ledger import Ledger
from syncd.loop import inventory
from syncd.loop.connect import Site, connect
from syncd.loop.gate import FIRST_PAUSE, LONGEST_PAUSE, Gate
from syncd.loop.intake import Intake
from syncd.loop.rooms import Observer, Rooms
from syncd.loop.target import probe
from syncd.loop.workers import Workers
from syncd.model.words import ArchiveState, TargetState
from syncd.model.work import Counts, FeedPosition, Heartbeat

log = structlog.get_logger(__name__)

HEARTBEAT_INTERVAL = 2.0
"""Seconds between two heartbeats; `status` calls a daemon dead after `syncd.cli.status.SILENCE`."""

GRACE = 25.0
"""Seconds for work in flight when stopping: below the 30 s that container engines grant by default."""

_SWEEP_SOON = 5.0


class Daemon:
    """One archive, one FHIR server. Also the facts that the web room shows (`syncd.web.facts.Facts`)."""

    def __init__(self, site: Site, ledger: Ledger, *, version: str, observer: Observer, web: str = "") -> None:
        self._site = site
        self._ledger = ledger
        self._version = version
        self._observer = observer
        self.web = web
        self._stop = threading.Event()
        self._started_at = time.time()
        self._problems: dict[str, str] = {"start": "starting"}
        self._behind = (0, 0.0)
        self._position: FeedPosition | None = None
        self._rooms: Rooms | None = None
        self._even_at = time.time()
        self._fhir = Gate(self._probe_fhir)
        self._archive = Gate(self._probe_archive)
        self._workers: Workers | None = None
        self._working: threading.Thread | None = None

    def stop(self) -> None:
        """Ask the daemon to end; safe to call from a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Work until `stop`. Raises `ConfigurationError` or `LedgerRefused` for what waiting cannot mend."""
        self._beat()
        rooms = self._connected()
        if rooms is None:
            return
        workers = Workers(rooms, fhir=self._fhir, archive=self._archive, concurrency=self._site.concurrency)
        self._workers = workers
        scheduler = self._scheduled(rooms, workers)
        self._working = threading.Thread(target=workers.run, name="workers", daemon=True)
        self._working.start()
        scheduler.start()
        log.info("started", archive=self._site.archive_name, fhir=self._site.server.base_url, version=self._version)
        self._stop.wait()
        log.info("stopping")
        scheduler.shutdown(wait=True)
        workers.stop(grace=GRACE)
        log.info("stopped")

    # Facts, for the web room and the heartbeat.

    def counts(self) -> Counts:
        return self._ledger.counts(time.time())

    def heartbeat(self) -> Heartbeat:
        position = self._position
        behind_changes, behind_seconds = self._behind
        archive: dict[str, Any] = {
            "state": (position.state if position else ArchiveState.BOOTSTRAPPING).value,
            "reason": self._problems.get("archive", "") or (position.reason if position else ""),
            "behind_changes": behind_changes,
            "behind_seconds": round(behind_seconds, 1),
        }
        target = {
            "state": (self._fhir.state if not self._problems.get("start") else TargetState.OPEN).value,
            "reason": self._fhir.reason or self._problems.get("start", ""),
        }
        return Heartbeat(
            pid=os.getpid(),
            at=time.time(),
            started_at=self._started_at,
            version=self._version,
            web=self.web,
            archives={self._site.archive_name: archive},
            target=target,
        )

    def ready(self) -> tuple[str, ...]:
        """Why this daemon is not ready, in words without patient data; empty when it is."""
        reasons = [text for text in self._problems.values() if text]
        if not self._fhir.is_open:
            reasons.append(self._fhir.reason)
        if not self._archive.is_open:
            reasons.append(self._archive.reason)
        return tuple(dict.fromkeys(reasons))

    def alive(self) -> bool:
        return self._working is None or self._working.is_alive()

    # Clockwork.

    def _connected(self) -> Rooms | None:
        """Rooms, as soon as both servers are what they should be; None if we are stopped before that."""
        pause = FIRST_PAUSE
        while not self._stop.is_set():
            try:
                rooms = connect(self._site, self._ledger, observer=self._observer)
                inventory.begin(self._site.archive, self._ledger, name=self._site.archive_name)
            except (ConfigurationError, LedgerRefused):
                raise
            except SyncdError as error:
                if self._problems["start"] != str(error):
                    log.warning("waiting_for_server", reason=str(error))
                self._problems["start"] = str(error)
                self._beat()
                self._stop.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            self._problems["start"] = ""
            self._rooms = rooms
            return rooms
        return None

    def _scheduled(self, rooms: Rooms, workers: Workers) -> BackgroundScheduler:
        # A tick that is late is still run, once: the clockwork may stall, the work must not (RULES E5).
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        intake = Intake(
            rooms.archive,
            rooms.ledger,
            name=rooms.archive_name,
            settle_after=rooms.settle_after,
            clock=rooms.clock,
        )
        now = datetime.now(UTC)

        def poll() -> None:
            polled = intake.poll()
            position = self._position = polled.position
            behind = polled.high_water - position.cursor if position else 0
            self._even_at = time.time() if behind <= 0 else self._even_at
            self._behind = (max(0, behind), time.time() - self._even_at if behind > 0 else 0.0)
            if polled.marked:
                workers.wake()
            if position is not None and position.state is ArchiveState.PAUSED:
                self._archive.close(TargetState.PAUSED, position.reason)
            elif position is not None and position.sweep_wanted:
                scheduler.modify_job("sweep", next_run_time=datetime.now(UTC) + timedelta(seconds=_SWEEP_SOON))

        def sweep() -> None:
            marked = inventory.take(rooms.archive, rooms.ledger, name=rooms.archive_name, settle_after=rooms.settle_after)
            log.info("inventory_taken", archive=rooms.archive_name, studies_marked=marked)
            workers.wake()

        scheduler.add_job(
            self._guarded("archive", poll), "interval", seconds=self._site.poll_interval, id="intake", next_run_time=now
        )
        scheduler.add_job(
            self._guarded("archive", sweep),
            "interval",
            seconds=self._site.sweep_interval,
            jitter=int(self._site.sweep_interval / 10),
            id="sweep",
            next_run_time=now,
        )
        scheduler.add_job(self._beat, "interval", seconds=HEARTBEAT_INTERVAL, id="heartbeat", next_run_time=now)
        return scheduler

    def _guarded(self, name: str, tick: Callable[[], None]) -> Callable[[], None]:
        """A tick whose failure is remembered in words and repeated at the next tick."""

        def guarded() -> None:
            try:
                tick()
            except SyncdError as error:
                if self._problems.get(name) != str(error):
                    log.warning("tick_failed", tick=tick.__name__, reason=str(error))
                self._problems[name] = str(error)
            else:
                if self._problems.get(name):
                    log.info("tick_recovered", tick=tick.__name__)
                self._problems[name] = ""

        guarded.__name__ = tick.__name__
        return guarded

    def _probe_fhir(self) -> None:
        """The FHIR server answers, and is still the one that we published to (RULES E3)."""
        if self._rooms is None:
            self._site.server.capabilities()
        else:
            probe(self._rooms)

    def _probe_archive(self) -> None:
        """The archive answers, and is not paused as another one (RULES A4)."""
        self._site.archive.info()
        if self._position is not None and self._position.state is ArchiveState.PAUSED:
            raise Unsuitable(self._position.reason, server=self._site.archive_name)

    def _beat(self) -> None:
        try:
            self._ledger.beat(self.heartbeat())
        except SyncdError as error:
            if not self._problems.get("ledger"):
                log.error("ledger_unavailable", reason=str(error))
            self._problems["ledger"] = str(error)
        else:
            self._problems["ledger"] = ""
