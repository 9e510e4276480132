"""A whole import while the FHIR server is away: nothing is lost, no study pays, and each is written once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from syncd.loop.breaker import CircuitBreaker
from syncd.loop.companions.target import probe
from syncd.loop.workers.pool import Workers
from syncd.model.words import TargetState
from tests.fakes.http import ReplyLost, Request, Response, Rule
from tests.loop.hands import work_until, workers_of
from tests.loop.world import World, puts

pytestmark = pytest.mark.usefixtures("impatient")

WAVES = 4
"""The studies arrive in so many bursts, and the workers try after each."""

QUICK, WHOLE = 120, 10_000
"""Studies: more than workers hold at once, and those of docs/cases.md."""

AT_ONCE = 50
"""Studies unstable at a time: the archive in memory looks through all of them at each request."""

CONCURRENCY = 16
PATIENTS = 7
"""Few, so that studies share them."""


@pytest.mark.parametrize("number", [QUICK, pytest.param(WHOLE, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_an_import_while_the_server_is_away_is_written_once(world: World, number: int) -> None:
    """docs/cases.md "FHIR server away for the whole of an import"; RULES A2, C5, C6: all are marked, no row is touched; the
    server comes back, goes away once more in the middle of a write, and when it is back for good nothing is missing."""
    world.connect()
    world.poll()
    world.sweep()
    world.fhir.away = True
    studies = [f"1.2.276.{place}" for place in range(1, number + 1)]
    with _working(world) as workers:
        for wave in range(WAVES):
            arriving = studies[wave::WAVES]
            for place, study in enumerate(arriving):
                world.store(study, PatientID=f"P{place % PATIENTS}")
                if place % AT_ONCE == 0:
                    world.settle()
            world.settle()
            _read_to_the_end(world)
            workers.run(until_idle=True)
            assert workers._fhir.state is TargetState.OPEN
        assert world.ledger.overview.counts(world.clock()).due == number
        assert {row.attempts for row in world.ledger.marks.page()} == {0}
        assert world.fhir.resources("ImagingStudy") == []

        _back(world, workers)
        world.fhir.rules.append(_away_after(world, number // 3))
        # Whoever is still under way would meet a server that is well again, and pay for it.
        work_until(workers, lambda: workers._fhir.state is TargetState.OPEN and not workers.in_flight)
        assert {row.attempts for row in world.ledger.marks.page()} == {0}
        assert 0 < world.ledger.overview.counts(world.clock()).due < number

        world.fhir.rules.clear()
        _back(world, workers)
        workers.run(until_idle=True)
    counts = world.ledger.overview.counts(world.clock())
    assert (counts.dirty, counts.parked, counts.published) == (0, {}, {"available": number})
    assert sorted(one["id"] for one in world.fhir.resources("ImagingStudy")) == sorted(studies)
    answered = Counter(one.path.rpartition("/")[2] for one in world.writes())
    assert answered == dict.fromkeys(studies, 1)


@contextmanager
def _working(world: World) -> Iterator[Workers]:
    """Workers enough to look many studies up at once, with a breaker that probes the server."""
    workers = workers_of(world, fhir=CircuitBreaker(lambda: probe(world.context)), concurrency=CONCURRENCY)
    try:
        yield workers
    finally:
        workers.stop(grace=10.0)


def _read_to_the_end(world: World) -> None:
    while world.poll().marked:
        pass


def _back(world: World, workers: Workers) -> None:
    """The server answers again, and it is time to probe it."""
    world.fhir.away = False
    workers._fhir.hurry()


def _away_after(world: World, number: int) -> Rule:
    """The server takes so many writes, carries the last of them out, and its answer is lost with the connection."""
    left = [number]

    def rule(request: Request) -> Response | None:
        if not puts()(request):
            return None
        left[0] -= 1
        if left[0]:
            return None
        world.fhir.answer(request)
        world.fhir.away = True
        raise ReplyLost

    return rule
