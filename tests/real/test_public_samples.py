"""Public sample files of other people's packages, through both Orthancs, syncd and a validating HAPI, against the oracle.

    SYNCD_TEST_SAMPLES=DIRECTORY make test-long

Nothing of them lies here, and nothing is fetched: a directory with DICOM files in any depth is named by whoever has one
(the data packages of pydicom, the samples in Debian's dicomscope, heudiconv, python3-nibabel, octave-dicom).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.real.installation import Installation
from tests.servers import VERSIONS, Unavailable, start_orthanc

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(3600)]

NO_FAULT = ("uid-not-oid", "patient-conflict")
"""Why a study of such files may be missing beside what the oracle tells by itself (RULES C1, MAPPING I case 50)."""

DIRECTORY = os.environ.get("SYNCD_TEST_SAMPLES", "")


@pytest.fixture(scope="module", params=VERSIONS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """All files in an archive, and all of it published by one `resync`."""
    if not DIRECTORY:
        pytest.skip("SYNCD_TEST_SAMPLES names no directory of DICOM files")
    try:
        archive = start_orthanc(request.param)
    except Unavailable as reason:
        pytest.skip(str(reason))
    fhir = request.getfixturevalue("hapi" if request.param == VERSIONS[0] else "second_hapi")
    with ExitStack() as stack:
        stack.callback(archive.discard)
        installation = stack.enter_context(Installation(tmp_path_factory.mktemp("samples"), archive=archive, fhir=fhir))
        files = sorted(one for one in Path(DIRECTORY).rglob("*") if one.is_file())
        taken = [file for file in map(Path.read_bytes, files) if archive.upload(file) is not None]
        assert taken, "no file of that directory is DICOM"
        for orthanc_id in archive.get("/studies"):
            archive.wait_stable(orthanc_id)
        installation.syncd.command("resync", timeout=1800)
        yield installation


def test_the_oracle_finds_both_sides_equal(site: Installation) -> None:
    """RULES B9 to B11: what is published is true, file by file; what is parked names two people under one id."""
    parked = {uid: reason for uid, reason in site.syncd.parked().items() if reason in NO_FAULT}
    report = site.compare(accepted=parked)
    assert report.compared
    assert report.agrees, "\n".join(report.lines())


def test_every_resource_of_ours_is_valid(site: Installation) -> None:
    """RULES B1."""
    tag = f"_tag=urn:syncd:installation%7C{site.name}&_count=500"
    stored: list[dict[str, Any]] = [*site.published().values(), *site.fhir.search(f"Patient?{tag}")]
    assert {one["id"]: errors for one in stored if (errors := site.fhir.errors_in(one))} == {}
