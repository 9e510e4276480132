"""The FHIR server away, in every way that a network knows: nothing is lost, nothing is written twice, nobody is blamed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest

from tests.proxy import Answer, Drop, Hold, LoseReply
from tests.real.installation import Installation, study
from tests.servers import Archive, FhirServer

SENT = 12


def test_an_outage_loses_nothing_and_costs_no_study_an_attempt(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES C6 and docs/cases.md "FHIR server away for the whole of an import": the breaker opens, no row is touched."""
    site = install(archive, hapi)
    site.syncd.start()
    site.before_fhir.cut_connections()
    site.before_fhir.fail(Drop())
    uids = _sent(site, "away")
    site.syncd.wait(lambda: site.syncd.status()["target"]["state"] == "open", what="the FHIR server is said to be away")
    site.syncd.wait(lambda: site.syncd.status()["studies"]["dirty"] == SENT, what="all marked")
    page = site.syncd.page("/readyz")
    assert page.status == 503
    assert "FHIR server cannot be reached" in page.text
    assert site.syncd.page("/livez").status == 200
    site.syncd.wait(lambda: site.syncd.command("status").code == 3, what="exit 3 of status, by the heartbeat")
    # Until it was probed once more: an outage that lasts costs nothing either.
    refused = site.before_fhir.count()
    site.before_fhir.wait_for(lambda all_of_them: len(all_of_them) > refused)
    assert set(site.syncd.attempts().values()) == {0}
    site.before_fhir.heal()
    _assert_all_arrive_once(site, uids)


@pytest.mark.long
def test_a_restart_of_the_server_in_the_middle_loses_nothing(
    archive: Archive, second_hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES C5, C6: a real HAPI, stopped while studies are being written, and started again with its data."""
    site = install(archive, second_hapi)
    site.syncd.start()
    first = _sent(site, "restart, first")
    site.before_fhir.wait_for(lambda seen: any(one.method == "PUT" and "/ImagingStudy/" in one.path for one in seen))
    second_hapi.stop()
    second = _sent(site, "restart, second")
    site.syncd.wait(lambda: site.syncd.status()["target"]["state"] == "open", what="the FHIR server is said to be away")
    second_hapi.start()
    _assert_all_arrive_once(site, first + second)


def test_a_write_whose_reply_was_lost_is_read_and_not_repeated(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES C5: read before anything else is sent for that study; equal to the intent, so it is recorded."""
    site = install(archive, hapi)
    (study_uid,) = _sent(site, "lost reply", number=1)
    site.wait_stable(study_uid)
    site.before_fhir.fail(LoseReply(), method="PUT", path="/ImagingStudy/", times=1)
    site.syncd.command("resync", expect=0)
    about = site.before_fhir.exchanges(method="GET|PUT", path=f"/ImagingStudy/{study_uid}$")
    assert [one.method for one in about] == ["PUT", "GET"]
    assert site.statuses(study_uid) == ["available"]


@pytest.mark.long
def test_a_busy_server_is_asked_again_and_its_neighbours_are_not_held_up(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES C6: 503 and 429 for one study are transient; others go on meanwhile."""
    site = install(archive, hapi)
    site.syncd.start()
    busy, calm = study("busy"), study("calm")
    outcome = json.dumps({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "throttled"}]})
    json_type = {"Content-Type": "application/fhir+json", "Retry-After": "1"}
    rule = site.before_fhir.fail(
        Answer(status=429, body=outcome.encode(), headers=json_type), method="PUT", path=f"/ImagingStudy/{busy[0]}"
    )
    site.send(*busy[1], *calm[1])
    site.wait_for(calm[0])
    site.syncd.wait(lambda: len(site.puts(busy[0])) >= 2, what="tried again")
    assert site.syncd.parked() == {}
    site.before_fhir.remove_rule(rule)
    site.wait_for(busy[0])


@pytest.mark.long
def test_an_archive_that_goes_away_while_studies_are_read_costs_none_an_attempt(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES C6: the archive has a breaker of its own; the FHIR server is not blamed."""
    site = install(archive, hapi)
    site.syncd.start()
    rule = site.before_archive.fail(Drop(), path="^/(studies|series|instances|system|plugins)")
    uids = _sent(site, "unread")
    site.syncd.wait(lambda: "archive" in site.syncd.page("/readyz").text, what="the archive is said to be away")
    site.syncd.wait(lambda: site.syncd.status()["studies"]["dirty"] == SENT, what="all marked")
    asked = site.before_archive.count(path="^/system")
    site.before_archive.wait_for(lambda seen: sum(one.path == "/system" for one in seen) > asked)
    assert set(site.syncd.attempts().values()) == {0}
    assert site.syncd.status()["target"]["state"] == "ok"
    site.before_archive.remove_rule(rule)
    _assert_all_arrive_once(site, uids)


def test_a_study_that_the_archive_cannot_read_holds_up_no_other(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES C6: a broken file or index entry is one study's trouble."""
    site = install(archive, hapi)
    broken, whole = _sent(site, "broken", number=1)[0], _sent(site, "whole", number=1)[0]
    rule = site.before_archive.fail(Answer(status=500), path=f"^/studies/{archive.study_ids(broken)[0]}")
    site.syncd.start()
    site.wait_for(whole)
    site.syncd.wait(lambda: _tries(site, broken) >= 2, what="tried again")
    assert site.syncd.parked() == {}
    site.before_archive.remove_rule(rule)
    site.wait_for(broken)


def test_sigterm_lets_the_write_in_flight_end(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """README.md, Commands; docs/cases.md "SIGTERM drains": what was sent is also recorded, and is not sent again."""
    site = install(archive, hapi)
    (study_uid,) = _sent(site, "in flight", number=1)
    site.wait_stable(study_uid)
    hold = Hold(until=threading.Event())
    site.before_fhir.fail(hold, method="PUT", path="/ImagingStudy/", times=1)
    site.syncd.start()
    assert hold.reached.wait(60)
    releasing = threading.Thread(target=lambda: site.syncd.wait(_says_stopping(site), what="stopping"))
    releasing.start()
    stopping = threading.Thread(target=site.syncd.stop)
    stopping.start()
    releasing.join()
    hold.until.set()
    stopping.join()
    assert site.says(study_uid)
    site.before_fhir.forget()
    ended = site.syncd.command("resync", "--full", "--json", expect=0)
    assert ended.json["decisions"] == {"Skip": 1}
    assert site.before_fhir.writes() == ()


def _sent(site: Installation, words: str, *, number: int = SENT) -> list[str]:
    made = [study(f"{words} {place}", instances=2) for place in range(number)]
    for _, files in made:
        site.send(*files)
    return [study_uid for study_uid, _ in made]


def _assert_all_arrive_once(site: Installation, uids: list[str]) -> None:
    site.wait_for(*uids, instances=2)
    site.wait_settled()
    assert site.syncd.parked() == {}
    assert site.syncd.page("/readyz").status == 200
    for study_uid in uids:
        answered = [put for put in site.puts(study_uid) if put.status]
        assert len(answered) <= 2
        assert site.statuses(study_uid) in (["available"], ["registered", "available"])
    site.assert_equal()


def _says_stopping(site: Installation) -> Callable[[], bool]:
    return lambda: bool(site.syncd.events("stopping"))


def _tries(site: Installation, study_uid: str) -> int:
    """Failed tries of a study, of which only those count as attempts between which another study was written."""
    decided = site.syncd.events("study_decided")
    return sum(one.get("study_uid") == study_uid and str(one.get("reason", "")).startswith("try ") for one in decided)
