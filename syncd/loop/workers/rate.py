"""How fast, and at what hours, old studies are worked on: only those at backfill priority wait for it (RULES A9).

The backlog is slowed down and what arrives is not, so nobody sleeps here. Whoever claims work asks how many old studies
it may take now, and takes the rest of what is due in any case.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from syncd.selection.window import Window

_BURST = 1.0
"""Seconds of the rate that may be made up for at once: claims come in steps of up to half a second."""


def minute_of_day() -> int:
    """By this machine's clock and time zone, which is what its operators look at."""
    now = time.localtime()
    return now.tm_hour * 60 + now.tm_min


@dataclass(slots=True, kw_only=True)
class Pace:
    """`rate` in studies per second, None for as fast as possible; `window` None for always. Not for several threads."""

    rate: float | None = None
    window: Window | None = None
    monotonic: Callable[[], float] = time.monotonic
    minute: Callable[[], int] = minute_of_day
    _saved: float = field(default=1.0, init=False)
    _asked: float | None = field(default=None, init=False)

    def refill(self) -> int | None:
        """How many old studies may be claimed now; None for any number."""
        if self.why_paused:
            return 0
        if self.rate is None:
            return None
        now = self.monotonic()
        passed = 0.0 if self._asked is None else now - self._asked
        self._asked = now
        self._saved = min(self._saved + passed * self.rate, max(1.0, self.rate * _BURST))
        return int(self._saved)

    def took(self, number: int) -> None:
        """So many were claimed."""
        self._saved -= number

    @property
    def why_paused(self) -> str:
        """Why no old study is begun at this hour; empty when they are."""
        if self.window is None or self.window.is_open(self.minute()):
            return ""
        return f"old studies wait until {self.window.opens} (SYNCD_POLICY__BACKFILL_WINDOW is {self.window.text})"
