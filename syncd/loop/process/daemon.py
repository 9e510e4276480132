"""The daemon: two servers waited for, then clockwork and workers until a signal says stop.

It is honest while it waits: whatever keeps the daemon from working is kept in words for `/readyz` and `status`, and a
daemon whose work has ended ends itself, so that its supervisor starts it again.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import structlog

from syncd.errors import ConfigurationError, LedgerRefused, SyncdError, Transient
from syncd.ledger.ledger import Ledger
from syncd.loop import removed_archive
from syncd.loop.archives.follower import Follower
from syncd.loop.breaker import FIRST_PAUSE, LONGEST_PAUSE, CircuitBreaker, CircuitBreakers
from syncd.loop.companions.target import probe
from syncd.loop.connect import Site, connect
from syncd.loop.context import Context, Observer
from syncd.loop.process.clock_steps import Watchdog
from syncd.loop.process.ticks import Clockwork, tick_name
from syncd.loop.process.troubles import Troubles
from syncd.loop.study import brake
from syncd.loop.workers.pool import Workers
from syncd.loop.workers.rate import Pace
from syncd.mapping.check.check import prepare
from syncd.model.ids import ArchiveName
from syncd.model.inventories import Inventory
from syncd.model.overview import Counts, Heartbeat
from syncd.model.words import ArchiveState, BrakeState, TargetState

log = structlog.get_logger(__name__)

GRACE = 25.0
"""Seconds for work in flight when stopping: below the 30 s that container engines grant by default."""


class Daemon:
    """The archives, one FHIR server. Also the facts that the web room shows (`syncd.web.facts.Facts`)."""

    def __init__(self, site: Site, ledger: Ledger, *, version: str, observer: Observer, web: str = "") -> None:
        self._site = site
        self._ledger = ledger
        self._version = version
        self._observer = observer
        self.web = web
        self.unfinished = 0
        """Studies still under way when the grace time was over; then the ledger must not be given up before we end."""
        self._stop = threading.Event()
        self._started_at = time.time()
        self._troubles = Troubles()
        self._context: Context | None = None
        self._clockwork: Clockwork | None = None
        self._fhir = CircuitBreaker(self._probe_fhir)
        self._archives = tuple(
            Follower(source, ledger, selection=site.selection(name)) for name, source in site.archives.items()
        )
        self._breakers = CircuitBreakers({one.source.name: one.breaker for one in self._archives})
        self._working: threading.Thread | None = None
        self._not_ours: LedgerRefused | None = None
        self._pace = Pace(rate=site.backfill_rate, window=site.backfill_window)

    def stop(self) -> None:
        """Ask the daemon to end; safe to call from a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Work until `stop`. Raises `ConfigurationError` or `LedgerRefused` for what waiting cannot mend, and
        `SyncdError` when the work ended by itself."""
        self._troubles.note("start", "starting")
        self._beat()
        context = self._connect()
        if context is None:
            self._raise_unless_ours()
            return
        prepare(context.fhir_version)
        workers = Workers(
            context, fhir=self._fhir, archives=self._breakers, concurrency=self._site.concurrency, pace=self._pace
        )
        clockwork = self._clockwork = Clockwork(
            context,
            site=self._site,
            workers=workers,
            fhir=self._fhir,
            archives=self._archives,
            troubles=self._troubles,
            beat=self._beat,
        )
        self._working = threading.Thread(target=workers.run, name="workers", daemon=True)
        self._working.start()
        watchdog = Watchdog(clockwork.follow_clock, self._ledger.clock_steps.follow)
        clockwork.start()
        watchdog.start()
        log.info("started", archive=", ".join(self._site.archives), fhir=self._site.server.base_url, version=self._version)
        while not self._stop.wait(1.0) and self._working.is_alive():
            pass
        log.info("stopping")
        watchdog.stop()
        clockwork.stop()
        workers.stop(grace=GRACE)
        self.unfinished = workers.in_flight
        log.info("stopped", unfinished=self.unfinished)
        self._raise_unless_ours()
        if not self._stop.is_set():
            raise SyncdError("the work ended unexpectedly; start syncd again, and report what the log says before this")

    # Facts, for the web room and the heartbeat.

    def counts(self) -> Counts:
        return self._ledger.overview.counts(time.time())

    def heartbeat(self) -> Heartbeat:
        archives: dict[str, Any] = {one.source.name: self._archive(one) for one in self._archives}
        archives |= {
            name: {"state": ArchiveState.REMOVED.value, "reason": removed_archive.why(name)}
            for name in self._removed_archives
        }
        starting = self._troubles.of("start")
        target = {
            "state": (TargetState.OPEN if starting else self._fhir.state).value,
            "reason": starting or self._fhir.reason or self._troubles.of("verify"),
            "inventory": _inventory_summary(self._clockwork.verified if self._clockwork else None),
            "requests_at_once": self._site.server.requests_at_once,
        }
        return Heartbeat(
            pid=os.getpid(),
            at=time.time(),
            started_at=self._started_at,
            version=self._version,
            web=self.web,
            archives=archives,
            target=target,
            backfill=self._pace.why_paused,
        )

    def ready(self) -> tuple[str, ...]:
        """Why this daemon is not ready, in words without patient data; empty when it is."""
        reasons = [*self._troubles.all(), self._fhir.reason, *self._breakers.reasons.values()]
        reasons += map(removed_archive.why, self._removed_archives)
        for one in self._archives:
            reasons.append(brake.why_closed(self._ledger.retractions.brake(one.source.name)))
            if one.position is not None and one.position.state is ArchiveState.BOOTSTRAPPING:
                reasons.append(f"archive {one.source.name} is being listed for the first time")
        return tuple(dict.fromkeys(reason for reason in reasons if reason))

    def alive(self) -> bool:
        return self._working is None or self._working.is_alive()

    def _archive(self, one: Follower) -> dict[str, Any]:
        named = (tick_name(job, one.source.name, among=self._archives) for job in ("intake", "sweep"))
        intake, sweep = (self._troubles.of(name) for name in named)
        behind_changes, behind_seconds = one.behind(failing=bool(intake))
        position = one.position
        return {
            "state": (position.state if position else ArchiveState.BOOTSTRAPPING).value,
            "reason": intake or sweep or one.breaker.reason or (position.reason if position else ""),
            "behind_changes": behind_changes,
            "behind_seconds": round(behind_seconds, 1),
            "inventory": _inventory_summary(self._clockwork.swept[one.source.name] if self._clockwork else None),
            **self._brake_facts(one),
        }

    def _brake_facts(self, one: Follower) -> dict[str, Any]:
        """RULES D3: also while the archive is paused nothing is taken back."""
        found = self._ledger.retractions.brake(one.source.name)
        paused = one.position is not None and one.position.state is ArchiveState.PAUSED
        return {
            "brake": BrakeState.CLOSED.value if paused else found.state.value,
            "brake_reason": brake.why_closed(found),
            "retractions": found.spent,
            "retractions_allowed": found.limit,
            "retractions_waiting": found.planned,
        }

    @property
    def _removed_archives(self) -> tuple[ArchiveName, ...]:
        return removed_archive.removed_archives(self._ledger, self._site.archives)

    def _raise_unless_ours(self) -> None:
        """The heartbeat found that another process owns the ledger now: that is how we end (exit 4)."""
        if self._not_ours is not None:
            raise self._not_ours

    def _connect(self) -> Context | None:
        """Rooms, as soon as the FHIR server and one archive are what they should be; None if we are stopped before."""
        pause = FIRST_PAUSE
        while not self._stop.is_set():
            try:
                context = connect(self._site, self._ledger, observer=self._observer)
                self._enter()
            except (ConfigurationError, LedgerRefused):
                raise
            except SyncdError as error:
                self._troubles.note("start", str(error))
                self._beat()
                self._stop.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                self._troubles.over("start")
                self._context = context
                return context
        return None

    def _probe_fhir(self) -> None:
        """The FHIR server answers, and is still the one that we published to (RULES E3)."""
        if self._context is None:
            self._site.server.capabilities()
        else:
            probe(self._context)

    def _enter(self) -> None:
        """Begin with every archive that answers; the others wait behind their breakers. Raises if none does."""
        away: list[Transient] = []
        for one in self._archives:
            try:
                one.enter()
            except Transient as error:
                away.append(error)
                one.breaker.trip(TargetState.OPEN, str(error))
        if len(away) == len(self._archives):
            raise away[0]

    def _beat(self) -> None:
        try:
            self._ledger.require_ownership()  # an idle owner, too, must notice that it is none any more (RULES E4)
            self._ledger.overview.beat(self.heartbeat())
        except LedgerRefused as error:
            self._troubles.note("ledger", str(error))
            self._not_ours = error
            self._stop.set()
        except SyncdError as error:
            self._troubles.note("ledger", str(error))
        else:
            self._troubles.over("ledger")


def _inventory_summary(last: Inventory | None) -> dict[str, Any] | None:
    """An inventory as the heartbeat tells of it."""
    return None if last is None else {"at": last.ended_at, "listed": last.listed, "found": dict(last.found)}
