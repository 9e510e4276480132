"""MAPPING C.6, RULES B6: no series gets a side that one of its images denies."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.model.study.raw import Tags
from syncd.snapshot.series.laterality import laterality
from tests.snapshot.studies import tagset


def said(side: str) -> dict[str, Any]:
    return {"0020,0062": side}


def of_series(side: str) -> dict[str, Any]:
    return {"0020,0060": side}


def shared(side: str) -> dict[str, Any]:
    return {"5200,9229": [{"0020,9071": [{"0020,9072": side}]}]}


def frames(*sides: str) -> dict[str, Any]:
    return {"5200,9230": [{"0020,9071": [{"0020,9072": side}] if side else []} for side in sides]}


@pytest.mark.parametrize(
    ("case", "series", "images", "expected"),
    [
        ("46: the series says R", of_series("R"), [of_series("R")] * 2, "R"),
        ("the series says L", of_series("L "), [of_series("L "), of_series("L")], "L"),
        ("the series says R, L (0020,0060)", of_series("R"), [of_series("R"), of_series("L")], ""),
        ("the series says R, nothing", of_series("R"), [of_series("R"), of_series("")], ""),
        ("only the second image says R", of_series(""), [of_series(""), said("R")], ""),
        ("the series says R, and no other image was read", of_series("R"), [], ""),
        ("(0020,0060) knows no B", of_series("B"), [of_series("B")] * 2, ""),
        ("(0020,0060) knows no U", of_series("U"), [of_series("U")] * 2, ""),
        ("nothing said", {}, [], ""),
        ("all images L", said("L"), [said("L"), said("L")], "L"),
        ("46: images L and R", said("L"), [said("L"), said("R")], "B"),
        ("one image of both sides", said("B"), [said("B"), said("B")], "B"),
        ("one image of both, one without", said("B"), [said("B"), said("")], ""),
        ("not every image has a side", said("L"), [said("L"), said("")], ""),
        ("an unpaired image among others", said("L"), [said("L"), said("U")], ""),
        ("all unpaired", said("U"), [said("U"), said("U")], ""),
        ("not all images read", said("L"), [said("L")], ""),
        ("no image read", said("L"), [], ""),
        ("series L, but not all images read", {"0020,0060": "L"} | dict(said("L")), [], ""),
        ("series L, images agree", {"0020,0060": "L"} | dict(said("L")), [said("L"), of_series("L")], "L"),
        ("series L, one image says nothing", {"0020,0060": "L"} | dict(said("L")), [said("L"), said("")], ""),
        ("series L, images on both sides", {"0020,0060": "L"} | dict(said("L")), [said("L"), said("R")], ""),
        ("series R, one image of both", of_series("R") | dict(said("B")), [of_series("R") | dict(said("B"))] * 2, ""),
        (
            "images of both that say R and L of their series",
            of_series("R") | dict(said("B")),
            [of_series("R") | dict(said("B")), of_series("L") | dict(said("B"))],
            "",
        ),
        ("series R, unpaired images", of_series("R") | dict(said("U")), [said("U"), said("U")], ""),
        ("series L, images R", {"0020,0060": "L"} | dict(said("R")), [said("R"), said("R")], ""),
        ("no side at all in spite of a token", said("X"), [said("X"), said("X")], ""),
        ("enhanced, shared", shared("R"), [shared("R"), shared("R")], "R"),
        ("enhanced, every frame L", frames("L", "L"), [frames("L", "L"), frames("L")], "L"),
        ("enhanced, frames on both sides", frames("L", "R"), [frames("L", "R"), frames("L")], "B"),
        ("enhanced, a frame without a side", frames("L", ""), [frames("L", ""), frames("L")], ""),
        ("enhanced, shared L and a frame R", shared("L") | frames("R"), [shared("L") | frames("R"), shared("L")], ""),
        ("enhanced, the image L and a frame R", said("L") | frames("L", "R"), [said("L") | frames("L", "R"), said("L")], ""),
        (
            "enhanced, the image L and all frames",
            said("L") | frames("L", "L"),
            [said("L") | frames("L", "L"), said("L")],
            "L",
        ),
        ("enhanced, the image L and a frame L", said("L") | frames("L", ""), [said("L") | frames("L", ""), said("L")], "L"),
        ("series L, frames unpaired", of_series("L") | frames("U"), [of_series("L") | frames("U"), of_series("L")], ""),
        ("two values in one", said("L\\R"), [said("L\\R"), said("L\\R")], ""),
        ("one image's own, the other's series value", said("L"), [said("L"), {"0020,0060": "R"}], ""),
    ],
)
def test_the_side_of_a_series_of_two_images(case: str, series: Tags, images: list[Tags], expected: str) -> None:
    """MAPPING C.6, case I.7 46, RULES B6; `series` holds the representative's tags."""
    assert laterality(tagset(series), images=images, expected=2) == expected, case


def test_an_omitted_side_is_noted() -> None:
    """RULES B6."""
    level = tagset(said("L"))
    laterality(level, images=[], expected=2)
    assert [note.rule for note in level.notes.in_order()] == ["C.6"]
