"""A study of many series costs as much as its series, not as their square. Counted is what is done, never a time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from syncd.mapping.check import check
from syncd.mapping.check.check import problems
from syncd.mapping.resources.companions import companions, references_to
from syncd.mapping.resources.imagingstudy import available_study
from syncd.mapping.values import identifiers
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.study.raw import RawInstance, RawSeries, RawStudy, StudyHeader
from syncd.snapshot.build import build
from syncd.snapshot.people.one_person import agree_on_patient, contradicting_series
from tests.mapping.companions import ALL

FEW, MANY = 40, 160
WORD = {"all different": "Name{}^B", "one family": "Doe^Jane{}", "one person": "Doe^Jane"}


def study(number: int, *, name: str) -> RawStudy:
    """As many series of one image, of which each is of another side, site, order, machine and name."""
    series, instances = [], []
    for place in range(number):
        tags = {
            "0008,0016": "1.2.840.10008.5.1.4.1.1.2", "0008,0018": f"1.2.3.{place}.1", "0008,0020": "20260301",
            "0008,0050": f"A{place}", "0008,0060": "CT", "0008,0070": "Maker", "0008,1050": f"Dr{place}^X",
            "0008,1032": [{"0008,0100": f"C{place}", "0008,0102": "99X", "0008,0104": "c"}],
            "0008,2218": [{"0008,0100": f"T-{place}", "0008,0102": "SRT", "0008,0104": "site"}],
            "0010,0010": name.format(place), "0010,0020": "P1", "0018,1000": f"S{place}", "0020,000d": "1.2.3",
            "0020,000e": f"1.2.3.{place}", "0020,0011": str(place), "0020,0060": "RL"[place % 2],
            "0040,0275": [{"0008,0050": f"A{place}", "0032,1060": f"d{place}"}],
        }  # fmt: skip
        series.append(RawSeries(orthanc_id=OrthancId(f"s{place}"), tags=tags, representative=tags, images=(tags,)))
        instances.append(
            RawInstance(
                orthanc_id=OrthancId(f"i{place}"),
                series_id=OrthancId(f"s{place}"),
                sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
                tags={"0008,0018": f"1.2.3.{place}.1", "0020,0013": "1"},
            )
        )
    header = StudyHeader(
        archive=ArchiveName("orthanc"), orthanc_id=OrthancId("x"), study_uid="1.2.3", is_stable=True,
        last_update="20260301T101500", series_ids=tuple(each.orthanc_id for each in series),
        main_tags={"0020,000d": "1.2.3", "0010,0020": "P1", "0010,0010": name.format(0)},
    )  # fmt: skip
    return RawStudy(header=header, series=tuple(series), instances=tuple(instances))


def say(raw: RawStudy) -> None:
    snapshot = agree_on_patient(build(raw))
    assert contradicting_series(snapshot) == ()
    subject = {"reference": "Patient/p"}
    beside = companions(snapshot, subject=subject, policy=ALL, fhir_version="r5")
    said = available_study(snapshot, subject=subject, policy=ALL, dialect="r5", there=references_to(beside))
    assert problems(said, fhir_version="r5") == ()


def calls_of(work: Callable[[], object]) -> int:
    """How many functions are called, C's too."""
    called = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal called
        called += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return called


@pytest.mark.parametrize("kind", WORD)
def test_four_times_the_series_are_four_times_the_work(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Identifiers, names and sites: none is held against each of the others."""
    monkeypatch.setattr(check, "SAMPLE", 1)  # a library that parses one of the two, now and then, would be counted
    say(study(2, name=WORD[kind]))  # what is made once
    few, many = (calls_of(lambda n=n: say(study(n, name=WORD[kind]))) for n in (FEW, MANY))
    assert many < few * 1.1 * MANY / FEW


def test_identifiers_are_told_apart_without_holding_each_against_all() -> None:
    """One comparison of two is no call: so they count themselves."""
    compared = 0

    class Counted(dict[str, Any]):
        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return super().__eq__(other)

        __hash__ = None  # type: ignore[assignment]

    said = [Counted(value=f"A{number % 200}") for number in range(400)]
    assert len(identifiers._distinct(said)) == 200
    assert compared == 0
