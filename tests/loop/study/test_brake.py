"""More than max(10, 10 %) of an archive's studies in a day wait for the operator, by whatever path (RULES D3)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from structlog.testing import capture_logs

from syncd.errors import ConfigurationError
from syncd.loop.commands.resync import Choice, resync
from syncd.loop.study import brake
from syncd.model.words import ArchiveState, BrakeState, Cause, Decision
from syncd.model.work import BUDGET_WINDOW
from tests.ledger.made import copies_of, find_planned
from tests.loop.rejecting import SAFETY, due, note
from tests.loop.retracting import back, deciding, deletions, shown, status, vanish
from tests.loop.world import MAIN, World

MANY = 24
DAY = BUDGET_WINDOW


def uids(numbers: Iterable[int]) -> list[str]:
    return [f"1.2.276.{number}" for number in numbers]


@pytest.fixture
def many(world: World) -> World:
    """24 studies are shown: ten may be taken back in a day, and half of the sample are ten, too."""
    return shown(world, *uids(range(100, 100 + MANY)))


def taken(world: World, studies: Iterable[str]) -> list[Decision]:
    return [world.turn(study).decision for study in studies]


def test_ten_may_go_and_the_eleventh_waits(many: World) -> None:
    """RULES D3: the smallest budget; the brake is open until something is over it, and then nothing more goes."""
    going = uids(range(100, 109))
    vanish(many, *going)
    assert taken(many, going) == [Decision.RETRACT] * 9
    last, over, further = uids([109, 110, 111])
    many.ledger.archives.accept(MAIN)  # so that the sample does not speak first
    many.poll()
    many.sweep()
    vanish(many, last, over, further)
    with capture_logs() as logs:
        assert taken(many, [last, over, further]) == [Decision.RETRACT, Decision.WAIT, Decision.WAIT]
    assert [one["planned"] for one in logs if one["event"] == "brake_closed"] == [1, 2]
    found = many.ledger.retractions.brake(MAIN)
    assert (found.state, found.spent, found.planned, found.published, found.limit) == (BrakeState.CLOSED, 10, 2, 14, 10)
    assert many.ledger.retractions.show_plan(MAIN)[0] == (over, further)
    assert {status(many, one) for one in (over, further)} == {"available"}
    row = many.ledger.marks.find(over)
    assert row is not None and row.due == many.clock() + brake.WAIT_AT_BRAKE


@pytest.fixture
def closed(many: World) -> World:
    """The budget is spent, and two more wait at the brake."""
    going = uids(range(100, 110))
    for study in going:
        vanish(many, study)
        assert many.turn(study).decision is Decision.RETRACT
    vanish(many, *uids([110, 111]))
    assert taken(many, uids([110, 111])) == [Decision.WAIT] * 2
    return many


def test_only_the_accepted_plan_goes(closed: World) -> None:
    """RULES D3: by its hash; exactly its ids, and nothing outside it."""
    planned, told = closed.ledger.retractions.show_plan(MAIN)
    assert brake.accept(closed.ledger, MAIN, told) == 2
    vanish(closed, *uids([112]))
    due(closed)
    assert {status(closed, one) for one in planned} == {"cancelled"}
    assert (status(closed, "1.2.276.112"), closed.ledger.retractions.show_plan(MAIN)[0]) == ("available", ("1.2.276.112",))
    assert closed.ledger.retractions.brake(MAIN).spent == 10, "what the operator accepted spends nothing"


def test_another_plan_is_not_accepted(closed: World) -> None:
    """RULES D3: the stored plan that was shown, and none that grew meanwhile."""
    _, shown_before = closed.ledger.retractions.show_plan(MAIN)
    vanish(closed, *uids([112])).turn(*uids([112]))
    with pytest.raises(ConfigurationError, match="not the one that was shown"):
        brake.accept(closed.ledger, MAIN, shown_before)
    for nothing in ("", "0" * 64):
        assert closed.ledger.retractions.accept(MAIN, nothing) == -1
    closed.clock.advance(brake.WAIT_AT_BRAKE)
    assert not [one for one in due(closed) if one.decision is Decision.RETRACT]


def test_the_brake_does_not_open_by_itself(closed: World) -> None:
    """RULES D3: neither with time nor with a restart of the budget."""
    closed.clock.advance(DAY + 1)
    assert closed.ledger.retractions.brake(MAIN).spent == 0
    assert {one.decision for one in due(closed)} == {Decision.WAIT}
    vanish(closed, *uids([112]))
    assert closed.turn(*uids([112])).decision is Decision.WAIT


def test_it_opens_when_the_studies_come_back(closed: World) -> None:
    """RULES D3: an empty plan holds nobody up."""
    for study in uids([110, 111]):
        assert back(closed, study).decision is Decision.SKIP
    assert closed.ledger.retractions.brake(MAIN).state is BrakeState.OPEN
    closed.clock.advance(DAY + 1)
    vanish(closed, *uids([112]))
    assert closed.turn(*uids([112])).decision is Decision.RETRACT


def test_the_budget_is_that_of_the_last_day(many: World) -> None:
    """RULES D3: any 24 hours."""
    first, second, third = uids(range(100, 105)), uids(range(105, 110)), uids(range(110, 115))
    for studies, pause in ((first, DAY / 2), (second, DAY / 2 + 1), (third, 0)):
        vanish(many, *studies)
        assert taken(many, studies) == [Decision.RETRACT] * 5
        many.clock.advance(pause)
    assert many.ledger.retractions.brake(MAIN).spent == 10


def test_all_paths_pay_from_one_budget(many: World) -> None:
    """RULES D3, B7: a rejection that withdraws is one of the ten; over them it waits, is planned and accepted like any."""
    going = uids(range(100, 109))
    for study in going:
        vanish(many, study)
        many.turn(study)
    for study in uids([110, 111]):
        note(many, SAFETY, {study: [f"{study}.1.1"]}, study=study)
    many.settle()
    many.poll()
    assert [one.decision for one in due(many)] == [Decision.RETRACT, Decision.WAIT]
    assert [status(many, one) for one in uids([110, 111])] == ["entered-in-error", "available"]
    found = find_planned(many.ledger, MAIN)
    assert [(one.study_uid, one.cause) for one in found] == [("1.2.276.111", "rejected")]
    brake.accept(many.ledger, MAIN, many.ledger.retractions.show_plan(MAIN)[1])
    due(many)
    assert status(many, "1.2.276.111") == "entered-in-error"
    assert many.ledger.retractions.brake(MAIN).state is BrakeState.OPEN


def test_an_archive_that_is_another_closes_the_brake(many: World) -> None:
    """RULES D3, A4: the sample is asked before the first retraction: half of it gone takes nothing back."""
    going = uids(range(100, 100 + MANY * 3 // 4))
    vanish(many, *going)
    outcome = many.turn(going[0])
    position = many.ledger.feed.position(MAIN)
    assert (outcome.decision, outcome.done, status(many, going[0])) == (Decision.WAIT, False, "available")
    assert position is not None and position.state is ArchiveState.PAUSED
    assert many.ledger.retractions.show_plan(MAIN)[0] == (going[0],)
    many.ledger.retractions.accept(MAIN, many.ledger.retractions.show_plan(MAIN)[1])
    assert many.turn(going[0]).decision is Decision.WAIT, "no plan is the word for an archive"


def test_an_accepted_archive_takes_nothing_back_in_a_mass(many: World) -> None:
    """RULES A4, D3: the old studies are gone, all of them: planned as a whole before anything is sent."""
    many.orthanc.wipe()
    many.store("1.3.6.1")
    many.poll()
    many.ledger.archives.accept(MAIN)
    many.poll()
    assert many.sweep() == MANY + 1
    planned, told = many.ledger.retractions.show_plan(MAIN)
    assert planned == tuple(uids(range(100, 100 + MANY)))
    many.settle()
    assert not [one for one in due(many) if one.decision is Decision.RETRACT]
    assert {status(many, one) for one in planned} == {"available"}
    assert status(many, "1.3.6.1") == "available"
    assert brake.accept(many.ledger, MAIN, told) == MANY
    due(many)
    assert {status(many, one) for one in planned} == {"cancelled"}


def test_an_accepted_archive_that_still_has_them_plans_nothing(many: World) -> None:
    """RULES D3: the plan of the time before is forgotten, and none is made of what the listing names."""
    many.ledger.retractions.plan(uids([100]), archive=MAIN, cause=Cause.GONE)
    many.ledger.archives.accept(MAIN)
    assert many.ledger.retractions.brake(MAIN).state is BrakeState.OPEN
    many.poll()
    many.sweep()
    assert many.ledger.retractions.show_plan(MAIN) == ((), "")


def test_resync_pays_from_the_same_budget(closed: World, impatient: None) -> None:
    """RULES D3: a one-shot command is no way around; it says what waits, and is not in sync."""
    (study,) = uids([112])
    for copy in copies_of(closed.ledger, study):
        closed.delete(copy.orthanc_id)
    report = resync(
        closed.site,
        closed.ledger,
        choice=Choice(studies=frozenset([study])),
        accept_target=False,
        progress=lambda report: None,
    )
    assert (report.unknown, report.in_sync, status(closed, study)) == ((), False, "available")
    assert study in report.waiting


def test_deleting_is_held_like_cancelling(closed: World) -> None:
    """RULES D3: decided before anything is sent, the withdrawal before a deletion included."""
    (study,) = uids([112])
    vanish(deciding(closed, "delete"), study)
    sent = len(closed.writes())
    assert closed.turn(study).decision is Decision.WAIT
    assert (len(closed.writes()), deletions(closed)) == (sent, [])
