"""What must not be lost, whatever fails: defects, a full disk, a stop (RULES C6, RULES E6, S1)."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from syncd.errors import LedgerRefused, LedgerUnavailable, SyncdError
from syncd.loop.study.trace import Turn
from syncd.loop.workers import attempt
from syncd.loop.workers import pool as room
from syncd.model.outcome import Outcome
from syncd.model.words import Decision
from tests.fakes.http import Request, Response, json_response
from tests.loop.hands import work_until, workers_of
from tests.loop.world import OTHER, STUDY, World, puts, refused

pytestmark = pytest.mark.usefixtures("impatient")


def _due(world: World) -> int:
    return world.ledger.overview.counts(world.clock()).due


@pytest.mark.parametrize(
    "answer",
    [refused(400, "unknown parameter"), refused(422), json_response({"resourceType": "Bundle", "entry": ["odd"]})],
    ids=["400", "422", "an odd bundle"],
)
def test_a_refused_first_look_ends_no_worker(ready: World, answer: Response) -> None:
    """RULES C6: the batch is a shortcut; without it each study looks for itself, and fails for itself."""
    ready.fhir.rules.append(lambda request: answer if request.path.endswith("ImagingStudy/_search") else None)
    workers = workers_of(ready)
    work_until(workers, lambda: _due(ready) == 0)
    ready.fhir.rules.clear()
    for uid in (STUDY, OTHER):
        ready.ledger.parking.allow_retry(uid)
        ready.mark(uid)
        row = ready.ledger.marks.find(uid)
        assert row is not None
        ready.clock.now = max(ready.clock.now, row.due)
    work_until(workers, lambda: _due(ready) == 0)
    assert ready.ledger.records.find(STUDY) is not None
    workers.stop(grace=1.0)


def test_a_defect_neither_ends_the_worker_nor_tells_the_patients_name(ready: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES S1: only where it happened is told; the study backs off, its neighbour goes on."""

    def broken(task: Any) -> Turn:
        if task.study_uid == STUDY:
            raise ValueError("Synthetic^Sam, born 1970")
        return real(task)

    real = attempt.reconcile
    monkeypatch.setattr(attempt, "reconcile", broken)
    workers = workers_of(ready)
    with capture_logs() as logs:
        work_until(workers, lambda: _due(ready) == 0)
    row = ready.ledger.marks.find(STUDY)
    assert row is not None and row.attempts == 1
    assert ready.ledger.records.find(OTHER) is not None
    (line,) = [one for one in logs if one["event"] == "study_failed_unexpectedly"]
    assert line["error"] == "ValueError"
    assert any(place.startswith("test_nothing_lost.py:") for place in line["where"])
    assert "Synthetic" not in str(logs) + str(ready.ledger.overview.history(STUDY))
    workers.stop(grace=1.0)


@pytest.mark.parametrize("defect", [False, True], ids=["an outcome", "a defect"])
def test_a_ledger_that_takes_no_commit_gives_the_study_back(
    ready: World, monkeypatch: pytest.MonkeyPatch, defect: bool
) -> None:
    """RULES E6: what could not be committed is released, and done as soon as the ledger takes it."""

    def full(outcome: Outcome) -> bool:
        monkeypatch.undo()
        monkeypatch.setattr(room, "_IDLE_WAIT", 0.01)
        raise LedgerUnavailable("disk full")

    def broken(task: Any) -> Turn:
        raise ValueError

    monkeypatch.setattr(ready.ledger.outcomes, "commit", full)
    if defect:
        monkeypatch.setattr(attempt, "reconcile", broken)
    workers = workers_of(ready, concurrency=1)
    work_until(workers, lambda: _due(ready) == 0)
    assert all(ready.ledger.records.find(uid) is not None for uid in (STUDY, OTHER))
    assert len(ready.fhir.resources("ImagingStudy")) == 2
    workers.stop(grace=1.0)


def test_a_ledger_that_hands_out_nothing_is_waited_for(ready: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES E6: the daemon says so and goes on; a one-shot command ends."""

    def full(*_: Any, **__: Any) -> list[Any]:
        raise LedgerUnavailable("disk full")

    monkeypatch.setattr(ready.ledger.claims, "take", full)
    workers = workers_of(ready)
    with pytest.raises(LedgerUnavailable):
        workers.run(until_idle=True)
    rests = iter([False, False, True])
    with capture_logs() as logs:
        work_until(workers, lambda: next(rests))
    assert [one["event"] for one in logs].count("ledger_unavailable") == 3
    workers.stop(grace=1.0)


def test_stopping_lets_work_in_flight_end(ready: World) -> None:
    """README.md: SIGTERM lets work in flight end; what had begun is committed."""
    workers = workers_of(ready)

    def stop_now(request: Request) -> Response | None:
        if puts()(request):
            workers._stopping = True
        return None

    ready.fhir.rules.append(stop_now)
    workers.run()
    workers.stop(grace=10.0)
    begun = {one.path.rpartition("/")[2] for one in ready.writes()}
    assert begun
    assert all(ready.ledger.records.find(uid) is not None for uid in begun)
    assert workers._in_flight == 0


def test_a_study_whose_uid_is_none_is_parked_without_troubling_others(ready: World) -> None:
    """RULES C1: uid-not-oid; it is left out of the batched look."""
    ready.store("not-a-uid")
    ready.settle()
    ready.poll()
    ready.work()
    parked = ready.ledger.records.find_parked("not-a-uid")
    assert parked is not None and parked.reason == "uid-not-oid"
    assert ready.ledger.records.find(OTHER) is not None


@pytest.mark.parametrize("error", [LedgerUnavailable("the session is gone"), LedgerRefused("taken over")])
def test_nothing_is_sent_by_who_does_not_own_the_ledger_any_more(
    ready: World, monkeypatch: pytest.MonkeyPatch, error: SyncdError
) -> None:
    """RULES E4: asked immediately before each write; the study goes back without an attempt, and is sent when it is ours."""

    def lost() -> None:
        raise error

    ready.context.server.guard_writes(lost)
    patients = len(ready.writes("Patient"))
    workers = workers_of(ready)
    with capture_logs() as logs:
        work_until(workers, lambda: sum(one["event"] == "study_put_back" for one in logs) >= 2)
    assert (ready.writes(), len(ready.writes("Patient"))) == ([], patients)
    assert {row.attempts for row in ready.ledger.marks.page()} == {0}
    workers.stop(grace=1.0)
    ready.ledger.claims.release(STUDY, OTHER)
    ready.context.server.guard_writes(ready.ledger.require_ownership)
    assert {outcome.decision for outcome in ready.work()} == {Decision.CREATE}
    assert len(ready.writes()) == 2
