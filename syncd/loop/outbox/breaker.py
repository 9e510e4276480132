"""The circuit breaker before one receiver: in trouble it is asked by one probe at a time, not by each entry.

The probe is the entry that is due first, so nothing has to be made up to ask; what waits behind it costs nothing meanwhile.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from syncd.loop.breaker import FIRST_PAUSE, LONGEST_PAUSE
from syncd.model.work import LONGEST_BACKOFF


class Breaker:
    """Closed while the receiver answers; open after trouble, for a pause that doubles; half-open for one probe then."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._open_until: float | None = None
        self._pause = FIRST_PAUSE
        self._prober: int | None = None
        """The thread whose entry is the probe that is under way."""

    @property
    def is_closed(self) -> bool:
        """Whether everything may be sent, as far as is known."""
        return self._open_until is None

    @property
    def is_due(self) -> bool:
        """Whether anything may be sent now."""
        until = self._open_until
        return until is None or (self._prober is None and self._monotonic() >= until)

    def ask(self) -> bool:
        """Whether this one may be sent; where it is the probe, nobody else may until it has ended. Who was let through says
        how it went, and that it has ended."""
        with self._guard:
            if self.is_closed:
                return True
            if not self.is_due:
                return False
            self._prober = threading.get_ident()
            return True

    def note_answer(self) -> None:
        """The receiver answered, be it that it refused."""
        with self._guard:
            self._open_until, self._pause = None, FIRST_PAUSE

    def note_trouble(self, *, retry_after: float = 0.0) -> None:
        """It did not, or asked for a pause of `retry_after` seconds."""
        with self._guard:
            now = self._monotonic()
            if self._prober == threading.get_ident() or self._open_until is None:
                pause = random.uniform(FIRST_PAUSE, self._pause)  # noqa: S311 - jitter, no secret
                self._open_until = now + min(max(pause, retry_after), LONGEST_BACKOFF)
                self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def note_end(self) -> None:
        """It is over, however it ended: if it was the probe, another one may follow."""
        with self._guard:
            if self._prober == threading.get_ident():
                self._prober = None
