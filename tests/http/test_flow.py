"""As many requests at once as a server takes: one more while it is fast, half as many where it asks for patience."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from syncd.http import deadline
from syncd.http.flow import FIRST, Flow


class Clock:
    """Seconds, as a test wants them."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Iterator[Clock]:
    yield Clock()


def _answer(flow: Flow, clock: Clock, *, status: int = 200, seconds: float = 0.1, kind: str = "GET Patient") -> None:
    with flow.turn(kind) as turn:
        clock.now += seconds
        turn.note_answer(status)


def _answers(flow: Flow, clock: Clock, number: int, *, status: int = 200, seconds: float = 0.1) -> None:
    for _ in range(number):
        _answer(flow, clock, status=status, seconds=seconds)


@pytest.mark.parametrize("most", [1, 2, FIRST, 64])
def test_it_begins_with_four_at_most(most: int) -> None:
    """And with no more than the site allows."""
    assert Flow(most).limit == min(FIRST, most)


def test_one_more_is_tried_while_answers_come_as_fast_as_ever_and_never_more_than_the_site_allows(clock: Clock) -> None:
    """One for twice as many answers as were allowed at once."""
    flow = Flow(6, monotonic=clock)
    _answers(flow, clock, 2 * 4 - 1)
    assert flow.limit == 4
    _answer(flow, clock)
    assert flow.limit == 5
    _answers(flow, clock, 500)
    assert flow.limit == 6


def test_a_server_that_becomes_slow_gets_no_more(clock: Clock) -> None:
    """Three times as long as the quickest says that it has enough to do; a search is no measure for a write."""
    flow = Flow(64, monotonic=clock)
    _answer(flow, clock, seconds=0.1)
    for _ in range(40):
        _answer(flow, clock, seconds=0.3)
    assert flow.limit == 4
    other = Flow(64, monotonic=clock)
    for _ in range(4):
        _answer(other, clock, seconds=0.1, kind="GET Patient")
        _answer(other, clock, seconds=9.0, kind="PUT ImagingStudy")
    assert other.limit == 5


@pytest.mark.parametrize("status", [429, 503])
def test_where_it_asks_for_patience_it_gets_half(clock: Clock, status: int) -> None:
    """Down to one; and from there one more at a time again."""
    flow = Flow(8, monotonic=clock)
    for expected in (2, 1, 1):
        clock.now += 1
        _answer(flow, clock, status=status)
        assert flow.limit == expected
    _answers(flow, clock, 2)
    assert flow.limit == 2


@pytest.mark.parametrize("status", [200, 400, 404, 409, 412, 500])
def test_no_other_answer_halves(clock: Clock, status: int) -> None:
    """A refusal is about one resource; a defect is the breaker's."""
    flow = Flow(4, monotonic=clock)
    _answers(flow, clock, 20, status=status)
    assert flow.limit == 4


def test_all_that_were_under_way_together_halve_once(clock: Clock) -> None:
    """None of them knew of the others' answer."""
    flow = Flow(4, monotonic=clock)
    with ExitStack() as stack:
        turns = [stack.enter_context(flow.turn("PUT ImagingStudy")) for _ in range(4)]
        clock.now += 1
        for turn in turns:
            turn.note_answer(503)
    assert flow.limit == 2


def test_a_request_without_an_answer_is_no_sign_of_calm_and_gives_its_place_back(clock: Clock) -> None:
    """Whatever it raised."""
    flow = Flow(64, monotonic=clock)
    for _ in range(50):
        with pytest.raises(RuntimeError), flow.turn("GET Patient"):
            raise RuntimeError
    assert flow.limit == FIRST
    with ExitStack() as stack:
        for _ in range(FIRST):
            stack.enter_context(flow.turn("GET Patient"))


def test_who_finds_no_place_waits_in_line() -> None:
    """First come, first served: nobody is passed by who comes later."""
    flow, order, waits = Flow(1), list[int](), list[threading.Thread]()

    def ask(number: int) -> None:
        with flow.turn("GET Patient") as turn:
            order.append(number)
            turn.note_answer(200)

    with flow.turn("GET Patient"):
        for number in range(5):
            waits.append(threading.Thread(target=ask, args=(number,)))
            waits[-1].start()
            while len(flow._waiting) <= number:
                threading.Event().wait(0.001)
        assert order == []
    for thread in waits:
        thread.join(10)
    assert order == [0, 1, 2, 3, 4]


def test_nobody_waits_beyond_his_deadline() -> None:
    """And who gave up keeps nobody from the place."""
    flow = Flow(1)
    with flow.turn("GET Patient"), deadline.turn(0.01), pytest.raises(TimeoutError):
        while True:
            with flow.turn("GET Patient"):
                pytest.fail("two at once")
    with flow.turn("GET Patient"):
        assert not flow._waiting
