"""Studies split and merged by the calls of both Orthancs: each series is said in one ImagingStudy, where it now lies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.real.installation import Installation, study
from tests.servers import Archive, FhirServer

OFTEN = {"SYNCD_POLICY__SWEEP_INTERVAL": "2s"}


@pytest.fixture(scope="module")
def site(either: Archive, hapi: FhirServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running daemon."""
    with Installation(tmp_path_factory.mktemp("split"), archive=either, fhir=hapi, settings=OFTEN) as installed:
        installed.syncd.start()
        yield installed


@pytest.mark.quick("1.12.7")
def test_a_series_that_is_split_off_and_merged_again_is_said_once(site: Installation) -> None:
    """docs/cases.md "split and merged studies"; MAPPING I cases 52, 53: Orthanc gives the moved series a UID of its own
    and tells nothing of what left, so the sweep finds the source."""
    study_uid, files = study(f"to be split {site.archive.version}", series=3, instances=2)
    neighbour, others = study(f"beside the split {site.archive.version}")
    site.send(*files, *others)
    site.wait_for(study_uid, instances=6)
    site.wait_for(neighbour)
    site.wait_settled()
    before = _series_of(site, study_uid)

    [orthanc_id] = site.archive.study_ids(study_uid)
    leaving = _series_id(site, before[2])
    split = site.archive.post(
        f"/studies/{orthanc_id}/split", {"Series": [leaving], "Replace": {"StudyDescription": "Split off"}}
    )
    new_uid = site.archive.get(f"/studies/{split['TargetStudy']}")["MainDicomTags"]["StudyInstanceUID"]
    site.wait_for(study_uid, instances=4)
    site.wait_for(new_uid, instances=2)
    site.wait_settled()
    assert _series_of(site, study_uid) == before[:2]
    assert _resource(site, new_uid)["subject"] == _resource(site, study_uid)["subject"]
    assert study_uid not in repr(_resource(site, new_uid))
    _assert_each_series_once(site, study_uid, new_uid, number=3)

    site.archive.post(f"/studies/{orthanc_id}/merge", {"Resources": [split["TargetStudy"]]})
    site.wait_for(study_uid, instances=6)
    site.wait_for(new_uid, status="cancelled")
    site.wait_settled()
    assert "series" not in _resource(site, new_uid)
    assert _series_of(site, study_uid)[:2] == before[:2]
    _assert_each_series_once(site, study_uid, new_uid, number=3)
    assert site.statuses(neighbour) in (["available"], ["registered", "available"])


@pytest.mark.quick("1.12.7")
def test_what_is_split_and_merged_while_its_source_is_kept_is_said_of_both(site: Installation) -> None:
    """docs/cases.md; Orthanc's `KeepSource`: copies of series, with UIDs of their own, and nothing to withdraw."""
    source, files = study(f"kept split {site.archive.version}", series=2)
    target, others = study(f"kept merge {site.archive.version}", modality="MR")
    site.send(*files, *others)
    site.wait_for(source, instances=2)
    site.wait_for(target, instances=1)
    site.wait_settled()
    [orthanc_id], [target_id] = site.archive.study_ids(source), site.archive.study_ids(target)
    copied = _series_id(site, _series_of(site, source)[1])
    split = site.archive.post(f"/studies/{orthanc_id}/split", {"Series": [copied], "KeepSource": True})
    site.archive.post(f"/studies/{target_id}/merge", {"Resources": [orthanc_id], "KeepSource": True})
    new_uid = site.archive.get(f"/studies/{split['TargetStudy']}")["MainDicomTags"]["StudyInstanceUID"]
    site.wait_for(source, instances=2)
    site.wait_for(target, instances=3)
    site.wait_for(new_uid, instances=1)
    site.wait_settled()
    _assert_each_series_once(site, source, target, new_uid, number=2 + 3 + 1)
    modalities = {coding["code"] for coding in _resource(site, target)["modality"]}
    assert modalities == {"CT", "MR"}
    assert site.statuses(source) in (["available"], ["registered", "available"])


def _resource(site: Installation, study_uid: str) -> dict[str, Any]:
    found = site.resource(study_uid)
    assert found is not None
    return found


def _series_of(site: Installation, study_uid: str) -> list[str]:
    """The UIDs of the series that are said, by series number."""
    return [one["uid"] for one in _resource(site, study_uid).get("series", ())]


def _series_id(site: Installation, series_uid: str) -> str:
    [found] = site.archive.post("/tools/lookup", series_uid)
    return str(found["ID"])


def _assert_each_series_once(site: Installation, *study_uids: str, number: int) -> None:
    """Both sides say the same, and no series is said of two of these studies."""
    site.assert_equal()
    said = [series_uid for study_uid in study_uids for series_uid in _series_of(site, study_uid)]
    assert len(said) == len(set(said)) == number
