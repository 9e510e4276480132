"""docs/fhir-servers.md, "Behaviours": reads and writes one at a time, one test per row.

`server` is the FHIR server under test. Searches are in `fhir_searches`, bundles in `fhir_bundles`; speed is no contract.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import requests

from tests.contracts.fhir_client import TAG, FhirClient, FhirUnderTest, diagnostics_of, version_of


@pytest.fixture
def fhir(server: FhirUnderTest) -> Iterator[FhirClient]:
    client = FhirClient(server)
    yield client
    client.close()


class WriteContract:
    """PUT, DELETE, POST and GET by id."""

    def test_put_creates_then_updates_then_changes_nothing(self, fhir: FhirClient) -> None:
        """RULES C1: an equal PUT answers the old version with 200."""
        study = fhir.study()
        created = fhir.put(study)
        assert (created.status_code, version_of(created)) == (201, "1")
        same = fhir.put(study)
        assert (same.status_code, version_of(same)) == (200, "1")
        updated = fhir.put({**study, "numberOfSeries": 1})
        assert (updated.status_code, version_of(updated)) == (200, "2")
        assert fhir.get(f"ImagingStudy/{study['id']}").json()["numberOfSeries"] == 1
        assert updated.headers["Content-Location"] == f"{fhir.url}/ImagingStudy/{study['id']}/_history/2"

    def test_put_works_with_a_uid_of_64_characters(self, fhir: FhirClient) -> None:
        """RULES C1: and not with one of 65."""
        uid = f"{fhir.root}.{'9' * 64}"
        assert fhir.put(fhir.study(uid[:64])).status_code == 201
        assert fhir.put(fhir.study(uid[:65])).status_code == 400

    def test_a_wrong_if_match_on_put_is_a_conflict(self, fhir: FhirClient) -> None:
        """RULES C4: 409."""
        study = fhir.stored()
        refused = fhir.put({**study, "numberOfSeries": 1}, if_match="9")
        assert refused.status_code == 409
        assert "HAPI-0989" in diagnostics_of(refused)
        assert version_of(fhir.put({**study, "numberOfSeries": 1}, if_match="1")) == "2"

    def test_a_wrong_if_match_on_delete_is_ignored(self, fhir: FhirClient) -> None:
        """RULES D2: so the version is checked before."""
        study = fhir.stored()
        assert fhir.delete(f"ImagingStudy/{study['id']}", **{"If-Match": 'W/"77"'}).status_code == 200
        assert fhir.get(f"ImagingStudy/{study['id']}").status_code == 410

    def test_a_reference_to_what_is_not_there_is_refused(self, fhir: FhirClient) -> None:
        """RULES B4: Endpoint and Patient go first."""
        study = fhir.study(endpoint=[{"reference": "Endpoint/nowhere"}])
        refused = fhir.put(study)
        assert refused.status_code == 400
        assert "HAPI-1094: Resource Endpoint/nowhere not found" in diagnostics_of(refused)
        assert fhir.get(f"ImagingStudy/{study['id']}").status_code == 404
        wrong_type = fhir.put(fhir.study(subject={"reference": f"Endpoint/{fhir.endpoint()['id']}"}))
        assert wrong_type.status_code == 422

    def test_logical_and_foreign_references_are_taken_as_they_are(self, fhir: FhirClient) -> None:
        """RULES B4: an identifier, and an absolute reference to another server."""
        assert fhir.put(fhir.study(subject={"identifier": {"system": "urn:s", "value": "1"}})).status_code == 201
        elsewhere = {"reference": "https://elsewhere.example/fhir/Patient/1"}
        assert fhir.put(fhir.study(subject=elsewhere)).json()["subject"] == elsewhere

    def test_a_referenced_endpoint_or_patient_cannot_be_deleted(self, fhir: FhirClient) -> None:
        """docs/fhir-servers.md: 409."""
        endpoint = fhir.endpoint()
        study = fhir.stored(endpoint=[{"reference": f"Endpoint/{endpoint['id']}"}])
        assert fhir.delete(f"Endpoint/{endpoint['id']}").status_code == 409
        assert fhir.delete(f"Patient/{fhir.patient}").status_code == 409
        assert fhir.delete(f"ImagingStudy/{study['id']}").status_code == 200
        assert fhir.delete(f"Endpoint/{endpoint['id']}").status_code == 200

    def test_an_unknown_status_code_is_refused(self, fhir: FhirClient) -> None:
        """RULES C6: 400, with an OperationOutcome."""
        refused = fhir.put(fhir.study(status="foo"))
        assert refused.status_code == 400
        assert "foo" in diagnostics_of(refused)

    @pytest.mark.parametrize(
        "change",
        [{"id": "another"}, {"id": None}, {"resourceType": "Basic"}, {"started": "yesterday"}],
        ids=["other-id", "no-id", "other-type", "no-date"],
    )
    def test_a_body_that_does_not_fit_is_refused(self, fhir: FhirClient, change: dict[str, str | None]) -> None:
        """RULES C6: 400, with an OperationOutcome."""
        study = {name: value for name, value in {**fhir.study(), **change}.items() if value is not None}
        refused = fhir.ask("PUT", f"ImagingStudy/{fhir.new_id()}", body=study)
        assert refused.status_code == 400
        assert diagnostics_of(refused)

    def test_what_is_no_json_is_refused(self, fhir: FhirClient) -> None:
        """RULES C6: 400, with an OperationOutcome."""
        refused = fhir.ask("PUT", f"ImagingStudy/{fhir.new_id()}", body="{no json")
        assert (refused.status_code, "HAPI-0450" in diagnostics_of(refused)) == (400, True)

    def test_if_none_match_on_put_is_ignored(self, fhir: FhirClient) -> None:
        """RULES C2: it overwrites."""
        study = fhir.stored()
        overwritten = fhir.put({**study, "numberOfSeries": 3}, **{"If-None-Match": "*"})
        assert (overwritten.status_code, version_of(overwritten)) == (200, "2")

    def test_if_match_0_is_create_only(self, fhir: FhirClient) -> None:
        """RULES C2: absent → 201; existing or deleted → 409."""
        study = fhir.study()
        assert fhir.put(study, if_match="0").status_code == 201
        assert fhir.put(study, if_match="0").status_code == 409
        fhir.delete(f"ImagingStudy/{study['id']}")
        assert fhir.put(study, if_match="0").status_code == 409

    def test_an_update_of_an_absent_id_creates_version_1(self, fhir: FhirClient) -> None:
        """RULES C6: an update that is answered 201 means that the server was reset."""
        created = fhir.put(fhir.study(), if_match="3")
        assert (created.status_code, version_of(created)) == (201, "1")

    def test_absolute_and_versioned_references_are_answered_as_relative(self, fhir: FhirClient) -> None:
        """RULES B3: a versioned one is even equal to the plain one; an absolute one is not, so it makes a version."""
        plain = f"Patient/{fhir.patient}"
        study = fhir.stored()
        for reference, version in ((f"{plain}/_history/1", "1"), (f"{fhir.url}/{plain}", "2"), (plain, "3")):
            answer = fhir.put({**study, "subject": {"reference": reference}})
            assert (answer.json()["subject"]["reference"], version_of(answer)) == (plain, version)

    def test_tags_and_labels_left_out_are_carried_forward(self, fhir: FhirClient) -> None:
        """RULES B2: and the PUT is a no-op; only `$meta-delete` removes them."""
        label = {"system": "urn:label", "code": "z"}
        study = fhir.stored(meta={"tag": [TAG], "security": [label], "profile": ["urn:p"]})
        path = f"ImagingStudy/{study['id']}"
        same = fhir.put({**study, "meta": {"profile": ["urn:p"]}})
        assert (version_of(same), same.json()["meta"]["tag"], same.json()["meta"]["security"]) == ("1", [TAG], [label])
        other = {"system": "urn:contract", "code": "b"}
        more = fhir.put({**study, "meta": {"tag": [other]}})
        assert (version_of(more), _codes(more)) == ("2", {"a", "b"})
        assert "profile" not in more.json()["meta"]
        meta = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [TAG]}}]}
        assert fhir.ask("POST", f"{path}/$meta-delete", body=meta).status_code == 200
        assert fhir.get(path).json()["meta"]["tag"] == [other]

    def test_the_source_gets_the_request_id(self, fhir: FhirClient) -> None:
        """RULES B2: appended behind `#`; another source alone is no change."""
        study = fhir.stored()
        path = f"ImagingStudy/{study['id']}"
        source = fhir.get(path).json()["meta"]["source"]
        assert source.startswith("urn:contract#") and len(source) > len("urn:contract#")
        assert version_of(fhir.put({**study, "meta": {"source": "urn:other"}})) == "1"
        assert fhir.get(path).json()["meta"]["source"] == source

    def test_a_study_that_an_observation_derives_from_cannot_be_deleted(self, fhir: FhirClient) -> None:
        """RULES D2: 409; a DiagnosticReport that names it does not hold it, and dangles."""
        held, named = fhir.stored(), fhir.stored()
        code = {"code": {"text": "x"}, "status": "final"}
        derived = {"derivedFrom": [{"reference": f"ImagingStudy/{held['id']}"}], **code}
        assert fhir.put({"resourceType": "Observation", "id": fhir.new_id("obs"), **derived}).status_code == 201
        report = {"resourceType": "DiagnosticReport", "id": fhir.new_id("rep"), **code}
        report["imagingStudy"] = [{"reference": f"ImagingStudy/{named['id']}"}]
        assert fhir.put(report).status_code == 201
        assert fhir.delete(f"ImagingStudy/{held['id']}").status_code == 409
        assert fhir.delete(f"ImagingStudy/{named['id']}").status_code == 200
        left = fhir.get(f"DiagnosticReport/{report['id']}").json()
        assert left["imagingStudy"] == report["imagingStudy"]

    def test_update_as_create_is_not_declared(self, fhir: FhirClient) -> None:
        """docs/settings.md, `FHIR__IDS`: the CapabilityStatement cannot tell."""
        statement = fhir.get("metadata").json()
        assert (statement["resourceType"], statement["fhirVersion"]) == ("CapabilityStatement", "4.0.1")
        listed = {one["type"]: one for one in statement["rest"][0]["resource"]}
        assert "updateCreate" not in listed["ImagingStudy"]
        assert {"Patient", "Endpoint", "Basic"} <= set(listed)

    def test_an_id_of_digits_only_is_refused(self, fhir: FhirClient) -> None:
        """RULES C1: HAPI-0960."""
        refused = fhir.put(fhir.study("987654321987654321"))
        assert (refused.status_code, "HAPI-0960" in diagnostics_of(refused)) == (400, True)

    def test_gzip_and_minimal_answers(self, fhir: FhirClient) -> None:
        """docs/fhir-servers.md: `Content-Encoding: gzip` on requests, `Prefer: return=minimal`."""
        study = fhir.study()
        headers = {"Content-Encoding": "gzip", "Prefer": "return=minimal"}
        body = gzip.compress(json.dumps(study).encode())
        answer = fhir.ask("PUT", f"ImagingStudy/{study['id']}", body=body, headers=headers)
        assert (answer.status_code, answer.content, version_of(answer)) == (201, b"", "1")
        assert fhir.get(f"ImagingStudy/{study['id']}").json()["identifier"] == study["identifier"]

    def test_a_tombstone_tells_its_version(self, fhir: FhirClient) -> None:
        """RULES C2: by the 410's Location."""
        study = fhir.stored()
        path = f"ImagingStudy/{study['id']}"
        deleted = fhir.delete(path)
        assert (deleted.status_code, deleted.headers["Content-Location"]) == (200, f"{fhir.url}/{path}/_history/2")
        gone = fhir.get(path)
        assert (gone.status_code, gone.headers["Location"]) == (410, f"{fhir.url}/{path}/_history/2")
        assert fhir.delete(path).status_code == 200
        assert fhir.delete("ImagingStudy/never-there").status_code == 200

    def test_a_put_over_a_tombstone(self, fhir: FhirClient) -> None:
        """RULES C2: the old version is refused; the tombstone's is answered 201, and skips a number."""
        study = fhir.stored()
        fhir.delete(f"ImagingStudy/{study['id']}")
        assert fhir.put(study, if_match="1").status_code == 409
        back = fhir.put(study, if_match="2")
        assert (back.status_code, version_of(back)) == (201, "4")
        fhir.delete(f"ImagingStudy/{study['id']}")
        unconditional = fhir.put(study)
        assert (unconditional.status_code, version_of(unconditional)) == (201, "7")

    def test_every_version_can_be_read(self, fhir: FhirClient) -> None:
        """RULES E3: `_history`, newest first; a deletion has no resource."""
        study = fhir.stored()
        path = f"ImagingStudy/{study['id']}"
        fhir.put({**study, "numberOfSeries": 2})
        fhir.delete(path)
        entries = fhir.get(f"{path}/_history").json()["entry"]
        assert [entry["request"]["method"] for entry in entries] == ["DELETE", "PUT", "POST"]
        assert [entry["resource"]["meta"]["versionId"] for entry in entries[1:]] == ["2", "1"]
        assert "resource" not in entries[0]
        assert "numberOfSeries" not in fhir.get(f"{path}/_history/1").json()
        assert [fhir.get(f"{path}/_history/{number}").status_code for number in (3, 9)] == [410, 404]

    def test_what_is_not_there_is_told_by_an_outcome(self, fhir: FhirClient) -> None:
        """RULES C6: only beside the FHIR server is a 404 without one."""
        for path in (f"ImagingStudy/{fhir.new_id()}", "NoType/1"):
            answer = fhir.get(path)
            assert (answer.status_code, bool(diagnostics_of(answer))) == (404, True)
        beside = fhir.get(fhir.url.rsplit("/", 1)[0] + "/elsewhere/ImagingStudy/1")
        assert (beside.status_code, beside.content) == (404, b"")

    def test_conditional_create_finds_what_is_there(self, fhir: FhirClient) -> None:
        """docs/fhir-servers.md: once one at a time; several that match are 412."""
        value = fhir.new_id()
        patient = {"resourceType": "Patient", "identifier": [{"system": "urn:c", "value": value}]}
        condition = {"If-None-Exist": f"identifier=urn:c|{value}"}
        created = fhir.ask("POST", "Patient", body=patient, headers=condition)
        assert (created.status_code, created.json()["id"].isdigit()) == (201, True)
        again = fhir.ask("POST", "Patient", body=patient, headers=condition)
        assert (again.status_code, again.json()["id"]) == (200, created.json()["id"])
        assert fhir.ask("POST", "Patient", body=patient).status_code == 201
        assert fhir.ask("POST", "Patient", body=patient, headers=condition).status_code == 412

    def test_a_conditional_put_gets_an_id_of_the_servers(self, fhir: FhirClient) -> None:
        """RULES C1: numeric."""
        study = fhir.study()
        uid = study.pop("id")
        path = f"ImagingStudy?identifier={quote(f'urn:dicom:uid|urn:oid:{uid}')}"
        created = fhir.ask("PUT", path, body=study)
        assert (created.status_code, created.json()["id"].isdigit()) == (201, True)
        updated = fhir.ask("PUT", path, body={**study, "numberOfSeries": 1})
        assert (updated.status_code, updated.json()["id"], version_of(updated)) == (200, created.json()["id"], "2")


def _codes(answer: requests.Response) -> set[str]:
    """A resource's tags, which come in any order."""
    return {one["code"] for one in answer.json()["meta"]["tag"]}
