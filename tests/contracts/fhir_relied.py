"""What syncd relies on of any FHIR server, one test per line of docs/fhir-servers.md; HAPI, Medplum and both fakes pass it.

Where servers differ, a test names every answer that syncd understands. `server` is the FHIR server under test; what one of
them does beyond that is in `fhir_contract` (HAPI) and `fhir_unordered` (Medplum).
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import pytest
import requests

from tests.contracts.fhir_client import JSON, NO_CACHE, TAG, FhirClient, Resource, version_of

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class ReliedContract:
    """In the order of docs/fhir-servers.md; `fhir` is the fixture of `fhir_contract`."""

    def test_the_statement_tells_version_and_types(self, fhir: FhirClient) -> None:
        """RULES C6: a 404 is believed only for a type that is listed."""
        statement = fhir.get("metadata", Accept=JSON).json()
        assert (statement["resourceType"], statement["fhirVersion"]) == ("CapabilityStatement", "4.0.1")
        types = {one["type"] for rest in statement["rest"] for one in rest["resource"]}
        assert {"ImagingStudy", "Patient", "Endpoint", "Provenance", "ServiceRequest"} <= types

    def test_a_put_to_an_id_of_ours_creates(self, fhir: FhirClient) -> None:
        """RULES C1: a UID of up to 64 characters, by 201 or 200."""
        uid = f"{fhir.root}.{'9' * 64}"[:64]
        study = fhir.study(uid)
        assert fhir.put(study).status_code in (200, 201)
        assert _essence(fhir.get(f"ImagingStudy/{uid}").json()) == _essence(study)

    def test_what_was_sent_is_answered_as_it_was(self, fhir: FhirClient) -> None:
        """RULES B3: extensions, also of primitive elements, every letter and the order of lists."""
        study = fhir.study(
            started="2024-01-02",
            _started={"extension": [{"url": "urn:syncd:extension:time", "valueTime": "03:04:05"}]},
            description="Zürich 東京 Ω",
            note=[{"text": "second\nline"}],
            extension=[{"url": "urn:other", "valueString": "x"}],
            series=[
                {
                    "uid": f"{fhir.root}.7.{number}",
                    "modality": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"},
                    "instance": [
                        {"uid": f"{fhir.root}.7.{number}.1", "sopClass": {"code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"}}
                    ],
                }
                for number in (2, 1)
            ],
        )
        assert fhir.put(study).status_code in (200, 201)
        assert _essence(fhir.get(f"ImagingStudy/{study['id']}").json()) == _essence(study)

    def test_tags_come_back(self, fhir: FhirClient) -> None:
        """RULES B2: ours is how we know our own; another's and labels survive where they are sent along."""
        label = {"system": "urn:label", "code": "z"}
        study = fhir.stored(meta={"tag": [TAG], "security": [label]})
        assert fhir.put({**study, "numberOfSeries": 1}).status_code == 200
        meta = fhir.get(f"ImagingStudy/{study['id']}").json()["meta"]
        assert (meta["tag"], meta["security"]) == ([TAG], [label])

    def test_references_come_back_relative_or_under_the_servers_own_base(self, fhir: FhirClient) -> None:
        """RULES B3, docs/fhir-servers.md."""
        study = fhir.stored()
        reference = fhir.get(f"ImagingStudy/{study['id']}").json()["subject"]["reference"]
        assert reference in (f"Patient/{fhir.patient}", f"{fhir.url}/Patient/{fhir.patient}")

    def test_a_write_tells_its_version_and_each_change_makes_another(self, fhir: FhirClient) -> None:
        """RULES C4: by the body, the location or the ETag, and a read says the same; versions need no order."""
        study = fhir.stored()
        seen = []
        for number in (1, 2):
            told = version_of(fhir.put({**study, "numberOfSeries": number}))
            read = fhir.get(f"ImagingStudy/{study['id']}").json()["meta"]
            assert read["versionId"] == told
            assert read["lastUpdated"]
            seen.append(told)
        assert len(set(seen)) == 2

    def test_an_update_names_the_version_that_it_replaces(self, fhir: FhirClient) -> None:
        """RULES C4: another one is refused with 409 or 412, and nothing is written."""
        study = fhir.study()
        first = version_of(fhir.put(study))
        second = version_of(fhir.put({**study, "numberOfSeries": 1}, if_match=first))
        refused = fhir.put({**study, "numberOfSeries": 2}, if_match=first)
        assert refused.status_code in (409, 412)
        assert refused.json()["resourceType"] == "OperationOutcome"
        now = fhir.get(f"ImagingStudy/{study['id']}").json()
        assert (now["numberOfSeries"], now["meta"]["versionId"]) == (1, second)

    def test_an_update_of_what_is_not_there_is_no_update(self, fhir: FhirClient) -> None:
        """RULES C6: 201, or a refusal: never a 200."""
        study = fhir.study()
        version = version_of(fhir.put(fhir.study()))
        assert fhir.put(study, if_match=version).status_code in (201, 404, 409, 412)

    def test_absence_is_a_404_with_an_outcome_or_a_410(self, fhir: FhirClient) -> None:
        """RULES C6."""
        absent = fhir.get(f"ImagingStudy/{fhir.new_id()}")
        assert (absent.status_code, absent.json()["resourceType"]) == (404, "OperationOutcome")
        study = fhir.stored()
        assert fhir.delete(f"ImagingStudy/{study['id']}").status_code in (200, 204)
        gone = fhir.get(f"ImagingStudy/{study['id']}")
        assert (gone.status_code, gone.json()["resourceType"]) in ((404, "OperationOutcome"), (410, "OperationOutcome"))

    def test_what_was_deleted_can_be_written_again(self, fhir: FhirClient) -> None:
        """RULES C2: under its id."""
        study = fhir.stored()
        fhir.delete(f"ImagingStudy/{study['id']}")
        assert fhir.put(study).status_code in (200, 201)
        assert fhir.get(f"ImagingStudy/{study['id']}").status_code == 200

    @pytest.mark.parametrize("parameter", ["_id", "identifier"])
    def test_a_search_finds_what_was_just_written(self, fhir: FhirClient, parameter: str) -> None:
        """RULES C2, C9: several values, by `POST _search`, uncached; it was asked before, too."""
        studies = [fhir.study() for _ in range(3)]
        values = [
            one["id"] if parameter == "_id" else f"urn:dicom:uid|urn:oid:{one['id']}" for one in [*studies, fhir.study()]
        ]
        body = f"{parameter}={quote(','.join(values))}&_elements=identifier&_count=500"
        assert _found(fhir.ask("POST", "ImagingStudy/_search", body=body, headers={**FORM, **NO_CACHE})) == set()
        for one in studies:
            fhir.put(one)
        answer = fhir.ask("POST", "ImagingStudy/_search", body=body, headers={**FORM, **NO_CACHE})
        assert _found(answer) == {one["id"] for one in studies}

    def test_a_search_with_a_system_finds_no_other_system(self, fhir: FhirClient) -> None:
        """RULES B4: an identifier identifies only with its system."""
        value = fhir.new_id()
        ids = {system: fhir.new_id("pat") for system in ("urn:one", "urn:two")}
        for system, own_id in ids.items():
            identifier = [{"system": system, "value": value}]
            fhir.put({"resourceType": "Patient", "id": own_id, "identifier": identifier})
        body = f"identifier={quote(f'urn:two|{value}')}&_count=500"
        assert _found(fhir.ask("POST", "Patient/_search", body=body, headers={**FORM, **NO_CACHE})) == {ids["urn:two"]}

    def test_resources_are_found_by_their_tag(self, fhir: FhirClient) -> None:
        """RULES E3, E7: the sentinel among Endpoints, with its status; all that is ours."""
        tag = {"system": "urn:relied", "code": fhir.new_id()}
        endpoint = fhir.endpoint()
        fhir.put({**endpoint, "status": "off", "meta": {"tag": [tag]}})
        for status, found in (("off", {endpoint["id"]}), ("active", set())):
            body = f"_tag={quote(tag['system'] + '|' + tag['code'])}&status={status}&_count=500"
            assert _found(fhir.ask("POST", "Endpoint/_search", body=body, headers={**FORM, **NO_CACHE})) == found

    def test_a_search_goes_on_by_next_links_below_the_base_that_self_tells(self, fhir: FhirClient) -> None:
        """docs/fhir-servers.md, RULES E8: every page is below the base of the first page's `self` link; each match once."""
        tag = {"system": "urn:relied", "code": fhir.new_id()}
        ids = [fhir.stored(meta={"tag": [tag]})["id"] for _ in range(5)]
        body = f"_tag={quote(tag['system'] + '|' + tag['code'])}&_count=2&_elements=identifier"
        bundle = fhir.ask("POST", "ImagingStudy/_search", body=body, headers={**FORM, **NO_CACHE}).json()
        base = urlsplit(_links(bundle, "self")[0]).path.removesuffix("/_search").removesuffix("/ImagingStudy")
        assert base == urlsplit(fhir.url).path
        seen = [entry["resource"] for entry in bundle["entry"]]
        while following := _links(bundle, "next"):
            assert urlsplit(following[0]).path.startswith(base)
            bundle = fhir.get(following[0], **NO_CACHE).json()
            seen += [entry["resource"] for entry in bundle["entry"]]
        assert sorted(one["id"] for one in seen) == sorted(ids)
        assert all(one["identifier"] and one["meta"]["versionId"] and one["meta"]["lastUpdated"] for one in seen)

    def test_a_body_that_does_not_fit_is_refused(self, fhir: FhirClient) -> None:
        """RULES C6: another id or type than the address, with an OperationOutcome."""
        for change in ({"id": "another"}, {"resourceType": "Basic"}):
            refused = fhir.ask("PUT", f"ImagingStudy/{fhir.new_id()}", body={**fhir.study(), **change})
            assert (refused.status_code, refused.json()["resourceType"]) == (400, "OperationOutcome")


def _essence(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if name not in ("meta", "text")}


def _found(answer: requests.Response) -> set[str]:
    assert answer.status_code == 200, answer.text[:300]
    return {entry["resource"]["id"] for entry in answer.json().get("entry", ())}


def _links(bundle: Resource, relation: str) -> list[str]:
    return [link["url"] for link in bundle.get("link", ()) if link["relation"] == relation]
