"""A FHIR server that was told to refuse ids of clients, as RULES C1 needs to know it; `server` insists on its own.

HAPI 8.8.0 with client ids NOT_ALLOWED answers 404, where the standard has 405; both are dealt with by `publish.assigned`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contracts.fhir_client import FhirClient, FhirUnderTest, diagnostics_of, version_of


def _study(fhir: FhirClient) -> tuple[dict[str, Any], str]:
    """A study without an id, and the condition by which there is only one of it."""
    study = fhir.study(subject={"display": "somebody"})
    uid = study.pop("id")
    study["identifier"] = [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}]
    return study, f"identifier=urn:dicom:uid|urn:oid:{uid}"


class IdsContract:
    """Conditional create, then PUT by id."""

    @pytest.fixture
    def fhir(self, server: FhirUnderTest) -> Iterator[FhirClient]:
        client = FhirClient(server, takes_ids=False)
        yield client
        client.close()

    def test_an_id_of_ours_is_refused(self, fhir: FhirClient) -> None:
        """RULES C1: by 404 and an OperationOutcome; nothing is stored."""
        study = fhir.study(subject={"display": "somebody"})
        for wanted in (None, "0"):
            refused = fhir.put(study, if_match=wanted) if wanted else fhir.put(study)
            assert refused.status_code == 404
            assert "client-assigned IDs are not enabled" in diagnostics_of(refused)
        assert fhir.get(f"ImagingStudy/{study['id']}").status_code == 404

    def test_a_conditional_create_is_done_once(self, fhir: FhirClient) -> None:
        """RULES C1: 201 with the new id; then 200, which names the same one."""
        study, condition = _study(fhir)
        created = fhir.ask(
            "POST", "ImagingStudy", body=study, headers={"If-None-Exist": condition, "Prefer": "return=minimal"}
        )
        assert (created.status_code, version_of(created)) == (201, "1")
        again = fhir.ask(
            "POST", "ImagingStudy", body=study, headers={"If-None-Exist": condition, "Prefer": "return=minimal"}
        )
        assert (again.status_code, again.headers["Location"]) == (200, created.headers["Location"])

    def test_what_it_created_is_updated_by_its_id_and_version(self, fhir: FhirClient) -> None:
        """RULES C1, C4: If-Match holds there as elsewhere; a tombstone is written over."""
        study, condition = _study(fhir)
        created = fhir.ask("POST", "ImagingStudy", body=study, headers={"If-None-Exist": condition})
        named = {**study, "id": created.json()["id"]}
        assert version_of(fhir.put({**named, "numberOfSeries": 1}, if_match="1")) == "2"
        assert fhir.put({**named, "numberOfSeries": 2}, if_match="1").status_code == 409
        assert fhir.delete(f"ImagingStudy/{named['id']}").status_code == 200
        assert fhir.put(named, if_match="3").status_code == 201

    def test_the_capability_statement_does_not_tell(self, fhir: FhirClient) -> None:
        """docs/settings.md, FHIR__IDS: HAPI does not declare `updateCreate`, whatever it does."""
        assert "updateCreate" not in fhir.get("metadata").text
