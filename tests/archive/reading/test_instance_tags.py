"""RULES B11: what the archive cannot have decoded rightly, or gave as null, is read as the bytes of the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydicom.datadict import dictionary_VR

import syncd.snapshot
from syncd.archive.reading.doubt import LONGEST, MOST_ASKED, doubtful
from syncd.archive.reading.texts import CODED_STRINGS, SEQUENCES, TEXTS, WHOLE
from syncd.errors import TornRead
from syncd.model.study.raw import Undecoded
from tests.archive.scripted import STUDY, Reply, Scripted, answering, archive, instance, orthanc_id, saying, study_routes

PLAIN = {
    "0010,0010": "Doe^Jane",
    "0008,1030": "Thorax",
    "0008,0060": "CT",
    "0008,1032": [{"0008,0104": "Thorax"}],
    "0010,1001": "",
}


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("ISO_IR 192", "Müller^Jörg=山田"),
        ("ISO_IR 192", "¥100"),
        ("ISO_IR 100", "Müller^Jörg"),
        ("iso_ir 100", "Müller^Jörg"),
        ("ISO 2022 IR 100", "Müller^Jörg"),
        ("ISO_IR 144", "Люксембург"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("GB18030", "王^小东"),
        ("GBK", "王^小东"),
        ("", "Doe^Jane"),
    ],
)
def test_what_the_archive_decodes_well_is_believed(charset: str, text: str) -> None:
    """B11, A7: no call more for what a study usually says."""
    assert doubtful({**PLAIN, "0008,0005": charset, "0010,0010": text}) == []


def test_without_a_character_set_ascii_is_believed() -> None:
    assert doubtful(PLAIN) == []


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("ISO_IR 13", "ABC^D¥EF^G"),
        ("ISO_IR 13", "山田^太郎"),
        ("ISO_IR 100", "MÃ¼ller"),
        ("ISO_IR 100", "M\x81ller"),
        ("ISO_IR 100", "A\x1b$B;3\x1b(B"),
        ("ISO_IR 192", "M\ufffdller"),
        ("", "Müller"),
        ("", "MÃ¼ller"),
        ("", "A\x1b$B;3\x1b(B"),
        ("\\ISO 2022 IR 87", "Yamada"),
        ("ISO 2022 IR 13¥ISO 2022 IR 87", ";3ED"),
        ("ISO 2022 IR 6", "Mller"),
    ],
)
def test_a_text_is_doubted_that_shows_another_set_or_may_have_had_escapes(charset: str, text: str) -> None:
    """B11; RULES B11."""
    assert doubtful({"0008,0005": charset, "0010,0010": text, "0010,1001": "", "0008,0060": "CT"}) == [("0010,0010",)]


@pytest.mark.parametrize("charset", ["ISO IR 192", "UTF8", "ISO_IR 6", "ISO_IR 203", "ISO_IR 100\\ISO_IR 192", "KLINGON"])
def test_under_a_name_that_the_archive_does_not_know_every_text_is_doubted(charset: str) -> None:
    """B11: it drops what is not ASCII, so a name may become ASCII, or empty."""
    tags = {"0008,0005": charset, "0010,0010": "", "0008,0060": "CT", "0010,0030": "19700101", "0008,2111": "not read"}
    assert doubtful(tags) == [("0010,0010",)]


def test_in_an_item_the_set_of_the_item_counts() -> None:
    """PS3.3 C.12.1.1.2: the archive decodes it by that of the instance, and what it drops may be all of it."""
    own = {"0008,0005": "ISO_IR 144", "0032,1060": "", "0040,100a": [{"0008,0104": "?"}]}
    same = {"0008,0005": "ISO_IR 192", "0032,1060": "Thorax"}
    tags = {"0008,0005": "ISO_IR 192", "0040,0275": [same, own], "0010,0010": "Doe"}
    assert doubtful(tags) == [("0040,0275", 1, "0032,1060"), ("0040,0275", 1, "0040,100a", 0, "0008,0104")]


def test_null_is_asked_for_and_other_things_are_not() -> None:
    """RULES B11: `null` is no text that is absent; a code string may be dirty, and its `¥` is a delimiter."""
    tags = {"0010,0010": None, "0018,0015": "SCHÄDEL", "0008,0008": "ORIGINAL¥PRIMARY", "7fe0,0010": None, "0070,0080": None}
    assert doubtful({"0008,0005": "ISO_IR 13", **tags}) == [("0010,0010",), ("0018,0015",), ("0070,0080",)]


ONE = [instance(21, series=11, position="1")]
TAGS = f"GET /instances/{orthanc_id(21)}/tags"


def read(tags: Mapping[str, Any], contents: Mapping[str, bytes]) -> tuple[Any, Scripted]:
    """The representative of a study of one instance, whose raw values are `contents` by their place."""

    def content(value: bytes) -> Reply:
        return lambda request: saying(200, content=value)

    raw = {f"GET /instances/{orthanc_id(21)}/content/{place}": content(value) for place, value in contents.items()}
    orthanc, scripted = archive({**study_routes(ONE, tags=tags), **raw})
    return orthanc.read_study(STUDY).series[0].representative, scripted


def test_texts_are_asked_for_however_long_they_are() -> None:
    """RULES B11: one call as before."""
    _, scripted = read(PLAIN, {})
    [asked] = [each for each in scripted.requests if each.path.endswith("/tags")]
    named = asked.query["ignore-length"].split(",")
    assert {tag.replace("-", ",") for tag in named} == set(WHOLE)
    assert not any("/content/" in each for each in scripted.asked)


def test_a_doubtful_text_is_put_there_as_bytes() -> None:
    """B11: with the set that holds for it, in items too; its neighbours stay."""
    item = {"0008,0005": "ISO_IR 144", "0032,1060": "", "0040,0007": "?"}
    tags = {"0008,0005": "ISO_IR 13", "0008,1070": "A¥B", "0010,0010": "Doe", "0040,0275": [{"0032,1060": "Thorax"}, item]}
    found, scripted = read(tags, {"0008-1070": b"A\\B ", "0040-0275/1/0032-1060": b"\xbb\xee"})
    assert found["0008,1070"] == Undecoded(value=b"A\\B ", character_set="ISO_IR 13")
    assert found["0010,0010"] == "Doe"
    assert found["0040,0275"] == [
        {"0032,1060": "Thorax"},
        {"0008,0005": "ISO_IR 144", "0032,1060": Undecoded(value=b"\xbb\xee", character_set="ISO_IR 144"), "0040,0007": "?"},
    ]
    assert sum("/content/" in each for each in scripted.asked) == 2


def test_what_is_asked_for_is_bounded_in_number_and_size() -> None:
    """B11: what lies beyond is null, which the snapshot notes; the outermost come first."""
    codes = [{"0008,0104": "?"}] * MOST_ASKED
    contents = {f"0008-1032/{number}/0008-0104": b"Thorax" for number in range(MOST_ASKED)}
    tags = {"0008,0005": "KLINGON", "0008,1032": codes, "0010,0010": "?", "0008,1030": "?"}
    found, scripted = read(tags, {**contents, "0010-0010": b"Doe", "0008-1030": b"x" * (LONGEST + 1)})
    assert sum("/content/" in each for each in scripted.asked) == MOST_ASKED
    assert isinstance(found["0010,0010"], Undecoded)
    assert found["0008,1030"] is None
    assert [each["0008,0104"] is None for each in found["0008,1032"]].count(True) == 2


def test_a_value_that_went_meanwhile_means_that_the_study_changed() -> None:
    """RULES A7: a torn read, never a study without a name."""
    with pytest.raises(TornRead):
        read({"0008,0005": "KLINGON", "0010,0010": "?"}, {})


def test_the_registered_study_is_read_alike() -> None:
    """RULES A6, B11: what is announced names the patient, too."""
    number = orthanc_id(21)
    orthanc, _ = archive(
        {
            **study_routes(ONE, tags={"0008,0005": "ISO IR 192", "0010,0010": "Mller"}),
            f"GET /studies/{STUDY}/series": answering([{"ID": orthanc_id(11), "MainDicomTags": {}, "Instances": [number]}]),
            f"GET /instances/{number}/content/0010-0010": lambda request: saying(200, content="Müller".encode()),
        }
    )
    raw = orthanc.read_registered(STUDY)
    assert raw.series[0].representative["0010,0010"] == Undecoded(value="Müller".encode(), character_set="ISO IR 192")


def test_rules_of_selection_name_further_texts() -> None:
    """B11: what a rule compares is read whole and doubted like what is published."""
    routes = study_routes(ONE, tags={"0008,0005": "ISO IR 192", "0010,4000": "Mller"})
    routes[f"GET /instances/{orthanc_id(21)}/content/0010-4000"] = lambda request: saying(200, content=b"x")
    orthanc, scripted = archive(routes, texts={"0010,4000", "0008,0060"})
    assert isinstance(orthanc.read_study(STUDY).series[0].representative["0010,4000"], Undecoded)
    assert any("0010-4000" in str(each.url) for each in scripted.requests if each.path.endswith("/tags"))


def test_every_text_that_the_snapshot_names_is_in_the_list() -> None:
    """B11: the whole kind; a new attribute is read whole from its first day."""
    room = Path(syncd.snapshot.__file__).parent
    named = {tag for file in room.rglob("*.py") for tag in re.findall(r'"([0-9a-f]{4},[0-9a-f]{4})"', file.read_text())}
    kinds = {tag: dictionary_VR(int(tag.replace(",", ""), 16)) for tag in named}
    assert {tag for tag, kind in kinds.items() if kind in ("LO", "LT", "PN", "SH", "ST", "UC", "UT")} <= TEXTS
    assert {"CS", "UR"} >= {dictionary_VR(int(tag.replace(",", ""), 16)) for tag in CODED_STRINGS}
    texts_in_items = {tag for tag, kind in kinds.items() if kind == "SQ"} - SEQUENCES
    # References by UID, which are no text.
    assert texts_in_items <= {"0008,1111", "0008,1115", "0008,1199", "0040,a375", "0040,a525"}
