"""How one archive is followed: its breaker, its feed, and how far behind it we are.

There is one of these for each archive, and none of them knows of the others. An archive may be away when syncd starts:
it is not followed until it has been asked once where its feed stands and whether it is still the same (RULES A1, A4),
and until then its breaker stays open.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from syncd.errors import Unsuitable
from syncd.ledger.ledger import Ledger
from syncd.loop.archives import listing
from syncd.loop.archives.intake import Intake, Polled
from syncd.loop.breaker import CircuitBreaker
from syncd.loop.context import Source
from syncd.loop.same_archive import is_same
from syncd.loop.study.selection import require_answerable
from syncd.model.words import ArchiveState, TargetState
from syncd.model.work import FeedPosition
from syncd.selection.site import Selection

EVERYTHING = Selection()
"""Nothing is left out."""


class Follower:
    """One archive. `enter` comes first; one whose breaker opened because it failed enters by its probe."""

    def __init__(
        self,
        source: Source,
        ledger: Ledger,
        *,
        selection: Selection = EVERYTHING,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.source = source
        self._selection = selection
        self.breaker = CircuitBreaker(self.probe)
        self.position: FeedPosition | None = None
        self._ledger = ledger
        self._entered = False
        self._behind = 0
        self._even_at = time.monotonic()
        self._intake = Intake(source.archive, ledger, name=source.name, settle_after=source.settle_after, clock=clock)

    def enter(self) -> None:
        """Where the feed stands, and whether this is still the same archive. Raises `Transient` when it does not answer,
        and `ConfigurationError` when it cannot answer the site's rules."""
        source = self.source
        require_answerable(source, selection=self._selection)
        listing.begin(source.archive, self._ledger, name=source.name, of=self._selection.history)
        is_same(source.archive, self._ledger, name=source.name)  # asked at start (RULES A4)
        self._entered = True
        self._stands(self._ledger.feed.standing(source.name))

    def probe(self) -> None:
        """The archive answers, and is not paused as another one (RULES A4)."""
        self.source.archive.info()
        if not self._entered:
            self.enter()
        if self.position is not None and self.position.state is ArchiveState.PAUSED:
            raise Unsuitable(self.position.reason, server=self.source.name)

    def poll(self) -> Polled:
        """Read what is new. Raises `Transient` when the archive does not answer."""
        if not self._entered:
            self.enter()
        polled = self._intake.poll()
        self._behind = max(0, polled.high_water - polled.position.cursor) if polled.position else 0
        if not self._behind:
            self._even_at = time.monotonic()
        self._stands(polled.position)
        return polled

    def behind(self, *, failing: bool) -> tuple[int, float]:
        """By how many changes, and for how many seconds, the feed is not read up to its end."""
        waiting = self._behind > 0 or failing
        return self._behind, time.monotonic() - self._even_at if waiting else 0.0

    def _stands(self, position: FeedPosition | None) -> None:
        self.position = position
        if position is not None and position.state is ArchiveState.PAUSED:
            self.breaker.trip(TargetState.PAUSED, position.reason)
        elif self.breaker.state is TargetState.PAUSED:
            self.breaker.hurry()
