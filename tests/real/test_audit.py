"""`syncd audit` on real servers: what was edited, deleted, duplicated and never sent is found and put right.

docs/cases.md, Convergence; once beside a running daemon, once without one (README.md, `audit`).
"""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from tests.real.conftest import Install
from tests.real.installation import Installation, study
from tests.servers import Archive, FhirServer

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
FHIR_JSON = "application/fhir+json"


def _send(site: Installation, method: str, resource_id: str, resource: dict[str, Any] | None = None) -> None:
    """Another program, past syncd's proxy."""
    request = urllib.request.Request(
        f"{site.fhir.base_url}/ImagingStudy/{resource_id}",
        data=json.dumps(resource).encode() if resource is not None else None,
        headers={"Content-Type": FHIR_JSON},
        method=method,
    )
    with _direct.open(request, timeout=30) as answer:
        assert answer.status in (200, 201)


def _found(site: Installation, *words: str, code: int) -> dict[str, Any]:
    document: dict[str, Any] = site.syncd.command("audit", "--json", *words, expect=code).json
    return document


def _kinds(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(one["study"], one["kind"]) for one in document["differences"]}


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside a daemon"])
@pytest.mark.quick("beside a daemon")
def test_what_differs_is_found_and_repaired(archive: Archive, hapi: FhirServer, install: Install, beside: bool) -> None:
    """docs/cases.md: edited, deleted, duplicated, missing; found, shallow and deep; repaired; then exit 0."""
    words = "audited beside" if beside else "audited alone"
    site = install(archive, hapi)
    uids = []
    for number, name in enumerate(("edited", "deleted", "duplicated", "kept")):
        uid, files = study(f"{words} {name}", series=2, instances=number + 1)
        uids.append(uid)
        site.send(*files)
    edited, deleted, duplicated, kept = uids
    site.wait_stable(*uids)
    site.syncd.command("resync", expect=0)
    assert _kinds(_found(site, "--deep", code=0)) == set()
    if beside:
        site.syncd.start()
        site.wait_settled()

    resource = site.resource(edited)
    assert resource is not None
    note = {"text": "seen by somebody"}
    _send(site, "PUT", edited, {**resource, "description": "somebody else's words", "note": [note]})
    _send(site, "DELETE", deleted)
    copy = {name: value for name, value in (site.resource(duplicated) or {}).items() if name != "meta"}
    _send(site, "PUT", f"copy-{duplicated[-20:]}", {**copy, "id": f"copy-{duplicated[-20:]}"})
    never, files = study(f"{words} never")
    expected = {(edited, "drifted"), (deleted, "missing"), (duplicated, "duplicate")}
    if not beside:  # a daemon would not leave it out
        site.send(*files)
        site.wait_stable(never)
        expected.add((never, "missing"))

    before = len(site.puts(edited)) + len(site.puts(deleted))
    found = _found(site, code=1)
    assert _kinds(found) == expected
    assert _kinds(_found(site, "--deep", code=1)) == expected
    assert len(site.puts(edited)) + len(site.puts(deleted)) == before, "nothing is written without --repair"
    (drift,) = (one for one in found["differences"] if one["study"] == edited)
    assert drift["elements"] == ["description"]
    explained = site.syncd.command("explain", edited, "--json", expect=1).json
    assert (explained["fhir"]["differing"], explained["fhir"]["foreign"]) == (["description"], ["note"])

    left = _found(site, "--repair", code=1)
    assert _kinds(left) == {(duplicated, "duplicate")}, "a person decides which one goes"
    assert left["repaired"] == len(expected) - 1
    _send(site, "DELETE", f"copy-{duplicated[-20:]}")
    assert _kinds(_found(site, "--deep", code=0)) == set()
    assert (site.resource(edited) or {})["note"] == [note], "what others wrote stays"
    assert site.syncd.command("explain", kept, expect=0).code == 0
    assert len(site.puts(kept)) == 1
    site.assert_equal()
    if beside:
        site.syncd.stop()
