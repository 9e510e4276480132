"""The order of work, and the pace of old studies (RULES A9; docs/settings.md, `POLICY__BACKFILL_RATE`,
`__BACKFILL_WINDOW`)."""

from __future__ import annotations

import pytest

from syncd.ledger.ledger import Ledger
from syncd.loop.workers.rate import Pace
from syncd.model.outcome import Outcome
from syncd.model.words import Decision, Priority
from syncd.model.work import Mark, MarkKind
from syncd.selection.window import Window
from tests.loop.hands import work_until, workers_of
from tests.loop.world import MAIN, SETTLE, World


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _old(uid: str, date: str = "") -> Mark:
    return Mark(study_uid=uid, kind=MarkKind.INVENTORY, archive=MAIN, priority=Priority.BACKFILL, study_date=date)


def _claimed(ledger: Ledger, limit: int, *, now: float, most: int | None = None) -> list[str]:
    return [claim.row.study_uid for claim in ledger.claims.take(limit, now=now, most_backfill=most)]


def test_old_studies_are_worked_on_newest_first(world: World) -> None:
    """RULES A9: those whose date is not known come last."""
    dates = {"1.1": "19990101", "1.2": "20240102", "1.3": "", "1.4": "20240103"}
    world.ledger.marks.add([_old(uid, date) for uid, date in dates.items()], settle_after=SETTLE)
    assert _claimed(world.ledger, 4, now=world.clock()) == ["1.4", "1.2", "1.1", "1.3"]


def test_the_inventory_tells_the_date(world: World) -> None:
    """RULES A9: from the listing, without a look at the study."""
    for number, date in enumerate(["20200101", "20240102", "2022.05.05"], start=1):
        world.store(f"1.2.276.{number}", PatientID=f"P{number}", StudyDate=date)
    world.orthanc.handle("DELETE", "/changes")
    world.settle()
    world.sweep()
    assert _claimed(world.ledger, 9, now=world.clock()) == ["1.2.276.2", "1.2.276.3", "1.2.276.1"]


def test_what_was_published_is_rendered_again_newest_first(world: World) -> None:
    """RULES A9, B3: other settings mark everything."""
    world.published("1.2.276.1", StudyDate="20200101")
    world.published("1.2.276.2", StudyDate="20240102", PatientID="P2")
    world.published("1.2.276.3", StudyDate="20220505", PatientID="P3")
    world.ledger.marks.add_outdated("another")
    assert _claimed(world.ledger, 9, now=world.clock()) == ["1.2.276.2", "1.2.276.3", "1.2.276.1"]


def test_what_arrives_while_thousands_wait_is_the_next_study(world: World) -> None:
    """RULES A9: by the order of work, not by the clock; one claim, whatever waits, and what is held back is passed."""
    world.connect()
    world.ledger.marks.add([_old(f"1.2.276.9.{number}", "20240102") for number in range(10_000)], settle_after=SETTLE)
    done: list[Outcome] = []
    workers = workers_of(world, on_outcome=done.append, concurrency=1)
    workers._advance(frozenset({MAIN}))  # a batch of old ones is held
    before = len(done)
    world.store("1.2.276.1", StudyDate="19990101")
    world.settle()
    world.poll()
    workers.wake()
    try:
        work_until(workers, lambda: any(one.study_uid == "1.2.276.1" for one in done))
    finally:
        workers.stop(grace=10.0)
    place = next(number for number, one in enumerate(done) if one.study_uid == "1.2.276.1")
    assert done[place].decision is Decision.CREATE
    assert place - before <= 6


def test_the_rate_bounds_old_studies_only(world: World) -> None:
    """docs/settings.md, `BACKFILL_RATE`: an event passes by."""
    world.ledger.marks.add([_old(f"1.{number}", "20240102") for number in range(5)], settle_after=SETTLE)
    world.mark("2.1", kind=MarkKind.STABLE)
    world.mark("2.2", priority=Priority.REPAIR)
    assert _claimed(world.ledger, 9, now=world.clock(), most=2) == ["2.1", "2.2", "1.4", "1.3"]
    assert _claimed(world.ledger, 9, now=world.clock(), most=0) == []
    assert len(_claimed(world.ledger, 9, now=world.clock())) == 3


@pytest.mark.parametrize(("rate", "most"), [(0.5, 31), (2.0, 122), (100.0, 6100)])
def test_so_many_are_begun_in_a_minute(rate: float, most: int) -> None:
    """docs/settings.md, `BACKFILL_RATE`: studies per second, at any rhythm of asking; one at once, or a second's worth."""
    hand = Hand()
    pace, begun = Pace(rate=rate, monotonic=hand), 0
    for _ in range(240):
        number = pace.refill()
        assert number is not None
        pace.took(number)
        begun += number
        hand.now += 0.25
    assert most * 0.95 - 3 <= begun <= most


def test_a_night_without_old_studies_is_not_made_up_for() -> None:
    """docs/settings.md, `BACKFILL_RATE`: it protects the servers, also after a pause."""
    hand = Hand()
    pace = Pace(rate=3.0, monotonic=hand)
    pace.refill()
    hand.now += 36_000
    assert pace.refill() == 3


def test_outside_the_window_no_old_study_is_begun() -> None:
    """docs/settings.md, `BACKFILL_WINDOW`; told in words."""
    minute = 12 * 60
    pace = Pace(window=Window(start=20 * 60, end=6 * 60), minute=lambda: minute)
    assert pace.refill() == 0
    assert pace.why_paused == "old studies wait until 20:00 (SYNCD_POLICY__BACKFILL_WINDOW is 20:00-06:00)"
    minute = 21 * 60
    assert (pace.refill(), pace.why_paused) == (None, "")


def test_workers_leave_old_studies_until_their_hour(world: World) -> None:
    """RULES A9: what arrives is published at any hour."""
    world.connect()
    world.store("1.2.276.1", StudyDate="20240102")
    world.settle()
    world.orthanc.handle("DELETE", "/changes")
    world.sweep()
    world.store("1.2.276.2", PatientID="P2")
    world.settle()
    world.poll()
    minute = 12 * 60
    pace = Pace(window=Window(start=20 * 60, end=6 * 60), minute=lambda: minute)
    done: list[Outcome] = []
    with world.working(on_outcome=done.append, pace=pace) as workers:
        workers.run(until_idle=True)
        assert [one.study_uid for one in done] == ["1.2.276.2"]
        counts = world.ledger.overview.counts(world.clock())
        assert (counts.due, counts.backfill) == (1, 1)
        minute = 23 * 60
        workers.run(until_idle=True)
    assert [one.study_uid for one in done] == ["1.2.276.2", "1.2.276.1"]


def test_somebody_who_watches_does_not_wait_for_the_night(world: World) -> None:
    """README.md, `resync` beside a daemon: what it asked for is at another priority."""
    world.ledger.marks.add([_old("1.1")], settle_after=SETTLE)
    world.mark("1.2", priority=Priority.REPAIR)
    generation = world.ledger.progress.newest_generation()
    assert world.ledger.progress.count_unsettled(generation, now=world.clock()) == 1
