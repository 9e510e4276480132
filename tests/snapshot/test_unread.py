"""What is not said for a file that could not be read (RULES B11)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncd.model.ids import OrthancId
from syncd.model.snapshot import StudySnapshot
from syncd.model.study.raw import RawStudy, Unread
from syncd.snapshot.build import build
from syncd.snapshot.unread import unread_key_objects
from tests.snapshot.studies import CT, KO, coded, image, series, study

SIDED = {"0020,0060": "L", "0018,0015": "BREAST", "0008,2218": [coded("76752008", scheme="SCT")]}
MAIN = {"0010,0020": "P1", "0010,0010": "Synthetic^Sam", "0008,0050": "A1", "0008,1030": "Thorax"}


def _raw(*, representative: dict[str, Any], main: dict[str, Any] | None = None, sop_class: str = CT) -> RawStudy:
    """One series of one image, whose full tags should have been read and were not."""
    images = [image("1.2.3.1.1", sop_class=sop_class)]
    raw = study(series(main=main, representative=representative), instances=images, main=MAIN)
    return replace(raw, unread={OrthancId("i-1.2.3.1.1"): Unread.SLOW})


def _safety(snapshot: StudySnapshot) -> set[str]:
    return {note.tag for note in snapshot.notes if note.safety}


def test_side_and_region_are_left_out_and_noted() -> None:
    """RULES B6, B11: what was not read may contradict them; the body part is that of a file that was read."""
    snapshot = build(_raw(representative={**SIDED, "0010,0021": "CLINIC"}))
    (one,) = snapshot.series
    assert (one.laterality, one.anatomic_region, one.body_part) == ("", None, "BREAST")
    assert "0020,0060" in _safety(snapshot)
    assert any(note.rule == "RULES B11" and Unread.SLOW.value in note.done for note in snapshot.notes)


def test_with_nothing_read_the_index_speaks_for_words_only() -> None:
    """RULES B11, B10: a number without its issuer may be somebody else's; a body part is one image's."""
    snapshot = build(_raw(representative={}, main={"0018,0015": "BREAST"}))
    assert (snapshot.patient.ids, snapshot.accessions) == ((), ())
    assert snapshot.description == "Thorax"
    assert snapshot.patient.names
    assert snapshot.series[0].body_part == ""
    assert _safety(snapshot) == {"0010,0020", "0008,0050", "0020,0060"}


def test_a_file_that_was_read_speaks_for_the_patient_of_all() -> None:
    """RULES B11: a study has one patient."""
    raw = _raw(representative={})
    other = series("1.2.3.2", key="s2", representative={"0010,0021": "CLINIC"})
    read = replace(raw, series=(*raw.series, other), instances=(*raw.instances, image("1.2.3.2.1", series="s2")))
    snapshot = build(read)
    assert [one.value for one in snapshot.patient.ids] == ["P1"]
    assert _safety(snapshot) == {"0020,0060"}


@pytest.mark.parametrize("is_read", [True, False])
def test_a_key_object_that_is_there_and_unread_is_named(is_read: bool) -> None:
    """RULES B7, B11: what it rejects is unknown."""
    raw = _raw(representative={}, sop_class=KO)
    raw = replace(raw, documents={"i-1.2.3.1.1": {}} if is_read else {})
    assert unread_key_objects(raw) == (() if is_read else ("1.2.3.1.1",))
    assert ("0040,a043" in _safety(build(raw))) is not is_read


def test_what_was_read_in_full_is_said_in_full() -> None:
    """RULES B11."""
    snapshot = build(replace(_raw(representative=SIDED), unread={}))
    assert snapshot.series[0].laterality == "L"
    assert not _safety(snapshot)
