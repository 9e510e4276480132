"""A real HAPI behind something that refuses writes: 403 and 405 are about us, 413 is about the study (RULES C6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.proxy import Answer, Fault, Request
from tests.real.installation import Installation, further, study
from tests.servers import Archive, FhirServer

LIMIT = 4_000
"""Bytes that the proxy of the 413 lets through: more than a summary, less than thirty instances."""

PAUSES = {
    403: "the FHIR server forbids writing (403): check SYNCD_FHIR__AUTH__*",
    405: "answered 405: check SYNCD_FHIR__URL and SYNCD_FHIR__AUTH__*",
}
"""What /readyz says of a server that refuses every write so."""


WORDS = "refused write"
"""What the names of these studies begin with."""


def _thirty(words: str) -> tuple[str, list[bytes]]:
    return study(f"{WORDS} {words}", instances=30)


def _refusal(status: int) -> Answer:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "forbidden"}]}
    return Answer(status=status, body=json.dumps(outcome).encode(), headers={"Content-Type": "application/fhir+json"})


@pytest.fixture
def site(archive: Archive, hapi: FhirServer, install: Callable[..., Installation]) -> Installation:
    """A running daemon that has published nothing yet."""
    installed = install(archive, hapi)
    installed.syncd.start()
    return installed


def test_a_server_that_refuses_every_write_is_paused_and_no_study_is_blamed(site: Installation) -> None:
    """RULES C6: 403 and 405 for whatever we write; nothing is parked and no attempt is counted, however often it is tried
    again; well again, each study is written without anybody's help."""
    # A 403 is a study's own if others were taken lately, so it is tried before any was.
    uids = [study_uid for status in (403, 405) for study_uid in _written_after(site, status)]
    assert site.syncd.page("/readyz").status == 200
    for study_uid in uids:
        assert site.statuses(study_uid) in (["available"], ["registered", "available"])
    site.assert_equal()


def _written_after(site: Installation, status: int) -> list[str]:
    """Studies that arrive while every write of a study is refused so, and are written when no more are."""
    made = [study(f"{WORDS} all {status} {number}") for number in range(3)]
    uids = [study_uid for study_uid, _ in made]
    rule = site.before_fhir.fail(_refusal(status), method="PUT", path="/ImagingStudy/")
    for _, files in made:
        site.send(*files)
    site.wait_stable(*uids)
    site.before_fhir.wait_for(lambda seen: sum(one.status == status for one in seen) > len(uids))
    site.syncd.wait(lambda: PAUSES[status] in site.syncd.page("/readyz").text, what="said at /readyz")
    site.syncd.wait(lambda: site.syncd.status()["target"]["state"] == "paused", what="paused")
    assert site.syncd.parked() == {}
    assert site.syncd.attempts() == dict.fromkeys(uids, 0)
    assert [study_uid for study_uid in uids if site.resource(study_uid)] == []
    site.before_fhir.remove_rule(rule)
    site.wait_for(*uids, instances=1)
    site.wait_settled()
    return uids


def test_what_is_refused_of_one_study_holds_up_no_other(site: Installation) -> None:
    """RULES C6: 403 while others are taken parks `forbidden`; 413 leaves the instances out, and parks `too-large` where that
    is too much as well; neighbours go on, and what is parked is sent when somebody asks for it."""
    forbidden, large, huge, calm = (_thirty(words) for words in ("forbidden", "large", "huge", "calm"))
    site.send(*calm[1])
    site.wait_for(calm[0], instances=30)
    site.before_fhir.fail(_refusal(403), method="PUT", path=f"/ImagingStudy/{forbidden[0]}$")
    site.before_fhir.fail(Answer(status=413), method="PUT", path=f"/ImagingStudy/{huge[0]}$")
    site.before_fhir.add_rule(_no_longer_than(LIMIT, f"/ImagingStudy/{large[0]}"))
    for _, files in (forbidden, large, huge):
        site.send(*files)
    site.send(further(f"{WORDS} calm", number=31))
    site.wait_for(large[0], calm[0])
    site.wait_for(calm[0], instances=31)
    site.wait_for(large[0], instances=30)
    parked = {forbidden[0]: "forbidden", huge[0]: "too-large"}
    site.syncd.wait(lambda: site.syncd.parked() == parked, what="parked")
    site.wait_settled()
    assert site.syncd.page("/readyz").status == 200
    assert "instance" not in _series(site, large[0])
    assert "instance" in _series(site, calm[0])
    assert (site.resource(large[0]) or {})["numberOfSeries"] == 1
    before = len(site.puts(forbidden[0])), len(site.puts(huge[0]))
    assert site.syncd.command("resync").code == 1
    assert (len(site.puts(forbidden[0])), len(site.puts(huge[0]))) == before, "what was refused is not sent again"

    site.before_fhir.heal()
    site.syncd.command("parked", "retry", forbidden[0], huge[0], expect=0)
    site.wait_for(forbidden[0], huge[0], instances=30)
    site.wait_settled()
    assert site.syncd.parked() == {}
    assert "instance" in _series(site, forbidden[0])
    assert "instance" in _series(site, huge[0]), "whoever asks for a retry has made room"
    site.assert_equal(accepted={large[0]: "in summary form, because of the 413"})


def _no_longer_than(limit: int, path: str) -> Callable[[Request], Fault | None]:
    """As a reverse proxy does with its limit of a body (nginx: `client_max_body_size`)."""

    def rule(request: Request) -> Fault | None:
        if request.method == "PUT" and path in request.path and len(request.body) > limit:
            return Answer(status=413, body=b"<html>Request Entity Too Large", headers={"Content-Type": "text/html"})
        return None

    return rule


def _series(site: Installation, study_uid: str) -> dict[str, Any]:
    found: dict[str, Any] = (site.resource(study_uid) or {})["series"][0]
    return found
