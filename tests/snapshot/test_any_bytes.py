"""What holds whatever an archive answers: nothing raises, no instance is lost, no order matters (docs/cases.md, values)."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.model.ids import OrthancId
from syncd.model.study.raw import RawInstance, RawSeries, RawStudy, StudyHeader
from syncd.snapshot.build import build
from syncd.snapshot.instances.instances import is_encodable
from syncd.snapshot.values.text import clean
from tests.snapshot.salad import shuffled, studies
from tests.snapshot.studies import ARCHIVE, MG, STUDY

pytestmark = pytest.mark.machine

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no finding


@UNHURRIED
@given(raw=studies())
def test_no_instance_is_lost_whatever_the_values_are(raw: RawStudy) -> None:
    """docs/cases.md, values: all that can be named is there, and nothing else."""
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
    assert build(shuffled(raw, chance)) == build(raw)


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
    """docs/cases.md, values: fifty thousand instances, the same oddity in each of them is one note."""
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
