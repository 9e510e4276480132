"""One file that cannot be read costs what only it can tell, and never its study: RULES B11, A7, C6."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from syncd.archive.orthanc import OrthancArchive
from syncd.archive.reading import reader
from syncd.archive.reading.elements import MOST_CALLS
from syncd.errors import TornRead, Transient
from syncd.http.messages import Answer
from syncd.model.study.raw import Unread
from tests.archive.scripted import (
    STUDY,
    Asked,
    Reply,
    Scripted,
    answering,
    archive,
    in_turn,
    instance,
    orthanc_id,
    saying,
    study_routes,
)

NEIGHBOUR = orthanc_id(2)
LOST = f"GET /instances/{orthanc_id(21)}"
SERIES = f"GET /studies/{STUDY}/series"
KO = "1.2.840.10008.5.1.4.1.1.88.59"
TOO_DEEP: Any = None
for _ in range(200):
    TOO_DEEP = [{"0040,a730": TOO_DEEP}]


def failing(status: int) -> Reply:
    return lambda request: saying(status)


def late(request: Asked) -> Answer:
    raise TimeoutError("late")


def site(
    changes: Mapping[str, Reply] = MappingProxyType({}), *, well: bool = True, alone: bool = False, frames: int = 1
) -> dict[str, Reply]:
    """Study 1 has two series of one image each, the first of which (21) is in trouble; a neighbour can be read if `well`."""
    images = [instance(21, series=11, position="1"), instance(22, series=12, position="1")]
    images[0]["MainDicomTags"]["0028,0008"] = str(frames)
    routes = study_routes(images)
    listed = [{"ID": orthanc_id(each), "MainDicomTags": {"0008,0060": "SM"}, "Instances": []} for each in (11, 12)]
    others = answering([instance(31, series=13)])
    own = routes["POST /tools/bulk-content"]
    return {
        **routes,
        SERIES: answering(listed),
        "GET /statistics": answering({"CountStudies": 1 if alone else 2, "CountInstances": 3}),
        "GET /studies": lambda request: saying(200, json=[STUDY if alone or request.query["since"] == "0" else NEIGHBOUR]),
        "POST /tools/bulk-content": lambda request: (
            others(request) if NEIGHBOUR.encode() in request.content else own(request)
        ),
        f"GET /instances/{orthanc_id(31)}/tags": answering({}) if well else failing(500),
        LOST: answering({}),
        **changes,
    }


def asked(scripted: Scripted, route: str) -> int:
    return scripted.asked.count(route)


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        (failing(500), Unread.BROKEN),
        (failing(400), Unread.BROKEN),
        (failing(404), Unread.BROKEN),
        (late, Unread.SLOW),
        (answering({"0040,0275": TOO_DEEP}), Unread.GARBLED),
        (lambda _: saying(200, text='{"0008'), Unread.GARBLED),
        (lambda _: saying(200, content=iter([b" " * 9000])), Unread.LARGE),
    ],
)
def test_an_instance_in_trouble_of_its_own_is_left_unread(trouble: Reply, why: Unread) -> None:
    """RULES B11: the study is read, the instance named, and its series known from the index."""
    orthanc, _ = archive(site({f"{LOST}/tags": trouble}), max_reply=8000)
    raw = orthanc.read_study(STUDY)
    assert raw.unread == {orthanc_id(21): why}
    first, second = raw.series
    assert (first.tags, first.representative) == ({"0008,0060": "SM"}, {})
    assert second.representative
    assert len(raw.instances) == 2 and not raw.is_blind


@pytest.mark.parametrize("trouble", [failing(500), late])
def test_an_archive_that_reads_no_neighbour_either_is_in_trouble_itself(trouble: Reply) -> None:
    """RULES C6: its disk is away though its index answers; nothing is published with less for that."""
    orthanc, _ = archive(site({f"{LOST}/tags": trouble}, well=False))
    with pytest.raises(Transient):
        orthanc.read_study(STUDY)
    assert orthanc.serves_others({STUDY}) is False


def test_the_only_study_of_an_archive_is_not_parked_for_one_file() -> None:
    """RULES B11: nobody can tell whose fault it is, and the archive answers."""
    orthanc, _ = archive(site({f"{LOST}/tags": failing(500)}, alone=True))
    assert orthanc.serves_others({STUDY}) is None
    assert orthanc.read_study(STUDY).unread == {orthanc_id(21): Unread.BROKEN}


def test_an_archive_that_serves_others_says_so() -> None:
    """RULES C6."""
    assert archive(site())[0].serves_others({STUDY}) is True


@pytest.mark.parametrize("trouble", [failing(500), failing(502), lambda _: saying(200, text='{"0008')])
def test_a_file_that_fails_only_once_is_read(trouble: Reply) -> None:
    """RULES B11: what fails at once is asked once more."""
    routes = site()
    routes[f"{LOST}/tags"] = in_turn(trouble, routes[f"{LOST}/tags"])
    assert archive(routes)[0].read_study(STUDY).unread == {}


@pytest.mark.parametrize("status", [429, 503])
def test_an_archive_that_asks_for_patience_has_no_broken_file(status: int) -> None:
    """RULES C6, RFC 6585 4, RFC 9110 15.6.4: who is busy says nothing about a file; the study waits and loses no word."""
    with pytest.raises(Transient):
        archive(site({f"{LOST}/tags": failing(status)}))[0].read_study(STUDY)


def test_an_instance_that_the_index_lost_is_a_torn_read() -> None:
    """RULES A7: it was deleted meanwhile."""
    with pytest.raises(TornRead):
        archive(site({f"{LOST}/tags": failing(404), LOST: failing(404)}))[0].read_study(STUDY)


def test_what_costs_the_archive_much_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES B11: each try costs Orthanc its work anew; a time that was bad passes."""
    orthanc, scripted = archive(site({f"{LOST}/tags": late}))
    for _ in range(3):
        assert orthanc.read_study(STUDY).unread == {orthanc_id(21): Unread.SLOW}
    assert asked(scripted, f"{LOST}/tags") == 1
    later = reader.time.monotonic() + reader.REMEMBERED_FOR + 1
    monkeypatch.setattr(orthanc._unreadable, "_monotonic", lambda: later)
    orthanc.read_study(STUDY)
    assert asked(scripted, f"{LOST}/tags") == 2


def test_a_lost_file_is_asked_for_again() -> None:
    """RULES B11: it costs little, and may have been restored."""
    orthanc, scripted = archive(site({f"{LOST}/tags": failing(500)}))
    orthanc.read_study(STUDY)
    scripted.routes[f"{LOST}/tags"] = answering({"0008,0060": "SM"})
    assert orthanc.read_study(STUDY).unread == {}


def test_a_pass_waits_in_vain_for_few_instances_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES C6: each costs a timeout, and a worker."""
    monkeypatch.setattr(reader, "MOST_SLOW", 1)
    orthanc, scripted = archive(site({f"{LOST}/tags": late, f"GET /instances/{orthanc_id(22)}/tags": late}))
    assert orthanc.read_study(STUDY).is_blind
    assert asked(scripted, f"GET /instances/{orthanc_id(22)}/tags") == 0


def test_another_instance_of_the_series_speaks_for_it() -> None:
    """RULES A7, B11: what cannot differ within a series is told by any of its files."""
    images = [instance(21, series=11, position="1"), instance(23, series=11, position="2")]
    routes = {**study_routes(images, tags={"0020,0062": "L"}), SERIES: answering([]), LOST: answering({})}
    all_images = f"GET /series/{orthanc_id(11)}/instances-tags"
    others = {"GET /statistics": answering({"CountStudies": 0}), f"{LOST}/tags": failing(500), all_images: failing(500)}
    raw = archive({**routes, **others})[0].read_study(STUDY)
    assert raw.series[0].representative["0008,0018"] == "1.2.1.23"
    assert (raw.series[0].images, raw.series[0].shared) == ((), None)


@pytest.mark.parametrize("lost", [21, 23])
def test_a_short_series_that_does_not_answer_at_once_is_read_image_by_image(lost: int) -> None:
    """RULES B9, B11: which one cannot be read is known then, and noted, whether or not it is the representative."""
    images = [instance(each, series=11, position=str(each)) for each in (21, 22, 23)]
    routes = {**study_routes(images), SERIES: answering([]), "GET /statistics": answering({"CountStudies": 0})}
    file = f"GET /instances/{orthanc_id(lost)}"
    broken = {
        f"GET /series/{orthanc_id(11)}/instances-tags": failing(500),
        f"{file}/tags": failing(500),
        file: answering({}),
    }
    orthanc, scripted = archive({**routes, **broken})
    raw = orthanc.read_study(STUDY)
    assert raw.unread == {orthanc_id(lost): Unread.BROKEN}
    assert (raw.series[0].images, raw.series[0].shared) == ((), None)
    assert sum(each.endswith("/instances-tags") for each in scripted.asked) == 1
    assert not any(each.endswith("/shared-tags") for each in scripted.asked)


def test_a_document_that_cannot_be_read_is_no_document_that_says_nothing() -> None:
    """RULES B7, B11: a key object without a title would reject nothing."""
    images = [instance(21, series=11, sop_class=KO), instance(22, series=12)]
    others = {"GET /statistics": answering({"CountStudies": 0}), f"{LOST}/tags": failing(500), LOST: answering({})}
    raw = archive({**study_routes(images), SERIES: answering([]), **others})[0].read_study(STUDY)
    assert (raw.documents, list(raw.unread)) == ({}, [orthanc_id(21)])


# -- value by value ----------------------------------------------------------------------------------------------------

CONTENT = f"{LOST}/content/"


def value(text: bytes) -> Reply:
    return lambda request: saying(200, content=text)


def slide(
    changes: Mapping[str, Reply] = MappingProxyType({}), *, frames: int = reader.MOST_FRAMES + 1
) -> tuple[OrthancArchive, Scripted]:
    """The instance has more frames than are asked for, and its values can be had one by one."""
    routes = site(
        {
            CONTENT: answering(["0008-0060", "0010-0021", "0010-0024", "0020-0060", "5200-9230"]),
            f"{CONTENT}0008-0060": value(b"SM"),
            f"{CONTENT}0010-0021": value(b"CLINIC "),
            f"{CONTENT}0010-0024": answering(["0"]),
            f"{CONTENT}0010-0024/0/": answering(["0040-0032", "0040-0033"]),
            f"{CONTENT}0010-0024/0/0040-0032": value(b"1.2.3\0"),
            f"{CONTENT}0010-0024/0/0040-0033": value(b"ISO "),
            f"{CONTENT}0020-0060": value(b"L "),
            **changes,
        },
        frames=frames,
    )
    return archive(routes)


def test_a_slide_of_many_frames_is_asked_value_by_value() -> None:
    """RULES B11: never its full tags; who issued the patient's number, and nothing of its frames."""
    orthanc, scripted = slide()
    raw = orthanc.read_study(STUDY)
    assert raw.unread == {orthanc_id(21): Unread.FORESEEN}
    assert raw.series[0].representative == {
        "0008,0060": "SM",
        "0010,0021": "CLINIC",
        "0010,0024": [{"0040,0032": "1.2.3", "0040,0033": "ISO"}],
        "0020,0060": "L",
    }
    assert raw.series[0].tags == {"0008,0060": "SM"}
    assert asked(scripted, f"{LOST}/tags") == 0
    scripted.requests.clear()
    assert orthanc.read_study(STUDY).series[0].representative == raw.series[0].representative


@pytest.mark.parametrize(
    "changes",
    [
        {f"{CONTENT}0010-0021": value("Süd".encode("latin-1"))},
        {f"{CONTENT}0010-0021": value(b"\x1b$B")},
        {f"{CONTENT}0010-0021": failing(500)},
        {CONTENT: failing(500)},
        {CONTENT: answering({"0010,0021": "x"})},
        {f"{CONTENT}0010-0024": answering([str(each) for each in range(MOST_CALLS)])},
    ],
    ids=["another character set", "escapes", "one fails", "none is listed", "another shape", "too many"],
)
def test_values_that_cannot_all_be_understood_are_none(changes: dict[str, Reply]) -> None:
    """RULES B11: half of a patient's identity is another one."""
    raw = slide(changes)[0].read_study(STUDY)
    assert raw.series[0].representative == {}
    assert raw.unread == {orthanc_id(21): Unread.FORESEEN}


def test_the_values_of_a_slow_instance_are_remembered() -> None:
    """RULES B11."""
    orthanc, scripted = slide({f"{LOST}/tags": late}, frames=1)
    first = orthanc.read_study(STUDY)
    count = len(scripted.requests)
    second = orthanc.read_study(STUDY)
    assert first.series[0].representative == second.series[0].representative != {}
    assert not [each for each in scripted.asked[count:] if "/content" in each]


# -- arriving ----------------------------------------------------------------------------------------------------------


def test_registered_takes_a_series_that_can_be_read() -> None:
    """RULES A6, B11."""
    listed = [
        {"ID": orthanc_id(number), "MainDicomTags": {"0008,0060": "CT"}, "Instances": [orthanc_id(number + 10)]}
        for number in (11, 12)
    ]
    routes = site({SERIES: answering(listed), f"{LOST}/tags": failing(500)})
    raw = archive(routes)[0].read_registered(STUDY)
    assert raw.instances[0].orthanc_id == orthanc_id(22)
    assert [bool(each.representative) for each in raw.series] == [False, True]
    assert not raw.is_blind
