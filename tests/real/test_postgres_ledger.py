"""syncd with its ledger in PostgreSQL: killed, doubled, and robbed of its lock (RULES E4)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from syncd.ledger.ledger import Ledger
from tests.daemon import Syncd
from tests.postgres import PASSWORD, Postgres
from tests.proxy import Hold
from tests.real.installation import Installation, study
from tests.servers import Archive, FhirServer

SENT = 12


@pytest.fixture
def site(archive: Archive, hapi: FhirServer, install: Callable[..., Installation], postgres: Postgres) -> Installation:
    """Whose password, too, must never be written."""
    made = install(archive, hapi, SYNCD_LEDGER__URL=postgres.new_database())
    made.sent_values |= {PASSWORD, made.syncd.ledger_url.partition("@")[0].rpartition(":")[2]}
    return made


def _sent(site: Installation, words: str, *, number: int = SENT) -> list[str]:
    uids = []
    for count in range(number):
        study_uid, files = study(f"{words} {count}")
        site.send(*files)
        uids.append(study_uid)
    return uids


def test_a_daemon_that_was_killed_goes_on_where_its_ledger_stands(site: Installation) -> None:
    """RULES A2, E4; docs/cases.md "kill -9 between PUT and commit": the lock is free at once, nothing is lost or written
    twice."""
    site.syncd.start()
    uids = _sent(site, "killed")
    site.before_fhir.wait_for(lambda seen: sum(one.method == "PUT" and "/ImagingStudy/" in one.path for one in seen) >= 2)
    site.syncd.kill()
    site.syncd.start()
    site.wait_for(*uids)
    site.wait_settled()
    for one in uids:
        assert site.statuses(one) in (["available"], ["registered", "available"])
    site.assert_equal()
    assert "alive" in site.syncd.command("status", expect=0).out
    shown = site.syncd.command("config", "show", expect=0).out
    assert "postgresql://ledger:••••@127.0.0.1" in shown
    assert "held by a running syncd" in site.syncd.command("check", expect=0).out
    site.syncd.command("resync", expect=0)  # beside the daemon: marks from a second process
    site.syncd.stop()
    site.syncd.command("resync", expect=0)  # and alone, as the owner
    assert "no daemon is running" in site.syncd.command("check", expect=0).out


def test_a_second_daemon_on_the_same_ledger_refuses(site: Installation) -> None:
    """docs/cases.md "two daemons on one ledger": exit 4, and it says who holds it."""
    site.syncd.start()
    twin = Syncd(site.syncd.directory / "twin", variables=site.syncd.variables)
    refused = twin.command("run", expect=4)
    assert "is held by process" in refused.err
    assert PASSWORD not in refused.err + refused.out
    site.syncd.stop()


def test_a_daemon_that_lost_its_lock_to_another_writes_nothing_any_more(site: Installation, postgres: Postgres) -> None:
    """RULES E4: `pg_terminate_backend` on the lock's session, another owner at once: exit 4, and no write after it."""
    site.syncd.start()
    (before,) = _sent(site, "before", number=1)
    site.wait_for(before)
    site.wait_settled()
    hold = Hold(until=threading.Event())
    site.before_archive.fail(hold, path="^/studies/")
    uids = _sent(site, "robbed", number=2)
    assert hold.reached.wait(60)
    with _robbed(postgres, site):
        written = site.before_fhir.count(method="PUT|POST|DELETE", path="^(?!.*_search)")
        hold.until.set()
        assert site.syncd.ended() == 4
        assert site.before_fhir.count(method="PUT|POST|DELETE", path="^(?!.*_search)") == written
    assert "taken the ledger over" in site.syncd.log_text()
    site.syncd.start()
    site.wait_for(*uids)
    site.syncd.stop()


def test_a_daemon_whose_lock_was_only_cut_off_goes_on(site: Installation, postgres: Postgres) -> None:
    """RULES E4: nobody else came, so it owns the ledger again, and a study that arrives is published."""
    site.syncd.start()
    assert postgres.end_sessions("owns") == 1
    uids = _sent(site, "cut off", number=2)
    site.wait_for(*uids)
    site.syncd.stop()


def _robbed(postgres: Postgres, site: Installation) -> Ledger:
    """The ledger, taken from the daemon, which asks for its lock again with each heartbeat and may be the quicker one."""
    daemon = site.syncd.status()["pid"]
    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(Ledger.open, site.syncd.ledger_url)
        while not wait([taking], timeout=0.2).done:
            postgres.end_sessions("owns", pid=daemon)
    return taking.result()
