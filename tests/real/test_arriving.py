"""Studies while they arrive: announced once, completed once, however many instances stream in (RULES A5, A6, A7)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.proxy import Drop
from tests.real.installation import Installation, study
from tests.servers import Archive, FhirServer

STREAMED = 1000
SERIES = 4


@pytest.fixture
def slow(new_orthanc: Callable[..., Archive], orthanc_version: str) -> Archive:
    """An Orthanc that calls a study stable 4 s after its last instance: time enough to see it arriving."""
    return new_orthanc(version=orthanc_version, stable_age=4)


def _stored(archive: Archive, file: bytes) -> dict[str, Any] | None:
    """Orthanc's answer. Rarely it refuses one of several that arrive in a study at once; a modality sends it again."""
    return next(filter(None, (archive.upload(file) for _ in range(3))), None)


@pytest.mark.quick("1.12.7")
def test_a_thousand_instances_cost_two_writes_and_one_snapshot(
    slow: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES A6, A7 and docs/cases.md "1,000 instances streaming in": counted at proxies before both servers."""
    site = install(slow, hapi)
    site.syncd.start()
    words = f"thousand {slow.version}"
    study_uid, files = study(words, series=SERIES, instances=STREAMED // SERIES)
    site.noted(files[0])
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda file: _stored(slow, file), files))
    assert len({answer["ID"] for answer in answers if answer}) == STREAMED
    site.wait_for(study_uid, instances=STREAMED)
    site.wait_settled()

    assert [put.json["status"] for put in site.puts(study_uid)] == ["registered", "available"]
    assert site.statuses(study_uid) == ["registered", "available"]
    reads = site.before_archive
    # The registered version reads one instance, a snapshot one per series; nothing else is ever asked of an instance.
    assert reads.count(path=r"^/instances/[^/?]+/tags") <= 1 + SERIES
    assert reads.count(path=r"^/instances") == reads.count(path=r"^/instances/[^/?]+/tags")
    assert reads.count(path=r"/(instances-tags|metadata)|^/(dicom-web|patients)") == 0
    whole = reads.count(path=r"^/studies/[^/?]+/statistics") or reads.count(method="POST", path="^/tools/find")
    assert whole == 1
    # The study's header: once per look, once for `registered`, twice for the snapshot.
    looks = [event for event in site.syncd.events("study_decided") if event["study_uid"] == study_uid]
    assert reads.count(method="GET", path=r"^/studies/[0-9a-f-]+(\?|$)") <= len(looks) + 3
    site.syncd.stop()
    site.assert_equal()


@pytest.mark.quick("1.10.1")
def test_registered_says_who_and_when_but_nothing_that_may_still_change(
    slow: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES A6: identifier, subject, started, basedOn, endpoint; no modality, counts or series; not of key objects alone."""
    site = install(slow, hapi)
    site.syncd.start()
    study_uid, files = study(f"registered {slow.version}", instances=2)
    only_key_objects, notes = study(f"only key objects {slow.version}", modality="KO")
    site.send(*files, *notes)
    site.wait_for(study_uid, status="registered")
    found = site.resource(study_uid)
    assert found is not None
    assert {"identifier", "subject", "started", "basedOn", "endpoint"} <= found.keys()
    assert not {"modality", "numberOfSeries", "numberOfInstances", "series"} & found.keys()
    site.wait_for(study_uid, instances=2)
    site.wait_for(only_key_objects, instances=1)
    site.wait_settled()
    assert site.statuses(study_uid) == ["registered", "available"]
    assert site.statuses(only_key_objects) == ["available"]
    assert len(site.puts(study_uid)) == 2


@pytest.mark.long
def test_a_study_becomes_available_though_orthanc_died_before_it_was_registered(
    new_orthanc: Callable[..., Archive],
    orthanc_version: str,
    hapi: FhirServer,
    install: Callable[..., Installation],
) -> None:
    """RULES A5, MAPPING I case 58 and docs/orthanc.md: after a SIGKILL inside StableAge no StableStudy ever comes."""
    archive = new_orthanc(version=orthanc_version, stable_age=600)
    site = install(archive, hapi)
    site.syncd.start()
    site.before_fhir.fail(Drop())
    study_uid, files = study(f"killed before {archive.version}", instances=3)
    site.send(*files)
    site.syncd.wait(lambda: site.syncd.status()["studies"]["dirty"] == 1, what="marked")
    archive.kill()
    archive.start()
    site.before_fhir.heal()
    site.wait_for(study_uid, instances=3)
    site.wait_settled()
    assert site.statuses(study_uid) == ["available"]
    assert _stable_events(archive) == 0


@pytest.mark.long
def test_a_study_becomes_available_though_orthanc_died_after_it_was_registered(
    new_orthanc: Callable[..., Archive],
    orthanc_version: str,
    hapi: FhirServer,
    install: Callable[..., Installation],
) -> None:
    """RULES A5: publishing `registered` does not clear the mark; the study is asked again each settle_after."""
    archive = new_orthanc(version=orthanc_version, stable_age=600)
    site = install(archive, hapi)
    site.syncd.start()
    study_uid, files = study(f"killed after {archive.version}", instances=3)
    site.send(*files)
    site.wait_for(study_uid, status="registered")
    archive.kill()
    site.syncd.wait(lambda: site.syncd.page("/readyz").status == 503, what="said that the archive is away")
    archive.start()
    site.wait_for(study_uid, instances=3)
    site.wait_settled()
    assert site.statuses(study_uid) == ["registered", "available"]
    assert site.syncd.page("/readyz").status == 200
    assert _stable_events(archive) == 0


def _stable_events(archive: Archive) -> int:
    changes = archive.get("/changes?since=0&limit=1000")["Changes"]
    return sum(change["ChangeType"] == "StableStudy" for change in changes)
