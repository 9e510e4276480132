"""Medplum's router over its memory repository, where it differs from HAPI: versions without order, PUT creates with 200.

Each test is the other side of one in `fhir_contract`, `fhir_searches` or `fhir_bundles`, so that what the server lacks is
said and not skipped. `server` is the FHIR server under test.
"""

from __future__ import annotations

import uuid

from tests.contracts.fhir_client import FhirClient, put_entry, version_of


class UnorderedContract:
    """`fhir` is the fixture of `fhir_contract`."""

    def test_a_put_creates_and_updates_with_200(self, fhir: FhirClient) -> None:
        """RULES C6: so that no answer tells of a reset."""
        study = fhir.study()
        assert [fhir.put({**study, "numberOfSeries": number}).status_code for number in (1, 2)] == [200, 200]

    def test_versions_are_uuids_and_an_equal_put_makes_another(self, fhir: FhirClient) -> None:
        """RULES B3, E3: what is equal must not be sent; no version is below another."""
        study = fhir.study()
        versions = [version_of(fhir.put(study)) for _ in range(2)]
        assert len({uuid.UUID(one) for one in versions}) == 2

    def test_no_location_is_told_and_the_resource_is_always_answered(self, fhir: FhirClient) -> None:
        """RULES C4: whatever `Prefer` says; the version stands in the body and in the ETag."""
        answer = fhir.put(fhir.study(), Prefer="return=minimal")
        assert not {"Location", "Content-Location"} & answer.headers.keys()
        assert answer.json()["meta"]["versionId"] == version_of(answer)

    def test_if_match_0_creates_nothing(self, fhir: FhirClient) -> None:
        """RULES C2: 404 where nothing is, 412 where something is: refusing is no proof of creating."""
        study = fhir.study()
        absent = fhir.put(study, if_match="0")
        assert (absent.status_code, absent.json()["resourceType"]) == (404, "OperationOutcome")
        fhir.put(study)
        assert fhir.put(study, if_match="0").status_code == 412
        assert fhir.put(study, if_match=str(uuid.uuid4())).status_code == 412

    def test_if_none_match_on_put_is_ignored(self, fhir: FhirClient) -> None:
        """RULES C2: it overwrites."""
        study = fhir.stored()
        assert fhir.put({**study, "numberOfSeries": 3}, **{"If-None-Match": "*"}).status_code == 200
        assert fhir.get(f"ImagingStudy/{study['id']}").json()["numberOfSeries"] == 3

    def test_a_version_in_the_body_is_no_condition(self, fhir: FhirClient) -> None:
        """RULES C2: nor is it kept."""
        study = fhir.stored()
        answer = fhir.put({**study, "meta": {**study["meta"], "versionId": "0"}})
        assert (answer.status_code, answer.json()["meta"]["versionId"] != "0") == (200, True)

    def test_a_deletion_leaves_no_tombstone(self, fhir: FhirClient) -> None:
        """RULES C2, D2: 404 afterwards, and for what is not there; `If-Match` on DELETE is ignored."""
        study = fhir.stored()
        path = f"ImagingStudy/{study['id']}"
        assert fhir.delete(path, **{"If-Match": 'W/"77"'}).status_code == 200
        assert [fhir.get(path).status_code, fhir.delete(path).status_code] == [404, 404]

    def test_tags_and_labels_left_out_are_gone(self, fhir: FhirClient) -> None:
        """RULES B2, C3: so what others put there is sent along."""
        study = fhir.stored(meta={"tag": [{"system": "urn:other", "code": "x"}]})
        fhir.put({**study, "meta": {}})
        assert "tag" not in fhir.get(f"ImagingStudy/{study['id']}").json()["meta"]

    def test_references_are_not_checked(self, fhir: FhirClient) -> None:
        """RULES B4: neither when they are written nor when what they name is deleted; absolute ones stay absolute."""
        for reference in ("Patient/nowhere", f"{fhir.url}/Patient/{fhir.patient}"):
            study = fhir.study(subject={"reference": reference})
            assert fhir.put(study).json()["subject"]["reference"] == reference
        fhir.stored()
        assert fhir.delete(f"Patient/{fhir.patient}").status_code == 200

    def test_content_is_not_checked(self, fhir: FhirClient) -> None:
        """RULES B1: neither an unknown code nor a missing element; our own table is what refuses them."""
        assert fhir.put(fhir.study(status="foo")).status_code == 200
        assert fhir.put(fhir.study("987654321987654321")).status_code == 200

    def test_searches_are_not_cached_and_answer_whole_resources(self, fhir: FhirClient) -> None:
        """RULES C9: `_elements` cuts nothing, and an unknown type is empty."""
        study = fhir.study()
        query = f"ImagingStudy?_id={study['id']}&_elements=identifier"
        assert fhir.found(query, fresh=False) == []
        fhir.put(study)
        assert fhir.search(query, fresh=False)["entry"][0]["resource"]["subject"] == study["subject"]
        assert fhir.found("NoType?_id=1") == []

    def test_a_conditional_create_is_done_once(self, fhir: FhirClient) -> None:
        """RULES C1: 201 with a Location without version, then 200 without any."""
        value = fhir.new_id()
        patient = {"resourceType": "Patient", "identifier": [{"system": "urn:c", "value": value}]}
        condition = {"If-None-Exist": f"identifier=urn:c|{value}"}
        created = fhir.ask("POST", "Patient", body=patient, headers=condition)
        assert (created.status_code, created.headers["Location"]) == (201, f"{fhir.url}/Patient/{created.json()['id']}")
        again = fhir.ask("POST", "Patient", body=patient, headers=condition)
        assert (again.status_code, again.json()["id"], "Location" in again.headers) == (200, created.json()["id"], False)

    def test_a_transaction_is_none(self, fhir: FhirClient) -> None:
        """RULES C7: what stood before a refused entry stays written, so that syncd sends single writes."""
        good, bad = fhir.study(), fhir.stored()
        answer = fhir.bundle("transaction", put_entry(good), put_entry(bad, if_match="0"))
        assert answer.status_code in (200, 404, 412)
        assert fhir.get(f"ImagingStudy/{good['id']}").status_code == 200
