"""SIGKILL of each of the three in the middle of an import: what was done stays done, and the rest is done once."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.faults.importing import Import, moments
from tests.real.installation import Installation
from tests.servers import VERSIONS, Archive, FhirServer

OLD, NEW = VERSIONS

STUDIES = 200
DEATHS_BY_WORK, DEATHS_BY_TIME = 9, 3
"""Some deaths come after so many writes, which spreads them over the import; some while syncd starts and lists."""

New = Callable[..., Archive]
Install = Callable[..., Installation]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [5])
def test_an_import_survives_any_number_of_deaths(new_orthanc: New, hapi: FhirServer, install: Install, seed: int) -> None:
    """RULES A1, A2, C3, C5: syncd killed twelve times within an import of 200 studies."""
    site = install(new_orthanc(NEW), hapi)
    whole, chance, deaths = Import.of(site, number=STUDIES), random.Random(seed), 0
    with whole.arriving():
        for delay in [chance.uniform(0.3, 3.0) for _ in range(DEATHS_BY_TIME)]:
            site.syncd.start_only()
            with pytest.raises(AssertionError, match="not dead"):
                site.syncd.wait(lambda: False, what="dead", timeout=delay)
            deaths += _killed(site)
        for moment in moments(seed, number=DEATHS_BY_WORK, within=STUDIES):
            site.syncd.start_only()
            site.syncd.wait(lambda moment=moment: whole.written >= moment, what=f"{moment} writes")  # type: ignore[misc]
            deaths += _killed(site)
        site.syncd.start_only()
    whole.complete()
    assert deaths == DEATHS_BY_WORK + DEATHS_BY_TIME
    whole.check()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("alive", [True, False], ids=["syncd-lives", "syncd-dies-too"])
@pytest.mark.quick("syncd-lives-1.12.7", "syncd-dies-too-1.10.1")
def test_studies_become_available_though_orthanc_died_while_they_arrived(
    new_orthanc: New, hapi: FhirServer, install: Install, version: str, alive: bool
) -> None:
    """RULES A5, docs/cases.md "killed inside StableAge": StableStudy never comes, and nothing depends on it."""
    archive = new_orthanc(version, stable_age=20)
    site = install(archive, hapi)
    whole = Import.of(site, number=6)
    site.syncd.start()
    with whole.arriving():
        pass
    if alive:
        site.wait_for(*whole.studies, status="registered")
    else:
        site.syncd.kill()
    archive.kill()
    archive.start()
    if not alive:
        site.syncd.start_only()
    whole.complete()
    assert not [one for one in archive.get("/changes?limit=1000")["Changes"] if one["ChangeType"] == "StableStudy"]
    whole.check()


@pytest.mark.timeout(600)
def test_an_import_survives_the_death_of_the_fhir_server(
    new_orthanc: New, second_hapi: FhirServer, install: Install
) -> None:
    """RULES C5, C6: HAPI killed while studies are written; no study is blamed, none is written twice."""
    fhir = second_hapi
    site = install(new_orthanc(OLD), fhir)
    whole = Import.of(site, number=60)
    site.syncd.start()
    with whole.arriving():
        site.syncd.wait(lambda: whole.written >= 15, what="writing")
        fhir.kill()
        site.syncd.wait(lambda: site.syncd.status()["target"]["state"] == "open", what="the FHIR server is said to be away")
    fhir.start()
    whole.complete()
    whole.check()
    assert site.syncd.events("server_reset_noticed") == []


def _killed(site: Installation) -> int:
    """SIGKILL; 1 if it was alive until then."""
    alive = site.syncd.is_running
    site.syncd.kill()
    return int(alive)
