"""Workers: due studies are claimed, looked up in batches, and given to a few threads, the most urgent first.

A worker never sleeps and never retries by itself; waiting is a due time in the ledger. Studies are looked up fifty at a
time, and an urgent one still passes them: what was looked up is held back here, and only as many studies as there are
threads are under way (RULES A9, C2).
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import takewhile

import structlog

from syncd.errors import LedgerUnavailable, TargetPaused, Transient
from syncd.ledger.ledger import Claim
from syncd.loop.breaker import CircuitBreaker, CircuitBreakers
from syncd.loop.context import Context
from syncd.loop.outbox.couriers import Couriers
from syncd.loop.outbox.dispatcher import Dispatcher
from syncd.loop.study.task import Task
from syncd.loop.workers.attempt import Attempt, places
from syncd.loop.workers.batch import MOST_TOGETHER, Batches, is_plain
from syncd.loop.workers.first_look import first_look
from syncd.loop.workers.rate import Pace
from syncd.model.ids import ArchiveName
from syncd.model.outbox import FHIR
from syncd.model.outcome import Outcome
from syncd.model.words import Priority
from syncd.model.work import ATTEMPTS, OWN_ATTEMPTS
from syncd.publish.lookups import BATCH

__all__ = ["ATTEMPTS", "Workers"]

log = structlog.get_logger(__name__)

_IDLE_WAIT = 0.5
"""Seconds after which the ledger is asked anew although nobody woke us: another process may have marked something."""

_MOST_HELD = 3 * BATCH
"""Claimed studies that wait here for a thread; a restart repeats their lookup, nothing more."""

_LONGEST_BATCH = 3.0
"""Seconds that a batch may take, by those before it: what was read may be so old when it is written."""


class Workers:
    """Reconciles due studies until told to stop. `on_outcome` hears every committed outcome (progress, history)."""

    def __init__(
        self,
        context: Context,
        *,
        fhir: CircuitBreaker,
        archives: CircuitBreakers,
        concurrency: int,
        on_outcome: Callable[[Outcome], None] = lambda outcome: None,
        pace: Pace | None = None,
    ) -> None:
        """Without a `pace`, old studies are worked on like all others, when nothing else is due."""
        self._context = context
        self._fhir = fhir
        self._archives = archives
        self._concurrency = concurrency
        self._pace = pace or Pace()
        self._dispatcher = Dispatcher(context)
        self._couriers = Couriers(self._dispatcher)
        self._turn = Attempt(context, fhir=fhir, archives=archives, dispatcher=self._dispatcher, on_outcome=on_outcome)
        self._batches = Batches(context, attempt=self._turn, is_halted=self._is_halted, meanwhile=self._let_pass)
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="reconcile")
        self._changed = threading.Condition()
        self._changes = 0
        """How often there was reason to look; whoever looked before the last of them must not rest."""
        self._news = 0
        """How often something may have been marked."""
        self._in_flight = 0
        self._looked_for = -1
        """The last change after which the ledger was asked for more."""
        self._jobs: list[int] = []
        """The priority of what each busy thread works on."""
        self._seconds = 0.0
        """What a study of the last batches took."""
        self._stopping = False
        self._held: list[Task] = []
        self._urgent: deque[Task] = deque()
        """What may pass the batches that are under way."""
        self._owed: set[str] = set()
        self._stubborn: set[str] = set()
        """The study, at most one, that failed often and is held or under way."""

    @property
    def in_flight(self) -> int:
        """Studies under way now."""
        return self._in_flight

    def wake(self) -> None:
        """Something may be due now."""
        with self._changed:
            self._changes += 1
            self._news += 1
            self._changed.notify_all()

    def run(self, *, until_idle: bool = False) -> None:
        """Work until `stop`; with `until_idle`, until nothing is due and nothing in flight, or no breaker is closed.

        What lies in an archive whose breaker is open waits; the others' studies go on (RULES C8)."""
        self._couriers.start()
        while not self._stopping:
            seen = self._changes
            try:
                readable = self._archives.usable() if self._fhir.ask() else frozenset()
                self._put_back_held(readable)
                if readable and self._advance(readable):
                    continue
                if until_idle and self._is_settled() and not (readable and self._due_soon(readable)):
                    return
                self._rest(seen)
            except LedgerUnavailable as error:
                if until_idle:
                    raise
                log.error("ledger_unavailable", reason=str(error))
                self._rest(seen)
            except Exception as error:
                if until_idle:
                    raise
                log.error("dispatch_failed", error=type(error).__name__, where=places(error))
                self._rest(seen)

    def stop(self, *, grace: float) -> None:
        """Claim nothing more; what runs ends within `grace` seconds, what has not begun goes back."""
        self._stopping = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + grace
        with self._changed:
            self._in_flight -= len(self._urgent)
            self._urgent.clear()
            self._changed.notify_all()
            while self._in_flight and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
        self._couriers.stop(grace=max(0.0, deadline - time.monotonic()))

    def _advance(self, readable: frozenset[ArchiveName]) -> bool:
        """One step: claim, look up, hand out. Returns whether there was anything to do."""
        claims = self._claim(readable)
        if claims:
            self._hold(claims)
        handed_out = self._hand_out()
        return bool(claims or handed_out or self._dispatcher.deliver_due(FHIR))

    def _claim(self, readable: frozenset[ArchiveName]) -> list[Claim]:
        owed = tuple(self._owed)
        if owed:  # claims that could not be given back, or whose study is not to blame
            self._context.ledger.claims.release(*owed)
            self._owed.difference_update(owed)
        limit = self._wanted()
        if not limit:
            return []
        # Of those that fail again and again one at a time, so that they never occupy every thread (RULES C6).
        claims = self._context.ledger.claims.take(
            limit,
            now=self._context.clock(),
            within=readable,
            most_backfill=self._pace.refill(),
            stubborn=0 if self._stubborn else 1,
        )
        self._pace.took(sum(claim.row.priority == Priority.BACKFILL for claim in claims))
        self._stubborn.update(one.row.study_uid for one in claims if one.row.attempts > OWN_ATTEMPTS)
        return claims

    def _wanted(self) -> int:
        """How many studies to ask for: a whole batch while few are held; else only a few, in case something more urgent has
        come."""
        few = len(self._held) <= BATCH and len(self._jobs) <= self._concurrency
        news, self._looked_for = self._news != self._looked_for, self._news
        if few:
            return BATCH
        return self._concurrency if news and len(self._held) < _MOST_HELD else 0

    def _hold(self, claims: Sequence[Claim]) -> None:
        """Hold the claims in the order of work; a few are looked up here, a backlog by the batch that takes it."""
        hits: dict[str, frozenset[str]] = {}
        try:
            if len(claims) <= self._concurrency:
                hits = first_look(claims, self._context)
        except (Transient, TargetPaused) as error:
            if self._turn.outage(error):
                self._owed.update(claim.row.study_uid for claim in claims)
                self._stubborn.difference_update(claim.row.study_uid for claim in claims)
                return
        except Exception as error:  # noqa: BLE001 - a shortcut: without it each study asks, and fails, for itself
            log.warning("first_look_failed", error=type(error).__name__, where=places(error))
        self._held += [Task(claim=one, context=self._context, hits=hits.get(one.row.study_uid)) for one in claims]
        self._held.sort(key=_order)

    def _hand_out(self) -> int:
        handed_out = 0
        self._take_back_urgent()
        while self._held and self._has_room() and not self._stopping:
            group = self._next_group()
            with self._changed:
                self._in_flight += len(group)
                self._jobs.append(_priority(group[0]))
            try:
                self._pool.submit(self._work, group).add_done_callback(partial(self._end, group))
            except RuntimeError:  # the pool was shut down meanwhile
                self._end(group, None)
            handed_out += len(group)
        return handed_out + self._pass_on()

    def _next_group(self) -> list[Task]:
        """The most urgent study, and in a backlog others like it."""
        alike = list(takewhile(partial(_is_like, self._held[0]), self._held))
        size = 1
        if len(alike) > self._concurrency:
            size = min(MOST_TOGETHER, math.ceil(len(alike) / (self._concurrency - len(self._jobs) or 1)))
            if self._seconds:
                size = min(size, max(1, int(_LONGEST_BATCH / self._seconds)))
        away = self._archives.tripped()
        group, self._held[:size] = [replace(task, away=away) for task in self._held[:size]], []
        return group

    def _work(self, group: Sequence[Task]) -> dict[str, bool]:
        if len(group) == 1:
            settled = {group[0].study_uid: self._turn.take(group[0])}
        else:
            began = time.monotonic()
            settled = self._batches.take(group)
            self._seconds = (time.monotonic() - began) / len(group)
        self._let_pass()
        return settled

    def _has_room(self) -> bool:
        """Whether a thread is free; or the next one that is may go on at once with what nobody needs to be passed for."""
        busy = len(self._jobs)
        if busy < self._concurrency:
            return True
        # Not a batch: what comes meanwhile makes it a larger one.
        alone = len(self._held) <= self._concurrency
        return busy == self._concurrency and alone and _priority(self._held[0]) >= max(self._jobs)

    def _pass_on(self) -> int:
        """What is more urgent than a batch under way does not wait for its end (RULES A9)."""
        if len(self._jobs) < self._concurrency:
            return 0
        with self._changed:
            least = max(self._jobs)
            urgent = [task for task in self._held[: self._concurrency] if _priority(task) < least]
            del self._held[: len(urgent)]
            self._in_flight += len(urgent)
            self._urgent.extend(replace(task, away=self._archives.tripped()) for task in urgent)
        return len(urgent)

    def _take_back_urgent(self) -> None:
        """Where a thread is free, nobody has to be passed."""
        with self._changed:
            if len(self._jobs) < self._concurrency:
                self._in_flight -= len(self._urgent)
                self._held[:0] = self._urgent
                self._urgent.clear()

    def _let_pass(self) -> None:
        while not self._stopping:
            with self._changed:
                if not self._urgent:
                    return
                task = self._urgent.popleft()
            settled = False
            try:
                settled = self._turn.take(task)
            finally:
                self._close({task.study_uid: settled})

    def _is_halted(self) -> bool:
        return self._stopping or not self._fhir.is_closed

    def _end(self, group: Sequence[Task], future: Future[dict[str, bool]] | None) -> None:
        """A thread is done with its studies, or never began."""
        ran = future is not None and not future.cancelled() and future.exception() is None
        settled = future.result() if ran and future is not None else {}
        with self._changed:
            self._jobs.remove(_priority(group[0]))
        self._close({task.study_uid: settled.get(task.study_uid, False) for task in group})

    def _close(self, settled: Mapping[str, bool]) -> None:
        with self._changed:
            for study_uid, is_settled in settled.items():
                self._stubborn.discard(study_uid)
                if not is_settled:
                    self._owed.add(study_uid)
            self._in_flight -= len(settled)
            self._changes += 1
            self._changed.notify_all()

    def _put_back_held(self, readable: frozenset[ArchiveName]) -> None:
        """A breaker is open: nothing that needs it is kept from the ledger while we wait."""
        kept = [task for task in self._held if readable and readable.issuperset(one.archive for one in task.claim.copies)]
        if len(kept) == len(self._held) and readable:
            return
        back = {task.study_uid for task in self._held} - {task.study_uid for task in kept}
        self._owed.update(back)
        self._stubborn.difference_update(back)
        self._held[:] = kept
        owed = tuple(self._owed)
        if owed:
            self._context.ledger.claims.release(*owed)
            self._owed.difference_update(owed)

    def _rest(self, seen: int) -> None:
        """Wait until there is reason to look, unless there was one since `seen`: nobody wakes us twice for it."""
        with self._changed:
            if not self._stopping and self._changes == seen:
                self._changed.wait(_IDLE_WAIT)

    def _is_settled(self) -> bool:
        with self._changed:
            return self._in_flight == 0 and not self._held and not self._owed and self._couriers.is_idle

    def _due_soon(self, readable: frozenset[ArchiveName]) -> bool:
        """Whether a study backs off only for a moment: a one-shot run waits for its first few attempts. Or whether one is
        due: the last turn may have marked others after we looked (a rejection note, a Patient that gave way)."""
        ledger = self._context.ledger
        due = ledger.progress.count_unsettled(
            ledger.progress.newest_generation(), now=self._context.clock(), within=readable
        )
        return (
            due > 0
            or ledger.progress.count_backing_off(most_attempts=OWN_ATTEMPTS, within=readable) > self._turn.number_given_up
        )


def _priority(task: Task) -> int:
    return task.claim.row.priority


def _is_like(first: Task, other: Task) -> bool:
    """Whether they may be done together: as urgent as each other, and nothing was wrong with either."""
    return _priority(first) == _priority(other) and is_plain(first) and is_plain(other)


def _order(task: Task) -> tuple[int, int, float]:
    """The order of work (RULES A9)."""
    row = task.claim.row
    newest_first = -int(row.study_date or 0) if row.priority == Priority.BACKFILL else 0
    return row.priority, newest_first, row.due
