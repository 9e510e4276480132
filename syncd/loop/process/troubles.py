"""What keeps the daemon from working, in words, by who met it: what `/readyz` and `status` say.

A trouble stays until the same one who met it succeeds; nobody else's success wipes it out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from syncd.errors import SyncdError

log = structlog.get_logger(__name__)


class Troubles:
    """Reasons by name, for any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._reasons: dict[str, str] = {}

    def note(self, name: str, reason: str) -> None:
        """`name` cannot do its work; said in the log once for each reason."""
        with self._guard:
            known = self._reasons.get(name)
            self._reasons[name] = reason
        if known != reason:
            log.warning("waiting", for_=name, reason=reason)

    def over(self, name: str) -> None:
        """`name` did its work."""
        with self._guard:
            known = self._reasons.pop(name, None)
        if known is not None:
            log.info("recovered", for_=name)

    def of(self, name: str) -> str:
        """Why `name` cannot do its work; empty when it can."""
        with self._guard:
            return self._reasons.get(name, "")

    def all(self) -> tuple[str, ...]:
        """Every reason once."""
        with self._guard:
            return tuple(dict.fromkeys(self._reasons.values()))

    def guard(self, name: str, tick: Callable[[], None]) -> Callable[[], None]:
        """`tick`, whose failure is remembered in words and which is simply tried again the next time."""

        def run_guarded() -> None:
            try:
                tick()
            except SyncdError as error:
                self.note(name, str(error))
            except Exception as error:  # noqa: BLE001 - a defect must be seen, and must not end the clockwork
                self.note(name, f"{name} failed unexpectedly ({type(error).__name__})")
                log.error("tick_failed", tick=name, error=type(error).__name__)
            else:
                self.over(name)

        return run_guarded
