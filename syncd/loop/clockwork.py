"""The clockwork: APScheduler ticks for intake, sweep, the sentinel and the heartbeat.

Every tick may fail and is simply repeated, because the work itself lies in the ledger. The difficulty is a wish that is
repeated: bringing the sweep forward at each poll would put it off for ever, so it is only ever brought forward.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from syncd.errors import Transient
from syncd.loop import inventory
from syncd.loop.connect import Site
from syncd.loop.gate import Gate
from syncd.loop.intake import Intake
from syncd.loop.rooms import Rooms
from syncd.loop.troubles import Troubles
from syncd.loop.workers import Workers
from syncd.model.words import ArchiveState, TargetState
from syncd.model.work import FeedPosition

log = structlog.get_logger(__name__)

HEARTBEAT_INTERVAL = 2.0
"""Seconds between two heartbeats; `status` calls a daemon dead after `syncd.cli.status.SILENCE`."""

SENTINEL_INTERVAL = 30.0
"""Seconds between two looks at the sentinel, so that an idle daemon notices a server that went away or was wiped."""

SWEEP_SOON = 5.0
"""Seconds until a sweep that something asked for; together with the poll this is well within RULES A3's minute."""

SWEEP_AGAIN = 15.0
"""Seconds until a sweep that failed is tried again."""


class Clockwork:
    """Ticks between `start` and `stop`."""

    def __init__(
        self,
        rooms: Rooms,
        *,
        site: Site,
        workers: Workers,
        fhir: Gate,
        archive: Gate,
        troubles: Troubles,
        beat: Callable[[], None],
    ) -> None:
        self._rooms = rooms
        self._workers = workers
        self._fhir = fhir
        self._archive = archive
        self._troubles = troubles
        self._stopping = False
        self._even_at = time.time()
        self._behind = 0
        self.position: FeedPosition | None = rooms.ledger.feed_position(rooms.archive_name)
        if self.position is not None and self.position.state is ArchiveState.PAUSED:
            archive.close(TargetState.PAUSED, self.position.reason)  # before the first worker, not at the first poll
        self._intake = Intake(
            rooms.archive, rooms.ledger, name=rooms.archive_name, settle_after=rooms.settle_after, clock=rooms.clock
        )
        # A tick that is late is still run, once: the clockwork may stall, the work must not (RULES E5).
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        self._every("intake", self._poll, seconds=site.poll_interval)
        self._every("sweep", self._sweep, seconds=site.sweep_interval, jitter=int(site.sweep_interval / 10))
        self._every("sentinel", self._look_at_sentinel, seconds=SENTINEL_INTERVAL)
        self._scheduler.add_job(beat, "interval", seconds=HEARTBEAT_INTERVAL, id="heartbeat")

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        """No further ticks; a listing under way ends at its next chunk."""
        self._stopping = True
        self._scheduler.shutdown(wait=False)

    @property
    def behind(self) -> tuple[int, float]:
        """By how many changes, and for how many seconds, the feed is not read up to its end."""
        waiting = self._behind > 0 or bool(self._troubles.of("intake"))
        return self._behind, time.time() - self._even_at if waiting else 0.0

    def _every(self, name: str, tick: Callable[[], None], *, seconds: float, jitter: int | None = None) -> None:
        self._scheduler.add_job(
            self._troubles.guarded(name, tick),
            "interval",
            seconds=seconds,
            jitter=jitter,
            id=name,
            next_run_time=datetime.now(UTC),
        )

    def _poll(self) -> None:
        polled = self._intake.poll()
        position = self.position = polled.position
        self._behind = max(0, polled.high_water - position.cursor) if position else 0
        if not self._behind:
            self._even_at = time.time()
        if polled.marked:
            self._workers.wake()
        if position is None:
            return
        if position.state is ArchiveState.PAUSED:
            self._archive.close(TargetState.PAUSED, position.reason)
            return
        if self._archive.state is TargetState.PAUSED:
            self._archive.hurry()
        if position.sweep_wanted:
            self._bring_forward(SWEEP_SOON)

    def _sweep(self) -> None:
        rooms = self._rooms
        try:
            marked = inventory.take(
                rooms.archive,
                rooms.ledger,
                name=rooms.archive_name,
                settle_after=rooms.settle_after,
                progress=self._raise_if_stopping,
            )
        except BaseException:
            self._bring_forward(SWEEP_AGAIN)
            raise
        log.info("inventory_taken", archive=rooms.archive_name, studies_marked=marked)
        self._workers.wake()

    def _look_at_sentinel(self) -> None:
        """An idle daemon too must know whether the server is there, and still the same one (RULES E3)."""
        if self._fhir.is_open:
            self._fhir.blames()

    def _bring_forward(self, seconds: float) -> None:
        job = self._scheduler.get_job("sweep")
        soon = datetime.now(UTC) + timedelta(seconds=seconds)
        if job is not None and not self._stopping and job.next_run_time > soon:
            job.modify(next_run_time=soon)

    def _raise_if_stopping(self, _listed: int) -> None:
        if self._stopping:
            raise Transient("stopping")
