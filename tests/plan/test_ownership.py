"""Whose is which part (RULES C3): ours is replaced, everybody else's survives."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.plan.essence import value_digest
from syncd.plan.ownership import foreign_part, join_owned, merge_foreign, owned_values

UID = {"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}
ACCESSION = {"system": "http://ris.test", "value": "A1"}
WANTED: dict[str, Any] = {
    "resourceType": "ImagingStudy",
    "id": "1.2.3",
    "meta": {"source": "urn:syncd", "tag": [{"system": "urn:syncd:installation", "code": "syncd"}]},
    "identifier": [UID, ACCESSION],
    "status": "available",
    "subject": {"reference": "Patient/ours"},
    "endpoint": [{"reference": "Endpoint/main-wado-rs"}],
    "basedOn": [{"identifier": {"value": "A1"}}],
    "numberOfSeries": 1,
    "series": [{"uid": "1.2.3.1", "modality": {"code": "CT"}}],
}
NOTHING_HELD = join_owned()


def sent(current: dict[str, Any], *, wanted: dict[str, Any] = WANTED, held: dict[str, Any] | None = None) -> dict[str, Any]:
    foreign = foreign_part(current, wanted, held=join_owned(held) if held else NOTHING_HELD)
    return merge_foreign(wanted, foreign)


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("note", [{"text": "seen by the tumour board"}]),
        ("reasonCode", [{"text": "cough"}]),
        ("contained", [{"resourceType": "Device", "id": "d"}]),
        ("language", "de"),
        ("text", {"status": "additional", "div": "<div>by hand</div>"}),
    ],
)
def test_what_others_wrote_survives(element: str, value: Any) -> None:
    """RULES C3: everything that is not ours is foreign."""
    assert sent({**WANTED, element: value})[element] == value


@pytest.mark.parametrize("element", ["status", "subject", "numberOfSeries", "series"])
def test_what_is_ours_is_replaced(element: str) -> None:
    """RULES C3: owned elements follow the archive."""
    assert sent({**WANTED, element: "something else" if element == "status" else []})[element] == WANTED[element]


def test_foreign_values_in_shared_lists_survive_and_ours_are_replaced() -> None:
    """RULES C3: by value and by system in identifiers, by id in endpoints, by URI in extensions."""
    theirs = {
        **WANTED,
        "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:9.9"}, {"system": "http://his.test", "value": "7"}],
        "endpoint": [{"reference": "Endpoint/main-wado-rs"}, {"reference": "Endpoint/viewer-of-others"}],
        "extension": [{"url": "urn:syncd:extension:summary"}, {"url": "http://their.test/x"}],
    }
    result = sent(theirs)
    assert result["identifier"] == [UID, ACCESSION, {"system": "http://his.test", "value": "7"}]
    assert [item["reference"] for item in result["endpoint"]] == ["Endpoint/main-wado-rs", "Endpoint/viewer-of-others"]
    assert result["extension"] == [{"url": "http://their.test/x"}]


def test_an_identifier_that_we_no_longer_emit_goes_only_if_we_wrote_it() -> None:
    """RULES C3: an identifier without a system is ours only if record or intent holds it."""
    old = {"value": "A0"}
    assert old in sent({**WANTED, "identifier": [UID, old]})["identifier"]
    assert old not in sent({**WANTED, "identifier": [UID, old]}, held={"identifier": [value_digest(old)]})["identifier"]


def test_an_element_filled_by_a_human_is_kept() -> None:
    """RULES C3: filled only if empty or last written by us."""
    human = [{"reference": "ServiceRequest/17"}]
    assert sent({**WANTED, "basedOn": human})["basedOn"] == human
    without = {name: value for name, value in WANTED.items() if name != "basedOn"}
    assert "basedOn" not in sent(WANTED, wanted=without, held=owned_values(WANTED))
    assert sent(without)["basedOn"] == WANTED["basedOn"]


def test_foreign_parts_of_a_series_follow_its_uid() -> None:
    """RULES C3: a series is ours whole, but for foreign extensions and endpoints in it."""
    extension = {"url": "http://their.test/dose", "valueString": "low"}
    current = {**WANTED, "series": [{"uid": "1.2.3.1", "extension": [extension], "description": "old"}, {"uid": "9.9"}]}
    series = sent(current)["series"]
    assert series == [{"uid": "1.2.3.1", "modality": {"code": "CT"}, "extension": [extension]}]


def test_a_generated_narrative_is_dropped_and_foreign_tags_stay() -> None:
    """RULES B2, C3."""
    tag = {"system": "http://their.test", "code": "reviewed"}
    current = {**WANTED, "text": {"status": "generated", "div": "<div/>"}, "meta": {"tag": [tag], "versionId": "4"}}
    result = sent(current)
    assert "text" not in result
    assert result["meta"]["tag"] == [*WANTED["meta"]["tag"], tag]
    assert "versionId" not in result["meta"]


def test_what_was_only_intended_is_ours_too() -> None:
    """RULES C3: "written by us" = recorded ∪ intended, so a crash between PUT and commit makes nothing foreign."""
    intended = {**WANTED, "basedOn": [{"identifier": {"value": "A2"}}], "identifier": [UID, {"value": "S2"}]}
    held = join_owned(owned_values(WANTED), owned_values(intended))
    assert merge_foreign(WANTED, foreign_part(intended, WANTED, held=held)) == WANTED


def test_merging_twice_changes_nothing() -> None:
    """RULES C3: what was sent and read back gives the same foreign part again."""
    current = {**WANTED, "note": [{"text": "x"}], "identifier": [UID, {"system": "http://his.test", "value": "7"}]}
    held = join_owned(owned_values(WANTED))
    once = merge_foreign(WANTED, foreign_part(current, WANTED, held=held))
    assert merge_foreign(WANTED, foreign_part(once, WANTED, held=held)) == once


def test_an_extension_that_we_wrote_is_ours_and_goes_with_us() -> None:
    """RULES C3: by value, in the resource and in its series: a hook may add one; another writer's beside it survives."""
    ours, theirs = {"url": "http://site.test/x", "valueCode": "a"}, {"url": "http://site.test/x", "valueCode": "b"}
    wanted = {**WANTED, "extension": [ours], "series": [{**WANTED["series"][0], "extension": [ours]}]}
    current = {**wanted, "extension": [ours, theirs], "series": [{**WANTED["series"][0], "extension": [theirs, ours]}]}
    again = sent(current, wanted=wanted)
    assert (again["extension"], again["series"][0]["extension"]) == ([ours, theirs], [ours, theirs])
    after = sent(current, held=owned_values(wanted))
    assert (after["extension"], after["series"][0]["extension"]) == ([theirs], [theirs])


def test_any_element_that_we_wrote_is_replaced_and_goes() -> None:
    """RULES C3: what a hook adds beyond the mapping's elements is ours as long as nobody changed it."""
    wanted = {**WANTED, "note": [{"text": "of the site"}]}
    assert "note" not in sent(wanted, held=owned_values(wanted))
    edited = {**wanted, "note": [{"text": "of a human"}]}
    assert sent(edited, held=owned_values(wanted))["note"] == [{"text": "of a human"}]


DSTU2: dict[str, Any] = {
    "resourceType": "ImagingStudy",
    "id": "1.2.3",
    "meta": {"tag": [{"system": "urn:syncd:installation", "code": "syncd"}]},
    "uid": "urn:oid:1.2.3",
    "accession": {"value": "A1"},
    "patient": {"reference": "Patient/ours"},
    "order": [{"display": "A1"}],
    "modalityList": [{"code": "CT"}],
    "availability": "ONLINE",
    "url": "https://pacs.test/studies/1.2.3",
    "numberOfSeries": 1,
    "numberOfInstances": 1,
    "series": [{"uid": "urn:oid:1.2.3.1", "availability": "ONLINE"}],
}


def sent_in_dstu2(current: dict[str, Any], *, wanted: dict[str, Any], held: dict[str, Any]) -> dict[str, Any]:
    known = join_owned(owned_values(held, fhir_version="dstu2"))
    return merge_foreign(wanted, foreign_part(current, wanted, held=known, fhir_version="dstu2"))


@pytest.mark.parametrize(
    ("element", "theirs", "kept"),
    [
        ("uid", "urn:oid:9.9", False),
        ("patient", {"reference": "Patient/theirs"}, False),
        ("modalityList", [{"code": "MR"}], False),
        ("availability", "OFFLINE", False),
        ("url", "https://theirs.test", False),
        ("numberOfSeries", 7, False),
        ("numberOfInstances", 7, False),
        ("description", "theirs", False),
        ("started", "2020", False),
        ("accession", {"value": "theirs"}, False),
        ("order", [{"reference": "DiagnosticOrder/17"}], True),
        ("referrer", {"display": "theirs"}, True),
        ("interpreter", {"display": "theirs"}, True),
        ("procedure", [{"reference": "Procedure/1"}], True),
        ("clinicalInformation", "theirs", True),
    ],
)
def test_in_dstu2_its_own_elements_are_ours(element: str, theirs: Any, kept: bool) -> None:
    """RULES C3, MAPPING M: what the archive knows is ours, what is only filled if empty stays another writer's."""
    result = sent_in_dstu2({**DSTU2, element: theirs}, wanted=DSTU2, held=DSTU2)
    assert result.get(element) == (theirs if kept else DSTU2.get(element))


def test_in_dstu2_an_accession_is_ours_only_where_the_archive_has_one() -> None:
    """RULES C3: as an identifier in R4: without one of ours theirs stays, and our own goes."""
    without = {name: value for name, value in DSTU2.items() if name != "accession"}
    theirs = {**without, "accession": {"value": "of the RIS"}}
    assert sent_in_dstu2(theirs, wanted=without, held=without) == theirs
    assert sent_in_dstu2(theirs, wanted=DSTU2, held=without) == DSTU2
    assert sent_in_dstu2(DSTU2, wanted=without, held=DSTU2) == without


def test_in_dstu2_a_series_is_found_by_its_address_where_it_has_no_uid() -> None:
    """RULES C3, MAPPING M: a UID with leading zeros cannot be said; foreign extensions still stay with their series."""
    extension = {"url": "http://their.test/dose", "valueString": "low"}
    listed = [{"_uid": {}, "url": "https://pacs.test/1"}, {"_uid": {}, "url": "https://pacs.test/2"}]
    wanted = {**DSTU2, "series": listed}
    current = {**DSTU2, "series": [listed[0], {**listed[1], "extension": [extension]}]}
    assert sent_in_dstu2(current, wanted=wanted, held=wanted)["series"] == current["series"]


def test_endpoints_of_a_series_are_ours_and_theirs_by_id() -> None:
    """RULES C3, MAPPING E: ours follow the archive that holds the series, wherever they stood; a foreign one survives."""
    series = WANTED["series"][0]
    elsewhere = {**WANTED, "series": [{**series, "endpoint": [{"reference": "Endpoint/second-wado-rs"}]}]}
    theirs = {"reference": "Endpoint/viewer-of-others"}
    current = {**WANTED, "series": [{**series, "endpoint": [{"reference": "Endpoint/second-wado-rs"}, theirs]}]}
    assert sent(current, wanted=elsewhere)["series"][0]["endpoint"] == [{"reference": "Endpoint/second-wado-rs"}, theirs]
    moved_home = {**WANTED, "series": [{**series, "endpoint": [theirs]}]}
    assert sent(current, held=owned_values(elsewhere)) == moved_home
    every = ["Endpoint/main-wado-rs", "Endpoint/second-wado-rs"]
    assert merge_foreign(WANTED, foreign_part(current, WANTED, held=NOTHING_HELD, endpoints=every)) == moved_home


def test_a_profile_that_we_claimed_goes_when_we_claim_it_no_more() -> None:
    """RULES C3, B3: another's claim beside ours stays."""
    ours, theirs = "http://guide.test/ours", "http://guide.test/theirs"
    wanted = {**WANTED, "meta": {**WANTED["meta"], "profile": [ours]}}
    current = {**wanted, "meta": {**wanted["meta"], "profile": [theirs, ours]}}
    assert sent(current, wanted=wanted)["meta"]["profile"] == [ours, theirs]
    assert sent(current, held=owned_values(wanted))["meta"]["profile"] == [theirs]
    alone = {**wanted, "meta": {**wanted["meta"], "profile": [ours]}}
    assert "profile" not in sent(alone, held=owned_values(wanted))["meta"]
