"""Where the server thinks it is (docs/fhir-servers.md): pages and references are read at our base, by its own words."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.errors import Unsuitable
from syncd.plan.decide import Found
from syncd.publish.bases import Bases, PageGone
from syncd.publish.http import FhirConnection, FhirHttp
from syncd.publish.server import FhirServer
from tests.fakes.http import FakeServer, FakeTransport, Response
from tests.publish.scripted import Scripted, fhir, outcome, paths, server

PATIENT = {"resourceType": "Patient", "id": "a"}


def _at(fake: FakeServer, url: str) -> FhirServer:
    return FhirServer(FhirHttp(FhirConnection(url=url), transport=FakeTransport(fake)))


def _page(*resources: dict[str, Any], own: str = "", following: str = "", base: str = "") -> Response:
    links = [{"relation": "self", "url": own}] if own else []
    links += [{"relation": "next", "url": following}] if following else []
    entries = [
        {"resource": one, **({"fullUrl": f"{base}/{one['resourceType']}/{one['id']}"} if base else {})} for one in resources
    ]
    return fhir({"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries})


@pytest.mark.parametrize(
    ("ours", "own", "following", "asked"),
    [
        ("http://gw/r4", "http://in:80/fhir/Patient/_search", "http://in:80/fhir?_getpages=x", "/r4?_getpages=x"),
        ("http://gw/r4", "http://in:80/fhir/Patient?a=b", "http://in:80/fhir/Patient?page=2", "/r4/Patient?page=2"),
        ("http://gw/r4", "http://gw/fhir/Patient", "/fhir/Patient?page=2", "/r4/Patient?page=2"),
        ("http://gw/r4", "http://gw/r4/fhir/Patient/_search", "http://gw/r4/fhir?_getpages=x", "/r4?_getpages=x"),
        ("http://gw/fhir", "http://in/Patient/_search", "http://in?_getpages=x", "/fhir?_getpages=x"),
        ("http://gw/fhir", "http://in/Patient/_search", "http://in/?_getpages=x", "/fhir?_getpages=x"),
        ("http://gw", "http://in/fhir/Patient/_search", "http://in/fhir?_getpages=x", "/?_getpages=x"),
        ("http://gw/r4", "http://gw/r4/Patient/_search", "http://gw/r4?_getpages=x", "/r4?_getpages=x"),
        ("http://gw/r4", "", "http://elsewhere/r4/Patient?page=2", "/r4/Patient?page=2"),
        ("http://gw/r4", "", "?_getpages=x", "/r4?_getpages=x"),
        ("http://gw/r4", "", "Patient?page=2", "/r4/Patient?page=2"),
        ("http://gw/a/b", "http://in/Patient/tenant/fhir/Patient", "http://in/Patient/tenant/fhir?p=2", "/a/b?p=2"),
    ],
)
def test_a_page_is_asked_at_our_base(ours: str, own: str, following: str, asked: str) -> None:
    """RULES S2: path and query below the server's own base; never another host."""
    fake = Scripted(_page(PATIENT, own=own, following=following), _page({**PATIENT, "id": "b"}))
    assert [one["id"] for one in _at(fake, ours).search("Patient", {})] == ["a", "b"]
    path, _, query = asked.partition("?")
    request = fake.requests[1]
    assert (request.path.rstrip("/"), "&".join(f"{name}={text}" for name, text in request.query.items())) == (
        path.rstrip("/"),
        query,
    )


def test_the_base_may_be_told_by_where_the_matches_lie() -> None:
    """FHIR R4 3.1.1.1: `fullUrl`; not every server gives a self link."""
    fake = Scripted(_page(PATIENT, following="http://in/fhir?p=2", base="http://in/fhir"), _page({**PATIENT, "id": "b"}))
    assert len(list(_at(fake, "http://gw/r4").search("Patient", {}))) == 2
    assert list(paths(fake))[1] == "GET /r4"


def test_a_page_of_nobody_knows_where_is_told_with_the_cure() -> None:
    """docs/fhir-servers.md: cause and cure, instead of a 404 for ever."""
    fake = Scripted(_page(PATIENT, following="http://in/fhir?_getpages=x"))
    with pytest.raises(Unsuitable, match=r"/fhir.*http://gw/r4.*let the gateway"):
        list(_at(fake, "http://gw/r4").search("Patient", {}))


@pytest.mark.parametrize("path", ["../admin", "%2e%2e/admin", "Patient/..%2f../admin", "./x"])
def test_a_page_never_climbs_out_of_the_base(path: str) -> None:
    """RULES S2: our credentials stay below our base."""
    fake = Scripted(_page(PATIENT, own="http://in/fhir/Patient", following=f"http://in/fhir/{path}"))
    with pytest.raises(Unsuitable, match="outside"):
        list(server(fake).search("Patient", {}))
    assert len(fake.requests) == 1


def test_a_page_after_a_restart_is_read_at_the_servers_base_too() -> None:
    """RULES E8: the walk goes on where it stood; what the server calls itself is asked once more."""
    fake = Scripted(
        _page(own="http://in/fhir/Patient?_id=none"),
        _page(PATIENT, own="http://in/fhir?_getpages=x&o=1", following="http://in/fhir?_getpages=x&o=2"),
    )
    page = _at(fake, "http://gw/r4").search_page("Patient", {}, following="?_getpages=x&o=1")
    assert page.following == "?_getpages=x&o=2"


def test_a_page_that_nobody_serves_is_named_when_it_happens_again() -> None:
    """docs/fhir-servers.md: once it is a restart; then `/readyz` and `status` name the gateway."""
    first = _page(PATIENT, own="http://fake.invalid/fhir/Patient", following="http://fake.invalid/fhir?_getpages=x")
    fake = Scripted(first, outcome(status=404), first, outcome(status=404))
    asked = server(fake)
    with pytest.raises(PageGone, match="begun anew"):
        list(asked.search("Patient", {}))
    with pytest.raises(PageGone, match="gateway before it"):
        list(asked.search("Patient", {}))


@pytest.mark.parametrize("held", ["http://in:8080/fhir/Patient/p", "http://gw/r4/Patient/p", "Patient/p"])
def test_references_to_the_server_itself_are_read_as_relative_ones(held: str) -> None:
    """RULES B3: whatever the server calls itself; in searches and in reads, also before any search was asked."""
    study = {"resourceType": "ImagingStudy", "id": "1.2", "meta": {"versionId": "1"}, "subject": {"reference": held}}
    own = "http://in:8080/fhir/ImagingStudy/_search"
    read = _at(Scripted(fhir(study), _page(own=own)), "http://gw/r4").read("ImagingStudy", "1.2")
    assert isinstance(read, Found) and read.resource["subject"] == {"reference": "Patient/p"}
    (found,) = _at(Scripted(_page(study, own=own)), "http://gw/r4").search("ImagingStudy", {})
    assert found["subject"] == {"reference": "Patient/p"}


def test_references_to_other_servers_stay_and_cost_one_question() -> None:
    """RULES B4: an absolute reference to another server is another server's."""
    study = {"resourceType": "ImagingStudy", "id": "1.2", "subject": {"reference": "http://else/fhir/Patient/p"}}
    fake = Scripted(fhir(study), _page(own="http://fake.invalid/fhir/ImagingStudy/_search"), fhir(study))
    asked = server(fake)
    for _ in range(2):
        read = asked.read("ImagingStudy", "1.2")
        assert isinstance(read, Found) and read.resource == study
    assert len(fake.requests) == 3


def test_a_server_that_names_itself_anew_each_time_is_not_remembered_for_ever() -> None:
    """RULES E8: bounded."""
    bases = Bases("http://gw/r4")
    for number in range(100):
        bases.learn(f"http://in{number}/fhir/Patient", asked="Patient")
    assert bases.relative("http://in99/fhir/Patient/p") == "Patient/p"
    assert bases.relative("http://in9/fhir/Patient/p") == "http://in9/fhir/Patient/p"
