"""How many requests a server gets at once: as many as it takes well, and never more than the site allows.

Additive increase, multiplicative decrease, as TCP does it: while answers come as fast as ever one more is tried, and where
the server asks for patience (429, 503) half as many. "As fast" is told by kind of request, for a search is no write. Whoever
comes first goes first; at the site's limit nobody waits who would not have waited for a connection.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from syncd.http import deadline

FIRST = 4
"""Requests at once to begin with."""

CALM = 2.0
"""An answer may take so many times what the quickest of its kind took: above, the server has enough to do."""

_FORGETS = 0.001
"""The share of a slower answer in what counts as the quickest, so that a server is not compared with its youth for ever."""

_PATIENCE = frozenset({429, 503})
"""What a server answers that has too much to do (RFC 6585 4, RFC 9110 15.6.4)."""


class Turn:
    """One request's. `status` is that of its answer; 0 where it was given none, which is no sign of calm."""

    __slots__ = ("began", "kind", "status")

    def __init__(self, kind: str, *, began: float) -> None:
        self.kind = kind
        self.began = began
        self.status = 0

    def note_answer(self, status: int) -> None:
        self.status = status


class Flow:
    """Any thread may call any method. `most`: what the site allows, 1 or more."""

    def __init__(self, most: int, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._monotonic = monotonic
        self._limit = min(FIRST, most)
        self._under_way = 0
        self._changed = threading.Condition()
        self._waiting: deque[Turn] = deque()
        self._quickest: dict[str, float] = {}
        self._slowness: list[float] = []
        """Of the answers since the limit changed: how many times as long as the quickest of their kind."""
        self._halved_at = float("-inf")

    @property
    def limit(self) -> int:
        """Requests that may be under way now."""
        return self._limit

    @contextmanager
    def turn(self, kind: str) -> Iterator[Turn]:
        """Wait for one, and have it for the block. Raises `TimeoutError` where the deadline of the thread comes first."""
        mine = Turn(kind, began=0.0)
        self._begin(mine)
        try:
            yield mine
        finally:
            self._end(mine)

    def _begin(self, mine: Turn) -> None:
        with self._changed:
            self._waiting.append(mine)
            try:
                while self._waiting[0] is not mine or self._under_way >= self._limit:
                    self._changed.wait(deadline.left(None))
            finally:
                self._waiting.remove(mine)
                self._changed.notify_all()
            self._under_way += 1
            mine.began = self._monotonic()

    def _end(self, mine: Turn) -> None:
        with self._changed:
            self._under_way -= 1
            if mine.status in _PATIENCE:
                self._halve(mine)
            else:
                self._note(mine)
            self._changed.notify_all()

    def _halve(self, mine: Turn) -> None:
        """Once for all that were under way together: none of them knew."""
        if mine.began >= self._halved_at:
            self._limit = max(1, self._limit // 2)
            self._halved_at = self._monotonic()
        self._slowness.clear()

    def _note(self, mine: Turn) -> None:
        took = self._monotonic() - mine.began
        quickest = self._quickest.get(mine.kind, took)
        self._quickest[mine.kind] = min(took, quickest + (took - quickest) * _FORGETS)
        if self._limit == self._most:
            return
        self._slowness.append(took / (quickest or took or 1.0) if mine.status else float("inf"))
        if len(self._slowness) < 2 * self._limit:
            return
        if median(self._slowness) <= CALM:
            self._limit += 1
        self._slowness.clear()
