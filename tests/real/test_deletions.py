"""Studies, series and instances deleted in a real Orthanc, while syncd runs and while it is down (RULES D1–D3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from syncd.ledger.ledger import Ledger
from syncd.model.ids import ArchiveName
from syncd.model.work import Mark, MarkKind
from tests.real.installation import Installation, further, study
from tests.servers import Archive, FhirServer


@pytest.fixture
def site(either: Archive, hapi: FhirServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running daemon."""
    either.clear()
    with Installation(tmp_path_factory.mktemp("deletions"), archive=either, fhir=hapi) as installation:
        installation.syncd.start()
        yield installation


def deleted(site: Installation, study_uid: str, level: str = "studies") -> None:
    """The study, its first series or its first instance; Orthanc tells nobody."""
    for orthanc_id in site.archive.study_ids(study_uid):
        below = [] if level == "studies" else site.archive.get(f"/studies/{orthanc_id}/{level}")
        site.archive.delete(f"/{level}/{below[0]['ID'] if below else orthanc_id}")


def marked(site: Installation, study_uid: str) -> None:
    """As a sweep would that misses something of it."""
    with Ledger.open_guest(site.syncd.variables["SYNCD_LEDGER__URL"]) as ledger:
        mark = Mark(study_uid=study_uid, kind=MarkKind.INVENTORY, archive=ArchiveName(site.name))
        ledger.marks.add([mark], settle_after=0.0)


@pytest.mark.quick("1.12.7")
def test_what_is_deleted_while_syncd_runs(site: Installation) -> None:
    """docs/cases.md; cases I.8 55, 56: instance, series, study; its neighbour goes on; a second look is no write; and
    it returns under its id."""
    words = f"deleted while running {site.archive.version}"
    study_uid, files = study(words, series=2, instances=2)
    neighbour, others = study(f"neighbour of {words}")
    site.send(*files, *others)
    site.wait_for(study_uid, instances=4)
    site.wait_for(neighbour, instances=1)
    site.wait_settled()
    for level, left in (("instances", 3), ("series", None)):
        deleted(site, study_uid, level)
        marked(site, study_uid)
        if left is not None:
            site.wait_for(study_uid, instances=left)
        else:
            site.syncd.wait(lambda: (site.resource(study_uid) or {})["numberOfSeries"] == 1, what="one series is left")
    site.wait_settled()
    site.assert_equal()
    deleted(site, study_uid)
    marked(site, study_uid)
    site.wait_for(study_uid, status="cancelled")
    site.wait_settled()
    resource = site.resource(study_uid)
    assert resource is not None
    assert resource.keys() == {"resourceType", "id", "meta", "identifier", "status", "subject"}
    site.assert_equal()
    before = len(site.puts(study_uid))
    marked(site, study_uid)
    site.wait_settled()
    assert (len(site.puts(study_uid)), site.says(neighbour, instances=1)) == (before, True)
    site.send(further(words))
    site.wait_for(study_uid, instances=1)
    assert site.statuses(study_uid)[-2:] == ["cancelled", "available"]
    site.assert_equal()


@pytest.mark.quick("1.12.7")
def test_a_study_deleted_while_syncd_is_down(site: Installation) -> None:
    """docs/cases.md: found by `resync --study`; a resource that something refers to stays, cancelled (RULES D2)."""
    gone, files = study(f"deleted while down {site.archive.version}")
    named, others = study(f"deleted and named {site.archive.version}")
    site.send(*files, *others)
    site.wait_for(gone, named)
    site.wait_settled()
    site.syncd.stop()
    observed: dict[str, Any] = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    observed |= {"id": f"{site.name}-o", "derivedFrom": [{"reference": f"ImagingStudy/{named}"}]}
    assert site.fhir.put(f"Observation/{site.name}-o", observed).status == 201
    for one in (gone, named):
        deleted(site, one)
    site.syncd.variables["SYNCD_POLICY__ON_DELETE"] = "delete"
    site.syncd.command("resync", "--study", gone, "--study", named, expect=0)
    assert site.statuses(gone)[-2:] == ["cancelled", "deleted"]
    assert site.says(named, status="cancelled")
    assert site.fhir.request("DELETE", f"Observation/{site.name}-o").status == 200
    site.send(*files)
    site.wait_stable(gone)
    site.syncd.command("resync", expect=0)
    assert site.statuses(gone)[-2:] == ["deleted", "available"]
