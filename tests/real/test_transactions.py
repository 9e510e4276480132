"""A site whose FHIR server is only ever sent transactions (FHIR__WRITES=transaction), on the real one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.real.installation import Installation, further, study
from tests.servers import Archive, FhirServer

pytestmark = pytest.mark.real


def test_everything_is_written_in_transactions(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """Created once, unchanged without a write, updated where it is, taken back: nothing but `POST [base]`."""
    site = install(archive, hapi, SYNCD_FHIR__WRITES="transaction", SYNCD_POLICY__ON_DELETE="delete")
    words = [f"in transactions {number}" for number in range(12)]
    studies = [study(word) for word in words]
    for _, files in studies:
        site.send(*files)
    site.wait_stable(*(uid for uid, _ in studies))
    site.syncd.command("resync", expect=0)
    assert [_version(site, uid) for uid, _ in studies] == ["1"] * len(studies)
    sent = site.before_fhir.writes()
    assert {(one.method, one.path.rstrip("/")) for one in sent} == {("POST", "/fhir")}

    site.before_fhir.forget()
    site.syncd.command("resync", "--full", expect=0)
    assert site.before_fhir.writes() == ()

    (first, _), (second, _), *_ = studies
    site.send(further(words[0], number=2))
    site.wait_stable(first)
    site.syncd.command("resync", expect=0)
    changed = site.resource(first)
    assert changed is not None and (changed["meta"]["versionId"], changed["numberOfInstances"]) == ("2", 2)
    for orthanc_id in archive.study_ids(second):
        archive.delete(f"studies/{orthanc_id}")
    site.syncd.command("resync", expect=0)
    assert site.resource(second) is None
    assert {(one.method, one.path.rstrip("/")) for one in site.before_fhir.writes()} == {("POST", "/fhir")}
    site.syncd.command("audit", expect=0)


def _version(site: Installation, uid: str) -> str:
    found = site.resource(uid)
    assert found is not None, uid
    return str(found["meta"]["versionId"])
