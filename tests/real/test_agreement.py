"""RULES B9 on real archives: what one image says is not said of its neighbours, in each version of Orthanc."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from syncd.archive.orthanc import OrthancArchive
from syncd.archive.rest.connection import ArchiveConnection
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.snapshot import SeriesFacts, StudySnapshot
from syncd.snapshot.build import build
from tests.dicom import make_instance, uid
from tests.servers import Archive

pytestmark = pytest.mark.real

HAND = {"CodeValue": "T-D8700", "CodingSchemeDesignator": "SRT", "CodeMeaning": "Hand"}
FOOT = {"CodeValue": "T-D9700", "CodingSchemeDesignator": "SRT", "CodeMeaning": "Foot"}
LONG = "A" * 63 + "^" + "B" * 63 + "=" + "あ" * 64 + "=" + "い" * 64


@pytest.fixture
def reader(either: Archive) -> Iterator[OrthancArchive]:
    archive = OrthancArchive(
        ArchiveConnection(
            name=ArchiveName("main"), url=either.url, username=either.username, password=either.password, timeout=30
        )
    )
    yield archive
    archive.close()


def snapshot(either: Archive, reader: OrthancArchive, words: str, *images: dict[str, Any], **same: Any) -> StudySnapshot:
    """The study that `words` name, of one series of these images."""
    study_uid = uid("agreement", words)
    files = [make_instance(study_uid=study_uid, number=at + 1, **{**same, **tags}) for at, tags in enumerate(images)]
    return build(reader.read_study(OrthancId(either.upload_all(files)[-1]["ParentStudy"])))


def series(*arguments: Any, **same: Any) -> SeriesFacts:
    return snapshot(*arguments, **same).series[0]


def safety(found: StudySnapshot) -> set[str]:
    return {note.tag for note in found.notes if note.safety}


def test_images_of_both_sides_have_none(either: Archive, reader: OrthancArchive) -> None:
    """CR, (0020,0060) R and L: left out, noted; (0020,0062) L and R: both (MAPPING I-46)."""
    found = snapshot(either, reader, "cr", {"Laterality": "R"}, {"Laterality": "L"}, modality="CR")
    assert (found.series[0].laterality, safety(found)) == ("", {"0020,0060"})
    sides = ({"ImageLaterality": "R"}, {"ImageLaterality": "L"})
    assert series(either, reader, "mg", *sides, modality="MG").laterality == "B"
    assert series(either, reader, "cr r", {}, {}, modality="CR", Laterality="R").laterality == "R"


def test_images_of_hand_and_foot_have_no_region(either: Archive, reader: OrthancArchive) -> None:
    """DX, (0008,2218) at image level (PS3.3 C.8.11.2)."""
    both = ({"AnatomicRegionSequence": [HAND]}, {"AnatomicRegionSequence": [FOOT]})
    found = snapshot(either, reader, "dx", *both, modality="DX", BodyPartExamined="EXTREMITY")
    assert (found.series[0].anatomic_region, found.series[0].body_part) == (None, "EXTREMITY")
    assert safety(found) == {"0008,2218"}
    region = series(either, reader, "dx same", {}, {}, modality="DX", AnatomicRegionSequence=[HAND]).anatomic_region
    assert region is not None and region.value == "T-D8700"


@pytest.mark.parametrize("number", [2, 20])
def test_what_differs_among_few_or_many_images_is_left_out(either: Archive, reader: OrthancArchive, number: int) -> None:
    """CT: the last image of a series says otherwise; asked at once, or by what all share and then each."""
    same = {"BodyPartExamined": "CHEST", "ProtocolName": "Thorax", "OperatorsName": "One^Op", "Manufacturer": "Maker"}
    last = {"BodyPartExamined": "ABDOMEN", "ProtocolName": "Abdomen", "OperatorsName": "Two^Op"}
    found = snapshot(either, reader, f"ct {number}", *[{}] * (number - 1), last, **same)
    facts = found.series[0]
    assert (facts.body_part, facts.description, facts.operators) == ("", "", ())
    assert facts.equipment is not None and facts.equipment.manufacturer == "Maker"
    assert safety(found) == {"0018,0015"}
    agreeing = series(either, reader, f"ct same {number}", *[{}] * number, **same)
    assert (agreeing.body_part, agreeing.description, len(agreeing.operators)) == ("CHEST", "Thorax", 1)


def test_a_long_text_that_no_archive_calls_shared_is_compared_image_by_image(
    either: Archive, reader: OrthancArchive
) -> None:
    """docs/orthanc.md: `shared-tags` does not tell texts above 256 bytes, whatever is asked."""
    raw = [{"SeriesDescription": "d" * 60}] * 10
    study_uid = uid("agreement", "long")
    files = [make_instance(study_uid=study_uid, number=at + 1, OperatorsName=LONG, **tags) for at, tags in enumerate(raw)]
    read = reader.read_study(OrthancId(either.upload_all(files)[-1]["ParentStudy"])).series[0]
    assert len(read.images) in (0, 10)
    if read.representative.get("0008,1070"):
        assert {image["0008,1070"] for image in read.images} == {LONG}


def test_a_series_of_many_images_costs_one_call_more(either: Archive, reader: OrthancArchive) -> None:
    """RULES A7: no call for each image of CT or MR."""
    study_uid = uid("agreement", "calls")
    files = [make_instance(study_uid=study_uid, number=at + 1, BodyPartExamined="CHEST") for at in range(60)]
    raw = reader.read_study(OrthancId(either.upload_all(files)[-1]["ParentStudy"]))
    assert raw.series[0].images == ()
    assert raw.series[0].shared is not None and raw.series[0].shared["0018,0015"] == "CHEST"
