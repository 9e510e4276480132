"""The clock is set while a daemon runs: nobody waits for it, nothing comes a thousand times (RULES E5; docs/cases.md "clock
stepping back: no stall")."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import apscheduler.schedulers.base as scheduling
import pytest
from structlog.testing import capture_logs

from syncd.errors import LedgerUnavailable
from syncd.loop.breaker import CircuitBreaker, CircuitBreakers
from syncd.loop.context import Nobody
from syncd.loop.outbox.dispatcher import Dispatcher
from syncd.loop.process import ticks as clockwork_module
from syncd.loop.process.clock_steps import STEP, Every, Watchdog
from syncd.loop.process.daemon import Daemon
from syncd.loop.process.ticks import Clockwork
from syncd.loop.study.reconcile import reconcile
from syncd.loop.study.task import Task
from syncd.loop.study.trace import Turn
from syncd.loop.workers import attempt
from syncd.loop.workers.attempt import Attempt
from syncd.loop.workers.pool import Workers
from tests.fakes.http import Clock
from tests.loop.world import SETTLE, STUDY, World

HOUR, DAY = 3600.0, 86_400.0
PATIENCE = 60.0


class Told:
    """A follower that remembers, and raises what it is given to raise."""

    def __init__(self, *errors: Exception) -> None:
        self.steps: list[float] = []
        self._errors = list(errors)

    def __call__(self, by: float) -> None:
        self.steps.append(by)
        if self._errors:
            raise self._errors.pop(0)


@pytest.mark.parametrize(
    ("moved", "passed", "told"),
    [
        (10.0, 10.0, []),
        (-HOUR, 1.0, [-HOUR - 1.0]),
        (DAY, 1.0, [DAY - 1.0]),
        (0.0, STEP, [-STEP]),
        (1.9, 0.0, []),
    ],
)
def test_a_step_is_what_wall_moved_beside_monotonic(moved: float, passed: float, told: list[float]) -> None:
    """RULES E5: when wall − monotonic moves by 2 s."""
    wall, monotonic, follower = Clock(), Clock(50.0), Told()
    watchdog = Watchdog(follower, wall=wall, monotonic=monotonic)
    wall.advance(moved)
    monotonic.advance(passed)
    watchdog.look()
    watchdog.look()
    assert follower.steps == told


def test_small_steps_add_up() -> None:
    """RULES E5: each too small to be noticed, together a stall."""
    wall, follower = Clock(), Told()
    watchdog = Watchdog(follower, wall=wall, monotonic=Clock())
    for _ in range(3):
        wall.advance(-1.5)
        watchdog.look()
    assert follower.steps == [-3.0]


@pytest.mark.parametrize("error", [LedgerUnavailable("full"), ValueError("Synthetic^Sam")])
def test_who_could_not_follow_is_told_again_and_the_others_are_not(error: Exception) -> None:
    """RULES E5, S1: a full disk at the moment of the step; what else is said carries no text of an unknown error."""
    wall, well, ill = Clock(), Told(), Told(error)
    watchdog = Watchdog(ill, well, wall=wall, monotonic=Clock())
    with capture_logs() as logs:
        wall.advance(-HOUR)
        watchdog.look()
        wall.advance(-5.0)
        watchdog.look()
        watchdog.look()
    assert (ill.steps, well.steps) == ([-HOUR, -HOUR - 5.0], [-HOUR, -5.0])
    assert "clock_step_not_followed" in str(logs)
    assert "Synthetic" not in str(logs)


def test_the_watchdog_looks_by_itself_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES E5: in a thread of its own, for APScheduler's is the one that stalls."""
    monkeypatch.setattr("syncd.loop.process.clock_steps.LOOK_INTERVAL", 0.001)
    wall, noticed = Clock(), threading.Event()
    watchdog = Watchdog(lambda by: noticed.set(), wall=wall, monotonic=Clock())
    watchdog.start()
    wall.advance(-HOUR)
    assert noticed.wait(PATIENCE)
    watchdog.stop()
    assert not watchdog._thread.is_alive()


@pytest.mark.parametrize("late", [0.0, 0.5, HOUR, 60 * 365 * DAY])
def test_ticks_that_were_missed_are_one(late: float) -> None:
    """RULES E5: from 1970 to today by an interval of 0.2 s would be nine thousand million ticks to count."""
    planned = datetime(1970, 1, 2, tzinfo=UTC)
    now = planned + timedelta(seconds=late)
    following = Every(seconds=0.2, timezone=UTC).get_next_fire_time(planned, now)
    assert following is not None
    assert now < following <= now + timedelta(seconds=0.2)


class Stepped(datetime):
    """`datetime` for APScheduler: `now` shows what `by` seconds make of the real time; notes that it was asked."""

    by = 0.0
    asked = threading.Event()

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        cls.asked.set()
        return datetime.now(tz) + timedelta(seconds=cls.by)


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the clock that APScheduler and the clockwork plan by."""
    monkeypatch.setattr(Stepped, "by", 0.0)
    for module in (scheduling, clockwork_module):
        monkeypatch.setattr(module, "datetime", Stepped)
    return lambda by: monkeypatch.setattr(Stepped, "by", by)


@pytest.fixture
def ticking(world: World, set_clock: Callable[[float], None]) -> Any:
    """A clockwork on APScheduler's real thread, and a semaphore that each of its polls releases."""
    often = {name: replace(source, poll_interval=0.01) for name, source in world.site.archives.items()}
    daemon = Daemon(replace(world.site, archives=often), world.ledger, version="1", observer=Nobody())
    context = daemon._connect()
    assert context is not None
    workers = Workers(context, fhir=daemon._fhir, archives=daemon._breakers, concurrency=1)
    clockwork = Clockwork(
        context,
        site=daemon._site,
        workers=workers,
        fhir=daemon._fhir,
        archives=daemon._archives,
        troubles=daemon._troubles,
        beat=daemon._beat,
    )
    polls = threading.Semaphore(0)
    clockwork._scheduler.modify_job("intake", func=polls.release)
    clockwork.start()
    yield clockwork, polls
    clockwork.stop()
    workers.stop(grace=1.0)


def test_ticks_go_on_after_the_clock_was_set_back_an_hour(ticking: Any, set_clock: Callable[[float], None]) -> None:
    """RULES E5: APScheduler 3 stalls for that hour unless it is told."""
    clockwork, polls = ticking
    assert polls.acquire(timeout=PATIENCE)
    set_clock(-HOUR)
    _drain(clockwork, polls)
    clockwork.follow_clock(-HOUR)
    for _ in range(3):
        assert polls.acquire(timeout=PATIENCE)
    ahead = datetime.now(UTC) - timedelta(seconds=HOUR) + timedelta(seconds=_longest(clockwork))
    assert all(job.next_run_time <= ahead for job in clockwork._scheduler.get_jobs())


def test_ticks_go_on_after_the_clock_was_set_forward_a_day(ticking: Any, set_clock: Callable[[float], None]) -> None:
    """RULES E5: what was missed is run once, not once per interval."""
    clockwork, polls = ticking
    assert polls.acquire(timeout=PATIENCE)
    set_clock(DAY)
    clockwork.follow_clock(DAY)
    for _ in range(3):
        assert polls.acquire(timeout=PATIENCE)


def _longest(clockwork: Clockwork) -> float:
    """The longest interval with its jitter, in seconds."""
    return max(job.trigger.interval_length + (job.trigger.jitter or 0) for job in clockwork._scheduler.get_jobs())


def _drain(clockwork: Clockwork, polls: threading.Semaphore) -> None:
    """Wait until APScheduler itself has looked at the clock that was set back, and plans an hour ahead."""
    Stepped.asked.clear()
    clockwork._scheduler.wakeup()
    assert Stepped.asked.wait(PATIENCE)
    while polls.acquire(blocking=False):
        pass


def test_what_waits_is_due_when_it_would_have_been(world: World) -> None:
    """RULES A5, E5: an unstable study is looked at again after `settle_after`, not an hour later."""
    world.store()
    world.poll()
    world.turn()
    waiting = world.ledger.marks.find(STUDY)
    assert waiting is not None
    assert waiting.due == world.clock() + SETTLE
    world.clock.advance(-HOUR)
    world.ledger.clock_steps.follow(-HOUR)
    moved = world.ledger.marks.find(STUDY)
    assert moved is not None
    assert moved.due == world.clock() + SETTLE
    assert moved.first_marked == moved.last_event == moved.streaming_since == world.clock()
    world.clock.advance(SETTLE)
    assert [claim.row.study_uid for claim in world.ledger.claims.take(1, now=world.clock())] == [STUDY]


def test_a_turn_during_which_the_clock_was_set_back_plans_by_the_new_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES E5: its due time was told by the old clock, and is committed after the ledger has followed the new one."""
    world.store()
    world.poll()
    task = world.task()

    now = [world.clock()]
    context = replace(task.context, clock=lambda: now[0])
    turn = Attempt(
        context,
        fhir=CircuitBreaker(lambda: None),
        archives=CircuitBreakers({}),
        dispatcher=Dispatcher(context),
        on_outcome=lambda outcome: None,
    )

    def then_step(given: Task) -> Turn:
        decided = reconcile(given)
        now[0] -= HOUR
        return decided

    monkeypatch.setattr(attempt, "reconcile", then_step)
    assert turn.take(replace(task, context=context))
    row = world.ledger.marks.find(STUDY)
    assert row is not None
    assert row.due == now[0] + SETTLE
