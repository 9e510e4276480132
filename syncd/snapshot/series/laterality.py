"""The side of a series: what all its images say (MAPPING C.6, RULES B6, B9).

A wrong side harms more than none. (0020,0060) is one per series by the standard, and not in real files; Image
Laterality (0020,0062) and Frame Laterality (0020,9072) are said per image, and bilateral mammograms often lie in one
series. So every image is asked, and unless all were read and each says a side, nothing is written. Images that name
their own sides and differ are both sides, unless (0020,0060) says otherwise of them; images that differ only in
(0020,0060) are nobody's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from syncd.model.study.agreement import (
    FRAME_ANATOMY,
    FRAME_LATERALITY,
    IMAGE_LATERALITY,
    PER_FRAME_GROUPS,
    SHARED_GROUPS,
)
from syncd.model.study.agreement import (
    LATERALITY as SERIES_LATERALITY,
)
from syncd.model.study.raw import Tags
from syncd.snapshot.notes import Notes
from syncd.snapshot.values.tags import Tagset

_SIDES = {"L": frozenset("L"), "R": frozenset("R"), "B": frozenset("LR")}
_UNPAIRED = "U"

Sides = frozenset[str]
"""Some of `L` and `R`; empty where nothing is said."""


def laterality(series: Tagset, *, images: Sequence[Tags], expected: int) -> str:
    """`L`, `R`, `B` or empty. `series` holds the representative's tags, `images` what every instance says of sides (or none
    of them), `expected` is how many instances the series has."""
    own = _series_side(series)
    if not images and expected <= 1:
        images = (series.tags,)
    everyone = [Tagset(tags, series.notes) for tags in images]
    of_images = list(filter(_names_its_own, (series, *everyone)))
    if not own and not of_images:
        return ""
    if len(everyone) < expected:
        return _omit(series.notes, "not every image was read")
    if not of_images:
        return _of_one_side([_series_side(image) for image in everyone], notes=series.notes)
    whole = {side for side in (own, *map(_series_side, everyone)) if side}
    return _combine(whole, said=[side for image in everyone for side in _sides_of(image)], notes=series.notes)


def _of_one_side(said: Sequence[Sides], *, notes: Notes) -> str:
    """(0020,0060) is of the whole series: images that differ in it contradict each other."""
    if len(set(said)) > 1:
        return _omit(notes, "the images differ, or not all have one", tag=SERIES_LATERALITY)
    return _word(said[0])


def _combine(whole: Collection[Sides], *, said: Sequence[Sides], notes: Notes) -> str:
    """`whole` is what (0020,0060) says wherever it says something, `said` what images say of themselves."""
    together = frozenset[str]().union(*said)
    if any(side != together for side in whole):
        return _omit(notes, "series and images contradict each other", tag=SERIES_LATERALITY)
    if together and not all(said):
        return _omit(notes, "not every image has one")
    return _word(together)


def _omit(notes: Notes, why: str, *, tag: str = IMAGE_LATERALITY) -> str:
    notes.add(tag, rule="C.6", done=f"laterality omitted: {why}", safety=True)
    return ""


def _series_side(series: Tagset) -> Sides:
    """(0020,0060) knows L and R only; anything else is as good as absent."""
    text = series.text(SERIES_LATERALITY).upper()
    if text in ("L", "R"):
        return _SIDES[text]
    if text:
        series.notes.add(SERIES_LATERALITY, rule="C.6", done="laterality ignored: neither L nor R", safety=True)
    return frozenset()


def _names_its_own(image: Tagset) -> bool:
    groups = (*image.items(SHARED_GROUPS), *image.items(PER_FRAME_GROUPS))
    return bool(image.text(IMAGE_LATERALITY) or _frame_sides(groups))


def _sides_of(image: Tagset) -> list[Sides]:
    """What one image says: of itself, of all its frames or of each of them (one answer each), else (0020,0060) as it holds
    it. Who says one thing of the image and another of its frames says neither."""
    named = [_texts([image], IMAGE_LATERALITY), _frame_sides(image.items(SHARED_GROUPS))]
    of_frames = [_frame_sides([group]) for group in image.items(PER_FRAME_GROUPS)]
    whole = [_union(each, notes=image.notes) for each in named if each]
    frames = [_union(each, notes=image.notes) for each in of_frames] if any(of_frames) else []
    if len({*whole, *([frozenset[str]().union(*frames)] if frames else [])}) > 1:
        image.notes.add(IMAGE_LATERALITY, rule="C.6", done="laterality ignored: image and frames differ", safety=True)
        return [frozenset()]
    return whole[:1] or frames or [_series_side(image)]


def _frame_sides(groups: Iterable[Tagset]) -> list[str]:
    return _texts((item for group in groups for item in group.items(FRAME_ANATOMY)), FRAME_LATERALITY)


def _texts(levels: Iterable[Tagset], tag: str) -> list[str]:
    return [text for level in levels if (text := level.text(tag))]


def _union(sides: Iterable[str], *, notes: Notes) -> Sides:
    found: Sides = frozenset()
    for each in sides:
        if each.upper() not in _SIDES and each.upper() != _UNPAIRED:
            notes.add(IMAGE_LATERALITY, rule="C.6", done="laterality ignored: not L, R, B or U", safety=True)
        found |= _SIDES.get(each.upper(), frozenset())
    return found


def _word(sides: Sides) -> str:
    return "B" if len(sides) == 2 else next(iter(sides), "")
