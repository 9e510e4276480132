"""The daemon and `resync` with several archives: each is followed, named and waited for by itself (RULES A1, C8)."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial

import pytest
from structlog.testing import capture_logs

from syncd.errors import Unreachable
from syncd.loop.breaker import CircuitBreaker, CircuitBreakers
from syncd.loop.commands.resync import Choice, Report, rehearse, resync
from syncd.loop.context import Nobody
from syncd.loop.process.daemon import Daemon
from syncd.loop.process.ticks import Clockwork
from syncd.loop.workers.pool import Workers
from syncd.model.words import TargetState
from tests.loop.world import MAIN, OTHER, SECOND, STUDY, World

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture
def both(world: World) -> World:
    """STUDY lies in MAIN, OTHER in SECOND; both are stable."""
    world.with_second()
    world.store(STUDY)
    world.store(OTHER, PatientID="P2", at=SECOND)
    world.settle()
    return world


class Running:
    """A connected daemon whose jobs are wound up by hand."""

    def __init__(self, world: World) -> None:
        self.daemon = daemon = Daemon(world.site, world.ledger, version="1", observer=Nobody())
        context = daemon._connect()
        assert context is not None
        context = replace(context, clock=world.clock)
        self.workers = Workers(context, fhir=daemon._fhir, archives=daemon._breakers, concurrency=1)
        self._clockwork = daemon._clockwork = Clockwork(
            context,
            site=daemon._site,
            workers=self.workers,
            fhir=daemon._fhir,
            archives=daemon._archives,
            troubles=daemon._troubles,
            beat=daemon._beat,
        )

    def tick(self, *jobs: str) -> None:
        for job in jobs:
            self._clockwork._scheduler.get_job(job).func()

    def work(self) -> None:
        self.workers.run(until_idle=True)


def _ids(world: World) -> set[str]:
    return {one["id"] for one in world.fhir.resources("ImagingStudy")}


ALL = tuple(f"{job} of {name}" for job in ("intake", "sweep", "intake") for name in (MAIN, SECOND))


def test_each_archive_is_followed_by_itself(both: World) -> None:
    """docs/settings.md, `ARCHIVES__<NAME>__…`: feed, inventory and state of each, by its name."""
    running = Running(both)
    running.tick(*ALL)
    running.work()
    assert _ids(both) == {STUDY, OTHER}
    assert running.daemon.ready() == ()
    heartbeat = running.daemon.heartbeat()
    assert list(heartbeat.archives) == [MAIN, SECOND]
    assert {facts["state"] for facts in heartbeat.archives.values()} == {"ok"}


def test_an_archive_that_is_away_at_start_is_waited_for_alone(both: World) -> None:
    """RULES A1, C8: the other one is followed and published; back again, it is followed from where its feed stood."""
    both.second.away = True
    running = Running(both)
    running.tick("intake of main", "sweep of main", "intake of second", "sweep of second")
    running.work()
    assert _ids(both) == {STUDY}
    assert all("archive second" in reason for reason in running.daemon.ready() if "first time" not in reason)
    assert running.daemon.heartbeat().archives[MAIN]["reason"] == ""
    assert "cannot be reached" in running.daemon.heartbeat().archives[SECOND]["reason"]
    both.second.away = False
    running.tick(*ALL)
    running.daemon._breakers[SECOND].hurry()
    running.work()
    assert _ids(both) == {STUDY, OTHER}
    assert running.daemon.ready() == ()


def test_a_breaker_lets_nothing_through_before_its_archive_was_recognised(both: World) -> None:
    """RULES A4: an archive that was away at start is asked for its sample before anything of it is published."""
    both.second.away = True
    running = Running(both)
    both.second.away = False
    breaker = running.daemon._breakers[SECOND]
    breaker.hurry()
    assert both.ledger.feed.position(SECOND) is None
    assert breaker.ask()
    assert both.ledger.feed.position(SECOND) is not None


def test_a_probe_that_hangs_keeps_nobody_from_work() -> None:
    """RULES C8: an archive behind a firewall that swallows everything answers after half a minute, or never."""
    released = threading.Event()
    hanging, well = CircuitBreaker(released.wait), CircuitBreaker(lambda: None)
    hanging.trip(TargetState.OPEN, "away")
    hanging.hurry()
    breakers = CircuitBreakers({MAIN: well, SECOND: hanging})
    assert breakers.usable() == {MAIN}
    assert breakers.tripped() == {SECOND}
    released.set()


def test_a_removed_archive_is_named(both: World) -> None:
    """RULES C8: at start in the log, at /readyz and in the heartbeat; forgotten by the running daemon."""
    Running(both).tick(*ALL)
    both.without(SECOND)
    with capture_logs() as logs:
        running = Running(both)
        running.tick("intake", "sweep", "intake")
    assert [(one["archive"], one["log_level"]) for one in logs if one["event"] == "archive_removed"] == [(SECOND, "warning")]
    (reason,) = running.daemon.ready()
    assert "syncd archive forget second" in reason
    assert running.daemon.heartbeat().archives[SECOND] == {"state": "removed", "reason": reason}
    both.ledger.archives.forget(SECOND)
    running.tick("sentinel")
    assert running.daemon.ready() == ()
    states = {one["id"]: one["status"] for one in both.fhir.resources("Endpoint")}
    assert states["second-wado-rs"] == "off"


# -- resync ------------------------------------------------------------------------------------------------------------

_run = partial(resync, accept_target=False, progress=lambda report: None)


def test_a_resync_looks_at_every_archive(both: World) -> None:
    """README.md, `syncd resync`: in sync with all of them; a study in two is one study."""
    both.store(STUDY, series=2, at=SECOND)
    both.settle()
    report = _run(both.site, both.ledger, choice=Choice())
    assert report.in_sync
    assert (report.listed, report.decisions["Create"]) == (3, 2)
    assert both.study()["numberOfSeries"] == 2


def test_a_resync_of_one_archive(both: World) -> None:
    """README.md, `--archive A`."""
    report: Report = _run(both.site, both.ledger, choice=Choice(archive=SECOND, studies=frozenset({STUDY, OTHER})))
    assert _ids(both) == {OTHER}
    assert (report.listed, report.unknown) == (1, (STUDY,))


def test_a_resync_does_what_it_can_and_names_the_archive_that_is_away(both: World) -> None:
    """README.md: exit 3; what the other archive holds is done."""
    both.second.away = True
    with pytest.raises(Unreachable, match="archive second"):
        _run(both.site, both.ledger, choice=Choice())
    assert _ids(both) == {STUDY}
    both.orthanc.away = True
    both.second.away = False
    with pytest.raises(Unreachable, match="archive main"):
        _run(both.site, both.ledger, choice=Choice(archive=MAIN))
    assert _ids(both) == {STUDY}


def test_a_rehearsal_tells_each_study_once_and_by_all_of_its_copies(both: World) -> None:
    """README.md, `--dry-run`: the decisions of a real run, though the ledger knows no copy yet."""
    both.store(STUDY, PatientID="Q", series=2, at=SECOND)
    both.settle()
    told = {uid: (decision, reason) for uid, decision, reason in rehearse(both.site, both.ledger, choice=Choice())}
    listed = [uid for uid, _, _ in rehearse(both.site, both.ledger, choice=Choice())]
    assert sorted(listed) == [STUDY, OTHER]
    assert told[OTHER][0] == "Create"
    assert told[STUDY][0] == "Park" and "patient-conflict" in told[STUDY][1]
    assert not both.writes()
