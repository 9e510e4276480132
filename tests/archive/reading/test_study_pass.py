"""One consistent study from calls that tear: RULES A6, A7, B6, D1."""

from __future__ import annotations

import json
from typing import Any

import pytest

from syncd.archive.reading import agreement as module
from syncd.errors import StudyError, StudyGone, TornRead
from syncd.http.messages import Answer
from syncd.model.study.raw import RawStudy
from tests.archive.scripted import (
    STUDY,
    Asked,
    Reply,
    answering,
    archive,
    in_turn,
    instance,
    orthanc_id,
    saying,
    study,
    study_routes,
    system,
)

KO = "1.2.840.10008.5.1.4.1.1.88.59"
HEADER = f"GET /studies/{STUDY}"
COUNT = f"GET /studies/{STUDY}/statistics"

KINDS = {"tags": "TAGS", "shared-tags": "SHARED", "instances-tags": "ALL"}
"""Routes of one instance or series, whichever it is."""

TWO_SERIES = [
    instance(21, series=11, position="2"),
    instance(22, series=11, position="1"),
    instance(23, series=12, position="1"),
]


def read(routes: dict[str, Reply]) -> RawStudy:
    return archive(routes)[0].read_study(STUDY)


@pytest.mark.parametrize(
    ("modern", "calls"),
    [
        (False, [HEADER, "POST /tools/bulk-content", "ALL", "TAGS", COUNT, HEADER]),
        (True, [HEADER, "POST /tools/find", "ALL", "TAGS", HEADER]),
    ],
)
def test_a_pass_costs_four_or_three_calls_and_one_per_series(modern: bool, calls: list[str]) -> None:
    """RULES A7, B9: of a series of few images, one call gives the tags of all."""
    orthanc, scripted = archive(study_routes(TWO_SERIES, modern=modern))
    orthanc.read_study(STUDY)
    scripted.requests.clear()  # the first read also asked what this version can
    raw = orthanc.read_study(STUDY)
    assert [KINDS.get(each.rsplit("/", 1)[1], each) for each in scripted.asked] == calls
    assert [each.orthanc_id for each in raw.instances] == [orthanc_id(21), orthanc_id(22), orthanc_id(23)]
    assert [each.representative["0008,0018"] for each in raw.series] == ["1.2.1.22", "1.2.1.23"]
    assert raw.header.main_tags == {"0008,0020": "20260301", "0020,000d": "1.2.1", "0010,0020": "P1"}
    assert raw.instances[0].sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"


def test_stability_is_that_of_the_last_call() -> None:
    """RULES A7: `IsStable` from the last one; A8: LastUpdate before the snapshot."""
    routes = study_routes(TWO_SERIES)
    routes[HEADER] = in_turn(answering(study([11, 12], stable=False)), answering(study([11, 12], stable=True)))
    raw = read(routes)
    assert raw.header.is_stable
    assert raw.read_started_at == "20260301T101500"


def torn(**changes: Reply) -> dict[str, Reply]:
    return {**study_routes(TWO_SERIES), **changes}


@pytest.mark.parametrize(
    "routes",
    [
        pytest.param(torn(**{COUNT: answering({"CountInstances": 4})}), id="an instance more at the end"),
        pytest.param(torn(**{COUNT: answering({"CountInstances": 2})}), id="an instance less at the end"),
        pytest.param(torn(**{"POST /tools/bulk-content": answering([])}), id="an empty answer"),
        pytest.param(torn(**{"POST /tools/bulk-content": answering(TWO_SERIES[:2])}), id="a series without instances"),
        pytest.param(
            torn(**{"POST /tools/bulk-content": answering([*TWO_SERIES, instance(24, series=13)])}), id="a new series"
        ),
        pytest.param(
            torn(**{HEADER: in_turn(answering(study([11, 12])), answering(study([11, 12], update="20260301T101501")))}),
            id="LastUpdate moved",
        ),
        pytest.param(
            torn(**{HEADER: in_turn(answering(study([11, 12])), answering(study([11, 12, 13])))}), id="a series came"
        ),
        pytest.param(torn(**{f"GET /instances/{orthanc_id(23)}/tags": lambda request: saying(404)}), id="an instance went"),
        pytest.param(
            {**study_routes(TWO_SERIES, modern=True), HEADER: answering(study([11, 12]))}, id="downgraded: no count"
        ),
        pytest.param(
            {
                **study_routes(TWO_SERIES, modern=True),
                HEADER: in_turn(answering(study([11, 12], count=3)), answering(study([11, 12], count=4))),
            },
            id="1.12: an instance more at the end",
        ),
    ],
)
def test_what_does_not_fit_is_unknown_and_never_a_smaller_study(routes: dict[str, Reply]) -> None:
    """RULES A7: a mismatch, a series without instances or an empty answer is "unknown"."""
    with pytest.raises(TornRead):
        read(routes)


@pytest.mark.parametrize("modern", [False, True])
@pytest.mark.parametrize("when", ["first", "last"])
def test_a_study_that_is_gone_is_a_hint(modern: bool, when: str) -> None:
    """RULES D1: a 404 proves nothing; the caller asks `lookup`."""
    routes = study_routes(TWO_SERIES, modern=modern)
    missing: Reply = lambda request: saying(404)  # noqa: E731
    routes[HEADER] = missing if when == "first" else in_turn(routes[HEADER], missing)
    with pytest.raises(StudyGone):
        read(routes)


def test_a_find_that_the_site_cuts_is_paged_to_its_end() -> None:
    """RULES A7: `/tools/find` is silently cut by LimitFindInstances; page it with `Since`."""
    routes = study_routes(TWO_SERIES, modern=True)
    routes["POST /tools/find"] = lambda request: saying(200, json=TWO_SERIES[json.loads(request.content)["Since"] :][:1])
    orthanc, scripted = archive(routes)
    assert len(orthanc.read_study(STUDY).instances) == 3
    assert [body["Since"] for body in scripted.bodies("/tools/find")] == [0, 1, 2]


def test_a_find_that_never_gives_enough_ends_at_an_empty_page() -> None:
    """RULES A7: until an empty page."""
    routes = study_routes(TWO_SERIES, modern=True)
    routes[HEADER] = answering(study([11, 12], count=5))
    orthanc, scripted = archive(routes)
    with pytest.raises(TornRead):
        orthanc.read_study(STUDY)
    assert [body["Since"] for body in scripted.bodies("/tools/find")] == [0, 3]


def test_an_upgraded_orthanc_is_asked_again_what_it_can() -> None:
    """Orthanc may be exchanged while syncd runs."""
    routes = study_routes(TWO_SERIES, modern=True)
    routes["GET /system"] = in_turn(answering(system(modern=True)), answering(system(modern=False)))
    routes[HEADER] = answering(study([11, 12]))
    orthanc, scripted = archive(routes)
    with pytest.raises(TornRead):
        orthanc.read_study(STUDY)
    assert len(orthanc.read_study(STUDY).instances) == 3
    assert scripted.asked.count("GET /system") == 2


@pytest.mark.parametrize(
    ("positions", "chosen"),
    [
        (["2", "1"], 22),
        ([None, "7"], 22),
        ([None, None], 21),
        (["x", "9"], 22),
        (["3", "3"], 21),
        ([" 4 ", "10"], 21),
    ],
)
def test_the_representative_has_the_lowest_number(positions: list[str | None], chosen: int) -> None:
    """RULES A7: lowest InstanceNumber, absent ones last, then SOPInstanceUID."""
    instances = [instance(21 + at, series=11, position=each) for at, each in enumerate(positions)]
    for order in (instances, instances[::-1]):
        assert read(study_routes(order)).series[0].representative["0008,0018"] == f"1.2.1.{chosen}"


@pytest.mark.parametrize(
    ("sop_class", "is_read"),
    [
        (KO, True),
        ("1.2.840.10008.5.1.4.1.1.88.22", True),
        ("1.2.840.10008.5.1.4.1.1.11.1", True),
        ("1.2.840.10008.5.1.4.1.1.104.1", True),
        ("1.2.840.10008.5.1.4.1.1.1", False),
        ("1.2.840.10008.5.1.4.1.1.12.1", False),
        ("", False),
    ],
)
def test_documents_are_read_in_full(sop_class: str, is_read: bool) -> None:
    """RULES A7: one per KO, SR, PR and encapsulated document; one that is also the representative is read once."""
    instances = [
        instance(21, series=11, position="1", sop_class=sop_class),
        instance(22, series=11, position="2", sop_class=sop_class),
    ]
    orthanc, scripted = archive(study_routes(instances))
    raw = orthanc.read_study(STUDY)
    assert sorted(raw.documents) == ([orthanc_id(21), orthanc_id(22)] if is_read else [])
    assert sum(each.endswith("/tags") for each in scripted.asked) == (2 if is_read else 0)
    assert sum(each.endswith("/instances-tags") for each in scripted.asked) == (0 if is_read else 1)


LONG_SERIES = [instance(100 + at, series=11, position=f"{at + 1}") for at in range(module.FEW + 1)]
FRAMES = [{"0020,9071": [{"0020,9072": "L"}]}]
REGION = [{"0008,0100": "T-D8700", "0008,0102": "SRT"}]


@pytest.mark.parametrize(
    ("tags", "asked"),
    [
        ({"0020,0062": "L"}, ["ALL"]),
        ({"0020,0060": "L"}, ["ALL"]),
        ({"0008,2218": REGION}, ["ALL"]),
        ({"5200,9229": FRAMES}, ["ALL"]),
        ({"5200,9230": FRAMES}, ["ALL"]),
        ({"5200,9229": [{"0020,9071": [{"0008,2218": REGION}]}]}, ["ALL"]),
        ({"0008,1072": [{"0040,1101": REGION}]}, ["ALL"]),
        ({"0020,0062": ""}, ["SHARED"]),
        ({"0018,0015": "CHEST", "0018,1030": "Thorax"}, ["SHARED"]),
        ({"0040,0275": [{"0008,0050": "A1"}]}, ["SHARED"]),
        ({"5200,9230": [{"0020,9071": [{}]}]}, ["SHARED"]),
        ({"5200,9230": None}, ["SHARED"]),
    ],
)
def test_every_image_is_asked_where_one_names_what_only_each_can_say(tags: dict[str, Any], asked: list[str]) -> None:
    """RULES B6, B9: a long series is asked what it shares; for a side, a region or a person's code, everything."""
    orthanc, scripted = archive(study_routes(LONG_SERIES, tags=tags))
    raw = orthanc.read_study(STUDY).series[0]
    said = [KINDS[each.rsplit("/", 1)[1]] for each in scripted.asked if each.endswith("-tags")]
    assert said == asked
    assert (len(raw.images), raw.shared is not None) == ((len(LONG_SERIES), False) if asked == ["ALL"] else (0, True))


def test_every_image_is_asked_where_the_representative_says_what_is_not_shared() -> None:
    """RULES B9: a text above 256 bytes is shared by none, too (docs/orthanc.md)."""
    routes = study_routes(LONG_SERIES, tags={"0018,0015": "CHEST"})
    orthanc, scripted = archive({**routes, f"GET /series/{orthanc_id(11)}/shared-tags": answering({"0008,0060": "CT"})})
    assert len(orthanc.read_study(STUDY).series[0].images) == len(LONG_SERIES)
    assert [KINDS[each.rsplit("/", 1)[1]] for each in scripted.asked if each.endswith("-tags")] == ["SHARED", "ALL"]


@pytest.mark.parametrize(
    ("said", "shared", "asked"),
    [
        ({"0010,0030": ""}, {"0010,0030": ""}, ["SHARED"]),
        ({"0010,0030": ""}, {}, ["SHARED", "ALL"]),
        ({"0008,0050": ""}, {}, ["SHARED", "ALL"]),
        ({"0008,0005": "ISO_IR 6", "0008,0050": ""}, {"0008,0050": ""}, ["SHARED"]),
    ],
)
def test_every_image_is_asked_where_only_others_may_say_something(
    said: dict[str, str], shared: dict[str, str], asked: list[str]
) -> None:
    """RULES B9, B10: who has an attribute empty that is not empty in all may hide two people, or an order."""
    routes = study_routes(LONG_SERIES, tags=said)
    routes |= {f"GET /series/{orthanc_id(11)}/shared-tags": answering(shared)}
    routes |= {f"GET /instances/{orthanc_id(100)}/content/0008-0050": lambda request: saying(200, content=b"")}
    orthanc, scripted = archive(routes)
    orthanc.read_study(STUDY)
    assert [KINDS[each.rsplit("/", 1)[1]] for each in scripted.asked if each.endswith("-tags")] == asked


@pytest.mark.parametrize(
    ("sop_class", "asked"),
    [
        ("1.2.840.10008.5.1.4.1.1.1", "ALL"),  # CR
        ("1.2.840.10008.5.1.4.1.1.1.1", "ALL"),  # DX
        ("1.2.840.10008.5.1.4.1.1.1.2", "ALL"),  # MG
        ("1.2.840.10008.5.1.4.1.1.12.1", "ALL"),  # XA
        ("1.2.840.10008.5.1.4.1.1.77.1.4", "ALL"),  # visible light
        ("1.2.840.10008.5.1.4.1.1.2", "SHARED"),  # CT
        ("1.2.840.10008.5.1.4.1.1.4", "SHARED"),  # MR
        ("1.2.840.10008.5.1.4.1.1.128", "SHARED"),  # PT
        ("", "SHARED"),
    ],
)
def test_images_that_each_have_a_region_by_their_class_are_all_asked(sop_class: str, asked: str) -> None:
    """RULES B9: the region is at image level there (PS3.3 C.8.11.2), and CT and MR cost no more than one call."""
    entries = [instance(100 + at, series=11, sop_class=sop_class) for at in range(module.FEW + 1)]
    orthanc, scripted = archive(study_routes(entries))
    orthanc.read_study(STUDY)
    assert [KINDS[each.rsplit("/", 1)[1]] for each in scripted.asked if each.endswith("-tags")] == [asked]


def test_a_series_too_long_to_ask_for_everything_has_what_it_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES B6: not all read → none written."""
    monkeypatch.setattr(module, "FEW", 1)
    monkeypatch.setattr(module, "MANY", 1)
    found = read(study_routes(TWO_SERIES[:2], tags={"0020,0062": "L", "0018,0015": "HAND"})).series[0]
    assert (found.images, found.shared) == ((), {"0020,0062": "L", "0018,0015": "HAND"})


def test_a_series_too_long_to_ask_for_everything_is_found_by_pages_on_1_12(monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES B9: what a find does not tell of an image, nobody says."""
    monkeypatch.setattr(module, "FEW", 1)
    monkeypatch.setattr(module, "MANY", 1)
    monkeypatch.setattr(module, "PAGE", 2)
    entries = [instance(100 + at, series=11) for at in range(3)]
    found = [{"ID": each["ID"], "RequestedTags": {"0018,0015": "HAND"}} for each in entries]

    def find(request: Asked) -> Answer:
        asked = json.loads(request.content)
        if "ParentStudy" in asked:
            return saying(200, json=entries[asked["Since"] :])
        return saying(200, json=found[asked["Since"] : asked["Since"] + asked["Limit"]])

    orthanc, scripted = archive({**study_routes(entries, modern=True), "POST /tools/find": find})
    assert orthanc.read_study(STUDY).series[0].images == ({"0018,0015": "HAND"},) * 3
    assert [each.get("Since") for each in scripted.bodies("/tools/find") if "ParentSeries" in each] == [0, 2]


def test_a_series_of_more_frames_than_can_be_written_out_is_not_asked() -> None:
    """RULES B11: a slide's images have functional groups by the hundred thousand."""
    entries = [instance(100 + at, series=11) for at in range(2)]
    for each in entries:
        each["MainDicomTags"]["0028,0008"] = f"{module.MOST_FRAMES // 2 + 1}"
    found = read(study_routes(entries)).series[0]
    assert (found.images, found.shared) == ((), None)


def test_an_image_that_came_while_all_were_asked_tears_the_read() -> None:
    """RULES A7."""
    routes = study_routes(TWO_SERIES[:2])
    said = {orthanc_id(21): {}, orthanc_id(22): {}, orthanc_id(99): {}}
    with pytest.raises(TornRead):
        read({**routes, f"GET /series/{orthanc_id(11)}/instances-tags": answering(said)})


def test_a_study_beyond_the_limit_is_parked_and_names_it() -> None:
    """README.md: parked `too-large`."""
    orthanc, _ = archive(
        {**study_routes(TWO_SERIES), "POST /tools/bulk-content": lambda _: saying(200, content=iter([b" " * 9999]))},
        max_reply=2000,
    )
    with pytest.raises(StudyError) as raised:
        orthanc.read_study(STUDY)
    assert raised.value.reason == "too-large"


@pytest.mark.parametrize("odd", ["../system", "1.2.3", "", "0" * 44])
def test_an_id_of_another_form_is_never_sent(odd: str) -> None:
    """RULES S2: ids are checked before they enter a URL."""
    orthanc, scripted = archive({"GET /system": answering(system(modern=False))})
    for ask in (orthanc.study, orthanc.read_study, orthanc.read_registered):
        with pytest.raises(StudyGone):
            ask(odd)  # type: ignore[arg-type]
    assert set(scripted.asked) <= {"GET /system"}


def series_entry(number: int, *, modality: str, instances: list[int]) -> dict[str, Any]:
    return {
        "ID": orthanc_id(number),
        "MainDicomTags": {"0008,0060": modality},
        "Instances": [orthanc_id(each) for each in instances],
    }


def test_registered_costs_three_calls_and_reads_no_key_object() -> None:
    """RULES A6: header, its series, tags of one instance."""
    listed = [series_entry(11, modality="KO", instances=[21]), series_entry(12, modality="CT", instances=[23, 22])]
    orthanc, scripted = archive(
        {
            HEADER: answering(study([11, 12], stable=False)),
            f"{HEADER}/series": answering(listed),
            f"GET /instances/{orthanc_id(22)}/tags": answering({"0008,0016": "1.2.840", "0008,0050": "A1"}),
        }
    )
    raw = orthanc.read_registered(STUDY)
    assert len(scripted.asked) == 3
    assert [each.orthanc_id for each in raw.instances] == [orthanc_id(22)]
    assert {each.orthanc_id: each.tags["0008,0060"] for each in raw.series} == {orthanc_id(11): "KO", orthanc_id(12): "CT"}
    assert {each.orthanc_id: bool(each.representative) for each in raw.series} == {
        orthanc_id(11): False,
        orthanc_id(12): True,
    }


@pytest.mark.parametrize("listed", [[], [series_entry(11, modality="CT", instances=[])]])
def test_registered_of_nothing_is_unknown(listed: list[Any]) -> None:
    """RULES A7: an empty answer, or a series without instances."""
    orthanc, _ = archive({HEADER: answering(study([11])), f"{HEADER}/series": answering(listed)})
    with pytest.raises(TornRead):
        orthanc.read_registered(STUDY)


def test_what_thousands_of_instances_say_alike_is_held_once() -> None:
    """A study of 20,000 instances: one text for their SOP class, and one for each series' id."""
    first, second, _ = read(study_routes(TWO_SERIES)).instances
    assert first.sop_class_uid is second.sop_class_uid
    assert first.series_id is second.series_id
