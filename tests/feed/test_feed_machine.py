"""A simulated feed with late numbers, deletions, bursts and small pages: nothing is lost, nothing told twice (RULES A3).

The simulation is Orthanc on PostgreSQL at its worst: a number may become visible up to a window after higher ones, and
the high-water mark already counts it. What is deleted before it was seen can only be found by a sweep.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from syncd.feed.follow import LATE_WINDOW, OVERLAP_MAX, Done, Read, absorb, next_read
from syncd.model.change import Change, ChangePage
from syncd.model.ids import ArchiveName
from syncd.model.words import ArchiveState
from syncd.model.work import FeedPosition

pytestmark = pytest.mark.machine


class Feed:
    """Change numbers with the moment at which each becomes visible."""

    def __init__(self) -> None:
        self.highest = 0
        self.visible_from: dict[int, float] = {}

    def assign(self, *, visible_from: float) -> None:
        self.highest += 1
        self.visible_from[self.highest] = visible_from

    def page(self, since: int, *, limit: int, now: float) -> ChangePage:
        seqs = [seq for seq, at in self.visible_from.items() if seq > since and at <= now]
        taken = seqs[:limit]
        return ChangePage(
            changes=tuple(_change(seq) for seq in taken),
            done=len(taken) == len(seqs),
            last=taken[-1] if taken else self.highest,
        )


def _change(seq: int) -> Change:
    return Change(seq=seq, change_type="NewInstance", resource_type="Instance", resource_id=f"r{seq}")


class FollowingAFeed(RuleBasedStateMachine):
    """Polls come at any time; the position is all that is kept between them, as in the ledger."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_700_000_000.0
        self.feed = Feed()
        self.told: set[int] = set()
        self.position = FeedPosition(archive=ArchiveName("main"), state=ArchiveState.OK)

    @rule(count=st.sampled_from([1, 2, 5, 400, 1500]))
    def store(self, count: int) -> None:
        if self._room_for(count):
            for _ in range(count):
                self.feed.assign(visible_from=self.now)

    @rule(delay=st.floats(0.1, LATE_WINDOW - 1), after=st.sampled_from([1, 3, 1200]))
    def store_one_that_is_visible_late(self, delay: float, after: int) -> None:
        """A slow transaction: its number is taken first, and visible last."""
        if self._room_for(after + 1):
            self.feed.assign(visible_from=self.now + delay)
            self.store(after)
            self.poll(limit=500)

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """A deletion takes entries along; those not yet visible are never deleted: their transaction is not over."""
        visible = sorted(seq for seq, at in self.feed.visible_from.items() if at <= self.now)[-50:]
        if visible:
            del self.feed.visible_from[data.draw(st.sampled_from(visible))]

    @rule(seconds=st.floats(0.5, 2 * LATE_WINDOW))
    def time_passes(self, seconds: float) -> None:
        """Polls are seconds apart: one comes before the window of anything late has passed."""
        until = self.now + seconds
        for at in sorted({at for at in self.feed.visible_from.values() if self.now < at <= until}):
            self.now = at
            self.poll(limit=4000)
        self.now = until

    @rule(limit=st.sampled_from([50, 500, 4000]))
    def poll(self, limit: int) -> None:
        before = self.position
        step = next_read(self.position, high_water=self.feed.highest, now=self.now)
        nothing_told = True
        while isinstance(step, Read):
            page = self.feed.page(step.since, limit=limit, now=self.now)
            taken = absorb(self.position, page, high_water=self.feed.highest, now=self.now)
            seqs = {change.seq for change in taken.fresh}
            assert not taken.contradicted
            assert not seqs & self.told, "told twice"
            assert taken.position.cursor >= self.position.cursor, "the cursor went back"
            self.told |= seqs
            nothing_told = nothing_told and not seqs
            self.position = taken.position
            step = Read(since=taken.next) if taken.next is not None else Done()
        assert isinstance(step, Done)
        assert self.position.cursor == self.feed.highest
        if nothing_told and before.high_water == self.feed.highest:
            assert self.position is before, "an empty poll changed the position"

    @invariant()
    def all_that_is_visible_behind_the_cursor_was_told_or_will_be(self) -> None:
        """What the cursor has passed untold is visible late, and lies in the stretch that is still read again."""
        passed = {seq for seq in self.feed.visible_from if seq <= self.position.cursor} - self.told
        if not passed:
            return
        step = next_read(self.position, high_water=self.feed.highest, now=self.now)
        assert isinstance(step, Read)
        assert min(passed) > step.since

    def teardown(self) -> None:
        self.time_passes(LATE_WINDOW)
        self.poll(limit=500)
        assert set(self.feed.visible_from) <= self.told

    def _room_for(self, count: int) -> bool:
        """Within one window no more numbers than the longest stretch: faster feeds are left to the sweep (RULES A3)."""
        recent = [at for at in self.feed.visible_from.values() if at > self.now - 2 * LATE_WINDOW]
        return len(recent) + count < OVERLAP_MAX - 2000


TestFollowingAFeed = FollowingAFeed.TestCase
TestFollowingAFeed.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
