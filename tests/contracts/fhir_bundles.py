"""docs/fhir-servers.md, "Behaviours": transactions and batches (RULES C7); `fhir` is the fixture of `fhir_contract`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.contracts.fhir_client import FhirClient, Resource, diagnostics_of, put_entry, version_of


class BundleContract:
    """What a POST to the base URL does."""

    def test_the_entries_of_a_response_carry_location_and_a_bare_etag(self, fhir: FhirClient) -> None:
        """RULES C7: `2`, not `W/"2"`; an unchanged one answers its old version."""
        studies = [fhir.study(), fhir.study()]
        created = fhir.bundle("transaction", *map(put_entry, studies))
        assert (created.status_code, created.json()["type"]) == (200, "transaction-response")
        responses = [entry["response"] for entry in created.json()["entry"]]
        assert [one["status"] for one in responses] == ["201 Created"] * 2
        assert [one["etag"] for one in responses] == ["1", "1"]
        assert [one["location"] for one in responses] == [f"ImagingStudy/{one['id']}/_history/1" for one in studies]
        studies[1]["numberOfSeries"] = 1
        again = [entry["response"] for entry in fhir.bundle("transaction", *map(put_entry, studies)).json()["entry"]]
        assert [(one["status"], one["etag"]) for one in again] == [("200 OK", "1"), ("200 OK", "2")]

    def test_a_missing_reference_fails_the_whole_transaction_and_names_no_entry(self, fhir: FhirClient) -> None:
        """RULES C7: HAPI-1094; so the bundle is sent singly."""
        good, bad = fhir.study(), fhir.study(subject={"reference": "Patient/nowhere"})
        refused = fhir.bundle("transaction", put_entry(good), put_entry(bad))
        assert (refused.status_code, "HAPI-1094" in diagnostics_of(refused)) == (400, True)
        assert bad["id"] not in refused.text
        assert fhir.get(f"ImagingStudy/{good['id']}").status_code == 404

    def test_a_reference_may_lead_into_the_same_transaction(self, fhir: FhirClient) -> None:
        """docs/fhir-servers.md: in any order."""
        patient = {"resourceType": "Patient", "id": fhir.new_id("pat")}
        study = fhir.study(subject={"reference": f"Patient/{patient['id']}"})
        assert fhir.bundle("transaction", put_entry(study), put_entry(patient)).status_code == 200
        assert fhir.get(f"ImagingStudy/{study['id']}").status_code == 200

    def test_one_id_twice_is_refused(self, fhir: FhirClient) -> None:
        """RULES C7: HAPI-0535."""
        study = fhir.study()
        refused = fhir.bundle("transaction", put_entry(study), put_entry(study))
        assert (refused.status_code, "HAPI-0535" in diagnostics_of(refused)) == (400, True)

    def test_one_bad_code_fails_a_transaction(self, fhir: FhirClient) -> None:
        """RULES C7: nothing is written."""
        good = fhir.study()
        assert fhir.bundle("transaction", put_entry(good), put_entry(fhir.study(status="foo"))).status_code == 400
        assert fhir.get(f"ImagingStudy/{good['id']}").status_code == 404

    def test_a_wrong_if_match_fails_a_whole_transaction(self, fhir: FhirClient) -> None:
        """RULES C7: 409, nothing written."""
        one, other = fhir.stored(), fhir.stored()
        changed = [put_entry({**one, "numberOfSeries": 1}), put_entry({**other, "numberOfSeries": 1}, if_match="9")]
        assert fhir.bundle("transaction", *changed).status_code == 409
        assert version_of(fhir.get(f"ImagingStudy/{one['id']}")) == "1"

    def test_a_wrong_if_match_fails_only_its_entry_of_a_batch(self, fhir: FhirClient) -> None:
        """RULES C7: `409 Conflict`; so does a missing reference, by `400 Bad Request`."""
        one, other = fhir.stored(), fhir.stored()
        lost = fhir.study(subject={"reference": "Patient/nowhere"})
        answer = fhir.bundle(
            "batch",
            put_entry({**one, "numberOfSeries": 1}),
            put_entry({**other, "numberOfSeries": 1}, if_match="9"),
            put_entry(lost),
            {"request": {"method": "GET", "url": f"ImagingStudy/{other['id']}"}},
        )
        assert (answer.status_code, answer.json()["type"]) == (200, "batch-response")
        entries = answer.json()["entry"]
        statuses = [entry["response"]["status"] for entry in entries]
        assert statuses == ["200 OK", "409 Conflict", "400 Bad Request", "200 OK"]
        assert "HAPI-0989" in entries[1]["response"]["outcome"]["issue"][0]["diagnostics"]
        assert entries[3]["resource"]["id"] == other["id"]
        assert version_of(fhir.get(f"ImagingStudy/{one['id']}")) == "2"
        assert fhir.get(f"ImagingStudy/{lost['id']}").status_code == 404

    def test_if_match_0_is_create_only_in_bundles_too(self, fhir: FhirClient) -> None:
        """RULES C2: one that exists fails the transaction."""
        one, other = fhir.study(), fhir.study()
        assert fhir.bundle("transaction", put_entry(one, if_match="0")).status_code == 200
        both = [put_entry(one, if_match="0"), put_entry(other, if_match="0")]
        assert fhir.bundle("transaction", *both).status_code == 409
        assert fhir.get(f"ImagingStudy/{other['id']}").status_code == 404

    def test_a_transaction_deletes_before_it_writes(self, fhir: FhirClient) -> None:
        """FHIR R4 3.1.0.11.2: and each entry's answer is at its entry's place."""
        gone, new = fhir.stored(), fhir.study()
        delete = {"request": {"method": "DELETE", "url": f"ImagingStudy/{gone['id']}"}}
        answer = fhir.bundle("transaction", put_entry(new), delete)
        responses = [entry["response"] for entry in answer.json()["entry"]]
        assert [one["status"] for one in responses] == ["201 Created", "204 No Content"]
        assert responses[1]["location"] == f"ImagingStudy/{gone['id']}/_history/2"

    def test_resources_come_back_only_where_asked_for(self, fhir: FhirClient) -> None:
        """FHIR R4 3.1.0.1.6: `Prefer: return=representation`."""
        study = fhir.study()
        assert "resource" not in fhir.bundle("transaction", put_entry(study)).json()["entry"][0]
        [entry] = fhir.bundle("transaction", put_entry(study), Prefer="return=representation").json()["entry"]
        assert entry["resource"]["id"] == study["id"]

    def test_an_empty_transaction_is_answered(self, fhir: FhirClient) -> None:
        """RULES C7: nothing to do is no error."""
        assert fhir.bundle("transaction").json()["type"] == "transaction-response"

    def test_transactions_that_share_a_new_patient_fail_whole_or_not_at_all(self, fhir: FhirClient) -> None:
        """RULES C7: of 100 on the real one 73 fail with 409, so Patients are written before, alone."""
        patients = [{"resourceType": "Patient", "id": fhir.new_id("pat")} for _ in range(5)]
        for patient in patients:
            subject = {"reference": f"Patient/{patient['id']}"}
            studies = [fhir.study(subject=subject) for _ in range(4)]
            statuses = _at_once(fhir, [[put_entry(patient), put_entry(study)] for study in studies])
            assert set(statuses) <= {200, 409} and 200 in statuses
            for study, status in zip(studies, statuses, strict=True):
                assert fhir.get(f"ImagingStudy/{study['id']}").status_code == (200 if status == 200 else 404)


def _at_once(fhir: FhirClient, bundles: list[list[Resource]]) -> list[int]:
    with ThreadPoolExecutor(len(bundles)) as pool:
        return list(pool.map(lambda entries: fhir.bundle("transaction", *entries).status_code, bundles))
