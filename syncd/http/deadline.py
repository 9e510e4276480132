"""Until when a request, and a study's whole turn, may take (RULES S2).

The timeouts of both client libraries hold for each single wait: a server that drips a byte now and then would hold a
worker for ever. So whatever waits asks here how long it still may; the end is known by the thread that works (a context
variable), which needs no hand in either library. A request never lasts longer than the turn that it belongs to.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

TURN = 60
"""A study's turn may take this many timeouts of the slower server: one hour with the settings' defaults. The largest studies
take minutes; one of thousands of documents on a busy archive may take many of them."""


class OutOfTime(TimeoutError):
    """The request, or the turn, was to be over by now; told in the words of a message's end."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock, and what ends then."""

    at: float
    told: str
    of_turn: bool = False

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.at

    def check(self) -> None:
        """Raise `OutOfTime` when it is over."""
        if self.is_over:
            raise OutOfTime(self.told)

    def later(self, *, by: float) -> Deadline:
        """The same for a request that stood still so long; a turn does not."""
        return self if self.of_turn else replace(self, at=self.at + by)


_deadline: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def now() -> float:
    """The clock of all of these, in seconds."""
    return time.monotonic()


def of_request(seconds: float) -> Deadline:
    """For a request that begins now: in `seconds`, or when the turn ends."""
    mine, turn = Deadline(time.monotonic() + seconds, f"is not answered to its end within {seconds:g} s"), _deadline.get()
    return mine if turn is None or mine.at < turn.at else turn


@contextmanager
def kept(deadline: Deadline) -> Iterator[None]:
    """Hold this thread to it."""
    before = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(before)


@contextmanager
def turn(seconds: float) -> Iterator[None]:
    """Hold whatever this thread asks meanwhile to the end of a turn that begins now."""
    told = f"is not asked any more: the study's turn took longer than {seconds:g} s"
    with kept(Deadline(time.monotonic() + seconds, told, of_turn=True)):
        yield


def current() -> Deadline | None:
    """What this thread is held to."""
    return _deadline.get()


def left(timeout: float | None) -> float | None:
    """How long the next wait may take, where `timeout` seconds were meant. Raises `OutOfTime`."""
    deadline = _deadline.get()
    if deadline is None:
        return timeout
    deadline.check()
    rest = max(deadline.at - time.monotonic(), 0.001)
    return rest if timeout is None else min(timeout, rest)
