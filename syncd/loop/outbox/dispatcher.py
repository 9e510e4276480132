"""Sending what is owed (RULES B8): in order for each study, kind and sink, at least once, and in nobody's way.

An entry is committed with the record that it belongs to, so a process killed at any point finds it again. What the FHIR
server is owed is sent at once by whoever made it, and otherwise by a worker that has nothing better to do; any other
receiver has a thread of its own, so that a slow one costs no study a moment. What a receiver refuses for good is given
up, counted and said; what may yet succeed is put off.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog

from syncd.errors import LedgerRefused, LedgerUnavailable, SyncdError, Unreachable
from syncd.loop.backoff import pause_after
from syncd.loop.context import Context
from syncd.loop.delivery import Delivery, Refused
from syncd.loop.outbox.breaker import Breaker
from syncd.loop.outbox.kinds import deliveries
from syncd.loop.steps import Step, report_step
from syncd.model.correlation import correlation_id
from syncd.model.outbox import FHIR, OutboxEntry
from syncd.model.work import LONGEST_BACKOFF

log = structlog.get_logger(__name__)

RULE = "RULES B8"
"""The rule that is counted where something is given up."""

AT_ONCE = 20
"""Entries of a kind sent before anybody looks for something else."""

ATTEMPTS = 20
"""Failures with growing pauses; afterwards one attempt a day, as with a study (RULES C6)."""

_DAY = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outlet:
    """One kind to one receiver. Each has its own breaker: a server may refuse one kind of resource and take the others."""

    delivery: Delivery
    breaker: Breaker


class Dispatcher:
    """Any thread may call it."""

    def __init__(self, context: Context, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._context = context
        self._outlets = {
            (one.kind, one.sink): _Outlet(delivery=one, breaker=Breaker(monotonic=monotonic)) for one in deliveries(context)
        }
        self.news = {sink: threading.Event() for _, sink in self._outlets if sink != FHIR}
        """For each receiver but the FHIR server: set when something new is owed to it."""
        self._guard = threading.Lock()
        self._in_flight: set[tuple[str, str, str]] = set()
        """Lanes of which something is on its way."""

    def deliver(self, entries: Sequence[OutboxEntry]) -> None:
        """What one study was just committed with: sent to the FHIR server now, unless something earlier waits; announced
        to those who send the rest. Raises `LedgerUnavailable` and `LedgerRefused` only."""
        for entry in entries:
            if entry.sink in self.news:
                self.news[entry.sink].set()
        mine = {(*entry.lane, entry.key) for entry in entries if entry.sink == FHIR}
        if not mine:
            return
        held: set[tuple[str, str, str]] = set()
        for entry in self._context.ledger.outbox.of_study(entries[0].study_uid):
            is_next = (*entry.lane, entry.key) in mine and not entry.attempts and entry.lane not in held
            if not (is_next and self._send(entry, self._outlets[entry.kind, entry.sink])):
                held.add(entry.lane)

    def deliver_due(self, sink: str, *, go_on: Callable[[], bool] = lambda: True) -> int:
        """Send some of what is due to `sink`; returns how many were dealt with for good."""
        return sum(self._deliver_some(outlet, go_on) for (_, receiver), outlet in self._outlets.items() if receiver == sink)

    def _deliver_some(self, outlet: _Outlet, go_on: Callable[[], bool]) -> int:
        done = 0
        while done < AT_ONCE and outlet.breaker.is_due:
            due = self._find_due(outlet, most=AT_ONCE - done if outlet.breaker.is_closed else 1)
            free = [entry for entry in due if entry.lane not in self._in_flight]  # the makers of the others are at it
            for entry in free:
                if not (go_on() and self._send(entry, outlet)):
                    return done  # it may be the receiver's trouble: what else waits is for the probe to find out
                done += 1
            if not free:
                break
        return done

    def _find_due(self, outlet: _Outlet, *, most: int) -> Sequence[OutboxEntry]:
        kind, sink = outlet.delivery.kind, outlet.delivery.sink
        return self._context.ledger.outbox.due(kind, sink, limit=most, now=self._context.clock())

    def _send(self, entry: OutboxEntry, outlet: _Outlet) -> bool:
        """Send it and settle it, put it off or give it up; returns whether it was dealt with for good."""
        with self._one_of_lane(entry) as may_send:
            if not may_send or not outlet.breaker.ask():
                return False
            token = correlation_id.set(entry.correlation_id)  # the receiver's logs name the write that it is about
            try:
                # Its maker may have sent it since it was looked for, and a later one after it.
                return not self._context.ledger.outbox.waits(entry) or self._attempt(entry, outlet)
            finally:
                correlation_id.reset(token)
                outlet.breaker.note_end()

    @contextmanager
    def _one_of_lane(self, entry: OutboxEntry) -> Iterator[bool]:
        """Whether nobody else sends something of its lane; nobody will for the block."""
        with self._guard:
            is_free = entry.lane not in self._in_flight
            self._in_flight.add(entry.lane)
        try:
            yield is_free
        finally:
            if is_free:
                self._in_flight.discard(entry.lane)

    def _attempt(self, entry: OutboxEntry, outlet: _Outlet) -> bool:
        breaker = outlet.breaker
        try:
            outlet.delivery.send(entry)
        except (LedgerUnavailable, LedgerRefused):
            raise
        except Refused as error:
            breaker.note_answer()
            self._give_up(entry, str(error))
            return True
        except SyncdError as error:
            asked = getattr(error, "retry_after", None) or 0.0
            breaker.note_trouble(retry_after=asked)
            # One that nobody was asked for has not failed (RULES C6).
            self._put_off(entry, str(error), by=0 if isinstance(error, Unreachable) else 1, retry_after=asked)
            return False
        except Exception as error:  # noqa: BLE001 - a defect must neither end a thread nor lose the entry
            breaker.note_trouble()
            self._put_off(entry, type(error).__name__, by=1)
            return False
        report_step(Step.DELIVERED)
        breaker.note_answer()
        self._context.ledger.outbox.settle(entry)
        return True

    def _put_off(self, entry: OutboxEntry, reason: str, *, by: int, retry_after: float = 0.0) -> None:
        attempts = entry.attempts + by
        until = self._context.clock() + max(_pause(attempts), min(retry_after, LONGEST_BACKOFF))
        self._context.ledger.outbox.put_off(replace(entry, attempts=attempts, due=until, reason=reason))
        log.warning("delivery_put_off", **_about(entry), attempts=attempts, reason=reason)

    def _give_up(self, entry: OutboxEntry, reason: str) -> None:
        self._context.ledger.outbox.give_up(entry, reason)
        self._context.observer.count_notes((RULE,))
        log.error("delivery_given_up", **_about(entry), reason=reason)


def _pause(attempts: int) -> float:
    if attempts >= ATTEMPTS:
        return _DAY
    return pause_after(max(attempts, 1))


def _about(entry: OutboxEntry) -> dict[str, str]:
    return {"study_uid": entry.study_uid, "kind": entry.kind, "sink": entry.sink}
