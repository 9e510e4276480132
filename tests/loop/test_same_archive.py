"""Is it still the same archive (RULES A4)?"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from syncd.errors import Unsuitable
from syncd.loop.archives import sweep
from syncd.loop.archives.listing import Asked
from syncd.loop.same_archive import EXCHANGED, FEWEST, is_same
from syncd.model.study.raw import StudyListing
from syncd.model.words import ArchiveState, Priority
from syncd.model.work import FeedPosition
from tests.loop.world import MAIN, OTHER, STUDY, World


def _position(world: World) -> FeedPosition:
    position = world.ledger.feed.position(MAIN)
    assert position is not None
    return position


def _dirty(world: World) -> set[str]:
    return {row.study_uid for row in world.ledger.marks.page()}


def _clean(world: World) -> None:
    """Everything pending is dealt with."""
    for row in world.ledger.marks.page():
        world.turn(row.study_uid)


@pytest.fixture
def many(world: World) -> World:
    """As many published studies as a sample needs."""
    for number in range(FEWEST):
        world.store(f"1.2.276.{number}")
    world.settle()
    world.poll()
    _clean(world)
    assert not _dirty(world)
    return world


def _reindexed(world: World) -> None:
    """The same files in a new index: numbers begin anew."""
    resources = dict(world.orthanc.index.resources)
    world.orthanc.wipe()
    world.orthanc.index.resources.update(resources)


def _exchanged(world: World, *, studies: int = 3) -> None:
    """Another archive answers at the same address."""
    world.orthanc.wipe()
    for number in range(studies):
        world.store(f"1.3.6.{number}", PatientID="TEST")


def test_a_reindexed_archive_goes_on_by_itself(many: World) -> None:
    """RULES A4, MAPPING I case 57: sample present → bootstrap the cursor again, sweep, no pause."""
    _reindexed(many)
    with capture_logs() as logs:
        many.poll()
    position = _position(many)
    assert (position.state, position.sweep_wanted, position.cursor) == (ArchiveState.BOOTSTRAPPING, True, 0)
    assert "archive_indexed_anew" in [one["event"] for one in logs]
    many.sweep()
    many.store(OTHER + ".9")
    many.poll()
    assert _dirty(many) == {OTHER + ".9"}


@pytest.mark.parametrize("studies", [3, 200], ids=["numbers below the cursor", "numbers with another content"])
def test_an_exchanged_archive_is_paused(many: World, studies: int) -> None:
    """RULES A4, MAPPING I case 57: sample gone → paused, nothing of it is marked; and it stays so, without a hot loop."""
    _exchanged(many, studies=studies)
    for _ in range(3):
        polled = many.poll()
        assert polled.position is not None
        assert (polled.position.state, polled.position.reason) == (ArchiveState.PAUSED, EXCHANGED)
    with pytest.raises(Unsuitable, match="another archive"):
        many.sweep()
    assert not _dirty(many)
    asked = len(many.orthanc.requests)
    many.poll()
    assert len(many.orthanc.requests) - asked <= 3


def test_a_paused_archive_is_recognised_when_it_is_back(many: World) -> None:
    """RULES A4: the right one behind the address again: it goes on, with a sweep."""
    before = many.orthanc.index
    _exchanged(many)
    many.poll()
    many.orthanc.index = before
    polled = many.poll()
    assert polled.position is not None
    assert (polled.position.state, polled.position.reason) == (ArchiveState.OK, "")
    assert _position(many).sweep_wanted
    many.store(STUDY + ".9")
    many.poll()
    assert STUDY + ".9" in _dirty(many)


def test_an_accepted_archive_is_listed_anew(many: World) -> None:
    """RULES A4, D3: `archive accept`: its studies are published; what was before is gone, and no more than a day's budget
    of it is taken back."""
    published = len(many.fhir.resources("ImagingStudy"))
    _exchanged(many)
    many.poll()
    assert many.ledger.archives.accept(MAIN) == FEWEST
    many.poll()
    assert many.sweep() == 3 + FEWEST
    assert _position(many).state is ArchiveState.OK
    many.orthanc.index.forget_unstable()
    _clean(many)
    assert len(many.fhir.resources("ImagingStudy")) == published + 3
    statuses = [one["status"] for one in many.fhir.resources("ImagingStudy")]
    assert (statuses.count("available"), statuses.count("cancelled")) == (3, FEWEST)


@pytest.mark.parametrize(("gone", "same"), [(FEWEST // 2 - 1, True), (FEWEST // 2, False)])
def test_half_of_the_sample_is_the_proof(many: World, gone: int, same: bool) -> None:
    """RULES A4: half or more."""
    for copy in many.ledger.records.sample_copies(MAIN, FEWEST)[:gone]:
        many.delete(copy.orthanc_id)
    assert is_same(many.archive, many.ledger, name=MAIN) is same


def test_a_small_ledger_proves_nothing(world: World) -> None:
    """RULES A4: not used with fewer than 10 published."""
    world.published()
    world.orthanc.wipe()
    assert is_same(world.archive, world.ledger, name=MAIN)


def test_marks_of_the_inventory_are_told_from_those_of_an_operator(world: World) -> None:
    """RULES A9: a resync is a repair, before the backlog."""
    world.published()
    chosen: Callable[[StudyListing], bool] = lambda listing: listing.study_uid == STUDY  # noqa: E731
    looked = sweep.look_through(world.source(), world.ledger, asked=Asked(chosen=chosen, full=True))
    row = world.ledger.marks.find(STUDY)
    assert row is not None and (looked.marked, row.priority) == (1, Priority.REPAIR)
