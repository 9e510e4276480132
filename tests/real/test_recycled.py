"""Both Orthancs with room for three patients: what is recycled for a newcomer is withdrawn, or kept, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from tests.real.installation import Installation, study
from tests.servers import Archive, FhirServer

PATIENTS = 3
OFTEN = {"SYNCD_POLICY__SWEEP_INTERVAL": "2s"}


def test_the_oldest_patient_makes_room_for_a_newcomer(
    new_orthanc: Callable[..., Archive], orthanc_version: str, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """docs/cases.md "recycled by Orthanc's own limits"; RULES A8, D1, D3: told by no event, found by the sweep; both
    studies of the recycled patient are withdrawn once, as the site decides, and the others are not written again."""
    archive = new_orthanc(orthanc_version, options={"MaximumPatientCount": PATIENTS})
    site = install(archive, hapi, **OFTEN)
    old = [study(f"recycled {part} {orthanc_version}", patient_id=f"RECYCLED-{orthanc_version}") for part in ("a", "b")]
    second, third, fourth, fifth = (study(f"patient {number} {orthanc_version}") for number in range(2, 2 + 4))
    for _, files in (*old, second, third):
        site.send(*files)
    gone = [study_uid for study_uid, _ in old]
    site.syncd.start()
    site.wait_for(*gone, second[0], third[0])
    site.wait_settled()

    site.send(*fourth[1])
    assert _held(site, *gone, second[0], third[0], fourth[0]) == [second[0], third[0], fourth[0]]
    site.wait_for(*gone, status="cancelled")
    site.wait_for(fourth[0])
    site.wait_settled()
    for study_uid in gone:
        assert site.statuses(study_uid)[-2:] == ["available", "cancelled"]
    site.assert_equal()
    _assert_written_once(site, second[0], third[0])

    site.syncd.stop()
    site.syncd.variables["SYNCD_POLICY__ON_DELETE"] = "keep"
    site.send(*fifth[1])
    assert _held(site, second[0], third[0], fourth[0], fifth[0]) == [third[0], fourth[0], fifth[0]]
    site.wait_stable(fifth[0])
    site.syncd.command("resync", expect=0)
    assert all(site.says(study_uid) for study_uid in (second[0], third[0], fourth[0], fifth[0]))
    _assert_written_once(site, second[0], third[0])
    assert all(site.says(study_uid, status="cancelled") for study_uid in gone)


def _held(site: Installation, *study_uids: str) -> list[str]:
    """Those of them that the archive still has."""
    return [study_uid for study_uid in study_uids if site.archive.study_ids(study_uid)]


def _assert_written_once(site: Installation, *study_uids: str) -> None:
    for study_uid in study_uids:
        assert site.statuses(study_uid) in (["available"], ["registered", "available"])
