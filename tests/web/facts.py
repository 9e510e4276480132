"""Facts that a test sets, and a web room that is really served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from syncd.model.outbox import Queue
from syncd.model.overview import Counts, Heartbeat
from syncd.web.app import allowed_hosts, create_app
from syncd.web.metrics import Metrics
from syncd.web.server import WebServer

NOW = 1_700_000_100.0

BRAKE = {
    "brake": "closed",
    "brake_reason": "too many",
    "retractions": 10,
    "retractions_allowed": 10,
    "retractions_waiting": 3,
}


def heartbeat() -> Heartbeat:
    """A daemon with one archive that is a little behind."""
    return Heartbeat(
        pid=42,
        at=NOW,
        started_at=NOW - 100,
        version="1.2.3",
        web="http://127.0.0.1:8053",
        archives={
            "main": {
                "state": "bootstrapping",
                "reason": "first start",
                "behind_changes": 7,
                "behind_seconds": 1.5,
                "inventory": {"at": NOW - 60, "listed": 9, "found": {"gone": 2}},
                **BRAKE,
            }
        },
        target={
            "state": "ok",
            "reason": "",
            "inventory": {"at": NOW - 90, "listed": 8, "found": {"missing": 1}},
            "requests_at_once": 3,
        },
    )


def counts() -> Counts:
    """Three studies wait, the oldest for a minute."""
    return Counts(
        dirty=3,
        due=2,
        oldest_mark=NOW - 60,
        published={"available": 5},
        parked={"refused": 1},
        unselected={"excluded": 2},
        safety=4,
        outbox=(Queue(kind="Provenance", sink="fhir", waiting=7, given_up=8),),
        outdated=6,
        held=True,
    )


@dataclass(kw_only=True)
class SetFacts:
    """`broken` is raised instead of any answer but `alive`; `asked` counts the readings of the ledger."""

    reasons: tuple[str, ...] = ()
    living: bool = True
    broken: Exception | None = None
    told: Counts = field(default_factory=counts)
    asked: int = 0

    def counts(self) -> Counts:
        self.asked += 1
        return self._or_broken(self.told)

    def heartbeat(self) -> Heartbeat:
        self._or_broken(self.told)
        return heartbeat()

    def ready(self) -> tuple[str, ...]:
        self._or_broken(self.told)
        return self.reasons

    def alive(self) -> bool:
        return self.living

    def _or_broken(self, told: Counts) -> Counts:
        if self.broken is not None:
            raise self.broken
        return told


@contextmanager
def served(
    facts: SetFacts, *, token: str | Callable[[], str] = "", bind: str = "127.0.0.1:0", metrics: Metrics | None = None
) -> Iterator[str]:
    """The address of a web room on a free port."""
    asked_for = token if callable(token) else lambda: token
    told = metrics or Metrics(version="1.2.3", clock=lambda: NOW)
    host = bind.rpartition(":")[0]
    server = WebServer(create_app(facts, told, token=asked_for, allowed_hosts=allowed_hosts(host)), bind)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()
