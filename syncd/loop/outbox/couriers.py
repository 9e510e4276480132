"""One thread for each receiver other than the FHIR server: a slow or dead one delays neither studies nor its neighbours."""

from __future__ import annotations

import threading
import time

import structlog

from syncd.errors import SyncdError
from syncd.loop.outbox.dispatcher import Dispatcher

log = structlog.get_logger(__name__)

_IDLE_WAIT = 1.0
"""Seconds after which the ledger is asked anew although nothing new was announced: what was put off may be due."""


class Couriers:
    """Send between `start` and `stop`. No receiver, no thread."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._stopping = threading.Event()
        self._at_work: set[str] = set()
        self._threads: list[threading.Thread] = []

    @property
    def is_idle(self) -> bool:
        """Whether nobody sends, and nothing was announced that nobody looked for yet."""
        # In this order: whoever is at work said so before he took note of the news.
        return not any(news.is_set() for news in self._dispatcher.news.values()) and not self._at_work

    def start(self) -> None:
        """Look for everything that is due, and for what is announced from now on. Once only."""
        if self._threads:
            return
        for sink, news in self._dispatcher.news.items():
            news.set()
            thread = threading.Thread(target=self._carry, args=(sink, news), name=f"outbox-{sink}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, *, grace: float) -> None:
        """Begin nothing more; what is on its way ends within `grace` seconds, or is sent again by the next process."""
        self._stopping.set()
        for news in self._dispatcher.news.values():
            news.set()
        deadline = time.monotonic() + grace
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _carry(self, sink: str, news: threading.Event) -> None:
        while not self._stopping.is_set():
            self._at_work.add(sink)
            news.clear()
            if self._deliver(sink):
                news.set()
            self._at_work.discard(sink)
            news.wait(_IDLE_WAIT)

    def _deliver(self, sink: str) -> int:
        try:
            return self._dispatcher.deliver_due(sink, go_on=lambda: not self._stopping.is_set())
        except SyncdError as error:
            log.error("delivery_failed", sink=sink, reason=str(error))
        except Exception as error:  # noqa: BLE001 - a thread that dies would hold its receiver up for ever
            log.error("delivery_failed", sink=sink, error=type(error).__name__)
        return 0
