"""The breaker before a server (RULES C6), and locks by name (RULES B4)."""

from __future__ import annotations

import itertools
import threading

import pytest

from syncd.errors import Unreachable
from syncd.loop.breaker import LONGEST_PAUSE, CircuitBreaker
from syncd.loop.context import Locks
from syncd.model.words import TargetState
from tests.fakes.http import Clock


class Server:
    """Answers the probe, or does not."""

    def __init__(self) -> None:
        self.up = True
        self.probes = 0

    def probe(self) -> None:
        self.probes += 1
        if not self.up:
            raise Unreachable("nobody there")


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> Clock:
    return Clock(0.0)


def _breaker(server: Server, clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(server.probe, monotonic=clock)


def test_a_closed_breaker_asks_nobody(server: Server, clock: Clock) -> None:
    """RULES C6: no probe while all is well."""
    assert _breaker(server, clock).ask()
    assert server.probes == 0


def test_an_open_breaker_probes_at_growing_intervals_up_to_half_a_minute(server: Server, clock: Clock) -> None:
    """RULES C6: probed every 30 s; the first ones come quickly."""
    breaker = _breaker(server, clock)
    server.up = False
    breaker.trip(TargetState.OPEN, "away")
    moments = []
    for _ in range(200):
        before = server.probes
        breaker.ask()
        if server.probes > before:
            moments.append(clock.now)
        clock.advance(1.0)
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert moments[0] == 1.0
    assert gaps[:4] == [2.0, 4.0, 8.0, 16.0]
    assert set(gaps[4:]) == {LONGEST_PAUSE}


def test_a_breaker_closes_with_the_first_probe_that_succeeds(server: Server, clock: Clock) -> None:
    """RULES C6."""
    breaker = _breaker(server, clock)
    server.up = False
    breaker.trip(TargetState.PAUSED, "refused")
    clock.advance(1.0)
    assert not breaker.ask()
    assert (breaker.state, breaker.reason) == (TargetState.PAUSED, "nobody there")
    server.up = True
    clock.advance(2.0)
    assert breaker.ask()
    assert (breaker.state, breaker.reason) == (TargetState.OK, "")


def test_blame_falls_on_the_server_only_if_it_does_not_answer(server: Server, clock: Clock) -> None:
    """RULES C6: the probe decides whether a study or the server is in trouble."""
    breaker = _breaker(server, clock)
    assert not breaker.blames()
    assert breaker.is_closed
    server.up = False
    assert breaker.blames()
    assert (breaker.state, breaker.reason) == (TargetState.OPEN, "nobody there")


def test_tripping_an_open_breaker_does_not_put_the_probe_off(server: Server, clock: Clock) -> None:
    """RULES C6: ten workers that fail together do not postpone the next probe."""
    breaker = _breaker(server, clock)
    breaker.trip(TargetState.OPEN, "first")
    clock.advance(0.9)
    breaker.trip(TargetState.OPEN, "second")
    clock.advance(0.1)
    assert breaker.ask()


def test_two_who_want_the_same_wait_for_each_other() -> None:
    """RULES B4: a per-id lock; what nobody holds costs nothing."""
    locks, inside, order = Locks(), threading.Event(), list[str]()

    def other() -> None:
        with locks.hold("pat-1"):
            order.append("second")

    with locks.hold("pat-1"):
        thread = threading.Thread(target=other)
        thread.start()
        with locks.hold("pat-2"):
            inside.set()
        order.append("first")
    thread.join(10.0)
    assert order == ["first", "second"]
    assert not locks._held


def test_a_lock_is_let_go_by_an_error() -> None:
    """RULES B4: whoever fails does not lock the patient for ever."""
    locks = Locks()
    with pytest.raises(ValueError), locks.hold("pat-1"):
        raise ValueError
    with locks.hold("pat-1"):
        assert list(locks._held) == ["pat-1"]
    assert not locks._held


def test_only_what_was_really_done_makes_the_next_probe_quick(server: Server, clock: Clock) -> None:
    """RULES C6: a server that lets us read and refuses every write is not asked ever faster."""
    breaker = _breaker(server, clock)
    for _ in range(5):
        breaker.trip(TargetState.PAUSED, "forbids writing")
        while not breaker.ask():
            clock.advance(1.0)
    assert clock.now > 20.0
    breaker.note_success()
    breaker.trip(TargetState.OPEN, "away")
    clock.advance(1.0)
    assert breaker.ask()


def test_a_probe_with_a_defect_keeps_the_breaker_open(clock: Clock) -> None:
    """RULES S1: nothing ends the daemon, and the message of a defect is not told."""

    def broken() -> None:
        raise ValueError("Synthetic^Sam")

    breaker = CircuitBreaker(broken, monotonic=clock)
    assert breaker.blames()
    assert "ValueError" in breaker.reason
    assert "Sam" not in breaker.reason
