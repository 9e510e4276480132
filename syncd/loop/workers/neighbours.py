"""The studies that are under way beside one: what becomes of them may tell whose failure it was (RULES C6).

A 403 is a study's own only while others are taken. Where several are under way at once, the one that is refused may end
first, and would stop everybody although its neighbour is being written at that very moment. So whoever is refused hears
the others out. All may be refused, and nobody must wait for somebody who waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 30.0
"""Seconds that a refused study waits for its neighbours at most; each of them holds a thread meanwhile."""


class Neighbours:
    """Told by every worker thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way: set[str] = set()

    @contextmanager
    def attend(self, study_uid: str) -> Iterator[None]:
        """While this lasts, others may wait for what becomes of the study."""
        with self._changed:
            self._under_way.add(study_uid)
        try:
            yield
        finally:
            self._leave(study_uid)

    def wait_for_others(self, study_uid: str, *, until: Callable[[], bool]) -> bool:
        """Wait until `until`, or until nobody is left who was under way with the study; returns `until()`.

        Nobody waits for this study any more."""
        self._leave(study_uid)
        with self._changed:
            others = frozenset(self._under_way)
            self._changed.wait_for(lambda: until() or others.isdisjoint(self._under_way), timeout=PATIENCE)
        return until()

    def _leave(self, study_uid: str) -> None:
        with self._changed:
            self._under_way.discard(study_uid)
            self._changed.notify_all()
