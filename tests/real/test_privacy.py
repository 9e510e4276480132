"""Nothing that syncd writes or shows names a patient or holds a secret, least of all when things go wrong (RULES S1).

Every `Installation` of these tests is searched when its test ends; here the situations are made in which an error's own
text would be the leak.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.planted import FHIR_PASSWORD, PATIENT
from tests.proxy import Answer
from tests.real.installation import Installation, study
from tests.servers import Archive, FhirServer


def test_neither_log_nor_page_names_a_patient_or_a_secret(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES S1: with a server that repeats the patient's data in its refusals, at the most talkative log level."""
    auth = {"KIND": "basic", "USERNAME": "syncd", "PASSWORD": FHIR_PASSWORD}
    site = install(archive, hapi, **{f"SYNCD_FHIR__AUTH__{name}": value for name, value in auth.items()})
    site.sent_values.add(FHIR_PASSWORD)
    refused, refused_files = study("refused in private")
    taken, taken_files = study("taken in private")
    odd, odd_files = study("odd", PatientBirthDate=b"19370311x", PatientSex=b"Quagmire", SeriesNumber=b"Zebulon")
    site.before_fhir.fail(_echoing(422), method="PUT", path=f"/ImagingStudy/{refused}")
    site.before_fhir.fail(_echoing(500), method="PUT", path="/Patient/", times=1)
    site.syncd.start()
    site.send(*refused_files, *taken_files, *odd_files)
    site.wait_for(taken, odd)
    site.syncd.wait(lambda: site.syncd.parked() == {refused: "refused"}, what="parked")
    authorization = {one.headers.get("authorization", "")[:6] for one in site.before_fhir.exchanges()}
    assert authorization == {"Basic "}

    pages = [site.syncd.page(path) for path in ("/livez", "/readyz", "/readyz?verbose", "/metrics", "/api/status")]
    assert [page.status for page in pages] == [200] * 5
    assert "syncd_" in pages[3].text
    site.syncd.command("status", expect=0)
    site.syncd.command("check", expect=0)
    site.syncd.command("config", "show", expect=0)
    site.syncd.command("resync", expect=1)
    assert site.syncd.events("study_decided")
    assert site.leaks() == []
    for page in pages:
        assert taken not in page.text


@pytest.mark.parametrize("leaked", [PATIENT["PatientName"], "Zebulon", "1937-03-11", "19370311", "PID-", "ACC-", "password"])
def test_a_leak_would_be_found(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation], leaked: str
) -> None:
    """The search itself: each kind of value, in the midst of a line of the log."""
    site = install(archive, hapi)
    study_uid, files = study("leaking")
    site.noted(files[0])
    value = {"PID-": f"PID-{study_uid[-9:]}", "ACC-": f"ACC-{study_uid[-9:]}", "password": archive.password}.get(
        leaked, leaked
    )
    site.syncd.said.append(json.dumps({"event": "said", "about": f"of {value}, and so on", "study_uid": study_uid}))
    assert value in site.leaks()
    site.syncd.said.clear()
    assert site.leaks() == []


def _echoing(status: int) -> Answer:
    """A refusal that repeats what was sent, as servers do."""
    said = f"{PATIENT['PatientName']}, born {PATIENT['PatientBirthDate']} (1937-03-11), must not be stored"
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid", "diagnostics": said}]}
    return Answer(status=status, body=json.dumps(outcome).encode(), headers={"Content-Type": "application/fhir+json"})
