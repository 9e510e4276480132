"""The region of a series by code: (0008,2218), said per image in DX, MG and others (MAPPING C.6, PS3.3 C.8.11.2, RULES B9).

One image's hand is not the next one's foot: unless every image was asked and each names the same region, the series has
none. A region is a value in a scheme; its meaning is display only, unless it is all there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from syncd.model.snapshot import Code
from syncd.model.study.agreement import ANATOMIC_REGION, FRAME_ANATOMY, PER_FRAME_GROUPS, SHARED_GROUPS
from syncd.model.study.raw import Tags
from syncd.snapshot.notes import Notes
from syncd.snapshot.values.codes import codes
from syncd.snapshot.values.tags import Tagset

Regions = Mapping[tuple[str, str], Code]
"""By what a region is told by: its value and scheme, or, of mere words, these."""


def anatomic_region(series: Tagset, *, images: Sequence[Tags], expected: int) -> tuple[Code | None, tuple[Code, ...]]:
    """The region that every image of the series names, else what single images name; `images` hold what all of them say, or
    none was asked."""
    everyone = [Tagset(image, Notes(), series.tags) for image in images]
    own, said = _regions(series), [_regions(image) for image in everyone]
    if not own and not any(said):
        return None, ()
    why = _doubt(own, said=said, expected=expected)
    if not why and any(_only_in_some_frames(image) for image in (series, *everyone)):
        why = "not every frame has one"
    if not why:
        return next(iter(own.values())), ()
    series.notes.add(ANATOMIC_REGION, rule="C.6", done=f"region omitted: {why}", safety=True)
    named = {identity: code for regions in (own, *said) for identity, code in regions.items()}
    return None, tuple(named[identity] for identity in sorted(named))


def _doubt(own: Regions, *, said: Sequence[Regions], expected: int) -> str:
    if expected > 1 and len(said) < expected:
        return "not every image was read"
    if any(len(regions) > 1 for regions in (own, *said)):
        return "an image, its frames or items differ"
    if any(regions.keys() != own.keys() for regions in said):
        return "the images differ, or not all have one"
    return ""


def _regions(image: Tagset) -> Regions:
    """Those of the image itself and of its frames: who says one thing of the image and another of a frame says neither."""
    frames = _regions_in([*image.items(SHARED_GROUPS), *image.items(PER_FRAME_GROUPS)])
    found = codes([*image.items(ANATOMIC_REGION), *frames])
    return {(each.value, each.scheme) if each.value else ("", each.meaning): each for each in reversed(found)}


def _only_in_some_frames(image: Tagset) -> bool:
    """Whether some of its frames name one, and neither the others nor the image as a whole."""
    of_frames = [_regions_in([group]) for group in image.items(PER_FRAME_GROUPS)]
    if all(of_frames) or not any(of_frames):
        return False
    return not (image.items(ANATOMIC_REGION) or _regions_in(image.items(SHARED_GROUPS)))


def _regions_in(groups: Iterable[Tagset]) -> list[Tagset]:
    return [region for group in groups for item in group.items(FRAME_ANATOMY) for region in item.items(ANATOMIC_REGION)]
