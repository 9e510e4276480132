"""What no feed tells, on the real servers: deletions in both Orthancs, and what others do on a HAPI."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.real.installation import Installation, study
from tests.servers import Archive, FhirServer

OFTEN = {"SYNCD_POLICY__SWEEP_INTERVAL": "2s", "SYNCD_POLICY__VERIFY_INTERVAL": "2s"}


@pytest.mark.quick("1.10.1")
def test_deletions_that_nothing_announced_are_noticed(
    either: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES A8, case 55: an instance deleted on 1.10 does not move LastUpdate, and is counted; of a deleted study nothing is
    taken back before it is proven; a label marks its study on 1.12."""
    either.clear()
    site = install(either, hapi, **OFTEN)
    version = either.get("/system")["Version"]
    kept, files = study(f"sweep kept {version}", instances=3)
    gone, others = study(f"sweep gone {version}")
    site.send(*files, *others)
    site.wait_stable(kept, gone)
    site.syncd.start()
    site.wait_for(kept, instances=3)
    site.wait_for(gone)
    site.wait_settled()
    [orthanc_id] = either.study_ids(kept)
    either.delete(f"/instances/{either.get(f'/studies/{orthanc_id}/instances')[0]['ID']}")
    site.wait_for(kept, instances=2)
    [vanished] = either.study_ids(gone)
    site.before_archive.forget()
    either.delete(f"/studies/{vanished}")
    site.wait_for(gone, status="cancelled")
    assert site.statuses(gone) == ["available", "cancelled"]
    assert site.before_archive.count(method="POST", path="^/tools/lookup$") > 0, "proven before it was taken back"
    site.wait_settled()
    if either.get("/system").get("HasLabels"):
        before = len(site.syncd.events("inventory_taken"))
        either.put(f"/studies/{orthanc_id}/labels/teaching")
        site.syncd.wait(
            lambda: any(one.get("changed") for one in site.syncd.events("inventory_taken")[before:]), what="a changed label"
        )


@pytest.mark.quick("1.12.7")
def test_new_words_that_nothing_announced_are_noticed(
    orthanc_version: str, new_orthanc: Callable[..., Archive], hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES A8, docs/cases.md "`/reconstruct`, edit in place, OverwriteInstances": the events of the instances come while
    Orthanc's index still has the old words; the new ones come by `/reconstruct`, which no event and no LastUpdate tells.
    1.12 reconstructs by itself what it modifies in place, 1.10 does not."""
    archive = new_orthanc(version=orthanc_version, overwrite=True)
    site = install(archive, hapi, **OFTEN)
    words = f"sweep words {orthanc_version}"
    study_uid, files = study(words, instances=2, StudyDescription="Old words")
    site.send(*files)
    site.wait_stable(study_uid)
    site.syncd.start()
    site.wait_for(study_uid, instances=2)
    site.wait_settled()
    [orthanc_id] = archive.study_ids(study_uid)

    renamed = {"StudyDescription": "New words", "PatientName": "Quagmire^Philomena"}
    site.send(*study(words, instances=2, **renamed)[1])
    _wait_read(site, orthanc_id)
    assert _said(site, study_uid) == ("Old words", "Zebulon"), "as Orthanc's index says"
    before = archive.get(f"/studies/{orthanc_id}")["LastUpdate"], archive.last_change()
    archive.post(f"/studies/{orthanc_id}/reconstruct", {})
    assert (archive.get(f"/studies/{orthanc_id}")["LastUpdate"], archive.last_change()) == before
    site.syncd.wait(lambda: _said(site, study_uid) == ("New words", "Philomena"), what="the new words")
    site.wait_settled()
    site.assert_equal()

    keep = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
    in_place = {"Replace": {"StudyDescription": "Words in place"}, "Keep": keep, "Force": True}
    archive.post(f"/studies/{orthanc_id}/modify", in_place)
    _wait_read(site, orthanc_id)
    archive.post(f"/studies/{orthanc_id}/reconstruct", {})
    site.syncd.wait(lambda: _said(site, study_uid) == ("Words in place", "Philomena"), what="the words in place")
    site.wait_settled()
    site.assert_equal()


def _wait_read(site: Installation, orthanc_id: str) -> None:
    """Until the study is stable, and what the feed told of it is done."""
    site.archive.wait_stable(orthanc_id)
    mark = site.archive.last_change()
    taken = len(site.syncd.events("inventory_taken"))
    site.syncd.wait(lambda: len(site.syncd.events("inventory_taken")) > taken + 1, what=f"inventories after change {mark}")
    site.wait_settled()


def _said(site: Installation, study_uid: str) -> tuple[str, str]:
    """Description, and the Patient's first given name."""
    resource = site.resource(study_uid) or {}
    patient = site.fhir.get(resource["subject"]["reference"])
    return resource.get("description", ""), patient["name"][0]["given"][0]


def test_what_others_do_on_the_server_is_put_right(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """docs/cases.md "edited, deleted or duplicated on the FHIR side", "FHIR server wiped": found by the next FHIR
    inventory."""
    site = install(archive, hapi, **OFTEN)
    made = [study(f"verify {number}") for number in range(3)]
    for _, files in made:
        site.send(*files)
    edited, deleted, copied = (study_uid for study_uid, _ in made)
    site.wait_stable(edited, deleted, copied)
    site.syncd.start()
    site.wait_for(edited, deleted, copied)
    site.wait_settled()

    resource = site.resource(edited)
    assert resource is not None
    note = [{"text": "foreign"}]
    assert hapi.put(f"ImagingStudy/{edited}", {**resource, "numberOfInstances": 99, "note": note}).status == 200
    assert hapi.request("DELETE", f"ImagingStudy/{deleted}").status == 200
    copy = {name: value for name, value in (site.resource(copied) or {}).items() if name not in ("id", "meta")}
    posted = hapi.post("ImagingStudy", copy)
    assert posted.status == 201
    site.wait_for(edited, deleted, instances=1)
    assert (site.resource(edited) or {})["note"] == note
    assert site.statuses(deleted) == ["available", "deleted", "available"]
    site.syncd.wait(lambda: _inventory(site).get("duplicate") == 1, what="the duplicate is told")
    assert site.statuses(copied) == ["available"], "and not made worse"
    assert hapi.request("DELETE", f"ImagingStudy/{posted.json['id']}").status == 200
    site.syncd.wait(lambda: _inventory(site).get("duplicate") == 0, what="the duplicate is forgotten")
    site.wait_settled()
    site.assert_equal()


def _inventory(site: Installation) -> dict[str, int]:
    told = site.syncd.status()["target"]["inventory"]
    return dict(told["found"]) if told else {}


@pytest.mark.long
def test_a_wiped_server_gets_everything_back_though_nothing_changed(
    archive: Archive, hapi: FhirServer, second_hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """docs/cases.md "FHIR server wiped": by the FHIR inventory, which asks for the sentinel first."""
    site = install(archive, hapi, **OFTEN)
    made = [study(f"verify wiped {number}") for number in range(3)]
    for _, files in made:
        site.send(*files)
    uids = [study_uid for study_uid, _ in made]
    site.wait_stable(*uids)
    site.syncd.start()
    site.wait_for(*uids)
    site.wait_settled()
    site.before_fhir.target = second_hapi.url
    site.fhir = second_hapi
    site.wait_for(*uids)
    site.wait_settled()
    site.assert_equal()
