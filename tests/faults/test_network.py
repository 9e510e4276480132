"""A network that fails one request in five, in every way, on either side: later, but never less and never twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.importing import Import
from tests.faults.weather import KINDS, SHARE, Weather
from tests.real.installation import Installation
from tests.servers import VERSIONS, Archive, FhirServer

OLD, NEW = VERSIONS
STUDIES = 60

FEWEST = 3
"""How often every kind of fault must have been met."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("side", "version"), [("fhir", OLD), ("archive", NEW)])
def test_an_import_survives_a_network_that_fails_one_request_in_five(
    new_orthanc: Callable[..., Archive], hapi: FhirServer, install: Callable[..., Installation], side: str, version: str
) -> None:
    """RULES C5, C6, docs/cases.md "through a proxy on the real one": dropped, delayed, cut short, 500, 503, 429."""
    site = install(new_orthanc(version), hapi)
    whole = Import.of(site, number=STUDIES)
    proxy = site.before_fhir if side == "fhir" else site.before_archive
    weather = Weather(7)
    site.syncd.start()
    proxy.add_rule(weather)
    with whole.arriving():
        site.syncd.wait(
            lambda: whole.published() >= STUDIES * 2 // 3,
            what="two thirds of the studies published in spite of all that",
            timeout=120.0,
        )
    proxy.heal()
    whole.complete(timeout=180.0)
    assert min(weather.met[kind] for kind in KINDS) >= FEWEST, weather.met
    assert weather.met.total() >= SHARE / 2 * (weather.met.total() + weather.calm)
    whole.check()
