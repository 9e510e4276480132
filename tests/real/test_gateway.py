"""A real HAPI behind a gateway: under another base URL, by another name, and with headers that a proxy changed.

The gateway lets through what lies below its own path, and nothing else; HAPI knows itself by its own address, and says so in
links to further pages and in locations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from syncd.publish import server as publishing
from syncd.publish.http import FhirConnection, FhirHttp
from syncd.publish.server import FhirServer as Publisher
from tests.gateway import Gateway
from tests.proxy import RecordingProxy
from tests.real.installation import Installation, further, study
from tests.servers import Archive, FhirServer

Before = Callable[..., RecordingProxy]


@pytest.fixture
def gateway(hapi: FhirServer) -> Iterator[Before]:
    """`gateway(outside="/r4", …)`: a gateway before the session's HAPI."""
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(
            RecordingProxy(hapi.url, gateway=Gateway(**{"outside": "/r4", "inside": "/fhir", **how}))
        )


def _behind(proxy: RecordingProxy, outside: str = "/r4") -> Publisher:
    return Publisher(FhirHttp(FhirConnection(url=proxy.url + outside)))


@pytest.mark.parametrize("outside", ["/r4", "", "/fhir", "/tenant/fhir", "/fhir/fhir"])
@pytest.mark.parametrize("keeps_host", [True, False], ids=["same-host", "other-host"])
def test_all_pages_are_read_at_our_base(
    hapi: FhirServer, gateway: Before, monkeypatch: pytest.MonkeyPatch, outside: str, keeps_host: bool
) -> None:
    """RULES S2: HAPI names `/fhir?_getpages=…`; what is asked lies below the gateway's path."""
    monkeypatch.setattr(publishing, "PAGE", "2")
    tag = f"gateway-{outside.replace('/', '-')}-{keeps_host}"
    ids = [f"{tag}-{number}" for number in range(5)]
    for one in ids:
        meta = {"tag": [{"system": "urn:gateway", "code": tag}]}
        assert (
            hapi.put(f"Basic/{one}", {"resourceType": "Basic", "id": one, "meta": meta, "code": {"text": "x"}}).status == 201
        )
    proxy = gateway(outside=outside, keeps_host=keeps_host)
    found = [one["id"] for one in _behind(proxy, outside).search("Basic", {"_tag": f"urn:gateway|{tag}"})]
    assert sorted(found) == ids
    pages = proxy.exchanges(method="GET", path="_getpages")
    assert [one.path.partition("?")[0].rstrip("/") for one in pages] == [outside, outside]


@pytest.mark.parametrize(
    ("etag", "drops"),
    [
        (lambda etag: etag[:-1] + '-gzip"', frozenset()),
        (lambda etag: etag.removeprefix("W/"), frozenset()),
        (lambda etag: etag[:-1] + '-gzip"', frozenset({"content-location", "location"})),
        (lambda etag: None, frozenset({"content-location"})),
        (lambda etag: '"d41d8cd98f00b204e9800998ecf8427e"', frozenset({"last-modified"})),
    ],
    ids=["gzip", "strong", "gzip, and no location", "no etag, no location", "another etag"],
)
@pytest.mark.quick("gzip, and no location")
def test_a_changed_etag_misleads_nobody(
    archive: Archive,
    hapi: FhirServer,
    install: Callable[..., Installation],
    etag: Callable[[str], str | None],
    drops: frozenset[str],
    request: pytest.FixtureRequest,
) -> None:
    """RULES C4: the version in the body or the location wins, and If-Match names the true one."""
    site = install(archive, hapi)
    site.before_fhir.gateway = Gateway(outside="/r4", inside="/fhir", etag=etag, drops=drops)
    site.syncd.variables["SYNCD_FHIR__URL"] = f"{site.before_fhir.url}/r4"
    words = f"etag {request.node.callspec.id}"
    uid, files = study(words)
    site.send(*files)
    site.wait_stable(uid)
    site.syncd.command("resync", expect=0)
    site.syncd.command("resync", expect=0)
    assert len(site.puts(uid)) == 1
    site.send(further(words, number=2))
    site.wait_stable(uid)
    site.syncd.command("resync", expect=0)
    assert [(one.status, one.headers.get("if-match")) for one in site.puts(uid)] == [(201, 'W/"0"'), (200, 'W/"1"')]
    site.assert_equal()
    site.syncd.command("audit", "--deep", expect=0)


@pytest.mark.parametrize("bare", [True, False], ids=["good", "lets no page through"])
@pytest.mark.quick("lets no page through")
def test_check_turns_a_page_through_the_gateway(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation], bare: bool
) -> None:
    """docs/fhir-servers.md: cause and cure before the daemon would meet it, exit 3."""
    site = install(archive, hapi)
    made = [study(f"page of {'good' if bare else 'bad'} gateway {number}") for number in range(2)]
    for _, files in made:
        site.send(*files)
    site.wait_stable(*(uid for uid, _ in made))
    site.before_fhir.gateway = Gateway(outside="/r4", inside="/fhir", bare=bare)
    site.syncd.variables["SYNCD_FHIR__URL"] = f"{site.before_fhir.url}/r4"
    site.syncd.command("resync", expect=0)
    said = site.syncd.command("check", expect=0 if bare else 3).out
    assert site.before_fhir.count(method="GET", path=r"^/r4/?\?_getpages") == 1
    assert ("a gateway before it must let through what lies at the base URL itself" in said) is not bare
