"""A refused study hears its neighbours out before it speaks for all of them (RULES C6)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from syncd.loop.study.reconcile import reconcile
from syncd.loop.study.task import Task
from syncd.loop.study.trace import Turn
from syncd.loop.workers import attempt
from syncd.loop.workers.neighbours import Neighbours
from syncd.model.words import TargetState
from tests.loop.hands import work_until
from tests.loop.world import OTHER, STUDY, World, puts, refused

pytestmark = pytest.mark.usefixtures("impatient")


def test_whoever_is_alone_waits_for_nobody() -> None:
    """RULES C6: nobody is under way, or only who came later."""
    neighbours = Neighbours()
    with neighbours.attend(STUDY):
        assert not neighbours.wait_for_others(STUDY, until=lambda: False)
        assert neighbours.wait_for_others(STUDY, until=lambda: True)


def test_all_who_are_refused_do_not_wait_for_each_other() -> None:
    """RULES C6: a server that refuses everybody is told soon."""
    neighbours, met = Neighbours(), threading.Barrier(4)

    def refused_one(study_uid: str) -> bool:
        with neighbours.attend(study_uid):
            met.wait()
            return neighbours.wait_for_others(study_uid, until=lambda: False)

    with ThreadPoolExecutor(4) as pool:
        assert not any(pool.map(refused_one, ["1.1", "1.2", "1.3", "1.4"]))


def test_a_refused_study_is_parked_although_its_neighbour_is_slower(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES C6: 403 while others succeed, and be it a moment later: parked `forbidden`, and nothing is paused."""
    workers = world.workers()
    neighbours, both = workers._turn._neighbours, threading.Barrier(2)

    def slower(task: Task) -> Turn:
        both.wait(20.0)
        turn = reconcile(task)
        if task.study_uid == OTHER:
            with neighbours._changed:
                assert neighbours._changed.wait_for(lambda: STUDY not in neighbours._under_way, timeout=20.0)
        return turn

    monkeypatch.setattr(attempt, "reconcile", slower)
    world.fhir.rules.append(lambda request: refused(403) if puts(resource_id=STUDY)(request) else None)
    for study_uid in (OTHER, STUDY):
        world.store(study_uid)
    world.settle()
    world.poll()
    work_until(workers, lambda: world.ledger.overview.counts(world.clock()).dirty == 0 or not workers._fhir.is_closed)
    workers.stop(grace=5.0)
    assert workers._fhir.state is TargetState.OK
    parked = world.ledger.records.find_parked(STUDY)
    assert parked is not None and parked.reason == "forbidden"
    assert world.ledger.records.find(OTHER) is not None
