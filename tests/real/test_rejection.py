"""Rejection notes on real servers: applied, followed to the end, and revoked when the archive loses them."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import pytest
from pydicom import dcmread

from tests.real.installation import Installation, further, rejecting, study
from tests.servers import Archive, FhirServer

GRACE = "5s"


@pytest.fixture(scope="module")
def site(either: Archive, tmp_path_factory: pytest.TempPathFactory, hapi: FhirServer) -> Iterator[Installation]:
    """A running daemon with a short sweep interval, which is the grace of a missing note."""
    settings = {"SYNCD_POLICY__SWEEP_INTERVAL": GRACE}
    directory = tmp_path_factory.mktemp("rejection")
    with Installation(directory, archive=either, fhir=hapi, settings=settings) as installation:
        installation.syncd.start()
        yield installation


@pytest.mark.quick("1.12.7")
def test_a_rejection_note_takes_its_images_back_until_it_is_deleted(site: Installation) -> None:
    """MAPPING D.2, cases I.6 37, 38: one image, then all of them; neighbours go on; both return in the end."""
    words = f"rejected {site.archive.version}"
    study_uid, files = study(words, instances=2)
    neighbour, others = study(f"neighbour of {words}", instances=2)
    site.send(*files, *others)
    site.wait_for(study_uid, neighbour, instances=2)
    before = site.resource(study_uid)
    assert before is not None
    (series,) = before["series"]
    first, second = (one["uid"] for one in series["instance"])

    site.send(further(words, modality="KO", series=9, **rejecting("113001", study_uid, series["uid"], first)))
    site.syncd.wait(lambda: _shown(site, study_uid) == ("available", [1, 1]), what="one image is hidden")
    site.send(further(words, modality="KO", series=9, number=2, **rejecting("113037", study_uid, series["uid"], second)))
    site.syncd.wait(lambda: _shown(site, study_uid) == ("cancelled", []), what="everything is rejected")
    site.wait_settled()
    assert (site.syncd.parked(), site.says(neighbour, instances=2)) == ({}, True)
    site.syncd.stop()
    site.syncd.command("resync", expect=0)
    assert _shown(site, study_uid) == ("cancelled", [])

    _delete_key_objects(site, study_uid)
    site.syncd.command("resync")  # an Orthanc of 1.10 tells nobody that an instance was deleted
    assert _shown(site, study_uid) == ("cancelled", []), "the grace has only begun"
    site.syncd.start()
    site.syncd.wait(lambda: _shown(site, study_uid) == ("available", [2]), what="both images are back")
    site.wait_settled()
    site.assert_equal()


@pytest.mark.quick("1.12.7")
def test_a_note_of_another_study_keeps_images_from_being_shown(site: Installation) -> None:
    """Case I.6 39 and 41, RULES B7: looked at first, in a study of its own; nothing is ever published."""
    if not site.syncd.is_running:
        site.syncd.start()
    words, noting = f"flash {site.archive.version}", f"noting {site.archive.version}"
    study_uid, (file,) = study(words, instances=1)
    note_uid, _ = study(noting, instances=1)
    named = rejecting("113038", study_uid, "1.2", _instance_of(file))
    same = {"patient_id": f"PID-{study_uid[-9:]}"}
    site.send(further(noting, modality="KO", series=9, **{**named, **same}))
    site.syncd.wait(lambda: "Wait" in _decided(site, note_uid), what="the note is read while its study still arrives")
    site.send(file)
    for uid in (study_uid, note_uid):
        site.syncd.wait(lambda uid=uid: "Skip" in _decided(site, uid), what="everything is stable")
    assert (site.puts(study_uid), site.puts(note_uid)) == ((), ())
    assert site.syncd.parked() == {}


def _shown(site: Installation, study_uid: str) -> tuple[str, list[int]]:
    """Status, and the number of instances of each series."""
    found = site.resource(study_uid) or {"status": ""}
    return found["status"], [series["numberOfInstances"] for series in found.get("series", ())]


def _decided(site: Installation, study_uid: str) -> list[str]:
    """What the daemon decided about a study so far."""
    return [one["decision"] for one in site.syncd.events("study_decided") if one["study_uid"] == study_uid]


def _instance_of(file: bytes) -> str:
    return str(dcmread(BytesIO(file)).SOPInstanceUID)


def _delete_key_objects(site: Installation, study_uid: str) -> None:
    for orthanc_id in site.archive.study_ids(study_uid):
        for series in site.archive.get(f"/studies/{orthanc_id}/series"):
            if series["MainDicomTags"]["Modality"] == "KO":
                site.archive.delete(f"/series/{series['ID']}")
