"""A real HAPI that refuses ids of clients: the contract that the fake passes, and a whole site before it (RULES C1)."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.contracts.fhir_client import FhirUnderTest
from tests.contracts.fhir_ids import IdsContract
from tests.real.installation import Installation, further, study
from tests.servers import Archive, FhirServer

pytestmark = pytest.mark.real


class TestServerIds(IdsContract):
    """RULES C1 on the real one."""

    @pytest.fixture
    def server(self, insisting: FhirServer) -> FhirUnderTest:
        under_test: FhirUnderTest = SimpleNamespace(url=insisting.base_url.rstrip("/"))
        return under_test


def test_a_site_is_published_under_the_servers_ids(
    archive: Archive, insisting: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES C1, B3: found out by itself, published once, updated where it is, and an unchanged study costs no write."""
    site = install(archive, insisting)
    uid, files = study("named by the server")
    site.send(*files)
    site.wait_stable(uid)
    site.syncd.command("resync", expect=0)
    held = _held(insisting, uid)
    assert held["id"].isdecimal()
    assert insisting.get(held["subject"]["reference"])["id"].isdecimal()
    assert [insisting.get(one["reference"])["resourceType"] for one in held["endpoint"]] == ["Endpoint"]

    site.syncd.command("resync", expect=0)
    assert _held(insisting, uid)["meta"]["versionId"] == held["meta"]["versionId"]

    site.send(further("named by the server", number=2))
    site.wait_stable(uid)
    site.syncd.command("resync", expect=0)
    again = _held(insisting, uid)
    assert (again["id"], again["numberOfInstances"]) == (held["id"], 2)


def _held(server: FhirServer, uid: str) -> dict[str, Any]:
    (found,) = server.search(f"ImagingStudy?identifier=urn:dicom:uid%7Curn:oid:{uid}")
    return dict(found)
