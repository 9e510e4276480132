"""A study's turn has an end, whatever its servers do (RULES S2)."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from syncd.http import deadline
from tests.fakes.http import Request, Response
from tests.loop.hands import work_until
from tests.loop.world import MAIN, OTHER, STUDY, World

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.mark.parametrize("slow", ["fhir", "archive"])
def test_a_turn_that_takes_too_long_ends_and_costs_nobody_else_anything(
    world: World, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer comes in time, and all of them together do not: the study waits, is not parked, and is tried again."""
    world._context = replace(world.context, longest_turn=100.0)
    world.store(OTHER, PatientID="P2")
    world.settle()
    world.poll()
    workers = world.workers()
    work_until(workers, lambda: world.ledger.overview.counts(world.clock()).due == 0)
    now, late = [0.0], [True]
    monkeypatch.setattr(deadline, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def dawdle(request: Request) -> Response | None:
        if late[0] and concerned in request.path:
            now[0] += 101.0
        return None

    before = set(world.archives[MAIN].study_ids())
    world.store(STUDY, PatientID="P1")
    world.settle()
    world.poll()
    (only,) = set(world.archives[MAIN].study_ids()) - before
    concerned = "/fhir/Patient" if slow == "fhir" else f"/studies/{only}"
    (world.fhir if slow == "fhir" else world.orthanc).rules.append(dawdle)
    work_until(workers, lambda: world.ledger.overview.counts(world.clock()).due == 0)
    row = world.ledger.marks.find(STUDY)
    assert row is not None and world.ledger.records.find_parked(STUDY) is None
    assert "turn took longer than 100 s" in world.ledger.overview.history(STUDY)[0].reason
    assert workers._fhir.is_closed and world.ledger.records.find(OTHER) is not None
    late[0] = False
    world.clock.advance(400)
    work_until(workers, lambda: world.ledger.overview.counts(world.clock()).due == 0)
    workers.stop(grace=5.0)
    assert world.ledger.records.find(STUDY) is not None
