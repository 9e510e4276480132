"""The side of a series: (0020,0060), else what all its images say (MAPPING C.6, RULES B6).

The difficulty is that a wrong side harms more than none. Image Laterality (0020,0062) and Frame Laterality (0020,9072) are
said per image, and bilateral mammograms often lie in one series: so where the representative carries one of them, every
instance is asked, and unless all were read nothing is written. Images that do not agree with each other are both sides;
images that contradict the series' own value are nobody's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from syncd.model.study import Tags
from syncd.snapshot.notes import Notes
from syncd.snapshot.tags import Tagset
from syncd.snapshot.text import values

SERIES_LATERALITY = "0020,0060"
IMAGE_LATERALITY = "0020,0062"
FRAME_LATERALITY = "0020,9072"
FRAME_ANATOMY = "0020,9071"
SHARED_GROUPS = "5200,9229"
PER_FRAME_GROUPS = "5200,9230"

_SIDES = {"L": frozenset("L"), "R": frozenset("R"), "B": frozenset("LR")}
_UNPAIRED = "U"

Sides = frozenset[str]
"""Some of `L` and `R`; empty where nothing is said."""


def laterality(series: Tagset, *, images: Sequence[Tags], expected: int) -> str:
    """`L`, `R`, `B` or empty. `series` holds the representative's tags, `images` those of every instance (or none),
    `expected` is how many instances the series has."""
    own = _series_side(series)
    if not _speaks_of_images(series):
        return _word(own)
    if not images or len(images) < expected:
        series.notes.add(IMAGE_LATERALITY, rule="C.6", done="laterality omitted: not every image was read")
        return ""
    said = [side for tags in images for side in _said_by(Tagset(tags, series.notes))]
    return _combined(own, said=said, notes=series.notes)


def frame_anatomies(instance: Tagset) -> tuple[Tagset, ...]:
    """The items of (0020,9071) of an enhanced image: the shared one, and those of its frames."""
    groups = (*instance.items(SHARED_GROUPS), *instance.items(PER_FRAME_GROUPS))
    return tuple(item for group in groups for item in group.items(FRAME_ANATOMY))


def _combined(own: Sides, *, said: Sequence[Sides], notes: Notes) -> str:
    together = frozenset[str]().union(*said)
    if not together:
        return _word(own)
    if own and not own & together:
        notes.add(SERIES_LATERALITY, rule="C.6", done="laterality omitted: series and images contradict each other")
        return ""
    if len(together) == 1 and not own and not all(said):
        notes.add(IMAGE_LATERALITY, rule="C.6", done="laterality omitted: not every image has one")
        return ""
    return _word(own | together)


def _series_side(series: Tagset) -> Sides:
    """(0020,0060) knows L and R only; anything else is as good as absent."""
    text = series.text(SERIES_LATERALITY).upper()
    if text in ("L", "R"):
        return _SIDES[text]
    if text:
        series.notes.add(SERIES_LATERALITY, rule="C.6", done="laterality ignored: neither L nor R")
    return frozenset()


def _speaks_of_images(representative: Tagset) -> bool:
    if representative.text(IMAGE_LATERALITY):
        return True
    return any(item.text(FRAME_LATERALITY) for item in frame_anatomies(representative))


def _said_by(image: Tagset) -> list[Sides]:
    """What one image says: of itself, else of its frames (one answer each), else (0020,0060) as it holds it."""
    own = values(image.raw(IMAGE_LATERALITY))
    shared = _frame_tokens(image.items(SHARED_GROUPS))
    if own or shared:
        return [_union(own or shared, notes=image.notes)]
    frames = [_union(_frame_tokens([group]), notes=image.notes) for group in image.items(PER_FRAME_GROUPS)]
    return frames if any(frames) else [_series_side(image)]


def _frame_tokens(groups: Iterable[Tagset]) -> list[str]:
    anatomies = (item for group in groups for item in group.items(FRAME_ANATOMY))
    return [token for item in anatomies for token in values(item.raw(FRAME_LATERALITY))]


def _union(tokens: Iterable[str], *, notes: Notes) -> Sides:
    sides: Sides = frozenset()
    for each in tokens:
        if each.upper() not in _SIDES and each.upper() != _UNPAIRED:
            notes.add(IMAGE_LATERALITY, rule="C.6", done="laterality ignored: not L, R, B or U")
        sides |= _SIDES.get(each.upper(), frozenset())
    return sides


def _word(sides: Sides) -> str:
    return "B" if len(sides) == 2 else next(iter(sides), "")
