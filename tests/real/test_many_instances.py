"""A study of 50,000 instances in a real Orthanc: counted, and listed in full where the site wants that."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.real.installation import Installation, study
from tests.servers import VERSIONS, Archive, FhirServer

SERIES, EACH = 100, 500
MANY = SERIES * EACH


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_fifty_thousand_instances_are_counted_and_none_is_lost(
    new_orthanc: Callable[..., Archive], hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """docs/cases.md "a study of 50,000 instances"; RULES A7: series and counts only, above the site's limit; the calls grow
    with the series, not with the instances; with another limit every instance is listed, once."""
    archive = new_orthanc(VERSIONS[0])
    site = install(archive, hapi)
    study_uid, files = study("fifty thousand", series=SERIES, instances=EACH)
    site.noted(files[0])
    with ThreadPoolExecutor(4) as pool:
        stored = {answer["ID"] for answer in pool.map(archive.upload, files) if answer}
    assert len(stored) == MANY
    site.wait_stable(study_uid)
    site.syncd.command("resync", expect=0, timeout=600.0)
    said = site.resource(study_uid) or {}
    assert (said["numberOfSeries"], said["numberOfInstances"]) == (SERIES, MANY)
    assert [one["numberOfInstances"] for one in said["series"]] == [EACH] * SERIES
    assert not [one for one in said["series"] if "instance" in one]
    assert len(site.puts(study_uid)) == 1
    assert site.before_archive.count(path="^/instances/") == SERIES

    site.syncd.variables["SYNCD_POLICY__MAX_INSTANCES"] = str(MANY)
    site.syncd.command("resync", expect=0, timeout=600.0)
    said = site.resource(study_uid) or {}
    listed = [instance["uid"] for one in said["series"] for instance in one["instance"]]
    assert len(listed) == len(set(listed)) == MANY
    assert hapi.request("DELETE", f"ImagingStudy/{study_uid}").status == 200
