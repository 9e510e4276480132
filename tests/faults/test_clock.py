"""The machine's clock is set while the daemon runs (RULES E5; docs/cases.md "clock stepping back: no stall")."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.faketime import SettableClock
from tests.real.installation import Installation, further, study
from tests.servers import Archive, FhirServer

pytestmark = pytest.mark.real

HOUR, DAY = 3600, 86_400
ARRIVING = 10
"""Seconds that a study counts as arriving, so that no machine is too slow to see it."""


@pytest.fixture
def clock(tmp_path: Path) -> SettableClock:
    return SettableClock(tmp_path)


def test_set_back_an_hour_a_new_study_is_there_within_seconds(
    new_orthanc: Callable[..., Archive], hapi: FhirServer, install: Callable[..., Installation], clock: SettableClock
) -> None:
    """RULES A5, E5: neither the clockwork nor a study that was arriving at that moment waits for the hour to pass."""
    site = install(new_orthanc(stable_age=ARRIVING), hapi, **clock.variables)
    site.syncd.start()
    arriving, later = study("arriving at the step"), study("after the step back")
    site.send(*arriving[1])
    site.wait_for(arriving[0], status="registered")
    clock.set(-HOUR)
    site.syncd.wait(lambda: site.syncd.events("clock_step_noticed"), what="the step noticed")
    site.send(*later[1])
    site.wait_for(arriving[0], later[0])
    site.send(further("after the step back", number=2))
    site.wait_for(later[0], instances=2)
    site.wait_settled()
    site.syncd.wait(lambda: site.syncd.page("/readyz").status == 200, what="ready")
    site.assert_equal()


def test_set_forward_a_day_nothing_is_lost_and_nothing_comes_in_a_storm(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation], clock: SettableClock
) -> None:
    """RULES E5: 432,000 polls were missed by the clock, and one is made up for; no study is written again."""
    site = install(archive, hapi, **clock.variables)
    site.syncd.start()
    before, later = study("before the step forward"), study("after the step forward")
    site.send(*before[1])
    site.wait_for(before[0])
    site.wait_settled()
    site.before_fhir.forget()
    site.before_archive.forget()
    clock.set(DAY)
    site.syncd.wait(lambda: site.syncd.events("clock_step_noticed"), what="the step noticed")
    site.send(*later[1])
    site.wait_for(later[0])
    site.wait_settled()
    assert site.puts(before[0]) == ()
    assert site.before_archive.count(path=r"^/studies$") <= 2, "one sweep was due, and at most one more was wanted"
    site.assert_equal()


def test_set_back_while_no_daemon_runs_nothing_waits_for_it(
    new_orthanc: Callable[..., Archive], hapi: FhirServer, install: Callable[..., Installation], clock: SettableClock
) -> None:
    """RULES E5: on load, times that lie ahead are brought within reason."""
    site = install(new_orthanc(stable_age=ARRIVING), hapi, **clock.variables)
    site.syncd.start()
    arriving = study("arriving at the stop")
    site.send(*arriving[1])
    site.wait_for(arriving[0], status="registered")
    site.syncd.stop()
    clock.set(-HOUR)
    site.syncd.start()
    site.wait_for(arriving[0])
    site.wait_settled()
    site.assert_equal()
