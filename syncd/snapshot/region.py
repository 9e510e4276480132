"""The region of a series by code: (0008,2218), said per image in DX, MG and others (MAPPING C.6, PS3.3 C.8.11.2, RULES B9).

The difficulty is that one image's hand is not the next one's foot: unless every image was asked and each names the same
region, the series has none. A region is a value in a scheme; its meaning is display only.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncd.model.agreement import ANATOMIC_REGION
from syncd.model.snapshot import Code
from syncd.model.study import Tags
from syncd.snapshot.codes import codes
from syncd.snapshot.laterality import frame_anatomies
from syncd.snapshot.notes import Notes
from syncd.snapshot.tags import Tagset


def anatomic_region(series: Tagset, *, images: Sequence[Tags], expected: int) -> Code | None:
    """The region that every image of the series names; `images` hold what all of them say, or none was asked."""
    own = _regions(series)
    said = [_regions(Tagset(image, Notes(), series.tags)) for image in images]
    if not own and not any(said):
        return None
    why = _doubt(own, said=said, expected=expected)
    if why:
        series.notes.add(ANATOMIC_REGION, rule="C.6", done=f"region omitted: {why}", safety=True)
        return None
    return own[0]


def _doubt(own: Sequence[Code], *, said: Sequence[Sequence[Code]], expected: int) -> str:
    if expected > 1 and len(said) < expected:
        return "not every image was read"
    if any(len(regions) > 1 for regions in (own, *said)):
        return "the frames or items differ"
    if any(_identity(regions) != _identity(own) for regions in said):
        return "the images differ, or not all have one"
    return ""


def _identity(regions: Sequence[Code]) -> set[tuple[str, str]]:
    return {(each.value, each.scheme) for each in regions}


def _regions(image: Tagset) -> tuple[Code, ...]:
    """Those of the image itself, else those of its frames."""
    own = codes(image.items(ANATOMIC_REGION))
    return own or codes(region for item in frame_anatomies(image) for region in item.items(ANATOMIC_REGION))
