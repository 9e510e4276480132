"""A whole site before a real Medplum (docs/fhir-servers.md): everything ends equal, unchanged costs nothing.

Its habits are in `tests/contracts/fhir_unordered.py`. It keeps no usable history (a read of it turns its order round), so
that what was written is counted at the proxy; it has no `$validate`: the same resources pass HAPI's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dicom import pydicom_files
from tests.real.installation import Installation, further, study
from tests.servers import VERSIONS, Archive, FhirServer, Unavailable, start_medplum

STUDIES = 31
"""Distinct StudyInstanceUIDs among pydicom's files that Orthanc takes."""


def test_pydicoms_files_end_equal_and_unchanged_ones_cost_no_write(
    new_orthanc: Callable[..., Archive], medplum: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES B3, C2: one PUT for each resource, without a condition after a GET; then nothing at all; a lost
    ledger finds everything equal (RULES E7)."""
    archive = new_orthanc(version=VERSIONS[0])
    site = install(archive, medplum)
    for file in map(Path.read_bytes, pydicom_files()):
        if archive.upload(file) is not None:
            site.noted(file)
    for one in archive.get("/studies"):
        archive.wait_stable(one)
    site.syncd.command("resync", expect=0)
    assert len(site.assert_equal().compared) == STUDIES
    writes = [one.path for one in site.before_fhir.writes() if "/Endpoint/" not in one.path]
    assert len(writes) == len(set(writes))
    assert all("if-match" not in one.headers for one in site.before_fhir.exchanges(method="PUT", path="/ImagingStudy/"))
    site.before_fhir.forget()
    site.syncd.command("resync", expect=0)
    assert site.before_fhir.writes() == ()
    site.syncd.command("audit", "--deep", expect=0)
    with Installation(site.syncd.directory / "again", archive=archive, fhir=medplum, name=site.name) as other:
        assert "--accept-target" in other.syncd.command("resync", expect=4).err
        other.syncd.command("resync", "--accept-target", expect=0)
        assert [one.path for one in other.before_fhir.writes() if "/ImagingStudy/" in one.path] == []


def test_a_daemon_follows_a_study_from_its_arrival_to_its_deletion(
    archive: Archive, medplum: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES A6, C4, D2: announced, completed, updated under the version that was told, withdrawn, returned."""
    site = install(archive, medplum, SYNCD_POLICY__ON_DELETE="delete")
    uid, files = study("followed before Medplum", instances=2)
    site.syncd.start()
    site.send(*files)
    site.wait_for(uid, instances=2)
    site.send(further("followed before Medplum", number=3))
    site.wait_for(uid, instances=3)
    site.wait_settled()
    site.assert_equal()
    assert all("if-match" in one.headers for one in site.puts(uid)[1:])
    site.syncd.stop()
    for orthanc_id in archive.study_ids(uid):
        archive.delete(f"/studies/{orthanc_id}")
    site.syncd.command("resync", "--study", uid, expect=0)
    assert site.resource(uid) is None
    site.send(*files)
    site.wait_stable(uid)
    site.syncd.command("resync", expect=0)
    assert site.says(uid, instances=2)
    site.assert_equal()


def test_what_others_do_there_is_found_and_put_right(
    archive: Archive, medplum: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES C3, C9, E3: an edit, a deletion, and a label that the server would forget."""
    site = install(archive, medplum)
    words = ("edited before Medplum", "deleted before Medplum", "labelled before Medplum")
    made = [study(one) for one in words]
    for _, files in made:
        site.send(*files)
    edited, deleted, labelled = uids = [uid for uid, _ in made]
    site.wait_stable(*uids)
    site.syncd.command("resync", expect=0)
    held = {uid: site.resource(uid) or {} for uid in uids}
    assert medplum.put(f"ImagingStudy/{edited}", {**held[edited], "description": "theirs"}).status == 200
    assert medplum.request("DELETE", f"ImagingStudy/{deleted}").status == 200
    label = {"system": "urn:label", "code": "z"}
    meta = {**held[labelled]["meta"], "security": [label]}
    assert medplum.put(f"ImagingStudy/{labelled}", {**held[labelled], "meta": meta}).status == 200
    site.send(further(words[2], number=2))
    site.wait_stable(labelled)
    site.syncd.command("audit", "--repair", expect=0)
    site.syncd.command("resync", expect=0)
    site.assert_equal()
    assert (site.resource(labelled) or {})["meta"]["security"] == [label]


def test_a_server_that_lost_everything_gets_it_back(archive: Archive, install: Callable[..., Installation]) -> None:
    """RULES C6, E3: told by the sentinel alone; no answer of this server tells of it."""
    try:
        wiped = start_medplum()
    except Unavailable as reason:
        pytest.skip(str(reason))
    try:
        site = install(archive, wiped)
        made = [study(f"wiped Medplum {number}") for number in range(3)]
        for _, files in made:
            site.send(*files)
        uids = [uid for uid, _ in made]
        site.wait_stable(*uids)
        site.syncd.command("resync", expect=0)
        wiped.restart()
        site.syncd.command("resync", expect=0)
        assert set(site.published()) == set(uids)
        site.assert_equal()
    finally:
        wiped.discard()


def test_check_says_that_it_has_no_create_only_form(
    archive: Archive, medplum: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES C2, E3: and that its versions have no order."""
    site = install(archive, medplum)
    site.syncd.command("resync", expect=0)
    said = site.syncd.command("check", expect=0).out
    assert "warn FHIR server has no way to create only what is not there" in said
    assert "its versions have no order" in said
