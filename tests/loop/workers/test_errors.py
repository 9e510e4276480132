"""Every row of RULES C6, as a study's turn meets it: what becomes of the study, of its neighbour, and of the target."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import pytest

from syncd.loop.study.task import Task
from syncd.loop.workers.failures import IN_A_ROW
from syncd.loop.workers.pool import Workers
from syncd.model.words import Decision, TargetState
from syncd.model.work import OWN_ATTEMPTS, MarkKind
from tests.fakes.http import ReplyLost, Request, Response
from tests.ledger.made import claim_study
from tests.loop.hands import work_until
from tests.loop.world import OTHER, STUDY, World, puts, refused

pytestmark = pytest.mark.usefixtures("impatient")

PUT, GET = "PUT", "GET"


@dataclass(frozen=True, kw_only=True)
class Case:
    """`answer` (None: the connection breaks) to every such request about STUDY, or to the first one only (`once`); then the
    study is `parked` for that reason, has paid `attempts`, or is `written` after all, and the target is in `state`."""

    answer: Response | None
    method: str = PUT
    parked: str = ""
    attempts: int = 0
    state: TargetState = TargetState.OK
    written: bool = False
    once: bool = False


CASES = {
    "409 once": Case(answer=refused(409), once=True, written=True),
    "409 for ever": Case(answer=refused(409), attempts=1),
    "412 once": Case(answer=refused(412), once=True, written=True),
    "410 to a write": Case(answer=refused(410), once=True, written=True),
    "404 to a write, with an outcome": Case(answer=refused(404), once=True, written=True),
    "404 to a write, of something else": Case(answer=Response(status=404), state=TargetState.PAUSED),
    "405": Case(answer=refused(405), state=TargetState.PAUSED),
    "401": Case(answer=refused(401), state=TargetState.PAUSED),
    "a redirect": Case(answer=Response(status=302), state=TargetState.PAUSED),
    "403 to a write": Case(answer=refused(403), parked="forbidden"),
    "403 to a read": Case(answer=refused(403), method=GET, parked="forbidden"),
    "404 to a read, with an outcome": Case(answer=refused(404), method=GET, once=True, written=True),
    "410 to a read": Case(answer=refused(410), method=GET, once=True, written=True),
    "404 to a read, of something else": Case(answer=Response(status=404), method=GET, state=TargetState.PAUSED),
    "413 once": Case(answer=Response(status=413), once=True, written=True),
    "413 to the summary, too": Case(answer=Response(status=413), parked="too-large"),
    "400": Case(answer=refused(400), parked="refused"),
    "422": Case(answer=refused(422), parked="refused"),
    "408": Case(answer=Response(status=408), attempts=1),
    "429": Case(answer=Response(status=429), attempts=1),
    "500": Case(answer=Response(status=500), attempts=1),
    "503": Case(answer=Response(status=503), attempts=1),
    "599": Case(answer=Response(status=599), attempts=1),
    "503 to a read": Case(answer=Response(status=503), method=GET, attempts=1),
    "a reset": Case(answer=None, attempts=1),
}


def _due(world: World) -> int:
    return world.ledger.overview.counts(world.clock()).due


def _script(world: World, case: Case) -> None:
    left = [1 if case.once else 1000]

    def rule(request: Request) -> Response | None:
        of_study = request.path == f"/fhir/ImagingStudy/{STUDY}" and request.method == case.method
        if not of_study or not left[0]:
            return None
        left[0] -= 1
        if case.answer is None:
            raise ReplyLost
        return case.answer

    world.fhir.rules.append(rule)


@pytest.mark.parametrize("name", CASES)
def test_each_answer_has_its_consequence(world: World, name: str) -> None:
    """RULES C6: the table; one study's trouble costs another one nothing."""
    case = CASES[name]
    workers = _others_are_written(world)
    if case.method == GET:
        world.put(_left_by_a_lost_ledger())
    _script(world, case)
    _bring(world, STUDY)
    work_until(workers, lambda: _due(world) == 0 or not workers._fhir.is_closed)
    workers.stop(grace=5.0)
    parked, row = world.ledger.records.find_parked(STUDY), world.ledger.marks.find(STUDY)
    assert (parked.reason if parked else "") == case.parked
    assert (row.attempts if row else 0) == case.attempts
    assert workers._fhir.state is case.state
    assert (world.ledger.records.find(STUDY) is not None) == case.written


def test_a_refusal_keeps_its_outcome(world: World) -> None:
    """RULES C6, S1: 400/422 → parked `refused` with the outcome, which no message repeats."""
    workers = _others_are_written(world)
    _script(world, Case(answer=refused(422, "Synthetic Sam")))
    _bring(world, STUDY)
    work_until(workers, lambda: _due(world) == 0)
    workers.stop(grace=5.0)
    parked = world.ledger.records.find_parked(STUDY)
    assert parked is not None and "Sam" in str(parked.outcome)
    assert "Sam" not in parked.detail + world.ledger.overview.history(STUDY)[0].reason


def test_one_hidden_resource_does_not_stop_a_quiet_server(world: World) -> None:
    """RULES C6: 403 on one GET, and nobody else wrote lately: neither parked nor paused, until another one is written."""
    workers = world.workers()
    world.put(_left_by_a_lost_ledger())
    _script(world, Case(answer=refused(403), method=GET))
    _bring(world, STUDY)
    work_until(workers, lambda: _due(world) == 0)
    row = world.ledger.marks.find(STUDY)
    assert (row is not None, workers._fhir.state, world.ledger.records.find_parked(STUDY)) == (True, TargetState.OK, None)
    _bring(world, OTHER)
    work_until(workers, lambda: _due(world) == 0)
    assert world.ledger.records.find(OTHER) is not None
    world.clock.advance(300)
    work_until(workers, lambda: _due(world) == 0)
    workers.stop(grace=5.0)
    parked = world.ledger.records.find_parked(STUDY)
    assert parked is not None and parked.reason == "forbidden"


def test_a_study_that_stays_forbidden_pauses_nothing(world: World) -> None:
    """RULES C6, E2: it was its own before; that it still is says nothing about the target."""
    workers = _others_are_written(world)
    _script(world, Case(answer=refused(403)))
    _bring(world, STUDY)
    work_until(workers, lambda: _due(world) == 0)
    workers.stop(grace=5.0)
    later = world.workers()  # after a restart nobody has written anything yet
    world.mark()
    work_until(later, lambda: _due(world) == 0)
    later.stop(grace=5.0)
    assert later._fhir.state is TargetState.OK
    parked = world.ledger.records.find_parked(STUDY)
    assert parked is not None and parked.reason == "forbidden"


def test_what_forbids_even_the_sentinel_forbids_everything(world: World) -> None:
    """RULES C6: 403 to the probe, too: the target's trouble, no study parked."""
    workers = _others_are_written(world)
    world.fhir.rules.append(lambda request: None if request.path == "/fhir/metadata" else refused(403))
    _bring(world, STUDY)
    work_until(workers, lambda: not workers._fhir.is_closed)
    workers.stop(grace=5.0)
    assert "SYNCD_FHIR__AUTH__" in workers._fhir.reason
    assert world.ledger.overview.counts(world.clock()).parked == {}


def test_five_studies_in_a_row_open_the_breaker_and_the_fifth_pays_nothing(world: World) -> None:
    """RULES C6: a server that lets us read and fails every write is in trouble, whatever the probe says."""
    workers = world.workers()
    world.fhir.rules.append(lambda request: Response(status=500) if puts()(request) else None)
    studies = [f"1.2.276.{number}" for number in range(10, 10 + IN_A_ROW)]
    for one in studies:
        _bring(world, one)
    work_until(workers, lambda: not workers._fhir.is_closed and not workers.in_flight)
    assert "in a row" in workers._fhir.reason
    attempts = [row.attempts for row in world.ledger.marks.page()]
    assert sorted(attempts) == [0] + [1] * (IN_A_ROW - 1)
    world.fhir.rules.clear()
    world.clock.advance(300)
    workers._fhir.hurry()
    work_until(workers, lambda: _due(world) == 0)
    workers.stop(grace=5.0)
    assert workers._fhir.is_closed
    assert all(world.ledger.records.find(one) is not None for one in studies)


def test_studies_that_fail_again_and_again_share_one_slot(world: World) -> None:
    """RULES C6: past 3 attempts one at a time, so that poison does not occupy every thread; the others go on beside it."""
    studies = [f"1.2.276.{number}" for number in range(10, 14)]
    for one in [*studies, OTHER]:
        _bring(world, one)
    for one in studies:
        _has_failed(world, one, attempts=OWN_ATTEMPTS + 1)
    busy, most, guard = [0], [0], threading.Lock()
    others = threading.Event()
    workers = world.workers()
    take = workers._turn.take

    def watched(task: Task) -> bool:
        if task.study_uid == OTHER:
            others.set()
            return take(task)
        with guard:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        others.wait(10.0)  # the first of them goes on only once another study got its turn beside it
        done = take(task)
        with guard:
            busy[0] -= 1
        return done

    workers._turn.take = watched  # type: ignore[method-assign]
    work_until(workers, lambda: _due(world) == 0)
    workers.stop(grace=5.0)
    assert most == [1]
    assert others.is_set()
    assert all(world.ledger.records.find(one) is not None for one in [*studies, OTHER])


def test_a_one_shot_run_ends_although_one_study_fails_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES C6, README.md: its attempts do not count while nobody else is written, and it is waited for a few times."""
    _bring(world, STUDY)
    workers = world.workers()
    world.fhir.rules.append(lambda request: Response(status=500) if puts()(request) else None)
    # Time passes while it is waited for, not while the study is under way.
    monkeypatch.setattr(workers, "_rest", lambda seen: world.clock.advance(1.0) if workers._is_settled() else None)
    workers.run(until_idle=True)
    workers.stop(grace=5.0)
    row = world.ledger.marks.find(STUDY)
    assert row is not None and row.attempts == 1
    assert len(world.writes()) == OWN_ATTEMPTS + 1


def test_a_dropped_study_is_silent_until_it_changes(world: World) -> None:
    """RULES E2: marks, a new attempt of the server's and even a retry period change nothing; new content does."""
    workers = _others_are_written(world)
    _script(world, Case(answer=refused(422)))
    _bring(world, STUDY)
    work_until(workers, lambda: _due(world) == 0)
    workers.stop(grace=5.0)
    assert world.ledger.parking.drop(STUDY)
    world.fhir.rules.clear()
    sent, before = len(world.writes()), world.ledger.records.find_parked(STUDY)
    for kind in (MarkKind.INVENTORY, MarkKind.VERIFY, MarkKind.RESYNC):
        world.mark(kind=kind, read_fhir=True)
        outcome = world.turn()
        assert (outcome.decision, outcome.done) == (Decision.SKIP, True)
    assert (len(world.writes()), world.ledger.records.find_parked(STUDY)) == (sent, before)
    assert world.ledger.overview.counts(world.clock()).dropped == 1
    world.store(series=2, PatientID=f"P{STUDY}")
    world.settle()
    world.mark()
    assert world.turn().decision is Decision.CREATE
    assert (world.ledger.records.find_parked(STUDY), world.ledger.overview.counts(world.clock()).dropped) == (None, 0)


def test_a_dropped_study_that_cannot_even_be_said_is_silent_too(world: World) -> None:
    """RULES E2: what is parked before anything is sent has no digest; the same reason again is nothing new."""
    world._context = replace(world.context, policy=replace(world.context.policy, values="strict"))
    world.store("1.2.276.7", StudyTime="rubbish")
    world.settle()
    world.poll()
    outcome = world.turn("1.2.276.7")
    assert outcome.parked is not None and outcome.parked.reason == "values-strict"
    world.ledger.parking.drop("1.2.276.7")
    world.mark("1.2.276.7")
    assert world.turn("1.2.276.7").decision is Decision.SKIP
    entry = world.ledger.records.find_parked("1.2.276.7")
    assert entry is not None and entry.dropped


def _bring(world: World, study: str) -> None:
    """A stable study is due."""
    world.store(study, PatientID=f"P{study}")
    world.settle()
    world.poll()


def _others_are_written(world: World) -> Workers:
    """Workers that lately wrote another study: the server takes what we send."""
    _bring(world, OTHER)
    workers = world.workers()
    work_until(workers, lambda: _due(world) == 0)
    assert world.ledger.records.find(OTHER) is not None
    return workers


def _left_by_a_lost_ledger() -> dict[str, object]:
    """The study is there, with our tag, and has to be read."""
    return {
        "resourceType": "ImagingStudy",
        "id": STUDY,
        "meta": {"tag": [{"system": "urn:syncd:installation", "code": "syncd"}]},
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}],
        "status": "available",
        "subject": {"display": "x"},
    }


def _has_failed(world: World, study: str, *, attempts: int) -> None:
    claim = claim_study(world.ledger, study)
    assert claim is not None
    task = Task(claim=claim, context=world.context)
    world.ledger.outcomes.commit(task.back_off("failed before", until=world.clock(), attempts=attempts))
