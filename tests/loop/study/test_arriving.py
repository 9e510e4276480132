"""From the first instance to `available`: announced once, waited for, and said whole (RULES A5, A6, A7)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncd.loop.study.read import READS
from syncd.model.words import Decision
from syncd.model.work import LONGEST_STREAM, MarkKind
from tests.fakes.http import Request, Response
from tests.ledger.made import copies_of
from tests.loop.world import SETTLE, STUDY, World


def test_a_study_that_arrives_is_announced_without_its_content(world: World) -> None:
    """RULES A6: `registered` says who and where, not what; and leaves the mark (A5)."""
    world.store()
    world.poll()
    outcome = world.turn()
    assert (outcome.decision, outcome.done) == (Decision.CREATE, False)
    resource = world.study()
    assert resource["status"] == "registered"
    assert not {"modality", "numberOfSeries", "numberOfInstances", "series"} & resource.keys()
    assert resource["endpoint"] == [{"reference": "Endpoint/main-wado-rs"}]
    row = world.ledger.marks.find(STUDY)
    assert row is not None and row.due == world.clock() + SETTLE


def test_it_is_announced_once_however_long_it_streams(world: World) -> None:
    """RULES A6: one write; afterwards only the due time moves, after one small question."""
    world.store()
    world.poll()
    world.turn()
    for number in range(2, 6):
        world.store(instance=number)
        world.poll()
        before = len(world.orthanc.requests)
        outcome = world.turn()
        assert (outcome.decision, outcome.reason) == (Decision.WAIT, "still arriving")
        assert [one.path for one in world.orthanc.requests[before:]] == [f"/studies/{_orthanc_id(world)}"]
    assert len(world.writes()) == 1


def test_a_stable_study_is_published_whole_and_its_mark_goes(world: World) -> None:
    """RULES A5: `available` needs the snapshot's own `IsStable`."""
    world.store()
    world.poll()
    world.turn()
    world.store(instance=2)
    world.settle()
    world.poll()
    outcome = world.turn()
    assert (outcome.decision, outcome.done) == (Decision.UPDATE, True)
    assert (world.study()["status"], world.study()["numberOfInstances"]) == ("available", 2)
    assert world.ledger.marks.find(STUDY) is None


def test_a_stable_event_alone_is_not_believed(world: World) -> None:
    """RULES A5: the event makes the study due, the archive is asked whether it is true."""
    world.store()
    world.mark(kind=MarkKind.STABLE)
    assert world.turn().record.status == "registered"  # type: ignore[union-attr]


def test_quiet_that_nobody_reports_still_ends_in_available(world: World) -> None:
    """RULES A5: Orthanc killed inside StableAge never sends StableStudy; the row asks again by itself."""
    world.store()
    world.poll()
    world.turn()
    world.orthanc.restart()
    world.clock.advance(SETTLE)
    (claim,) = world.ledger.claims.take(1, now=world.clock())
    world.ledger.claims.release(claim.row.study_uid)
    assert world.turn().done
    assert world.study()["status"] == "available"


def test_a_stream_without_end_is_published_after_ten_minutes(world: World) -> None:
    """RULES A5: the persisted timer of unbroken streaming; it starts anew after the publication."""
    world.orthanc.stable_age = world.orthanc.index.stable_age = 60.0
    number = 0
    while world.clock() - 1_700_000_000.0 < LONGEST_STREAM:
        number += 1
        world.store(instance=number)
        world.poll()
        assert world.turn().record is None or number == 1
        world.clock.advance(20.0)
    assert world.study()["status"] == "registered"
    world.store(instance=number + 1)
    world.poll()
    outcome = world.turn()
    assert (world.study()["status"], world.study()["numberOfInstances"]) == ("available", number + 1)
    assert outcome.turn.new_stream
    world.store(instance=number + 2)
    world.poll()
    row = world.ledger.marks.find(STUDY)
    assert row is not None and row.streaming_since == world.clock()


def test_a_gap_in_the_stream_starts_the_ten_minutes_anew(world: World) -> None:
    """RULES A5: unbroken means no gap above `settle_after`."""
    world.orthanc.index.stable_age = 10_000.0
    for number in range(1, 30):
        world.store(instance=number)
        world.poll()
        world.turn()
        world.clock.advance(SETTLE + 1)
    assert world.study()["status"] == "registered"


def test_key_objects_alone_are_no_reason_to_announce(world: World) -> None:
    """RULES A6: not while only KO objects are there."""
    world.store(modality="KO")
    world.poll()
    outcome = world.turn()
    assert (outcome.decision, outcome.reason) == (Decision.WAIT, "only key objects so far")
    assert not world.writes()


def test_a_late_instance_moves_the_counts(world: World) -> None:
    """RULES A2, A5: a known series grows; one further write."""
    world.published()
    world.store(instance=2)
    world.poll()
    assert world.turn().decision is Decision.WAIT
    assert world.study()["status"] == "available"
    world.settle()
    assert world.turn().decision is Decision.UPDATE
    assert world.study()["numberOfInstances"] == 2
    assert len(world.writes()) == 2


def test_an_unchanged_study_costs_no_write(world: World) -> None:
    """RULES B3: looked at again, nothing is sent, and FHIR is not even asked."""
    world.published()
    before = len(world.fhir.requests)
    world.mark()
    outcome = world.turn()
    assert (outcome.decision, outcome.reason) == (Decision.SKIP, "unchanged")
    assert len(world.fhir.requests) == before


def _orthanc_id(world: World) -> str:
    (copy,) = copies_of(world.ledger, STUDY)
    return copy.orthanc_id


def _grows_while_read(world: World, *, times: int) -> Callable[[Request], Response | None]:
    """An instance arrives within each of the next `times` passes."""
    left = [times]

    def rule(request: Request) -> Response | None:
        if left[0] and request.path == "/tools/find":
            left[0] -= 1
            answer = world.orthanc.answer(request)
            world.store(instance=100 + left[0])
            world.orthanc.index.forget_unstable()
            return answer
        return None

    return rule


def test_a_torn_read_is_read_again(world: World) -> None:
    """RULES A7: what changed under the read counts as unknown; the next pass is whole."""
    world.store()
    world.settle()
    world.poll()
    world.orthanc.rules.append(_grows_while_read(world, times=READS - 1))
    assert world.turn().done
    assert world.study()["numberOfInstances"] == READS


def test_a_study_that_is_torn_again_and_again_stays_dirty(world: World) -> None:
    """RULES A7: three passes, then it waits; nothing is published from a torn read."""
    world.store()
    world.settle()
    world.poll()
    world.orthanc.rules.append(_grows_while_read(world, times=READS))
    outcome = world.turn()
    assert (outcome.decision, outcome.done, outcome.turn.due) == (Decision.WAIT, False, world.clock() + SETTLE)
    assert not world.writes()
    assert world.turn().done


@pytest.mark.parametrize("stable", [True, False])
def test_a_study_that_vanishes_while_it_is_read_stays_dirty(world: World, stable: bool) -> None:
    """RULES A7, D1: neither published from half an answer, nor taken for absent."""
    orthanc_id = world.store()
    if stable:
        world.settle()
    world.poll()

    def rule(request: Request) -> Response | None:
        if request.path == f"/studies/{orthanc_id}":
            world.orthanc.rules.clear()
            answer = world.orthanc.answer(request)
            world.delete(orthanc_id)
            return answer
        return None

    world.orthanc.rules.append(rule)
    outcome = world.turn()
    assert (outcome.decision, outcome.done) == (Decision.WAIT, False)
    assert not world.writes()
    assert world.turn().reason == "gone from the archive before it was published"


def test_a_study_that_vanishes_between_lookup_and_read_stays_dirty(world: World) -> None:
    """RULES D1: the lookup named it, the read did not find it; nobody but this study is concerned."""
    orthanc_id = world.store()
    world.settle()
    world.mark()

    def rule(request: Request) -> Response | None:
        return Response(status=404) if request.path == f"/studies/{orthanc_id}" else None

    world.orthanc.rules.append(rule)
    outcome = world.turn()
    assert (outcome.decision, outcome.done) == (Decision.WAIT, False)
