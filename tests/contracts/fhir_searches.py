"""docs/fhir-servers.md, "Behaviours": searches (RULES C9); `fhir` is the fixture of `fhir_contract`."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.contracts.fhir_client import JSON, NO_CACHE, FhirClient, diagnostics_of

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class SearchContract:
    """Searches, which lie (RULES C9)."""

    def test_search_by_the_uid_as_identifier(self, fhir: FhirClient) -> None:
        """RULES C2: alone, and 100 values separated by commas."""
        study, other = fhir.stored(), fhir.stored()
        token = quote(f"urn:dicom:uid|urn:oid:{study['id']}")
        assert fhir.found(f"ImagingStudy?identifier={token}") == [study["id"]]
        absent = [f"urn:dicom:uid|urn:oid:{fhir.new_id()}" for _ in range(98)]
        values = ",".join([f"urn:dicom:uid|urn:oid:{study['id']}", *absent, f"urn:dicom:uid|urn:oid:{other['id']}"])
        form = f"identifier={quote(values)}&_count=100"
        answer = fhir.ask("POST", "ImagingStudy/_search", body=form, headers={**FORM, **NO_CACHE})
        assert {entry["resource"]["id"] for entry in answer.json()["entry"]} == {study["id"], other["id"]}

    def test_search_by_several_ids(self, fhir: FhirClient) -> None:
        """RULES C2: absent ones are left out."""
        ids = [fhir.stored()["id"], fhir.stored()["id"]]
        assert sorted(fhir.found(f"ImagingStudy?_id={ids[0]},{ids[1]},absent")) == sorted(ids)

    @pytest.mark.parametrize("parameter", ["identifier", "_id"])
    def test_searches_are_cached_for_a_minute(self, fhir: FhirClient, parameter: str) -> None:
        """RULES C9: `POST _search` too, unless `Cache-Control: no-cache`."""
        study = fhir.study()
        value = study["id"] if parameter == "_id" else quote(f"urn:dicom:uid|urn:oid:{study['id']}")
        query = f"ImagingStudy?{parameter}={value}"
        assert fhir.found(query, fresh=False) == []
        fhir.put(study)
        stale = fhir.get(query)
        assert stale.headers["X-Cache"].startswith("HIT")
        assert "entry" not in stale.json()
        posted = fhir.ask("POST", "ImagingStudy/_search", body=query.partition("?")[2], headers=FORM)
        assert "entry" not in posted.json()
        fresh = fhir.get(query, **NO_CACHE)
        assert "X-Cache" not in fresh.headers
        assert [entry["resource"]["id"] for entry in fresh.json()["entry"]] == [study["id"]]

    def test_a_cached_page_lacks_what_was_deleted(self, fhir: FhirClient) -> None:
        """RULES C9: a hit is confirmed by GET, a miss by an uncached search."""
        studies = [fhir.stored() for _ in range(3)]
        query = f"ImagingStudy?patient=Patient/{fhir.patient}"
        assert len(fhir.found(query, fresh=False)) == 3
        fhir.delete(f"ImagingStudy/{studies[1]['id']}")
        assert sorted(fhir.found(query, fresh=False)) == sorted([studies[0]["id"], studies[2]["id"]])

    def test_a_patient_search_without_a_system_finds_every_system(self, fhir: FhirClient) -> None:
        """RULES B4: so it is never done; `POST _search` works."""
        value = fhir.new_id()
        ids = []
        for system in ("urn:one", "urn:two"):
            ids.append(fhir.new_id("pat"))
            identifier = [{"system": system, "value": value}]
            fhir.put({"resourceType": "Patient", "id": ids[-1], "identifier": identifier})
        assert sorted(fhir.found(f"Patient?identifier={value}")) == sorted(ids)
        assert fhir.found(f"Patient?identifier={quote(f'urn:two|{value}')}") == [ids[1]]
        assert fhir.found(f"Patient?identifier={quote(f'|{value}')}") == []
        form = f"identifier={quote(f'urn:one|{value}')}"
        answer = fhir.ask("POST", "Patient/_search", body=form, headers={**FORM, **NO_CACHE})
        assert [entry["resource"]["id"] for entry in answer.json()["entry"]] == [ids[0]]

    def test_an_inventory_of_few_elements_in_pages(self, fhir: FhirClient) -> None:
        """RULES E8: `_elements` marks what it cut; pages are links; a page has 10 unless asked; `_summary=count` counts."""
        tag = {"system": "urn:inventory", "code": fhir.new_id()}
        ids = {fhir.stored(meta={"tag": [tag]})["id"] for _ in range(12)}
        query = f"ImagingStudy?_tag={quote(tag['system'] + '|' + tag['code'])}"
        assert len(fhir.found(query)) == 10
        bundle = fhir.search(f"{query}&_elements=identifier,status&_count=5")
        seen: list[str] = []
        pages = 1
        while True:
            for entry in bundle["entry"]:
                resource = entry["resource"]
                assert "subject" not in resource
                assert {"id", "identifier", "status", "meta"} <= set(resource)
                assert "SUBSETTED" in {one["code"] for one in resource["meta"]["tag"]}
                seen.append(resource["id"])
            following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
            if not following:
                break
            bundle = fhir.search(following[0])
            pages += 1
        assert (pages, len(seen), set(seen)) == (3, 12, ids)
        assert fhir.search(f"{query}&_summary=count") | {"id": "", "meta": {}} == {
            "resourceType": "Bundle",
            "id": "",
            "meta": {},
            "type": "searchset",
            "total": 12,
        }

    def test_a_page_that_is_not_known_is_gone(self, fhir: FhirClient) -> None:
        """RULES C6: as after a restart of the server."""
        query = "?_getpages=unknown&_getpagesoffset=5&_count=5&_bundletype=searchset"
        assert fhir.get(fhir.url + query).status_code == 410

    def test_an_unknown_parameter_is_refused(self, fhir: FhirClient) -> None:
        """RULES C9: it is not ignored."""
        refused = fhir.get("ImagingStudy?nonsense=1", Accept=JSON)
        assert (refused.status_code, "HAPI-0524" in diagnostics_of(refused)) == (400, True)
