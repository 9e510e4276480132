"""The feed, the inventory and look-ups: RULES A2, A3, A8, D1."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from syncd.errors import Transient, Unsuitable
from syncd.http.messages import Answer, Lost
from tests.archive.scripted import (
    STUDY,
    Asked,
    answering,
    archive,
    in_turn,
    orthanc_id,
    saying,
    study,
    system,
)

HEADER = f"GET /studies/{STUDY}"


def entry(seq: Any, **fields: Any) -> dict[str, Any]:
    default = {"ChangeType": "NewInstance", "ResourceType": "Instance", "ID": orthanc_id(9), "Date": "20260301T101500"}
    return {"Seq": seq, **default, **fields}


def test_an_unreadable_change_is_counted_and_its_neighbours_survive() -> None:
    """RULES A2; docs/cases.md: a malformed entry."""
    odd: list[Any] = [
        "text", None, entry("2"), entry(True), entry(-1), entry(2, ID="../system"),
        entry(2, ChangeType=None), entry(2, ResourceType=5),
    ]  # fmt: skip
    page = {"Changes": [entry(1), *odd, entry(3, ChangeType="NewKind", Date=None)], "Done": True, "Last": 3}
    found = archive({"GET /changes": answering(page)})[0].changes(0, limit=100)
    assert [(each.seq, each.change_type) for each in found.changes] == [(1, "NewInstance"), (3, "NewKind")]
    assert (found.malformed, found.done, found.last) == (len(odd), True, 3)


def test_the_high_water_mark_is_asked_far_behind_the_end() -> None:
    """RULES A3: `since=<huge>`; both versions wrap round from 2^63 on."""
    orthanc, scripted = archive({"GET /changes": answering({"Changes": [], "Done": True, "Last": 2362})})
    assert orthanc.high_water_mark() == 2362
    since = int(scripted.requests[0].query["since"])
    assert 2**50 < since < 2**63


def test_resources_are_resolved_to_studies_in_chunks() -> None:
    """RULES A2: one bulk call maps a page's instances and series; what is no Orthanc id is not sent."""

    def bulk(request: Asked) -> Answer:
        body = json.loads(request.content)
        assert body["Level"] == "Study"
        return saying(200, json=[study([], number=1), study([], number=2 + len(body["Resources"]))])

    orthanc, scripted = archive({"POST /tools/bulk-content": bulk})
    ids = [orthanc_id(number) for number in range(100, 2350)]
    found = orthanc.studies_of([*ids, *ids[:5], "../../system", ""])
    assert [len(body["Resources"]) for body in scripted.bodies("/bulk-content")] == [1000, 1000, 250]
    assert [each.orthanc_id for each in found] == [orthanc_id(1), orthanc_id(252), orthanc_id(1002)]
    assert (found[0].study_uid, found[0].study_date, found[0].is_stable) == ("1.2.1", "20260301", True)


def test_nothing_to_resolve_asks_nothing() -> None:
    """docs/cases.md: an empty poll."""
    orthanc, scripted = archive({})
    assert orthanc.studies_of([]) == ()
    assert scripted.asked == []


def test_the_inventory_keeps_studies_that_pages_skip() -> None:
    """RULES A8: a page skips a living study when one before it is deleted; the id set knows better."""
    ids = [orthanc_id(number) for number in range(1, 6)]
    pages = in_turn(answering([study([], number=1), study([], number=2)]), answering([study([], number=5)]), answering([]))
    listing = in_turn(answering(ids), pages)
    bulk = answering([study([], number=3)])  # 4 is gone by now
    orthanc, scripted = archive({"GET /studies": listing, "POST /tools/bulk-content": bulk})
    assert sorted(each.study_uid for each in orthanc.inventory()) == ["1.2.1", "1.2.2", "1.2.3", "1.2.5"]
    assert sorted(scripted.bodies("/bulk-content")[0]["Resources"]) == [orthanc_id(3), orthanc_id(4)]
    assert [each.query.get("since") for each in scripted.requests if each.method == "GET"] == [None, "0", "2", "3"]


def test_the_inventory_ends_on_a_server_that_ignores_since() -> None:
    """RULES S2: whatever a server answers, there is an end."""
    listing = in_turn(answering([orthanc_id(1)]), answering([study([], number=1)]))
    orthanc, scripted = archive({"GET /studies": listing})
    assert {each.study_uid for each in orthanc.inventory()} == {"1.2.1"}
    assert len(scripted.asked) == 3


@pytest.mark.parametrize("body", ["<html>Log in</html>", "", '["00000000-', "{}"])
def test_a_listing_that_is_none_is_no_empty_archive(body: str) -> None:
    """RULES A8, D1: nothing may be called gone because a login page was answered."""
    orthanc, _ = archive({"GET /studies": lambda request: saying(200, text=body)})
    with pytest.raises(Unsuitable):
        list(orthanc.inventory())


def test_a_listing_is_read_whatever_its_chunks() -> None:
    """RULES A8: streamed."""
    ids = [orthanc_id(number) for number in range(1, 4)]
    text = json.dumps(ids, indent=3).encode()
    for size in (1, 7, 45, 46, 1000):
        chunks = [text[at : at + size] for at in range(0, len(text), size)]
        listing = in_turn(lambda request, c=chunks: saying(200, content=iter(c)), answering([]))
        orthanc, scripted = archive({"GET /studies": listing, "POST /tools/bulk-content": answering([])})
        assert list(orthanc.inventory()) == []
        assert sorted(scripted.bodies("/bulk-content")[0]["Resources"]) == ids


def test_a_listing_that_breaks_off_is_waited_for() -> None:
    """RULES A8: half a listing is none."""

    def breaks_off(request: Asked) -> Answer:
        def body() -> Iterator[bytes]:
            yield b"["
            raise Lost("lost")

        return saying(200, content=body())

    with pytest.raises(Transient):
        list(archive({"GET /studies": breaks_off})[0].inventory())


def test_lookup_gives_studies_only() -> None:
    """RULES D1: entries of type Study; `[]` is a positive answer."""
    found = [{"Type": "Study", "ID": orthanc_id(1)}, {"Type": "Series", "ID": orthanc_id(2)}]
    orthanc, scripted = archive({"POST /tools/lookup": in_turn(answering(found), answering([]))})
    assert orthanc.lookup("1.2.3") == (orthanc_id(1),)
    assert orthanc.lookup("1.2.4") == ()
    assert scripted.requests[0].content == b"1.2.3"


def test_names_instead_of_tags_are_not_taken_for_missing_values() -> None:
    """docs/orthanc.md: both versions know `short`; a server that ignores it would give a study without any value."""
    named = {**study([11]), "MainDicomTags": {"StudyInstanceUID": "1.2.1"}}
    orthanc, _ = archive({HEADER: answering(named), "POST /tools/bulk-content": answering([named])})
    with pytest.raises(Unsuitable):
        orthanc.study(STUDY)
    with pytest.raises(Unsuitable):
        orthanc.studies_of([STUDY])


@pytest.mark.parametrize("identifier", [["1"], {"a": 1}, 7, None])
def test_a_study_whose_id_is_none_is_not_orthancs(identifier: object) -> None:
    """RULES S2: whatever stands where an id should, in the answer for many studies."""
    orthanc, _ = archive({"POST /tools/bulk-content": answering([{**study([11]), "ID": identifier}])})
    with pytest.raises(Unsuitable):
        orthanc.studies_of([STUDY])


@pytest.mark.parametrize("body", ["<html>Log in</html>", "", '["00000000-', "{}"])
def test_ids_that_are_none_are_no_empty_archive(body: str) -> None:
    """RULES A8: the sweep's listing too."""
    orthanc, _ = archive({"GET /studies": lambda request: saying(200, text=body)})
    with pytest.raises(Unsuitable):
        list(orthanc.study_ids())


def test_studies_are_counted_by_their_series_on_1_10() -> None:
    """RULES A8: in bulk, never one call per study; unknown ones are left out."""
    series = [
        {"ID": orthanc_id(10), "ParentStudy": orthanc_id(1), "Instances": [orthanc_id(20), orthanc_id(21)]},
        {"ID": orthanc_id(11), "ParentStudy": orthanc_id(1), "Instances": [orthanc_id(22)]},
        {"ID": orthanc_id(12), "ParentStudy": orthanc_id(2), "Instances": [orthanc_id(23)]},
    ]
    routes = {"GET /system": answering(system(modern=False)), "POST /tools/bulk-content": answering(series)}
    orthanc, scripted = archive(routes)
    assert orthanc.counts_page(0) is None
    counted = orthanc.instance_counts({orthanc_id(number): f"1.2.{number}" for number in (1, 2, 3)})
    assert counted == {orthanc_id(1): 3, orthanc_id(2): 1}
    assert scripted.asked == ["GET /system", "POST /tools/bulk-content"]


def test_studies_are_counted_by_a_paged_find_on_1_12() -> None:
    """RULES A7, A8: a find is silently cut, so it is asked on until nothing new comes."""

    def counted(number: int) -> dict[str, object]:
        return {"ID": orthanc_id(number), "RequestedTags": {"0020,1208": str(number)}}

    pages = in_turn(answering([counted(1)]), answering([counted(2)]), answering([]))
    orthanc, scripted = archive({"GET /system": answering(system(modern=True)), "POST /tools/find": pages})
    asked = {orthanc_id(1): "1.2.1", orthanc_id(2): "1.2.2", orthanc_id(3): "no UID"}
    assert orthanc.instance_counts(asked) == {orthanc_id(1): 1, orthanc_id(2): 2}
    assert [body["Since"] for body in scripted.bodies("/tools/find")] == [0, 1, 2]
    assert {body["Query"]["StudyInstanceUID"] for body in scripted.bodies("/tools/find")} == {"1.2.1\\1.2.2"}
