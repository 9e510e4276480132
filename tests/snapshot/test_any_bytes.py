"""What holds whatever an archive answers: nothing raises, no instance is lost, no order matters (CASES, values)."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.model.ids import OrthancId
from syncd.model.study import RawInstance, RawSeries, RawStudy, StudyHeader
from syncd.snapshot.build import build
from syncd.snapshot.instances import is_encodable
from syncd.snapshot.text import clean
from tests.snapshot.studies import ARCHIVE, KO, MG, PR, STUDY

STUDY_TAGS = """
    0008,0005 0008,0016 0008,0020 0008,0030 0008,0050 0008,0051 0008,0090 0008,0096 0008,0110 0008,0201
    0008,1030 0008,1032 0008,1040 0008,1060 0008,1062 0010,0010 0010,0020 0010,0021 0010,0024 0010,0030
    0010,0040 0010,1000 0010,1001 0010,1002 0020,0010 0032,1060 0038,0010 0038,0014 0040,0026 0040,0027
    0040,0243 0040,0275 0040,1002 0040,100a 0040,2016 0040,2017 0040,a370
"""
SERIES_TAGS = """
    0008,0021 0008,0022 0008,0031 0008,0032 0008,0060 0008,103e 0008,1050 0008,1052 0008,1070 0008,1072
    0008,2218 0018,0015 0018,1030 0020,0011 0020,0060 0020,0062 5200,9229 5200,9230
    0008,0070 0008,1010 0008,1090 0008,1111 0018,1000 0018,1002 0018,1020
    0040,0244 0040,0245 0040,0250 0040,0251 0040,0254
"""
ITEM_TAGS = """
    0008,0050 0008,0051 0008,0100 0008,0102 0008,0104 0008,010c 0008,0119 0008,0120 0008,1155 0008,2218 0010,0020
    0020,9071 0020,9072 0040,0031 0040,0032 0040,0033 0040,0035 0040,1101
"""
INSTANCE_TAGS = "0020,0013 0028,0008"
DOCUMENT_TAGS = "0008,0016 0008,0018 0040,a043 0042,0010 0070,0080"

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no finding

ODD = st.sampled_from(
    [
        "",
        " ",
        "\x00",
        "1.0",
        "-1",
        "9" * 400,
        "20240230",
        "2400",
        "235960.5",
        "+9900",
        "^^^^",
        "A=B=C=D",
        "CT\\MR",
        "\ud800",
        "Ã¼",
        KO,
    ]
)
TEXT = ODD | st.text(max_size=12) | st.characters(codec=None)
ITEM = st.dictionaries(st.sampled_from(ITEM_TAGS.split()), st.none() | TEXT | st.just([{}]), max_size=4)
VALUE = st.none() | TEXT | st.lists(ITEM, max_size=2) | st.integers() | st.lists(TEXT, max_size=2)
UIDS = st.sampled_from(["1.2.1", "1.2.2", "1.2.2 ", "1.2.3\x00", "1.2.003", "", "1.2_4", "1." + "3" * 64]) | TEXT


def tags(names: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names.split()), VALUE, max_size=8)


@st.composite
def studies(draw: st.DrawFn) -> RawStudy:
    """Up to three series and eight instances, with anything in any tag that is read."""
    full = tags(STUDY_TAGS + SERIES_TAGS)
    series = [
        RawSeries(
            orthanc_id=OrthancId(f"s{index}"),
            tags=draw(tags(SERIES_TAGS)) | {"0020,000e": draw(UIDS)},
            representative=draw(full),
            lateralities=tuple(draw(st.lists(full, max_size=3))),
        )
        for index in range(draw(st.integers(0, 3)))
    ]
    instances = [
        RawInstance(
            orthanc_id=OrthancId(f"i{index}"),
            series_id=OrthancId(f"s{draw(st.integers(0, max(0, len(series) - 1)))}"),
            sop_class_uid=draw(st.sampled_from([KO, PR, MG]) | TEXT),
            tags=draw(tags(INSTANCE_TAGS)) | {"0008,0018": draw(UIDS)},
        )
        for index in range(draw(st.integers(0, 8)) if series else 0)
    ]
    header = StudyHeader(
        archive=ARCHIVE,
        orthanc_id=OrthancId("study"),
        study_uid=draw(UIDS),
        is_stable=True,
        last_update="",
        series_ids=tuple(each.orthanc_id for each in series),
        main_tags=draw(tags(STUDY_TAGS)),
    )
    documents = {each.orthanc_id: draw(tags(DOCUMENT_TAGS)) for each in instances if draw(st.booleans())}
    return RawStudy(header=header, series=tuple(series), instances=tuple(instances), documents=documents)


@UNHURRIED
@given(raw=studies())
def test_no_instance_is_lost_whatever_the_values_are(raw: RawStudy) -> None:
    """CASES, values: all that can be named is there, and nothing else."""
    named = {each.orthanc_id: clean(each.tags["0020,000e"]) for each in raw.series}
    expected = {
        (named[each.series_id], clean(each.tags["0008,0018"]))
        for each in raw.instances
        if is_encodable(named[each.series_id]) and is_encodable(clean(each.tags["0008,0018"]))
    }
    found = [(series.uid, instance.uid) for series in build(raw).series for instance in series.instances]
    assert sorted(found) == sorted(expected)


@UNHURRIED
@given(raw=studies(), chance=st.randoms(use_true_random=False))
def test_the_order_of_the_archives_lists_does_not_matter(raw: RawStudy, chance: Any) -> None:
    """MAPPING A.1, series: a stable order is needed to see that nothing changed (RULES B3)."""
    shuffled = replace(
        raw,
        series=tuple(
            replace(each, lateralities=tuple(chance.sample(each.lateralities, len(each.lateralities))))
            for each in chance.sample(raw.series, len(raw.series))
        ),
        instances=tuple(chance.sample(raw.instances, len(raw.instances))),
        documents=dict(chance.sample(list(raw.documents.items()), len(raw.documents))),
    )
    assert build(shuffled) == build(raw)


@UNHURRIED
@given(raw=studies())
def test_every_text_can_be_sent(raw: RawStudy) -> None:
    """RULES B1: no control character, no blank around, nothing that UTF-8 cannot hold."""
    for text in texts(build(raw)):
        json.dumps(text, ensure_ascii=False).encode()
        assert text == clean(text)


def texts(value: object) -> list[str]:
    """Every text inside a snapshot."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple):
        return [text for each in value for text in texts(each)]
    if is_dataclass(value):
        return [text for field in fields(value) for text in texts(getattr(value, field.name))]
    return []


def test_a_study_of_many_instances_keeps_them_all() -> None:
    """CASES, values: fifty thousand instances, the same oddity in each of them is one note."""
    series = RawSeries(orthanc_id=OrthancId("s"), tags={"0020,000e": "1.2.3.1", "0008,0060": "CT"})
    instances = tuple(
        RawInstance(
            orthanc_id=OrthancId(f"i{index}"),
            series_id=series.orthanc_id,
            sop_class_uid=MG,
            tags={"0008,0018": f"1.2.3.1.{index}", "0020,0013": "x"},
        )
        for index in range(50_000)
    )
    header = StudyHeader(
        archive=ARCHIVE,
        orthanc_id=OrthancId("study"),
        study_uid=STUDY,
        is_stable=True,
        last_update="",
        series_ids=(series.orthanc_id,),
    )
    snapshot = build(RawStudy(header=header, series=(series,), instances=instances))
    assert snapshot.number_of_instances == 50_000
    assert [note.done for note in snapshot.notes] == ["number_rejected: omitted (50000)"]
