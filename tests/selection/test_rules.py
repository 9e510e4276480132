"""Rules: how they are written, and which studies they fit (docs/settings.md, `INCLUDE`, `EXCLUDE`)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import keyword_dict

from syncd.selection.facts import Facts, select
from syncd.selection.rules import Excluded, Selected, UnusableRule, parse, rules

STUDY = Facts(
    tags=(
        {"0010,0020": "P1", "0010,0010": "ZZZ^Test=漢字^名", "0008,1010": "CT01 "},
        {"0008,0060": "CT", "0008,0008": "ORIGINAL\\PRIMARY"},
        {"0008,0060": "SR", "0008,1010": None, "0040,0275": [{"0040,0007": "x"}]},
    ),
    labels=("research", "Teaching"),
    aets=("CT_SCANNER", "WORKSTATION"),
)


@pytest.mark.parametrize(
    "text",
    [
        "modality=SR",
        "modality=s?",
        "MODALITY=[CM]T",
        "Modality=CT",
        "station=ct0*",
        "aet=*scan*",
        "label=teaching",
        "PatientID=p1",
        "PatientName=ZZZ*",
        "PatientName=漢字*",
        "ImageType=PRIMARY",
        " PatientID = P1 ",
        "PatientID=[!x]1",
    ],
)
def test_a_rule_fits_any_value_as_a_whole_and_without_regard_to_case(text: str) -> None:
    """docs/settings.md, `key=glob`."""
    rule = parse(text)
    assert rule.fits(STUDY.values(rule))


@pytest.mark.parametrize(
    "text",
    [
        "modality=S",
        "modality=*R?",
        "station=02",
        "aet=CT",
        "label=teach",
        "PatientID=P",
        "AccessionNumber=*",
        "ImageType=*Y\\P*",
    ],
)
def test_a_part_of_a_value_or_a_missing_value_does_not_fit(text: str) -> None:
    """What is not there fits no pattern, not even `*`: an unknown sender is nobody's."""
    rule = parse(text)
    assert not rule.fits(STUDY.values(rule))


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ((), (), Selected()),
        (("modality=CT",), (), Selected()),
        (("modality=MR", "label=research"), (), Selected()),
        (("modality=MR",), (), Excluded()),
        ((), ("modality=SR",), Excluded(rule="modality=SR")),
        (("modality=CT",), ("PatientName=zzz*",), Excluded(rule="PatientName=zzz*")),
        (("modality=MR",), ("aet=nobody",), Excluded()),
    ],
)
def test_exclude_wins_and_no_include_rule_takes_all(
    include: tuple[str, ...], exclude: tuple[str, ...], expected: Selected | Excluded
) -> None:
    """docs/settings.md, defaults `all, none`."""
    assert select(STUDY, rules(include=include, exclude=exclude)) == expected


def test_a_reason_shows_the_rule_and_no_value() -> None:
    """RULES S1."""
    assert Excluded(rule="PatientName=ZZZ*").reason == "excluded by PatientName=ZZZ*"
    assert Excluded().reason == "included by no rule"


@pytest.mark.parametrize(
    ("text", "wrong", "advice"),
    [
        ("modality", "is no rule", "key=pattern"),
        ("=SR", "is no rule", "key=pattern"),
        ("modality=", "has no pattern", "modality=*"),
        ("modalty=SR", "is no key", "did you mean modality?"),
        ("patientid=T*", "is no key", "did you mean PatientID?"),
        ("PatientNaem=T*", "is no key", "did you mean PatientName?"),
        ("qqq=T*", "is no key", "a DICOM keyword such as PatientID"),
        ("ModalitiesInStudy=CT", "stored in no image", "use modality"),
        ("NumberOfStudyRelatedSeries=1", "stored in no image", "only queries"),
        ("SourceApplicationEntityTitle=X", "not a part of the images", "aet"),
        ("PixelData=1", "has no text", ""),
        ("RequestAttributesSequence=1", "has no text", ""),
    ],
)
def test_what_cannot_be_a_rule_is_refused_with_advice(text: str, wrong: str, advice: str) -> None:
    """docs/settings.md: every problem is told with what to write instead."""
    with pytest.raises(UnusableRule) as refused:
        parse(text)
    assert wrong in refused.value.wrong
    assert advice in refused.value.advice


@given(st.sampled_from(sorted(keyword_dict)), st.text(min_size=1).filter(str.strip))
def test_any_keyword_and_pattern_is_a_rule_or_refused_and_never_breaks(keyword: str, glob: str) -> None:
    """A pattern is text of a person: brackets and stars that mean nothing must not raise."""
    try:
        rule = parse(f"{keyword}={glob}")
    except UnusableRule as refused:
        assert refused.wrong
    else:
        assert (rule.key, parse(rule.text)) == (keyword, rule)
        assert rule.fits(["x", ""]) in (True, False)


@given(st.text())
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    """docs/settings.md: exit 2 with words, never a traceback."""
    try:
        assert parse(text).glob
    except UnusableRule as refused:
        assert refused.wrong


@given(st.text(alphabet="ABCxyz0123-_ ", min_size=1).map(str.strip).filter(bool))
def test_a_value_without_wild_cards_fits_itself(value: str) -> None:
    """Patterns are over the whole value."""
    rule = parse(f"PatientID={value}")
    assert rule.fits([value]) and rule.fits([value.swapcase()]) and not rule.fits([value + "x"])
