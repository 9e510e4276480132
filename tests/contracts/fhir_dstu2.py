"""What is otherwise in DSTU2 (HAPI 8.8 in that mode), one test per fact that syncd relies on; fake and real pass it.

`server` is the server under test, of version DSTU2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contracts.fhir_client import NO_CACHE, TAG, FhirClient, FhirUnderTest, Resource, diagnostics_of, version_of

DSTU2_JSON = "application/json+fhir"


class Dstu2Client(FhirClient):
    """The same client, whose studies are DSTU2's."""

    def study(self, uid: str = "", **elements: Any) -> Resource:
        """An ImagingStudy of the client's patient."""
        uid = uid or self.new_id()
        return {
            "resourceType": "ImagingStudy",
            "id": uid,
            "meta": {"tag": [TAG]},
            "uid": f"urn:oid:{uid}",
            "patient": {"reference": f"Patient/{self.patient}"},
            "availability": "ONLINE",
            "numberOfSeries": 0,
            "numberOfInstances": 0,
            **elements,
        }


@pytest.fixture
def dstu2(server: FhirUnderTest) -> Iterator[Dstu2Client]:
    client = Dstu2Client(server)
    yield client
    client.close()


def versioned(resource: Resource, version: str) -> Resource:
    return {**resource, "meta": {**resource["meta"], "versionId": version}}


class Dstu2Contract:
    """Versions, searches and words of DSTU2."""

    def test_the_server_says_its_version_in_a_conformance(self, dstu2: Dstu2Client) -> None:
        """MAPPING I case 65; RULES E3: no Endpoint is served, a Basic is."""
        answer = dstu2.get("metadata")
        assert (answer.json()["resourceType"], answer.json()["fhirVersion"]) == ("Conformance", "1.0.2")
        types = {one["type"] for one in answer.json()["rest"][0]["resource"]}
        assert {"ImagingStudy", "Patient", "Basic"} <= types
        assert not {"Endpoint", "ServiceRequest"} & types
        assert dstu2.get("Endpoint/x").status_code == 404

    @pytest.mark.parametrize("media", [DSTU2_JSON, "application/fhir+json"])
    def test_both_names_of_fhirs_json_are_understood(self, dstu2: Dstu2Client, media: str) -> None:
        """MAPPING M: the answer has DSTU2's own."""
        study = dstu2.study()
        path = f"ImagingStudy/{study['id']}"
        answer = dstu2.ask("PUT", path, body=study, headers={"Content-Type": media, "Accept": media})
        assert answer.status_code == 201
        assert answer.headers["Content-Type"].startswith(DSTU2_JSON)

    def test_if_match_on_put_is_overlooked(self, dstu2: Dstu2Client) -> None:
        """RULES C2, C4: neither create-only nor a conflict."""
        study = dstu2.stored()
        for number, stale in enumerate(("9", "0"), start=1):
            answer = dstu2.put({**study, "numberOfSeries": number}, if_match=stale)
            assert (answer.status_code, version_of(answer)) == (200, str(number + 1))

    def test_the_version_in_the_body_is_compared(self, dstu2: Dstu2Client) -> None:
        """RULES C4: a wrong one is a conflict, the right one is not."""
        study = dstu2.stored()
        refused = dstu2.put(versioned({**study, "numberOfSeries": 1}, "9"))
        assert (refused.status_code, "HAPI-0989" in diagnostics_of(refused)) == (409, True)
        assert version_of(dstu2.put(versioned({**study, "numberOfSeries": 1}, "1"))) == "2"
        assert version_of(dstu2.put(versioned({**study, "numberOfSeries": 1}, "2"))) == "2"

    def test_version_0_in_the_body_is_create_only(self, dstu2: Dstu2Client) -> None:
        """RULES C2: absent → 201; existing, equal or not, and deleted → 409."""
        study = versioned(dstu2.study(), "0")
        assert dstu2.put(study).status_code == 201
        assert dstu2.put(study).status_code == 409
        assert dstu2.put({**study, "numberOfSeries": 1}).status_code == 409
        dstu2.delete(f"ImagingStudy/{study['id']}")
        assert dstu2.put(study).status_code == 409

    def test_a_put_over_a_tombstone_names_its_version_in_the_body(self, dstu2: Dstu2Client) -> None:
        """RULES C2: that of the 410's Location; another one is refused."""
        study = dstu2.stored()
        path = f"ImagingStudy/{study['id']}"
        dstu2.delete(path)
        gone = dstu2.get(path)
        assert (gone.status_code, gone.headers["Location"]) == (410, f"{dstu2.url}/{path}/_history/2")
        assert dstu2.put(versioned(study, "1")).status_code == 409
        back = dstu2.put(versioned(study, "2"))
        assert (back.status_code, version_of(back)) == (201, "4")

    def test_an_update_of_an_absent_id_creates_version_1(self, dstu2: Dstu2Client) -> None:
        """RULES C6: an update that is answered 201 means that the server was reset."""
        created = dstu2.put(versioned(dstu2.study(), "3"), if_match="3")
        assert (created.status_code, version_of(created)) == (201, "1")

    def test_what_is_not_there_is_told_by_an_outcome(self, dstu2: Dstu2Client) -> None:
        """RULES C6."""
        answer = dstu2.get(f"ImagingStudy/{dstu2.new_id()}")
        assert (answer.status_code, bool(diagnostics_of(answer))) == (404, True)

    def test_a_study_is_found_by_its_uid_or_id_and_not_by_identifier(self, dstu2: Dstu2Client) -> None:
        """RULES C2: `study` with `urn:oid:`; `uid` is an instance's, and ImagingStudy has no `identifier` parameter."""
        study, other = dstu2.stored(), dstu2.stored()
        both = f"{study['uid']},{other['uid']}"
        assert sorted(dstu2.found(f"ImagingStudy?study={both}")) == sorted([study["id"], other["id"]])
        assert dstu2.found(f"ImagingStudy?_id={study['id']},absent") == [study["id"]]
        assert dstu2.found(f"ImagingStudy?study={study['id']}") == []
        assert dstu2.found(f"ImagingStudy?uid={study['uid']}") == []
        assert dstu2.found(f"ImagingStudy?patient=Patient/{dstu2.patient}&_id={other['id']}") == [other["id"]]
        refused = dstu2.get("ImagingStudy?identifier=x")
        assert (refused.status_code, "HAPI-0524" in diagnostics_of(refused)) == (400, True)

    def test_searches_are_cached_and_cut_as_in_r4(self, dstu2: Dstu2Client) -> None:
        """RULES C9."""
        study = dstu2.study()
        query = f"ImagingStudy?study={study['uid']}&_elements=identifier,uid"
        assert dstu2.found(query, fresh=False) == []
        dstu2.put(study)
        assert dstu2.found(query, fresh=False) == []
        [entry] = dstu2.get(query, **NO_CACHE).json()["entry"]
        assert entry["resource"].keys() == {"resourceType", "id", "meta", "uid"}
        assert "SUBSETTED" in {one["code"] for one in entry["resource"]["meta"]["tag"]}

    def test_a_missing_patient_or_order_is_refused(self, dstu2: Dstu2Client) -> None:
        """RULES B4: HAPI-1094; words need nobody."""
        for elements in ({"patient": {"reference": "Patient/nowhere"}}, {"order": [{"reference": "DiagnosticOrder/no"}]}):
            refused = dstu2.put(dstu2.study(**elements))
            assert (refused.status_code, "HAPI-1094" in diagnostics_of(refused)) == (400, True)
        said = dstu2.study(patient={"display": "P-1"}, order=[{"display": "A-1"}])
        assert dstu2.put(said).status_code == 201
        assert dstu2.get(f"ImagingStudy/{said['id']}").json()["order"] == [{"display": "A-1"}]

    def test_a_referenced_patient_cannot_be_deleted(self, dstu2: Dstu2Client) -> None:
        """docs/fhir-servers.md: 409, as in R4."""
        dstu2.stored()
        assert dstu2.delete(f"Patient/{dstu2.patient}").status_code == 409

    def test_tags_are_carried_forward_and_a_source_is_not_kept(self, dstu2: Dstu2Client) -> None:
        """RULES B2."""
        study = dstu2.stored()
        assert version_of(dstu2.put({**study, "meta": {"source": "urn:contract"}})) == "1"
        meta = dstu2.get(f"ImagingStudy/{study['id']}").json()["meta"]
        assert (meta["tag"], "source" in meta) == ([TAG], False)

    def test_a_basic_is_found_by_its_tag(self, dstu2: Dstu2Client) -> None:
        """RULES E3: the sentinel."""
        tag = {"system": "urn:contract", "code": dstu2.new_id()}
        basic = {"resourceType": "Basic", "id": dstu2.new_id("b"), "meta": {"tag": [tag]}, "code": {"text": "x"}}
        assert dstu2.put(basic).status_code == 201
        assert dstu2.found(f"Basic?_tag=urn:contract|{tag['code']}") == [basic["id"]]

    def test_a_merged_patient_names_the_one_that_is_left(self, dstu2: Dstu2Client) -> None:
        """RULES B4: by the link `replace`."""
        link = [{"other": {"reference": f"Patient/{dstu2.patient}"}, "type": "replace"}]
        merged = {"resourceType": "Patient", "id": dstu2.new_id("pat"), "active": False, "link": link}
        assert dstu2.put(merged).status_code == 201
        assert dstu2.get(f"Patient/{merged['id']}").json()["link"] == link
