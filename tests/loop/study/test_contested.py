"""A quarrel with another program, from the first edit to the operator's word (RULES C4, E2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncd.model.outcome import Outcome
from syncd.model.overview import Heartbeat
from syncd.model.words import Decision
from syncd.model.work import CONTEST_WINDOW, MarkKind
from tests.loop.world import STUDY, World

DAY = 86400.0


def _verified(world: World) -> Outcome:
    world.clock.advance(DAY)
    world.mark(kind=MarkKind.VERIFY, read_fhir=True)
    return world.turn()


def _edited(world: World) -> Outcome:
    """Somebody sets our count to what they know better, and we look."""
    world.put({**world.study(), "numberOfInstances": 7, "note": [{"text": "seen"}]})
    return _verified(world)


def _deleted(world: World) -> Outcome:
    world.remove(f"ImagingStudy/{STUDY}")
    return _verified(world)


def _beat(world: World) -> None:
    world.ledger.overview.beat(Heartbeat(pid=1, at=world.clock(), started_at=0.0, version="0"))


@pytest.mark.parametrize("against_us", [_edited, _deleted])
def test_there_is_no_third_correction(world: World, against_us: Callable[[World], Outcome]) -> None:
    """RULES C4: put back twice within 7 days, then parked `contested`, and nothing is sent any more."""
    world.published()
    assert [against_us(world).decision for _ in range(2)] == [
        Decision.UPDATE if against_us is _edited else Decision.CREATE
    ] * 2
    sent = len(world.writes())
    outcome = against_us(world)
    assert outcome.parked is not None and outcome.parked.reason == "contested"
    assert _verified(world).decision is Decision.PARK
    world.mark()
    assert world.turn().decision is Decision.PARK
    assert len(world.writes()) == sent + (1 if against_us is _edited else 0)  # the other's own third edit


def test_a_week_later_it_is_a_correction_like_the_first(world: World) -> None:
    """RULES C4: within 7 days; what is older counts no more, and goes with a heartbeat."""
    world.published()
    for _ in range(2):
        assert _edited(world).decision is Decision.UPDATE
    world.clock.advance(CONTEST_WINDOW)
    assert world.ledger.corrections.find_fought_over(STUDY) == frozenset()
    assert _edited(world).decision is Decision.UPDATE
    _beat(world)
    world.clock.advance(-DAY)
    assert world.ledger.corrections.find_fought_over(STUDY) == frozenset()  # the old ones are gone, not only too old


def test_the_other_gives_in(world: World) -> None:
    """RULES C4: un-parks once the other's value equals ours."""
    world.published()
    for _ in range(3):
        outcome = _edited(world)
    assert outcome.decision is Decision.PARK
    world.put({**world.study(), "numberOfInstances": 1})
    assert _verified(world).decision is Decision.SKIP
    assert world.ledger.records.find_parked(STUDY) is None


def test_the_operator_has_the_last_word(world: World) -> None:
    """RULES C4, E2: `retry` sends once, and the count begins anew."""
    world.published()
    for _ in range(3):
        _edited(world)
    world.ledger.parking.allow_retry(STUDY)
    world.mark()
    assert world.turn().decision is Decision.UPDATE
    assert world.study()["numberOfInstances"] == 1
    assert world.ledger.records.find_parked(STUDY) is None
    assert _edited(world).decision is Decision.UPDATE


def test_what_happens_to_the_server_is_nobodys_quarrel(world: World) -> None:
    """RULES C4, C6: a wiped server and a restored backup are repaired as often as they happen."""
    world.published()
    backup = world.fhir.backup()
    world.store(series=2)
    world.settle()
    world.mark()
    world.turn()
    for _ in range(4):
        world.fhir.restore(backup)
        assert _verified(world).decision is Decision.UPDATE
    assert world.ledger.corrections.find_fought_over(STUDY) == frozenset()


def test_foreign_elements_are_no_quarrel(world: World) -> None:
    """RULES C3, C4: what others add is theirs, however often they change it."""
    world.published()
    for number in range(4):
        world.put({**world.study(), "note": [{"text": str(number)}]})
        assert _verified(world).decision is Decision.SKIP
