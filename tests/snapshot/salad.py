"""Studies of byte salad: anything in any tag that is read, as an archive might answer it (docs/cases.md, values)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from syncd.model.ids import OrthancId
from syncd.model.study.raw import RawInstance, RawSeries, RawStudy, StudyHeader, Undecoded
from tests.snapshot.studies import ARCHIVE, KO, MG, PR

STUDY_TAGS = """
    0008,0005 0008,0008 0008,0016 0008,0020 0008,0030 0008,0050 0008,0051 0008,0090 0008,0096 0008,0110 0008,0201
    0008,1030 0008,1032 0008,1040 0008,1060 0008,1062 0010,0010 0010,0020 0010,0021 0010,0024 0010,0030
    0010,0040 0010,1000 0010,1001 0010,1002 0020,0010 0032,1060 0038,0010 0038,0014 0040,0026 0040,0027
    0040,0243 0040,0275 0040,1002 0040,100a 0040,2016 0040,2017 0040,a370
"""
SERIES_TAGS = """
    0008,0021 0008,0022 0008,0031 0008,0032 0008,0060 0008,103e 0008,1050 0008,1052 0008,1070 0008,1072
    0008,2218 0018,0015 0018,1030 0020,0011 0020,0060 0020,0062 5200,9229 5200,9230
    0008,0070 0008,0080 0008,0082 0008,1010 0008,1090 0008,1111 0018,1000 0018,1002 0018,1020 0040,a07c
    0040,0244 0040,0245 0040,0250 0040,0251 0040,0254
"""
ITEM_TAGS = """
    0008,0050 0008,0051 0008,0100 0008,0102 0008,0104 0008,010c 0008,0119 0008,0120 0008,2218 0010,0020
    0020,9071 0020,9072 0040,0031 0040,0032 0040,0033 0040,0035 0040,1101 0008,0080 0008,0082
    0020,000d 0020,000e 0008,1115 0008,1199 0008,1155
"""
INSTANCE_TAGS = "0008,0008 0020,0013 0028,0008"
DOCUMENT_TAGS = "0008,0016 0008,0018 0040,a043 0040,a375 0040,a525 0042,0010 0070,0080"

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
        "\x80",
        "�",
        "A¥B",
        "ä" * 300,
        "\x1b$B;3ED",
        KO,
    ]
)
TEXT = ODD | st.text(max_size=12) | st.characters(codec=None)
CHARSETS = st.sampled_from(["", "ISO_IR 192", "ISO IR 192", "ISO_IR 13", "\\ISO 2022 IR 87", "\\ISO 2022 IR 149", "GB18030"])
RAW = st.builds(Undecoded, value=st.binary(max_size=12), character_set=CHARSETS | TEXT)
ITEM = st.dictionaries(st.sampled_from(ITEM_TAGS.split()), st.none() | TEXT | RAW | st.just([{}]), max_size=4)
VALUE = st.none() | TEXT | RAW | st.lists(ITEM, max_size=2) | st.integers() | st.lists(TEXT, max_size=2)
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
            images=tuple(draw(st.lists(full, max_size=3))),
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


def shuffled(raw: RawStudy, chance: Any) -> RawStudy:
    """The same study, listed in another order."""
    return replace(
        raw,
        series=tuple(
            replace(each, images=tuple(chance.sample(each.images, len(each.images))))
            for each in chance.sample(raw.series, len(raw.series))
        ),
        instances=tuple(chance.sample(raw.instances, len(raw.instances))),
        documents=dict(chance.sample(list(raw.documents.items()), len(raw.documents))),
    )
