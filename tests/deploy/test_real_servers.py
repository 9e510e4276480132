"""What the fixtures promise of the real servers, so that other tests may lean on it (docs/orthanc.md,
docs/fhir-servers.md)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from deploy.native.process import free_port
from deploy.native.servers import Hapi, HapiConfig, Orthanc, OrthancConfig, StartFailed
from tests.dicom import make_instance, make_study, pydicom_files, uid
from tests.proxy import RecordingProxy
from tests.servers import Archive, FhirServer


def test_orthanc_asks_for_credentials(orthanc: Archive) -> None:
    """docs/settings.md, ARCHIVES__<NAME>__USERNAME: the tests' archives refuse whoever has none."""
    assert requests.get(f"{orthanc.url}/system", timeout=30).status_code == 401
    assert orthanc.get("/system")["Version"] == orthanc.version


def test_the_dicomweb_plugin_is_loaded(orthanc: Archive) -> None:
    """docs/orthanc.md, starting a real one."""
    assert "dicom-web" in orthanc.get("/plugins")


def test_data_survive_sigkill_at_the_same_address(new_orthanc: Callable[..., Archive], orthanc_version: str) -> None:
    """RULES A5 needs an archive that can be killed inside StableAge and comes back."""
    archive = new_orthanc(orthanc_version, stable_age=600)
    study = uid("killed")
    archive.upload_all(make_study(study_uid=study, instances=3))
    address, last = archive.url, archive.last_change()

    archive.kill()
    archive.start()

    assert archive.url == address
    assert archive.last_change() >= last
    (orthanc_id,) = archive.study_ids(study)
    assert len(archive.get(f"/studies/{orthanc_id}/instances")) == 3


def test_pydicoms_files_are_the_measured_ones(new_orthanc: Callable[..., Archive], orthanc_version: str) -> None:
    """docs/orthanc.md, real DICOM: 119 instances, 39 series, 32 studies, 20 patients."""
    archive = new_orthanc(orthanc_version)
    archive.upload_all(file.read_bytes() for file in pydicom_files())
    counts = archive.get("/statistics")
    kinds = ("CountInstances", "CountSeries", "CountStudies", "CountPatients")
    assert [counts[kind] for kind in kinds] == [119, 39, 32, 20]


def test_an_archive_without_the_plugin_can_be_had(new_orthanc: Callable[..., Archive]) -> None:
    """No DICOMweb plugin is a case of its own."""
    assert "dicom-web" not in new_orthanc(dicomweb=False).get("/plugins")


def test_hapis_pages_lead_through_the_proxy(hapi: FhirServer, proxy_before: Callable[[str], RecordingProxy]) -> None:
    """RULES C9: listings are read page by page; the links are absolute, and none may slip past the counting."""
    for number in range(3):
        hapi.put(f"Basic/paged-{number}", {"resourceType": "Basic", "id": f"paged-{number}", "code": {"text": "paged"}})
    proxy = proxy_before(hapi.base_url)
    bundle = requests.get(f"{proxy.before(hapi.base_url)}/Basic?_count=1", timeout=60).json()
    (after,) = (link["url"] for link in bundle["link"] if link["relation"] == "next")
    assert after.startswith(proxy.url)
    assert requests.get(after, timeout=60).status_code == 200
    assert [one.status for one in proxy.exchanges(method="GET")] == [200, 200]


def test_hapi_keeps_a_history_and_validates(hapi: FhirServer) -> None:
    """docs/fhir-servers.md: it is real HAPI."""
    for text in ("first", "second"):
        hapi.put("Basic/twice", {"resourceType": "Basic", "id": "twice", "code": {"text": text}})
    assert [entry["resource"]["code"]["text"] for entry in hapi.history("Basic/twice")] == ["first", "second"]
    valid = {"resourceType": "Basic", "code": {"text": "x"}}
    assert hapi.errors_in(valid) == []
    assert hapi.errors_in({"resourceType": "Basic"}) != []


@pytest.mark.long
def test_a_durable_hapi_remembers_over_sigkill(new_hapi: Callable[..., FhirServer]) -> None:
    """docs/cases.md: the FHIR server away for a while, and back with what it had confirmed."""
    server = new_hapi(durable=True)
    server.put("Basic/kept", {"resourceType": "Basic", "id": "kept", "code": {"text": "kept"}})
    server.kill()
    server.start()
    assert server.get("Basic/kept")["id"] == "kept"


def test_synthetic_instances_are_taken(orthanc: Archive) -> None:
    """The factory's files are DICOM that Orthanc stores, dirty values included."""
    study = uid("synthetic", orthanc.version)
    answer = orthanc.upload(make_instance(study_uid=study, InstanceNumber=b"abc", PatientName=b"M\xfcller^x"))
    assert answer is not None
    assert answer["Status"] == "Success"
    assert orthanc.study_ids(study) == [answer["ParentStudy"]]


def test_a_start_that_fails_shows_the_log_and_what_to_do(tmp_path: Path) -> None:
    """Failures say what to do."""
    broken = Orthanc(OrthancConfig(directory=tmp_path, options={"HttpThreadsCount": "many"}))
    with pytest.raises(StartFailed, match=r"(?s)Orthanc did not start.*apt-get.*HttpThreadsCount"):
        broken.start()
    assert not broken.is_running


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    """A port that was chosen is taken or refused, never silently another."""
    with RecordingProxy("http://127.0.0.1:9") as occupant:
        port = int(occupant.url.rsplit(":", 1)[1])
        with pytest.raises(StartFailed, match=f"port {port} is taken"):
            Orthanc(OrthancConfig(directory=tmp_path, http_port=port)).start()


def test_hapi_that_is_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    """Failures say which step and what to do."""
    with pytest.raises(StartFailed, match=r"not there.*scripts\.set_up"):
        Hapi(HapiConfig(directory=tmp_path, jar=tmp_path / "absent.jar")).start()


def test_a_chrooted_orthanc_must_store_inside_the_chroot(tmp_path: Path) -> None:
    """docs/orthanc.md: the second version runs in a chroot, and sees nothing outside."""
    with pytest.raises(StartFailed, match="below the chroot"):
        Orthanc(OrthancConfig(directory=tmp_path / "data", root=tmp_path / "chroot"))


def test_free_ports_lie_below_those_of_outgoing_connections() -> None:
    """A restarted server must find its port free."""
    assert all(20000 <= free_port() < 32000 for _ in range(20))
