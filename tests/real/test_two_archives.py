"""Both versions of Orthanc at once before one HAPI: one study of both, one away and back, one taken out and forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.real.installation import Installation, further, study
from tests.servers import VERSIONS, Archive, FhirServer, Unavailable, start_orthanc

SYSTEM = "http://hospital.test/pid"


class Two:
    """An installation with a second archive; `block` begins the second's variables."""

    def __init__(self, site: Installation, second: Archive) -> None:
        self.site = site
        self.second = second
        self.name = f"{site.name}_two"
        self.block = f"SYNCD_ARCHIVES__{self.name.upper()}__"
        site.sent_values.add(second.password)
        site.syncd.variables |= {
            f"{site.block}PATIENT_ID_SYSTEM": SYSTEM,
            f"{self.block}URL": second.url,
            f"{self.block}USERNAME": second.username,
            f"{self.block}PASSWORD": second.password,
            f"{self.block}PATIENT_ID_SYSTEM": SYSTEM,
            f"{self.block}PUBLIC_DICOMWEB_URL": "https://pacs.example/two/dicom-web",
            f"{self.block}POLL_INTERVAL": "0.2s",
            f"{self.block}SETTLE_AFTER": "1s",
        }

    def send(self, *files: bytes) -> None:
        """Into the second archive."""
        for file in files:
            self.site.noted(file)
            self.site.claim(file)
            assert self.second.upload(file) is not None

    def endpoint(self, archive: str) -> str:
        return f"Endpoint/{archive.replace('_', '-')}-wado-rs"

    def resource(self, study_uid: str) -> dict[str, Any]:
        found = self.site.resource(study_uid)
        assert found is not None
        return found

    def state(self) -> dict[str, Any]:
        """What the daemon says of the second archive."""
        said: dict[str, Any] = self.site.syncd.status()["archives"][self.name]
        return said


@pytest.fixture(scope="module", params=[VERSIONS, VERSIONS[::-1]], ids=["the older first", "the newer first"])
def two(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, hapi: FhirServer) -> Iterator[Two]:
    """A running daemon before both Orthancs."""
    with ExitStack() as stack:
        archives = []
        for version in request.param:
            try:
                archives.append(start_orthanc(version))
            except Unavailable as reason:
                pytest.skip(str(reason))
            stack.callback(archives[-1].discard)
        directory = tmp_path_factory.mktemp("two")
        site = stack.enter_context(Installation(directory, archive=archives[0], fhir=hapi))
        both = Two(site, archives[1])
        site.syncd.start()
        yield both


def _shared(two: Two, words: str) -> str:
    """A study of three series, two here and one there, published."""
    study_uid, files = study(words, series=2)
    two.site.send(*files)
    two.send(further(words, series=9))
    two.site.wait_for(study_uid, instances=3)
    return study_uid


@pytest.mark.quick("the older first")
def test_a_study_of_both_archives_is_one_imaging_study(two: Two) -> None:
    """RULES C8, MAPPING E: the union; the series that lives elsewhere names that archive's Endpoint."""
    site = two.site
    study_uid = _shared(two, f"both {site.archive.version}")
    other_uid, files = study(f"only there {site.archive.version}")
    two.send(*files)
    site.wait_for(other_uid, instances=1)
    resource = two.resource(study_uid)
    assert [one["reference"] for one in resource["endpoint"]] == [two.endpoint(site.name)]
    named = {one["number"]: [each["reference"] for each in one.get("endpoint", ())] for one in resource["series"]}
    assert named == {1: [], 2: [], 9: [two.endpoint(two.name)]}
    assert [one["reference"] for one in two.resource(other_uid)["endpoint"]] == [two.endpoint(two.name)]
    assert site.fhir.errors_in(resource) == []
    site.wait_settled()
    assert site.syncd.command("status").code == 0
    assert site.syncd.command("resync").code == 0
    assert len(site.puts(other_uid)) <= 2


@pytest.mark.quick("the older first")
def test_one_archive_killed_holds_up_its_own_studies_only(two: Two) -> None:
    """RULES C6, C8: never published with fewer series; no attempt is counted; back again, all is done."""
    site, words = two.site, f"killed {two.site.archive.version}"
    shared = _shared(two, words)
    site.wait_settled()
    two.second.kill()
    try:
        site.send(further(words, number=2))
        alone, files = study(f"beside the dead {site.archive.version}")
        site.send(*files)
        site.wait_for(alone, instances=1)
        site.syncd.wait(lambda: two.state()["reason"], what="the archive is said to be away")
        assert f"archive {two.name}" in site.syncd.page("/readyz").text
        assert two.resource(shared)["numberOfInstances"] == 3
        assert set(site.syncd.attempts().values()) <= {0}
        assert site.syncd.command("status").code == 3
    finally:
        two.second.start()
    site.wait_for(shared, instances=4)
    site.wait_settled()
    assert two.resource(shared)["numberOfSeries"] == 3
    assert site.syncd.page("/readyz").status == 200


@pytest.mark.quick("the older first")
def test_a_removed_archive_is_waited_for_and_then_forgotten(two: Two) -> None:
    """RULES C8: named; its studies wait; forgotten beside the daemon they go on without it, and its Endpoint is off."""
    site, words = two.site, f"removed {two.site.archive.version}"
    shared = _shared(two, words)
    site.wait_settled()
    site.syncd.stop()
    site.syncd.variables = {name: value for name, value in site.syncd.variables.items() if not name.startswith(two.block)}
    site.syncd.start(until_ready=False)
    site.syncd.wait(lambda: f"archive forget {two.name}" in site.syncd.page("/readyz").text, what="the archive is missed")
    site.send(further(words, number=2))
    alone, files = study(f"beside the removed {site.archive.version}")
    site.send(*files)
    site.wait_for(alone, instances=1)
    assert two.resource(shared)["numberOfInstances"] == 3
    site.syncd.wait(lambda: site.syncd.command("status").code == 1, what="that nothing but the archive is missed")

    forgotten = site.syncd.command("archive", "forget", two.name, expect=0)
    assert "the running daemon switches them off" in forgotten.out
    site.wait_for(shared, instances=3)
    site.syncd.wait(lambda: two.resource(shared)["numberOfSeries"] == 2, what="the study is said without the archive")
    assert all("endpoint" not in one for one in two.resource(shared)["series"])
    endpoint = two.endpoint(two.name)
    site.syncd.wait(lambda: site.fhir.get(endpoint)["status"] == "off", what="its Endpoint is off")
    site.syncd.wait(lambda: site.syncd.page("/readyz").status == 200, what="ready")
