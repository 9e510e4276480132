"""The FHIR server lost what it confirmed, or is another one: everything is published again, or nothing without a word."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.proxy import RecordingProxy
from tests.real.installation import Installation, further, study
from tests.servers import Archive, FhirServer

STUDIES = 3


def test_a_server_wiped_under_a_running_daemon_gets_everything_back(
    archive: Archive, hapi: FhirServer, second_hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES C6: an update that is answered 201 means a reset; all studies are verified, not only the one that changed."""
    site = install(archive, hapi)
    uids = _stable(site, "wiped")
    site.syncd.start()
    site.wait_for(*uids)
    site.wait_settled()
    _exchange(site, second_hapi)
    site.send(further("wiped 0", number=2))
    site.wait_for(uids[0], instances=2)
    site.wait_for(*uids)
    site.wait_settled()
    assert site.syncd.events("server_reset_noticed")
    assert site.syncd.parked() == {}
    site.assert_equal()
    _assert_sentinel(site)


@pytest.mark.long
def test_a_server_wiped_while_syncd_was_down_gets_everything_back(
    archive: Archive, hapi: FhirServer, second_hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES E3: the sentinel, asked for at start, is missing at the same URL."""
    site = install(archive, hapi)
    uids = _stable(site, "wiped while down")
    site.syncd.command("resync", expect=0)
    _exchange(site, second_hapi)
    site.syncd.command("resync", expect=0)
    assert set(site.published()) == set(uids)
    site.assert_equal()
    _assert_sentinel(site)


def test_what_somebody_deleted_is_written_over_its_tombstones(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES C2, C6: sentinel, Endpoint, Patients and studies deleted; the 410s name the versions to write over."""
    site = install(archive, hapi)
    uids = _stable(site, "deleted")
    site.syncd.command("resync", expect=0)
    tag = f"_tag=urn:syncd:installation%7C{site.name}&_count=200"
    for kind in ("ImagingStudy", "Patient", "Endpoint"):
        for found in hapi.search(f"{kind}?{tag}"):
            assert hapi.request("DELETE", f"{kind}/{found['id']}").status == 200
    site.syncd.command("resync", expect=0)
    assert site.statuses(uids[0]) == ["available", "deleted", "available"]
    site.assert_equal()
    _assert_sentinel(site)


@pytest.mark.long
def test_another_server_at_another_address_needs_the_operators_word(
    archive: Archive, hapi: FhirServer, second_hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES E3: exit 4 until `resync --accept-target`; not a single write before."""
    site = install(archive, hapi)
    _stable(site, "moved")
    site.syncd.command("resync", expect=0)
    with RecordingProxy(second_hapi.base_url) as elsewhere:
        address = elsewhere.before(second_hapi.base_url)
        site.syncd.variables["SYNCD_FHIR__URL"] = address
        refused = site.syncd.command("resync", expect=4)
        assert "--accept-target" in refused.err
        assert address in refused.err
        site.syncd.start_only()
        assert site.syncd.ended() == 4
        assert "--accept-target" in site.syncd.command("check").out
        assert elsewhere.writes() == ()

        site.syncd.command("resync", "--accept-target", expect=0)
        site.fhir = second_hapi
        site.assert_equal()
        elsewhere.forget()
        site.syncd.command("resync", expect=0)
        assert elsewhere.writes() == ()


@pytest.mark.long
def test_the_same_server_under_another_address_is_known_by_its_sentinel(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES E3: nothing is asked of the operator, and nothing is written."""
    site = install(archive, hapi)
    _stable(site, "renamed")
    site.syncd.command("resync", expect=0)
    with RecordingProxy(hapi.base_url) as renamed:
        site.syncd.variables["SYNCD_FHIR__URL"] = renamed.before(hapi.base_url)
        ended = site.syncd.command("resync", "--full", "--json", expect=0)
        assert ended.json["decisions"] == {"Skip": STUDIES}
        assert renamed.writes() == ()


def _stable(site: Installation, words: str) -> list[str]:
    made = [study(f"{words} {place}") for place in range(STUDIES)]
    for _, files in made:
        site.send(*files)
    uids = [study_uid for study_uid, _ in made]
    site.wait_stable(*uids)
    return uids


def _exchange(site: Installation, fresh: FhirServer) -> None:
    """Another server at the same address, which has nothing of ours."""
    site.before_fhir.target = fresh.url
    site.fhir = fresh
    assert site.published() == {}


def _assert_sentinel(site: Installation) -> None:
    tag = f"_tag=urn:syncd:installation%7C{site.name}"
    endpoints = site.fhir.search(f"Endpoint?{tag}")
    assert sorted(one["status"] for one in endpoints) == ["active", "off"]
