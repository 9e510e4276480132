"""The watchdog of the clockwork: it notices that the wall clock was set, and everything that waits by it is told.

A clock is set by hand, by the first NTP answer after a boot, by a virtual machine that was resumed. The monotonic clock
does not follow, so the difference between the two moves, and by how much it moved is known (RULES E5). Two things come
from APScheduler 3, which plans in wall-clock time: set back by an hour it sleeps for an hour, which is why somebody
else must wake it; and set forward it would count every tick that it missed, one by one, which after a boot in 1970
never ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

import structlog
from apscheduler.triggers.interval import IntervalTrigger

from syncd.errors import SyncdError

log = structlog.get_logger(__name__)

STEP = 2.0
"""Seconds by which wall − monotonic must have moved (RULES E5): less delays a tick by less than anybody notices."""

LOOK_INTERVAL = 1.0
"""Seconds, monotonic ones, between two looks."""


class Watchdog:
    """Compares the two clocks every second, between `start` and `stop`, in a thread of its own.

    Each of `followers` is told by how many seconds the wall clock was set forward (back: negative). One that raises is
    told again at the next look, of all that it has not followed yet; the others are not.
    """

    def __init__(
        self,
        *followers: Callable[[float], None],
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._apart = dict.fromkeys(followers, wall() - monotonic())
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No further look; one under way ends first."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Compare the clocks once."""
        apart = self._wall() - self._monotonic()
        for follower, before in self._apart.items():
            by = apart - before
            if abs(by) >= STEP and _call_follower(follower, by):
                self._apart[follower] = apart

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_INTERVAL):
            self.look()


def _call_follower(follower: Callable[[float], None], by: float) -> bool:
    log.warning("clock_step_noticed", seconds=round(by, 1))
    try:
        follower(by)
    except SyncdError as error:
        log.error("clock_step_not_followed", reason=str(error))
        return False
    except Exception as error:  # noqa: BLE001 - a watchdog that dies is worse than one that says it again
        log.error("clock_step_not_followed", error=type(error).__name__)
        return False
    return True


class Every(IntervalTrigger):  # type: ignore[misc]
    """An interval after which the next tick comes; the ticks that were missed meanwhile are one (RULES E5)."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        following: datetime | None = super().get_next_fire_time(previous_fire_time, now)
        if following is None or following > now:
            return following
        again: datetime | None = super().get_next_fire_time(now, now)
        return again
