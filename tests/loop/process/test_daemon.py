"""The clockwork, and what the daemon says of itself while it works and while it cannot (RULES A3, A4, E5, S1)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from structlog.testing import capture_logs

from syncd.errors import ConfigurationError, LedgerRefused, LedgerUnavailable, Unreachable
from syncd.loop.context import Nobody
from syncd.loop.process import daemon as module
from syncd.loop.process.daemon import Daemon
from syncd.loop.process.ticks import Clockwork
from syncd.loop.same_archive import FEWEST
from syncd.loop.study import brake
from syncd.loop.workers.pool import Workers
from syncd.model.words import ArchiveState, Cause, TargetState
from tests.fakes.http import Response
from tests.loop.world import MAIN, STUDY, SYSTEM, World


@pytest.fixture
def daemon(world: World) -> Daemon:
    return Daemon(world.site, world.ledger, version="1", observer=Nobody(), web="http://127.0.0.1:1")


@pytest.fixture
def clockwork(daemon: Daemon) -> Iterator[BackgroundScheduler]:
    """The jobs of a connected daemon, wound up by hand."""
    yield _wound_up(daemon)


def _wound_up(daemon: Daemon) -> BackgroundScheduler:
    context = daemon._connect()
    assert context is not None
    daemon._clockwork = Clockwork(
        context,
        site=daemon._site,
        workers=Workers(context, fhir=daemon._fhir, archives=daemon._breakers, concurrency=1),
        fhir=daemon._fhir,
        archives=daemon._archives,
        troubles=daemon._troubles,
        beat=daemon._beat,
    )
    return daemon._clockwork._scheduler


def _tick(clockwork: BackgroundScheduler, job: str) -> None:
    clockwork.get_job(job).func()


def test_what_checks_resources_is_there_before_threads_check(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/decisions/imports.md: in their first study all workers would wait for one of them to import the models."""
    begun: list[str] = []

    def workers(*_: object, **__: object) -> None:
        begun.append("workers")
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "prepare", begun.append)
    monkeypatch.setattr(module, "Workers", workers)
    with pytest.raises(KeyboardInterrupt):
        daemon.run()
    assert begun == ["r4", "workers"]


def test_a_new_daemon_says_that_it_is_starting(daemon: Daemon, world: World) -> None:
    """/readyz with its reasons in words."""
    daemon.stop()
    daemon.run()
    assert daemon.ready() == ("starting",)
    assert daemon.alive()
    heartbeat = world.ledger.overview.heartbeat()
    assert heartbeat is not None
    assert heartbeat.target == {"state": "open", "reason": "starting", "inventory": None, "requests_at_once": 4}
    assert heartbeat.archives["main"]["state"] == "bootstrapping"


def test_a_daemon_that_does_its_work_is_ready(daemon: Daemon, clockwork: BackgroundScheduler, world: World) -> None:
    """Nothing stands in the way; the ledger knows that we are alive."""
    world.store()
    for job in ("intake", "sweep", "intake", "heartbeat"):
        _tick(clockwork, job)
    assert daemon.ready() == ()
    heartbeat = world.ledger.overview.heartbeat()
    assert heartbeat is not None
    assert heartbeat.target == {"state": "ok", "reason": "", "inventory": None, "requests_at_once": 4}
    inventory = heartbeat.archives["main"].pop("inventory")  # type: ignore[attr-defined]
    assert (inventory["listed"], inventory["found"]["new"]) == (1, 0)  # the feed was quicker
    feed = {"state": "ok", "reason": "", "behind_changes": 0, "behind_seconds": 0.0}
    told = {"brake": "open", "brake_reason": "", "retractions": 0, "retractions_allowed": 10, "retractions_waiting": 0}
    assert heartbeat.archives["main"] == feed | told
    assert daemon.counts().dirty == 1


def test_a_closed_brake_is_told(daemon: Daemon, clockwork: BackgroundScheduler, world: World) -> None:
    """RULES D3: /readyz, heartbeat (hence status, metrics) and log say so."""
    for job in ("intake", "sweep", "intake"):
        _tick(clockwork, job)
    world.ledger.retractions.plan([STUDY], archive=MAIN, cause=Cause.GONE)
    _tick(clockwork, "heartbeat")
    (reason,) = daemon.ready()
    assert "1 studies of archive main wait to be taken back" in reason
    heartbeat = world.ledger.overview.heartbeat()
    assert heartbeat is not None
    told = heartbeat.archives["main"]
    assert (told["brake"], told["brake_reason"], told["retractions_waiting"]) == ("closed", reason, 1)
    assert brake.accept(world.ledger, MAIN, world.ledger.retractions.show_plan(MAIN)[1]) == 1
    assert daemon.ready() == ()


def test_a_tick_that_fails_is_told_once_and_recovers(daemon: Daemon, clockwork: BackgroundScheduler, world: World) -> None:
    """Reasons in words, not a line per second."""
    for job in ("intake", "sweep"):
        _tick(clockwork, job)
    world.orthanc.away = True
    with capture_logs() as logs:
        _tick(clockwork, "intake")
        _tick(clockwork, "intake")
        assert "cannot be reached" in daemon.ready()[0]
        assert daemon.heartbeat().archives["main"]["reason"] == daemon.ready()[0]
        world.orthanc.away = False
        _tick(clockwork, "intake")
    assert [one["event"] for one in logs] == ["waiting", "recovered"]
    assert daemon.ready() == ()


def test_a_defect_in_a_tick_is_told_without_its_message(
    daemon: Daemon, clockwork: BackgroundScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES S1: only where it happened; the clockwork goes on, and /readyz says so."""

    def broken(self: object) -> None:
        raise ValueError("Synthetic^Sam")

    monkeypatch.setattr("syncd.loop.archives.intake.Intake.poll", broken)
    with capture_logs() as logs:
        _tick(clockwork, "intake")
    assert "ValueError" in str(logs) + str(daemon.ready())
    assert "Synthetic" not in str(logs) + str(daemon.ready())
    assert daemon.ready()


def test_a_wanted_sweep_comes_soon_however_often_it_is_asked_for(
    daemon: Daemon, clockwork: BackgroundScheduler, world: World
) -> None:
    """RULES A3: one coalesced sweep within 60 s; each further poll must not put it off."""
    _tick(clockwork, "intake")
    clockwork.modify_job("sweep", next_run_time=clockwork.get_job("intake").next_run_time.replace(year=2100))
    world.ledger.feed.want_sweep(MAIN)
    _tick(clockwork, "intake")
    soon = clockwork.get_job("sweep").next_run_time
    assert soon.year < 2100
    for _ in range(3):
        _tick(clockwork, "intake")
        assert clockwork.get_job("sweep").next_run_time == soon


def test_a_late_tick_is_still_run_once(clockwork: BackgroundScheduler) -> None:
    """RULES E5: APScheduler drops a run missed by more than a second unless told otherwise."""
    for job in ("intake", "sweep", "sentinel", "heartbeat"):
        assert clockwork._job_defaults["misfire_grace_time"] is None
        assert clockwork.get_job(job) is not None
    assert clockwork._job_defaults["coalesce"]


def _theirs(daemon: Daemon, world: World) -> None:
    """Another program's Patient beside ours; a round is due. The daemon's time is the real one."""
    world.published()
    world.put({"resourceType": "Patient", "id": "his-1", "identifier": [{"system": SYSTEM, "value": "P"}]})
    assert world.ledger.marks.find(STUDY) is None


def test_a_tick_looks_for_patients_that_turned_up(daemon: Daemon, clockwork: BackgroundScheduler, world: World) -> None:
    """RULES B4: the daily round marks the studies of our Patient; an outage is the breaker's, and no reason of its own."""
    _theirs(daemon, world)
    world.fhir.answer_instead(lambda request: "_search" in request.path, Response(status=503))
    _tick(clockwork, "look-around")
    assert world.ledger.marks.find(STUDY) is None
    assert daemon._troubles.of("look-around") == ""
    daemon._fhir.trip(TargetState.OPEN, "away")
    _tick(clockwork, "look-around")
    assert world.ledger.marks.find(STUDY) is None
    daemon._fhir.hurry()
    assert daemon._fhir.ask()
    _tick(clockwork, "look-around")
    row = world.ledger.marks.find(STUDY)
    assert row is not None and row.read_fhir


def _exchange(world: World) -> None:
    world.orthanc.wipe()
    for number in range(3):
        world.store(f"1.3.6.{number}", PatientID="TEST")


def _publish_many(world: World) -> None:
    for number in range(FEWEST):
        world.store(f"1.2.276.{number}")
    world.settle()
    world.poll()
    for row in world.ledger.marks.page():
        world.turn(row.study_uid)


def test_an_exchanged_archive_stops_publishing_until_it_is_accepted(world: World) -> None:
    """RULES A4: paused, publishing included; `archive accept` is noticed by the running daemon."""
    _publish_many(world)
    daemon = Daemon(world.site, world.ledger, version="1", observer=Nobody())
    clockwork = _wound_up(daemon)
    _tick(clockwork, "intake")
    _exchange(world)
    _tick(clockwork, "intake")
    assert daemon._breakers[MAIN].state is TargetState.PAUSED
    assert "archive accept" in daemon.ready()[0]
    assert daemon.heartbeat().archives["main"]["state"] == "paused"
    daemon._breakers[MAIN]._next_probe = 0.0
    assert not daemon._breakers[MAIN].ask()
    world.ledger.archives.accept(MAIN)
    _tick(clockwork, "intake")
    daemon._breakers[MAIN]._next_probe = 0.0
    assert daemon._breakers[MAIN].ask()
    _tick(clockwork, "sweep")
    _tick(clockwork, "intake")
    assert daemon.ready() == ()


def test_a_daemon_that_starts_on_an_exchanged_archive_publishes_nothing(world: World) -> None:
    """RULES A4: the sample is asked at start, before the first worker."""
    _publish_many(world)
    _exchange(world)
    world.mark("1.3.6.0", orthanc_id=next(one.id for one in world.orthanc.index.all("Study")))
    daemon = Daemon(world.site, world.ledger, version="1", observer=Nobody())
    _wound_up(daemon)
    assert daemon._breakers[MAIN].state is TargetState.PAUSED


def test_a_daemon_that_starts_on_a_paused_archive_publishes_nothing(world: World) -> None:
    """RULES A4: the pause outlives the process."""
    _publish_many(world)
    _exchange(world)
    world.poll()
    daemon = Daemon(world.site, world.ledger, version="1", observer=Nobody())
    _wound_up(daemon)
    assert not daemon._breakers[MAIN].is_closed


# -- starting ----------------------------------------------------------------------------------------------------


def _waits(daemon: Daemon, monkeypatch: pytest.MonkeyPatch, then: Callable[[int], None]) -> list[float]:
    """The pauses of a daemon that waits for a server; `then` acts at each."""
    pauses: list[float] = []

    def wait(timeout: float | None = None) -> bool:
        assert timeout is not None
        pauses.append(timeout)
        then(len(pauses))
        return False

    monkeypatch.setattr(daemon._stop, "wait", wait)
    return pauses


@pytest.mark.parametrize("server", ["fhir", "orthanc"])
def test_a_server_that_is_not_there_yet_is_waited_for(
    world: World, daemon: Daemon, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    """`run` waits for it and says so; quickly at first, half a minute at most."""
    fake = getattr(world, server)
    fake.away = True

    def then(number: int) -> None:
        assert daemon.ready()[0] == daemon.heartbeat().target["reason"]
        assert "SYNCD" in daemon.ready()[0] or "reached" in daemon.ready()[0]
        fake.away = number < 8

    pauses = _waits(daemon, monkeypatch, then)
    with capture_logs() as logs:
        assert daemon._connect() is not None
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert [one["event"] for one in logs if one.get("for_") == "start"] == ["waiting", "recovered"]


def test_a_wrong_version_is_waited_for(world: World, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not what it should be: `run` waits and says so."""
    world.fhir.version = "stu3"

    def then(number: int) -> None:
        assert "3.0.2" in daemon.ready()[0]
        world.fhir.version = "r4"

    pauses = _waits(daemon, monkeypatch, then)
    assert daemon._connect() is not None
    assert len(pauses) == 1


def test_a_stop_while_waiting_ends_it(world: World, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM at any time."""
    world.fhir.away = True
    _waits(daemon, monkeypatch, lambda number: daemon.stop())
    assert daemon._connect() is None


def test_what_waiting_cannot_mend_ends_the_daemon(world: World, daemon: Daemon) -> None:
    """An explicit version conflict is exit 2; another installation's server exit 4."""
    contradicting = Daemon(replace(world.site, fhir_version="r5"), world.ledger, version="1", observer=Nobody())
    with pytest.raises(ConfigurationError):
        contradicting._connect()
    world.connect()
    other = Daemon(replace(world.site, server=world.new_server("http://other.invalid/fhir")), world.ledger, version="1",
                   observer=Nobody())  # fmt: skip
    world.fhir.wipe()
    with pytest.raises(LedgerRefused):
        other._connect()


def test_a_ledger_that_cannot_be_written_is_told(
    world: World, daemon: Daemon, clockwork: BackgroundScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Disk full: a clear message at /readyz, told once in the log."""

    def full(heartbeat: Any) -> None:
        raise LedgerUnavailable("disk full")

    monkeypatch.setattr(world.ledger.overview, "beat", full)
    with capture_logs() as logs:
        _tick(clockwork, "heartbeat")
        _tick(clockwork, "heartbeat")
    assert [one["reason"] for one in logs] == ["disk full"]
    assert "disk full" in daemon.ready()
    monkeypatch.undo()
    _tick(clockwork, "heartbeat")
    assert "disk full" not in daemon.ready()


def test_open_breakers_are_reasons(daemon: Daemon, clockwork: BackgroundScheduler) -> None:
    """Each reason once."""
    for job in ("intake", "sweep", "intake"):
        _tick(clockwork, job)
    daemon._fhir.trip(TargetState.PAUSED, "refused")
    daemon._breakers[MAIN].trip(TargetState.OPEN, "refused")
    assert daemon.ready() == ("refused",)
    target = daemon.heartbeat().target
    assert (target["state"], target["reason"]) == ("paused", "refused")


def test_how_far_we_are_behind_is_told(
    world: World, daemon: Daemon, clockwork: BackgroundScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind by how many changes and seconds; a paused archive is behind."""
    _publish_many(world)
    _tick(clockwork, "intake")
    _exchange(world)
    for number in range(30):
        world.store("1.3.6.0", instance=100 + number, PatientID="TEST")
    began = time.time()
    _tick(clockwork, "intake")
    monkeypatch.setattr("syncd.loop.archives.follower.time.time", lambda: began + 100)
    _tick(clockwork, "intake")
    archive = daemon.heartbeat().archives["main"]
    position = world.ledger.feed.position(MAIN)
    assert position is not None and position.state is ArchiveState.PAUSED
    assert archive["behind_changes"] == max(0, world.orthanc.index.highest - position.cursor)


def test_a_whole_life_from_start_to_stop(world: World) -> None:
    """A whole run → published → stop, with threads and real time for once."""
    world.store()
    world.settle()
    site = replace(world.site, archives={MAIN: replace(world.source(), poll_interval=0.05)})
    published = Recorder()
    daemon = Daemon(site, world.ledger, version="1", observer=published)
    published.stop = daemon.stop
    daemon.run()
    assert published.decisions == ["Create"]
    assert world.study()["status"] == "available"
    assert world.ledger.records.find(STUDY) is not None
    assert daemon._working is not None
    daemon._working.join(10.0)
    assert not daemon.alive()


class Recorder:
    """Hears decisions, and stops at the first."""

    def __init__(self) -> None:
        self.decisions: list[str] = []
        self.stop: Callable[[], None] = lambda: None

    def count_decision(self, decision: str, seconds: float) -> None:
        self.decisions.append(str(decision))
        self.stop()

    def count_notes(self, rules: Iterable[str], *, safety: Iterable[str] = ()) -> None:
        return None


def test_a_probe_names_the_server_that_is_away(world: World, daemon: Daemon) -> None:
    """RULES C6: before and after the connection."""
    world.fhir.away = True
    with pytest.raises(Unreachable):
        daemon._probe_fhir()
    world.fhir.away = False
    assert daemon._connect() is not None
    daemon._probe_fhir()
    daemon._archives[0].probe()
    world.orthanc.away = True
    with pytest.raises(Unreachable):
        daemon._archives[0].probe()


def test_a_daemon_whose_ledger_was_taken_over_ends(
    world: World, daemon: Daemon, clockwork: BackgroundScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES E4, exit 4: also an idle one notices, with its next heartbeat, and says so until it has ended."""

    def lost() -> None:
        raise LedgerRefused("another process has taken the ledger over")

    monkeypatch.setattr(world.ledger, "require_ownership", lost)
    _tick(clockwork, "heartbeat")
    assert "another process has taken the ledger over" in daemon.ready()
    with pytest.raises(LedgerRefused, match="taken the ledger over"):
        daemon.run()


def test_a_daemon_whose_ledger_is_away_waits_for_it(
    world: World, daemon: Daemon, clockwork: BackgroundScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES E4: the lock may come back; until then /readyz says why nothing is sent."""

    def away() -> None:
        raise LedgerUnavailable("PostgreSQL does not answer")

    monkeypatch.setattr(world.ledger, "require_ownership", away)
    _tick(clockwork, "heartbeat")
    assert "PostgreSQL does not answer" in daemon.ready()
    monkeypatch.undo()
    _tick(clockwork, "heartbeat")
    assert "PostgreSQL does not answer" not in daemon.ready()
    assert not daemon._stop.is_set()


def test_the_clockwork_walks_the_fhir_inventory(daemon: Daemon, clockwork: BackgroundScheduler, world: World) -> None:
    """RULES C6, E8: tick by tick, told at its end; what it marked is worked on."""
    for job in ("intake", "sweep", "intake"):
        _tick(clockwork, job)
    world.ledger.verification.want("a test")
    with capture_logs() as logs:
        while not (told := daemon.heartbeat().target["inventory"]):
            _tick(clockwork, "verify")
    assert told["listed"] == 0
    assert "fhir_inventory_taken" in [one["event"] for one in logs]
    assert daemon.ready() == ()


def test_a_fhir_inventory_waits_while_the_server_is_away(
    daemon: Daemon, clockwork: BackgroundScheduler, world: World
) -> None:
    """RULES C6: the breaker says why, once; the walk goes on when it is closed again."""
    for job in ("intake", "sweep", "intake"):
        _tick(clockwork, job)
    world.ledger.verification.want("a test")
    world.fhir.away = True
    _tick(clockwork, "verify")
    assert daemon._fhir.state is TargetState.OPEN
    asked = len(world.fhir.requests)
    _tick(clockwork, "verify")
    assert (len(world.fhir.requests), len(daemon.ready())) == (asked, 1)
    world.fhir.away = False
    daemon._fhir.hurry()
    assert daemon._fhir.ask()
    while not daemon.heartbeat().target["inventory"]:
        _tick(clockwork, "verify")
    assert daemon.ready() == ()
