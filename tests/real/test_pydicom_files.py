"""The real files that pydicom ships, sent while the daemon runs: every study once, equal, valid, and then left alone.

In make test with the newer Orthanc; `test_versions` publishes the same files from the older one."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.dicom import pydicom_files
from tests.proxy import Exchange
from tests.real.installation import Installation
from tests.servers import VERSIONS, Unavailable, start_orthanc

PARKED: dict[str, str] = {}
"""StudyInstanceUIDs of pydicom's files that are parked, with the reason: measured, none."""

STUDIES = 31
"""Distinct StudyInstanceUIDs among the files that Orthanc takes."""

STABLE_AGE = 8
"""Seconds: long enough for all to be announced before the first is complete, on a busy machine too."""


@pytest.fixture(scope="module", params=VERSIONS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """All files sent to a running daemon, everything settled, the daemon stopped. The UIDs are pydicom's, so that each
    version of Orthanc needs a FHIR server that has none of them."""
    try:
        archive = start_orthanc(request.param, stable_age=STABLE_AGE)
    except Unavailable as reason:
        pytest.skip(str(reason))
    fhir = request.getfixturevalue("second_hapi" if request.param == VERSIONS[0] else "hapi")
    with ExitStack() as stack:
        stack.callback(archive.discard)
        directory = tmp_path_factory.mktemp("pydicom")
        installation = stack.enter_context(Installation(directory, archive=archive, fhir=fhir))
        installation.syncd.start()
        taken = [file for file in map(Path.read_bytes, pydicom_files()) if archive.upload(file) is not None]
        for file in taken:
            installation.noted(file)
        installation.syncd.wait(lambda: len(_available(installation)) + len(PARKED) == STUDIES, what="all available")
        installation.wait_settled()
        installation.syncd.stop()
        yield installation


@pytest.mark.quick("1.12.7")
def test_every_study_is_published_once_under_its_uid_or_parked_as_listed(site: Installation) -> None:
    """RULES C1: `ImagingStudy/<StudyInstanceUID>`."""
    uids = {one["MainDicomTags"]["StudyInstanceUID"] for one in site.archive.get("/studies?expand")}
    assert len(uids) == STUDIES
    assert set(site.published()) == uids - set(PARKED)
    assert site.syncd.parked() == PARKED


@pytest.mark.quick("1.12.7")
def test_the_oracle_finds_both_sides_equal(site: Installation) -> None:
    """The issue's list of compared elements, instance by instance."""
    report = site.assert_equal(accepted=PARKED)
    assert len(report.compared) == STUDIES - len(PARKED)
    assert report.instances > STUDIES


@pytest.mark.quick("1.12.7")
def test_every_study_was_registered_before_it_was_available(site: Installation) -> None:
    """RULES A6: HAPI's history has the two versions, in this order, and no third."""
    assert {uid: site.statuses(uid) for uid in site.published()} == {
        uid: ["registered", "available"] for uid in site.published()
    }


@pytest.mark.quick("1.12.7")
def test_every_resource_of_ours_is_valid(site: Installation) -> None:
    """RULES B1: ImagingStudy, Patient, Endpoint and sentinel, as HAPI stores them."""
    stored = [*site.published().values(), *_referenced(site)]
    assert {one["resourceType"] for one in stored} == {"ImagingStudy", "Patient", "Endpoint"}
    sentinels = [one for one in stored if one["id"].startswith("syncd-")]
    assert len(sentinels) == 1
    assert {one["id"]: errors for one in stored if (errors := site.fhir.errors_in(one))} == {}


@pytest.mark.quick("1.12.7")
def test_a_broken_resource_is_not_valid(site: Installation) -> None:
    """RULES B1: the validator is really asked, for each kind of resource."""
    broken = [_broken(one) for one in _one_of_each([*site.published().values(), *_referenced(site)])]
    assert len(broken) == 3
    assert all(site.fhir.errors_in(one) for one in broken)


@pytest.mark.quick("1.12.7")
def test_a_second_resync_sends_no_write_at_all(site: Installation) -> None:
    """RULES B3: counted at the proxy, because HAPI answers an equal PUT with the old version."""
    site.before_fhir.forget()
    ended = site.syncd.command("resync", "--json", expect=1 if PARKED else 0)
    ended = site.syncd.command("resync", "--full", "--json", expect=1 if PARKED else 0)
    assert ended.json["listed"] >= STUDIES
    assert ended.json["decisions"] == {"Skip": STUDIES - len(PARKED)} | ({"Park": len(PARKED)} if PARKED else {})
    assert [(one.method, one.path) for one in site.before_fhir.writes()] == []
    assert site.before_fhir.count() > 0, "the proxy was not asked at all"


@pytest.mark.quick("1.12.7")
def test_a_lost_ledger_is_rebuilt_without_a_write(site: Installation) -> None:
    """RULES E7, C3: a new ledger, told that the server is its own, finds everything equal and writes no study."""
    with Installation(site.syncd.directory / "again", archive=site.archive, fhir=site.fhir, name=site.name) as other:
        refused = other.syncd.command("resync", expect=4)
        assert "--accept-target" in refused.err
        ended = other.syncd.command("resync", "--accept-target", "--json", expect=0)
        assert ended.json["decisions"] == {"Skip": STUDIES - len(PARKED)}
        assert _paths(other.before_fhir.writes(), kind="ImagingStudy") == []


def _available(site: Installation) -> list[str]:
    return [uid for uid, one in site.published().items() if one["status"] == "available"]


def _referenced(site: Installation) -> list[dict[str, Any]]:
    """Patients and Endpoints with this installation's tag."""
    tag = f"_tag=urn:syncd:installation%7C{site.name}&_count=200"
    return [*site.fhir.search(f"Patient?{tag}"), *site.fhir.search(f"Endpoint?{tag}")]


def _one_of_each(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({one["resourceType"]: one for one in resources}.values())


def _broken(resource: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(resource)
    missing = {"ImagingStudy": "subject", "Endpoint": "connectionType"}.get(resource["resourceType"])
    if missing:
        del changed[missing]
    else:
        changed["gender"] = "some"
    return changed


def _paths(exchanges: tuple[Exchange, ...], *, kind: str) -> list[str]:
    return [one.path for one in exchanges if kind in one.path]
