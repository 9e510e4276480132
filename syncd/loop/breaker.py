"""The circuit breaker before a server: closed while it answers, open while it does not, probed until it does again.

An outage must not be paid for by the studies: while a breaker is open nothing is claimed, no row is touched and no
attempt is counted (RULES C6). The first probes come quickly, so a restart of the server is hardly noticed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping

from syncd.errors import SyncdError
from syncd.model.ids import ArchiveName
from syncd.model.words import TargetState

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds between probes: doubled from the first to the longest."""

PATIENCE = 0.5
"""Seconds for which an archive's probe is waited for: one that does not answer must not keep the others from work."""


class CircuitBreaker:
    """One server's. `probe` raises a `SyncdError` while the server is not fit to be used."""

    def __init__(self, probe: Callable[[], object], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._probe = probe
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._state = TargetState.OK
        self._reason = ""
        self._pause = FIRST_PAUSE
        self._next_probe = 0.0

    @property
    def state(self) -> TargetState:
        return self._state

    @property
    def reason(self) -> str:
        """Why it is open, in words without patient data; empty while it is closed."""
        return self._reason

    @property
    def is_closed(self) -> bool:
        return self._state is TargetState.OK

    def trip(self, state: TargetState, reason: str) -> None:
        """Let nothing through until a probe succeeds: `TargetState.OPEN` (it is away) or `PAUSED` (refused as a whole)."""
        with self._guard:
            if self.is_closed:
                self._next_probe = self._monotonic() + self._pause
            self._state, self._reason = state, reason

    def note_success(self) -> None:
        """Something was really done: the next trouble is probed quickly again.

        A probe alone does not say so: a server may let us read and refuse every write."""
        self._pause = FIRST_PAUSE

    def hurry(self) -> None:
        """Probe at the next question: somebody else learnt that the trouble is over."""
        self._next_probe = 0.0

    def ask(self) -> bool:
        """Probe if it is time; returns whether the breaker is closed now."""
        with self._guard:
            if self.is_closed or self._monotonic() < self._next_probe:
                return self.is_closed
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            self._next_probe = self._monotonic() + self._pause
        trouble = self._trouble()
        with self._guard:
            if trouble:
                self._reason = trouble
                return False
            self._state, self._reason = TargetState.OK, ""
        return True

    @property
    def is_due(self) -> bool:
        """Whether it is open, and may be probed again."""
        return not self.is_closed and self._monotonic() >= self._next_probe

    def blames(self) -> bool:
        """Ask the server now: whether it is itself in trouble (then the breaker opens), or only the one who asked."""
        trouble = self._trouble()
        if trouble:
            self.trip(TargetState.OPEN, trouble)
        return bool(trouble)

    def _trouble(self) -> str:
        try:
            self._probe()
        except SyncdError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - a probe that fails in any way is no reason to end the daemon
            return f"the probe failed unexpectedly ({type(error).__name__})"
        return ""


class CircuitBreakers:
    """Those of all archives, by name."""

    def __init__(self, breakers: Mapping[ArchiveName, CircuitBreaker]) -> None:
        self._breakers = dict(breakers)

    def __getitem__(self, name: ArchiveName) -> CircuitBreaker:
        return self._breakers[name]

    def __iter__(self) -> Iterator[ArchiveName]:
        return iter(self._breakers)

    def usable(self) -> frozenset[ArchiveName]:
        """Those that may be asked now; the others are probed when it is time."""
        return frozenset(name for name, breaker in self._breakers.items() if _ask(breaker))

    def tripped(self) -> frozenset[ArchiveName]:
        """Those that may not, as far as is known."""
        return frozenset(name for name, breaker in self._breakers.items() if not breaker.is_closed)

    def of(self, server: str) -> CircuitBreaker | None:
        """The breaker of the archive that an error names; None where it names none."""
        return self._breakers.get(ArchiveName(server))

    @property
    def reasons(self) -> dict[ArchiveName, str]:
        """Why archives must not be asked, in words; where there are several, they name it."""
        return {name: self._with_name(name, breaker.reason) for name, breaker in self._breakers.items() if breaker.reason}

    def _with_name(self, name: ArchiveName, reason: str) -> str:
        return f"archive {name}: {reason}" if len(self._breakers) > 1 and f"archive {name}" not in reason else reason


def _ask(breaker: CircuitBreaker) -> bool:
    if breaker.is_due:
        probe = threading.Thread(target=breaker.ask, name="probe", daemon=True)
        probe.start()
        probe.join(PATIENCE)
    return breaker.is_closed
