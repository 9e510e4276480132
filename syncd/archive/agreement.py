"""What all images of a series say, so that no single one speaks for the others (RULES B9, B6).

The difficulty is the price: Orthanc opens every file of a series for each of these calls (0.3 ms an instance on 1.10, 0.8 on
1.12, 5 there in a series of 5,000), and none of them tells everything. `shared-tags` names the plain values that all have in
common, in 1 KB, but no sequence, no text above 256 bytes and not who lacks a value; `instances-tags` tells all, in 1 to 20
KB an instance. So a long series is asked what it shares, and only where its representative says something that is not
shared, or something of which every image must speak (a side, a region), for everything. The measures are in
`docs/decisions/agreement.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from syncd.archive.chosen import is_document, items, representative, speaks_for_itself
from syncd.archive.routes import Routes
from syncd.errors import TornRead
from syncd.model.agreement import (
    ANATOMIC_REGION,
    COMPARED,
    FRAME_ANATOMY,
    LISTED,
    PER_FRAME_GROUPS,
    PLAIN,
    SHARED_GROUPS,
)
from syncd.model.ids import OrthancId
from syncd.model.study import RawInstance, RawSeries, Tags

FEW = 8
"""Images of which everything is asked at once: cheaper than two calls, and it tells who lacks a value."""

MANY = 2000
"""A series with more images is not asked for everything: at 5 ms each on 1.12, that is ten seconds of its archive."""

FRAMES = 20_000
"""A series with more frames is not asked at all: a slide's frames have functional groups, which Orthanc writes out one by
one (126,280 frames: 50 MB in 88 s)."""

PAGE = 500
"""Images per page of a find (1.12): half a second."""

TITLES = ("0008,0018", "0008,0008")
"""SOPInstanceUID and Image Type: what an image is titled by, where a site wants it (MAPPING A.3)."""

_NUMBER_OF_FRAMES = "0028,0008"
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_SAYS_ITS_OWN_REGION = ("1", "1.", "12.", "13.", "77.1.")
"""Storage classes whose images name their side and region each for itself: CR, DX, MG, IO, XA, RF, visible light
(PS3.3 C.8.11.2, C.8.1.1, C.8.12.1)."""

Read = Callable[[OrthancId], Tags]


def read_series(
    series_id: OrthancId, *, routes: Routes, members: Sequence[RawInstance], read: Read, finds: bool
) -> RawSeries:
    """A series by its representative, whose full tags hold the series' main tags too, and by what all images say.

    `read` gives an instance's full tags; `finds`: a find answers requested tags (1.12). Raises `TornRead`."""
    tags = read(representative(members).orthanc_id)
    images, shared = _all_images(series_id, routes=routes, members=members, tags=tags, read=read, finds=finds)
    return RawSeries(orthanc_id=series_id, tags=tags, representative=tags, images=images, shared=shared)


def _all_images(
    series_id: OrthancId, *, routes: Routes, members: Sequence[RawInstance], tags: Tags, read: Read, finds: bool
) -> tuple[tuple[Tags, ...], Tags | None]:
    """The images' own words where all were read, and else what they share; neither where nobody was asked."""
    if len(members) == 1:
        return (_kept(tags),), None
    if all(is_document(each.sop_class_uid) for each in members):
        return tuple(_kept(read(each.orthanc_id)) for each in members), None
    if sum(_frames(each) for each in members) > FRAMES:
        return (), None
    if len(members) > MANY:
        return (_found(series_id, routes=routes, members=members), None) if finds else ((), routes.shared_tags(series_id))
    if len(members) <= FEW or speaks_for_itself(tags) or any(_has_own_region(each) for each in members):
        return _every_one(series_id, routes=routes, members=members), None
    shared = routes.shared_tags(series_id)
    if all(shared.get(tag) for tag in PLAIN if tags.get(tag)):
        return (), shared
    return _every_one(series_id, routes=routes, members=members), None


def _every_one(series_id: OrthancId, *, routes: Routes, members: Sequence[RawInstance]) -> tuple[Tags, ...]:
    """One call for all."""
    return _complete(routes.instances_tags(series_id), members=members)


def _found(series_id: OrthancId, *, routes: Routes, members: Sequence[RawInstance]) -> tuple[Tags, ...]:
    """One call for each page of images; what a find leaves out of a long text is nobody's."""
    found: dict[OrthancId, Tags] = {}
    while len(found) < len(members):
        page = routes.find_values(series_id, (*PLAIN, ANATOMIC_REGION), since=len(found), limit=PAGE)
        if not page.keys() - found.keys():
            break
        found.update(page)
    return _complete(found, members=members)


def _complete(found: Mapping[OrthancId, Tags], *, members: Sequence[RawInstance]) -> tuple[Tags, ...]:
    if found.keys() != {each.orthanc_id for each in members}:
        raise TornRead("a series changed while all its images were asked")
    return tuple(_kept(found[each.orthanc_id]) for each in members)


def _kept(tags: Tags) -> Tags:
    """Only what is compared, listed or titles an image: a thousand whole headers are 20 MB."""
    kept = {tag: tags[tag] for tag in (*COMPARED, *LISTED, *TITLES) if tag in tags}
    for groups in (SHARED_GROUPS, PER_FRAME_GROUPS):
        if groups in kept:
            kept[groups] = [{FRAME_ANATOMY: list(items(group, FRAME_ANATOMY))} for group in items(tags, groups)]
    return kept


def _frames(instance: RawInstance) -> int:
    text = str(instance.tags.get(_NUMBER_OF_FRAMES) or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1


def _has_own_region(instance: RawInstance) -> bool:
    kind = instance.sop_class_uid.removeprefix(_STORAGE)
    return kind != instance.sop_class_uid and any(
        kind == family or (family.endswith(".") and kind.startswith(family)) for family in _SAYS_ITS_OWN_REGION
    )
