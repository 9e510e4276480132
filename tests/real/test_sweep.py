"""What no feed tells, on the real servers: deletions in both Orthancs, and what others do on a HAPI."""

from __future__ import annotations

from collections.abc import Callable

from tests.real.installation import Installation, study
from tests.servers import Archive, FhirServer

OFTEN = {"SYNCD_POLICY__SWEEP_INTERVAL": "2s", "SYNCD_POLICY__VERIFY_INTERVAL": "2s"}


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


def test_what_others_do_on_the_server_is_put_right(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """CASES "edited, deleted or duplicated on the FHIR side", "FHIR server wiped": found by the next FHIR inventory."""
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


def test_a_wiped_server_gets_everything_back_though_nothing_changed(
    archive: Archive, hapi: FhirServer, second_hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """CASES "FHIR server wiped": by the FHIR inventory, which asks for the sentinel first."""
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
