"""Workers: what is due is done, and whose fault a failure is (RULES A9, C6)."""

from __future__ import annotations

import threading

import pytest

from syncd.loop.breaker import FIRST_PAUSE, LONGEST_PAUSE, CircuitBreaker, CircuitBreakers
from syncd.loop.companions.target import probe
from syncd.loop.outbox.dispatcher import Dispatcher
from syncd.loop.study import reconcile
from syncd.loop.study.reconcile import Prepared
from syncd.loop.study.trace import Turn
from syncd.loop.workers import pool as room
from syncd.loop.workers.attempt import Attempt
from syncd.loop.workers.pool import ATTEMPTS
from syncd.model.outcome import Outcome
from syncd.model.words import Decision, TargetState
from syncd.model.work import LONGEST_BACKOFF
from syncd.publish.lookups import BATCH
from tests.fakes.http import Request, Response
from tests.loop.hands import work_until, workers_of
from tests.loop.world import MAIN, OTHER, STUDY, World, puts, refused

pytestmark = pytest.mark.usefixtures("impatient")


def _correlation(world: World, study: str) -> str:
    return world.ledger.overview.history(study)[0].correlation_id


def _due(world: World) -> int:
    return world.ledger.overview.counts(world.clock()).due


def test_what_is_due_is_done(ready: World) -> None:
    """RULES A9: claimed, looked up in one batch, reconciled, committed."""
    outcomes = ready.work()
    assert {(one.study_uid, one.decision) for one in outcomes} == {(STUDY, Decision.CREATE), (OTHER, Decision.CREATE)}
    assert len(ready.asked("/ImagingStudy/_search")) == 2  # by id and by identifier, for both studies together
    assert len({_correlation(ready, uid) for uid in (STUDY, OTHER)} - {""}) == 2


def test_both_servers_are_told_the_correlation_id(ready: World) -> None:
    """docs/operation.md, Logs: one UUID per reconcile, X-Correlation-ID to both servers."""
    ready.work()
    (put,) = [one for one in ready.writes() if one.path.endswith(STUDY)]
    assert put.headers["x-correlation-id"] == _correlation(ready, STUDY)
    sent = {one.headers.get("x-correlation-id") for one in ready.orthanc.requests if one.path.startswith("/tools/find")}
    assert sent == {_correlation(ready, uid) for uid in (STUDY, OTHER)}


def test_one_batched_look_for_many_new_studies(world: World) -> None:
    """RULES C2: batches of 50."""
    for number in range(1, BATCH + 1):
        world.store(f"1.2.276.{number}")
    world.settle()
    world.poll()
    world.connect()
    assert len(world.work()) == BATCH
    assert len(world.asked("/ImagingStudy/_search")) == 4  # two batches, by id and by identifier


@pytest.mark.parametrize("most", [1, 2], ids=["large", "small"])
def test_of_large_studies_one_is_written_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """What they hold adds up; small ones go together."""
    monkeypatch.setattr(reconcile, "LARGE", most)
    for study in (STUDY, OTHER):
        for instance in (1, 2):
            world.store(study, instance=instance)
    world.settle()
    world.poll()
    world.connect()
    under_way, together, finish = set[str](), threading.Event(), reconcile.finish

    def meet(prepared: Prepared) -> Turn:
        under_way.add(prepared.intent.study_uid)
        if len(under_way) == 2:
            together.set()
        together.wait(0.3)
        under_way.discard(prepared.intent.study_uid)
        return finish(prepared)

    monkeypatch.setattr(reconcile, "finish", meet)
    assert len(world.work()) == 2
    assert together.is_set() == (most == 2)


def test_a_study_that_fails_alone_backs_off_alone(ready: World) -> None:
    """RULES C6: the server is well, so the study pays an attempt; its neighbour goes on."""
    ready.fhir.rules.append(lambda request: Response(status=500) if puts(resource_id=STUDY)(request) else None)
    workers = workers_of(ready)
    work_until(workers, lambda: _due(ready) == 0)
    row = ready.ledger.marks.find(STUDY)
    assert row is not None and row.attempts == 1
    assert 1.0 <= row.not_before - ready.clock() <= 2.0
    assert ready.ledger.records.find(OTHER) is not None
    workers.stop(grace=1.0)


def test_the_backoff_grows_and_ends_in_the_parking_lot(ready: World) -> None:
    """RULES C6: 1 s … 5 min; after 20 attempts parked `server-error`, tried again daily."""
    ready.fhir.rules.append(lambda request: Response(status=503) if puts(resource_id=STUDY)(request) else None)
    workers = workers_of(ready)
    pauses = []
    for _ in range(ATTEMPTS - 1):
        work_until(workers, lambda: _due(ready) == 0)
        row = ready.ledger.marks.find(STUDY)
        assert row is not None
        pauses.append(row.not_before - ready.clock())
        ready.clock.now = row.due
        workers._turn._failures.note_write(OTHER)  # meanwhile another one was written: so the attempts count
    assert len(pauses) == ATTEMPTS - 1
    assert all(1 <= pause <= min(2 ** (number + 1), LONGEST_BACKOFF) for number, pause in enumerate(pauses))
    work_until(workers, lambda: _due(ready) == 0)
    parked = ready.ledger.records.find_parked(STUDY)
    assert parked is not None and parked.reason == "server-error"
    row = ready.ledger.marks.find(STUDY)
    assert row is not None and row.due == ready.clock() + 86400
    ready.clock.now = row.due
    tried = len(ready.writes())
    work_until(workers, lambda: _due(ready) == 0)
    assert len(ready.writes()) == tried + 1  # once a day, not twenty times
    row = ready.ledger.marks.find(STUDY)
    assert row is not None and row.due == ready.clock() + 86400
    ready.fhir.rules.clear()
    ready.clock.now = row.due
    work_until(workers, lambda: _due(ready) == 0)
    assert ready.ledger.records.find_parked(STUDY) is None
    assert ready.ledger.records.find(STUDY) is not None
    workers.stop(grace=1.0)


def test_retry_after_lengthens_the_backoff_within_reason(ready: World) -> None:
    """RULES C6: `Retry-After`, never beyond the longest backoff."""
    busy = Response(status=429, headers={"Retry-After": "120"})
    endless = Response(status=429, headers={"Retry-After": "999999"})
    ready.fhir.rules.append(lambda request: busy if puts(resource_id=STUDY)(request) else None)
    ready.fhir.rules.append(lambda request: endless if puts(resource_id=OTHER)(request) else None)
    workers = workers_of(ready)
    work_until(workers, lambda: _due(ready) == 0)
    rows = [ready.ledger.marks.find(uid) for uid in (STUDY, OTHER)]
    assert [row.not_before - ready.clock() for row in rows if row is not None] == [120.0, LONGEST_BACKOFF]
    workers.stop(grace=1.0)


def test_a_new_mark_does_not_shorten_a_backoff(ready: World) -> None:
    """RULES C6."""
    ready.fhir.rules.append(lambda request: Response(status=500) if puts()(request) else None)
    workers = workers_of(ready)
    work_until(workers, lambda: _due(ready) == 0)
    ready.mark()
    assert _due(ready) == 0
    workers.stop(grace=1.0)


@pytest.mark.parametrize("server", ["fhir", "orthanc"])
def test_an_outage_costs_no_attempt(ready: World, server: str) -> None:
    """RULES C6: the breaker opens and touches no row; once the server is back everything is done."""
    fake = getattr(ready, server)
    fake.away = True
    rows = {uid: ready.ledger.marks.find(uid) for uid in (STUDY, OTHER)}
    breakers: list[CircuitBreaker] = []
    workers = ready.workers()
    breakers += [workers._fhir, workers._archives[MAIN]]
    workers.run(until_idle=True)
    assert [breaker.state for breaker in breakers] == [
        TargetState.OPEN if server == "fhir" else TargetState.OK,
        TargetState.OPEN if server == "orthanc" else TargetState.OK,
    ]
    assert rows == {uid: ready.ledger.marks.find(uid) for uid in rows}
    fake.away = False
    for breaker in breakers:
        breaker._next_probe = 0.0
    workers.run(until_idle=True)
    workers.stop(grace=1.0)
    assert all(ready.ledger.records.find(uid) is not None for uid in rows)


@pytest.mark.parametrize("server", ["fhir", "orthanc"])
def test_a_turn_that_meets_an_outage_gives_the_study_back_as_it_was(ready: World, server: str) -> None:
    """RULES C6: no attempt is counted, whoever of both is away, and the claim is to be given back."""
    task, before = ready.task(), ready.ledger.marks.find(STUDY)
    getattr(ready, server).away = True
    archives = CircuitBreakers({MAIN: CircuitBreaker(ready.archive.info)})
    outcomes: list[Outcome] = []
    turn = Attempt(
        ready.context,
        dispatcher=Dispatcher(ready.context),
        fhir=CircuitBreaker(lambda: probe(ready.context)),
        archives=archives,
        on_outcome=outcomes.append,
    )
    assert not turn.take(task)
    assert (outcomes, ready.ledger.marks.find(STUDY)) == ([], before)


def test_an_archive_that_was_read_again_is_probed_quickly_the_next_time(ready: World) -> None:
    """RULES C6: the pauses that one bad hour brought about are forgotten with the first study that was read."""
    now = 0.0
    breaker = CircuitBreaker(ready.archive.info, monotonic=lambda: now)
    for _ in range(6):
        breaker.trip(TargetState.OPEN, "away")
        now += LONGEST_PAUSE
        assert breaker.ask()
    workers = workers_of(ready, archives=CircuitBreakers({MAIN: breaker}))
    work_until(workers, lambda: _due(ready) == 0)
    workers.stop(grace=1.0)
    breaker.trip(TargetState.OPEN, "away once more")
    now += FIRST_PAUSE
    assert breaker.ask()


def test_an_archive_that_refuses_us_opens_its_own_breaker(ready: World) -> None:
    """RULES C6: credentials changed while we work: no study pays, and FHIR is not blamed."""
    ready.orthanc.authorization = "Basic other"
    workers = ready.workers()
    workers.run(until_idle=True)
    assert workers._fhir.is_closed
    assert "credentials" in workers._archives[MAIN].reason
    workers.stop(grace=1.0)
    row = ready.ledger.marks.find(STUDY)
    assert row is not None and row.attempts == 0


@pytest.mark.parametrize("status", [401, 404, 405])
def test_a_target_that_refuses_a_write_is_paused(ready: World, status: int) -> None:
    """RULES C6: no study parked, no attempt counted."""
    ready.fhir.rules.append(lambda request: Response(status=status) if puts()(request) else None)
    workers = ready.workers()
    workers.run(until_idle=True)
    assert workers._fhir.state is TargetState.PAUSED
    assert "SYNCD_FHIR__" in workers._fhir.reason
    assert ready.ledger.overview.counts(ready.clock()).parked == {}
    workers.stop(grace=1.0)


def test_forbidden_for_one_study_parks_it(ready: World) -> None:
    """RULES C6: 403 while others succeed → parked `forbidden`."""
    ready.fhir.rules.append(lambda request: refused(403) if puts(resource_id=STUDY)(request) else None)
    workers = workers_of(ready)
    work_until(workers, lambda: _due(ready) == 0)
    parked = ready.ledger.records.find_parked(STUDY)
    assert parked is not None and parked.reason == "forbidden"
    assert ready.ledger.records.find(OTHER) is not None
    workers.stop(grace=1.0)


def test_forbidden_for_all_pauses_the_target(ready: World) -> None:
    """RULES C6: 403 for whatever we write is about us, not about the studies."""
    ready.fhir.rules.append(lambda request: refused(403) if puts()(request) else None)
    workers = ready.workers()
    workers.run(until_idle=True)
    assert workers._fhir.state is TargetState.PAUSED
    assert ready.ledger.overview.counts(ready.clock()).parked == {}
    assert _due(ready) == 2
    workers.stop(grace=1.0)


def test_a_reset_noticed_by_a_study_restores_everything(ready: World) -> None:
    """RULES C6: sentinel, Endpoints, Patients and studies are back, and no study paid for it."""
    ready.work()
    ready.fhir.wipe()
    ready.store(series=2)
    ready.settle()
    ready.mark()
    ready.work()
    assert {one["id"] for one in ready.fhir.resources("ImagingStudy")} == {STUDY, OTHER}
    assert ready.study()["numberOfSeries"] == 2
    assert len(ready.fhir.resources("Patient")) == 2
    assert len(ready.fhir.resources("Endpoint")) == 2


def test_a_study_that_looks_like_a_reset_again_and_again_pays_itself(ready: World) -> None:
    """RULES C6: after one restore nothing is believed that was not read; a gateway that answers 201 to every write of one
    study makes no storm of restores, and the others are published."""
    ready.work()
    ready.fhir.rules.append(lambda request: _as_if_created(request) if puts(resource_id=STUDY)(request) else None)
    ready.store(series=2)
    ready.store(OTHER, series=2, PatientID="P2")
    ready.settle()
    ready.poll()
    workers, before = workers_of(ready), len(ready.writes())
    work_until(workers, lambda: _due(ready) == 0)
    row = ready.ledger.marks.find(STUDY)
    assert row is not None and row.attempts == 1
    assert ready.study(OTHER)["numberOfSeries"] == 2
    assert len(ready.writes()) - before <= 4
    workers.stop(grace=1.0)


def test_a_study_whose_every_write_is_answered_404_pays_itself(ready: World) -> None:
    """RULES C4, C6: a conflict like another; begun again five times, then one attempt is paid."""
    ready.fhir.rules.append(lambda request: refused(404) if puts(resource_id=STUDY)(request) else None)
    workers = workers_of(ready)
    work_until(workers, lambda: _due(ready) == 0)
    row = ready.ledger.marks.find(STUDY)
    assert row is not None and row.attempts == 1
    assert ready.ledger.records.find(OTHER) is not None
    assert len([one for one in ready.writes() if one.path.endswith(STUDY)]) <= 6
    workers.stop(grace=1.0)


def _as_if_created(request: Request) -> Response:
    headers = {"ETag": 'W/"1"', "Location": f"{request.path}/_history/1"}
    return Response(status=201, headers=headers, body=request.body)


def test_a_reason_to_look_that_came_after_the_look_is_not_slept_over(ready: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES A9: a mark, or the end of a study, between the question to the ledger and the rest; nobody tells it twice."""
    monkeypatch.setattr(room, "_IDLE_WAIT", 3600.0)
    workers = ready.workers()
    workers._in_flight = 1
    for news in (workers.wake, lambda: workers._close({STUDY: False})):
        seen = workers._changes
        news()
        workers._rest(seen)
    workers.stop(grace=1.0)


def test_a_one_shot_run_ends_with_its_last_study(ready: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """README.md: where nothing is left to wait for, nobody waits."""
    monkeypatch.setattr(room, "_IDLE_WAIT", 3600.0)
    workers = ready.workers()
    workers.run(until_idle=True)
    workers.stop(grace=1.0)
    assert len(ready.writes()) == 2
