"""The clockwork: APScheduler ticks for intake, sweep, the sentinel and the heartbeat.

Every tick may fail and is simply repeated, because the work itself lies in the ledger. A wish may be repeated: bringing
the sweep forward at each poll would put it off for ever, so it is only ever brought forward.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from syncd.errors import TargetPaused, Transient
from syncd.loop import removed_archive
from syncd.loop.archives import sweep
from syncd.loop.archives.follower import Follower
from syncd.loop.breaker import CircuitBreaker
from syncd.loop.companions.target import SENTINEL_INTERVAL
from syncd.loop.connect import Site
from syncd.loop.context import Context
from syncd.loop.fhir import inventory
from syncd.loop.fhir.turned_up import look_around
from syncd.loop.process.clock_steps import Every
from syncd.loop.process.troubles import Troubles
from syncd.loop.workers.pool import Workers
from syncd.model.ids import ArchiveName
from syncd.model.words import ArchiveState

log = structlog.get_logger(__name__)

HEARTBEAT_INTERVAL = 2.0
"""Seconds between two heartbeats; `status` calls a daemon dead after `syncd.cli.commands.status.SILENCE`."""

LOOK_AROUND_INTERVAL = 60.0
"""Seconds between two slices of the daily rounds for Patients and orders that turn up later (RULES B4)."""

SWEEP_SOON = 5.0
"""Seconds until a sweep that something asked for; together with the poll this is well within RULES A3's minute."""

SWEEP_AGAIN = 15.0
"""Seconds until a sweep that failed is tried again."""


VERIFY_TICK = 1.0
"""Seconds between two steps of a FHIR inventory, each of a few requests: a server with other users is not pressed."""


class Clockwork:
    """Ticks between `start` and `stop`."""

    def __init__(
        self,
        context: Context,
        *,
        site: Site,
        workers: Workers,
        fhir: CircuitBreaker,
        archives: Sequence[Follower],
        troubles: Troubles,
        beat: Callable[[], None],
    ) -> None:
        self._context = context
        self._workers = workers
        self._fhir = fhir
        self._archives = archives
        self._troubles = troubles
        self._stopping = False
        self._sweep_interval = site.sweep_interval
        self._verify_interval = site.verify_interval
        self.swept = {one.source.name: context.ledger.sweep.last(one.source.name) for one in archives}
        """Each archive's last inventory."""
        self.verified = context.ledger.verification.last()
        """The FHIR server's last inventory."""
        # A tick that is late is still run, once: the clockwork may stall, the work must not (RULES E5).
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        for one in archives:
            name = one.source.name
            self._every(
                tick_name("intake", name, among=archives), partial(self._poll, one), seconds=one.source.poll_interval
            )
            self._every(
                tick_name("sweep", name, among=archives),
                partial(self._sweep, one),
                seconds=site.sweep_interval,
                jitter=int(site.sweep_interval / 10),
            )
        self._every("verify", self._verify, seconds=VERIFY_TICK)
        self._every("sentinel", self._look_at_sentinel, seconds=SENTINEL_INTERVAL)
        self._every("look-around", self._look_around, seconds=LOOK_AROUND_INTERVAL)
        self._scheduler.add_job(beat, Every(seconds=HEARTBEAT_INTERVAL, timezone=UTC), id="heartbeat")

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        """No further ticks; a listing under way ends at its next chunk."""
        self._stopping = True
        self._scheduler.shutdown(wait=False)

    def follow_clock(self, by: float) -> None:
        """The wall clock was set. Back: each tick comes when it would have come without that. Forward: what is late by it
        is run once, and APScheduler sees that by itself (RULES E5)."""
        if by < 0:
            for job in self._scheduler.get_jobs():
                job.modify(next_run_time=job.next_run_time + timedelta(seconds=by))
        self._workers.wake()

    def _every(self, name: str, tick: Callable[[], None], *, seconds: float, jitter: int | None = None) -> None:
        self._scheduler.add_job(
            self._troubles.guard(name, tick),
            Every(seconds=seconds, jitter=jitter, timezone=UTC),
            id=name,
            next_run_time=datetime.now(UTC),
        )

    def _poll(self, one: Follower) -> None:
        polled = one.poll()
        if polled.marked:
            self._workers.wake()
        position = polled.position
        if position is not None and position.sweep_wanted and position.state is not ArchiveState.PAUSED:
            self._bring_forward(one, SWEEP_SOON)

    def _sweep(self, one: Follower) -> None:
        source = one.source
        try:
            found = sweep.take(
                source,
                self._context.ledger,
                every=self._sweep_interval,
                progress=self._raise_if_stopping,
                of=self._context.selection(source.name).history,
            )
        except BaseException:
            self._bring_forward(one, SWEEP_AGAIN)
            raise
        self.swept[source.name] = found
        log.info(
            "inventory_taken",
            archive=source.name,
            studies_marked=sum(found.found.values()),
            studies_listed=found.listed,
            **{kind: number for kind, number in found.found.items() if number},
        )
        self._workers.wake()

    def _verify(self) -> None:
        """A few steps of the FHIR inventory, if one is under way or due."""
        if not self._fhir.is_closed:
            return
        try:
            found = inventory.tick(self._context, interval=self._verify_interval, go_on=lambda: not self._stopping)
        except (Transient, TargetPaused):
            if self._fhir.blames():
                return  # the breaker says so, and closes again by itself
            raise
        if found is not None:
            self.verified = found
            seen = {kind: number for kind, number in found.found.items() if number}
            log.info("fhir_inventory_taken", resources_listed=found.listed, **seen)
        self._workers.wake()

    def _look_at_sentinel(self) -> None:
        """An idle daemon too must know whether the server is there, and still the same one (RULES E3)."""
        if self._fhir.is_closed and not self._fhir.blames():
            removed_archive.switch_off(self._context)

    def _look_around(self) -> None:
        """A server in trouble is the sentinel's to tell; the slice comes again."""
        if not self._fhir.is_closed:
            return
        try:
            marked = look_around(self._context, every=LOOK_AROUND_INTERVAL)
        except (Transient, TargetPaused):
            self._fhir.blames()
            return
        if marked:
            self._workers.wake()

    def _bring_forward(self, one: Follower, seconds: float) -> None:
        job = self._scheduler.get_job(tick_name("sweep", one.source.name, among=self._archives))
        soon = datetime.now(UTC) + timedelta(seconds=seconds)
        if job is not None and not self._stopping and job.next_run_time > soon:
            job.modify(next_run_time=soon)

    def _raise_if_stopping(self, _listed: int) -> None:
        if self._stopping:
            raise Transient("stopping")


def tick_name(name: str, archive: ArchiveName, *, among: Sequence[object]) -> str:
    """What a tick of one archive is called, in logs and troubles; where there is only one archive, nobody need name it."""
    return f"{name} of {archive}" if len(among) > 1 else name
