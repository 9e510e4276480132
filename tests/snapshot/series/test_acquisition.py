"""Equipment and performed procedure step of a series (MAPPING J.2, J.4)."""

from __future__ import annotations

from typing import Any

from syncd.model.snapshot import Equipment, Moment, PerformedStep, SeriesFacts
from syncd.snapshot.build import build
from tests.snapshot.studies import image, series, study

EQUIPMENT = {
    "0018,1002": "2.25.900",
    "0008,0070": "Acme ",
    "0008,1090": "Scan 3",
    "0018,1000": "S-17",
    "0018,1020": "1.2\\R7\\",
    "0008,1010": "CT1",
}
STEP = {
    "0008,1111": [{"0008,1155": "2.25.800"}, {"0008,1155": "2.25.801"}, {}],
    "0040,0244": "20260301",
    "0040,0245": "0915",
    "0040,0250": "20260301",
    "0040,0251": "094000",
    "0040,0254": "CT chest",
    "0008,0201": "+0100",
}


def read(tags: dict[str, Any]) -> SeriesFacts:
    [found] = build(study(series(representative=tags), instances=[image("1.2.3.1.1")])).series
    return found


def test_the_equipment_is_read_from_the_representative() -> None:
    """MAPPING J.2: (0018,1002), (0008,0070), (0008,1090), (0018,1000), (0018,1020), (0008,1010)."""
    assert read(EQUIPMENT).equipment == Equipment(
        uid="2.25.900", manufacturer="Acme", model="Scan 3", serial="S-17", versions=("1.2", "R7"), station="CT1"
    )


def test_the_step_is_read_with_its_times() -> None:
    """MAPPING J.4: every UID of (0008,1111), the times with the instance's offset."""
    assert read(STEP).performed_step == PerformedStep(
        uids=("2.25.800", "2.25.801"),
        started=Moment(date="2026-03-01", time="09:15:00", offset="+01:00"),
        ended=Moment(date="2026-03-01", time="09:40:00", offset="+01:00"),
        description="CT chest",
    )


def test_a_series_that_says_nothing_has_neither() -> None:
    """MAPPING J: nothing is made of nothing."""
    found = read({"0018,1020": "\\", "0008,1111": [{}], "0040,0245": "0915"})
    assert (found.equipment, found.performed_step) == (None, None)


def test_what_is_odd_here_is_no_note_of_the_study() -> None:
    """MAPPING J, POLICY__VALUES: a site that wants no companions sees, counts and parks nothing for their values."""
    tags = STEP | {"0040,0244": "20260230", "0008,0070": "MÃ¼ller", "0008,0016": "1.2"}
    snapshot = build(study(series(representative=tags), instances=[image("1.2.3.1.1")]))
    [found] = snapshot.series
    assert found.performed_step is not None and found.equipment is not None
    assert [(note.tag, note.rule) for note in found.performed_step.notes] == [("0040,0244", "C.1-9")]
    assert [(note.tag, note.rule) for note in found.equipment.notes] == [("0008,0070", "C.3")]
    assert not {note.tag for note in snapshot.notes} & {"0040,0244", "0008,0070"}
