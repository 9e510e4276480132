"""What all images of a series say, so that no single one speaks for the others (RULES B9, B6).

What that costs decides how it is asked: Orthanc opens every file of a series for each of these calls (0.3 ms an
instance on 1.10, 0.8 on 1.12, 5 there in a series of 5,000), and none of them tells everything. `shared-tags` names the
plain values that all have in common, in 1 KB, but no sequence, no text above 256 bytes and not who lacks a value;
`instances-tags` tells all, in 1 to 20 KB an instance. So a long series is asked what it shares, and only where its
representative says something that is not shared, or something of which every image must speak (a side, a region), for
everything. The measures are in `docs/decisions/agreement.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from syncd.archive.reading.chosen import in_order, is_document, items, speaks_for_itself
from syncd.archive.reading.doubt import doubtful
from syncd.archive.reading.reader import MOST_FRAMES, Reader, number_of_frames
from syncd.archive.reading.texts import TEXTS, WHOLE
from syncd.archive.rest.routes import Routes
from syncd.errors import TornRead
from syncd.model.ids import OrthancId
from syncd.model.study.agreement import (
    ANATOMIC_REGION,
    COMPARED,
    FRAME_ANATOMY,
    LISTED,
    PER_FRAME_GROUPS,
    PLAIN,
    SHARED_GROUPS,
)
from syncd.model.study.raw import RawInstance, RawSeries, Tags, Undecoded

FEW = 8
"""Images of which everything is asked at once: cheaper than two calls, and it tells who lacks a value."""

MANY = 2000
"""A series with more images is not asked for everything: at 5 ms each on 1.12, that is ten seconds of its archive."""

PAGE = 500
"""Images per page of a find (1.12): half a second."""

TITLES = ("0008,0018", "0008,0008")
"""SOPInstanceUID and Image Type: what an image is titled by, where a site wants it (MAPPING A.3)."""

_WHOLE = sorted({*PLAIN, *WHOLE})
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_SAYS_ITS_OWN_REGION = ("1", "1.", "12.", "13.", "77.1.")
"""Storage classes whose images name their side and region each for itself: CR, DX, MG, IO, XA, RF, visible light
(PS3.3 C.8.11.2, C.8.1.1, C.8.12.1)."""


def read_series(
    series_id: OrthancId,
    *,
    routes: Routes,
    members: Sequence[RawInstance],
    reader: Reader,
    main_tags: Callable[[], Mapping[OrthancId, Tags]],
    finds: bool,
) -> RawSeries:
    """A series by its representative, whose full tags hold the series' main tags too, and by what all images say.

    The main tags are asked for where the archive cannot read what it should; `finds`: a find answers requested tags (1.12).
    """
    series = _Series(series_id, routes, members, reader, finds)
    at_once = series.everything() if 1 < len(members) <= FEW and not series.is_of_documents else None
    _, tags = reader.first_of(in_order(members))
    images, shared = series.agreement(tags, at_once=at_once)
    if reader.has_missed(members):
        return RawSeries(orthanc_id=series_id, tags=main_tags().get(series_id, {}), representative=tags)
    return RawSeries(orthanc_id=series_id, tags=tags, representative=tags, images=images, shared=shared)


@dataclass(frozen=True, slots=True)
class _Series:
    """One series that is asked."""

    series_id: OrthancId
    routes: Routes
    members: Sequence[RawInstance]
    reader: Reader
    finds: bool

    @property
    def is_of_documents(self) -> bool:
        return all(is_document(each.sop_class_uid) for each in self.members)

    def agreement(self, tags: Tags, *, at_once: tuple[Tags, ...] | None) -> tuple[tuple[Tags, ...], Tags | None]:
        """The images' own words where all were read, and else what they share; neither where nobody could be asked. `tags`
        are the representative's, `at_once` what all said already."""
        if at_once is not None:
            return at_once, None
        if len(self.members) == 1 or self.is_of_documents:
            return self._one_by_one(), None
        if self._is_too_large:
            return (), None
        if len(self.members) <= FEW:
            return self._one_by_one(), None
        if len(self.members) > MANY:
            return (self._find_values() or (), None) if self.finds else ((), self._read_shared_tags())
        shared = None if self._speaks_image_by_image(tags) else self._read_shared_tags()
        if shared is not None and _are_shared(tags, shared):
            return (), shared
        return self.everything() or (), None

    def _speaks_image_by_image(self, tags: Tags) -> bool:
        return speaks_for_itself(tags) or any(_has_own_region(each) for each in self.members)

    def everything(self) -> tuple[Tags, ...] | None:
        """What every image says, by one call; those of a short series are then read in full. None if it has no answer."""
        if self._is_too_large:
            return None
        found = self.reader.of_series(self.series_id, lambda: self.routes.instances_tags(self.series_id, whole=_WHOLE))
        if found is None:
            return None
        said = self._complete(found)
        if len(self.members) > FEW:
            return tuple(_select_tags(tags if not doubtful(tags, texts=TEXTS) else _without_listed(tags)) for tags in said)
        for each, tags in zip(self.members, said, strict=True):
            self.reader.put(each, tags)
        return self._one_by_one()

    def _one_by_one(self) -> tuple[Tags, ...]:
        return tuple(_select_tags(self.reader.tags(each)) for each in self.members)

    def _read_shared_tags(self) -> Tags | None:
        return self.reader.of_series(self.series_id, lambda: self.routes.shared_tags(self.series_id))

    def _find_values(self) -> tuple[Tags, ...] | None:
        """One call for each page of images; what a find leaves out of a long text is nobody's."""
        found: dict[OrthancId, Tags] = {}
        while len(found) < len(self.members):
            page = self.reader.of_series(
                self.series_id,
                lambda: self.routes.find_values(self.series_id, (*PLAIN, ANATOMIC_REGION), since=len(found), limit=PAGE),
            )
            if page is None:
                return None
            if not page.keys() - found.keys():
                break
            found.update(page)
        return tuple(map(_select_tags, self._complete(found)))

    def _complete(self, found: Mapping[OrthancId, Tags]) -> tuple[Tags, ...]:
        if found.keys() != {each.orthanc_id for each in self.members}:
            raise TornRead("a series changed while all its images were asked")
        return tuple(found[each.orthanc_id] for each in self.members)

    @property
    def _is_too_large(self) -> bool:
        return sum(number_of_frames(each) or 1 for each in self.members) > MOST_FRAMES


def _are_shared(tags: Tags, shared: Tags) -> bool:
    """Whether every plain value of the representative is that of all images."""
    return all(_is_shared(tag, tags=tags, shared=shared) for tag in PLAIN if tag in tags)


def _is_shared(tag: str, *, tags: Tags, shared: Tags) -> bool:
    """Whether what the representative says is shared; if it says nothing, whether nobody else does: what is empty in all of
    them is shared as well."""
    own = tags[tag]
    says_nothing = not (own.value.strip(b" \0") if isinstance(own, Undecoded) else own)
    return bool(shared.get(tag)) or (says_nothing and tag in shared)


def _select_tags(tags: Tags) -> Tags:
    """Only what is compared, listed or titles an image: a thousand whole headers are 20 MB."""
    kept = {tag: tags[tag] for tag in (*COMPARED, *LISTED, *TITLES) if tag in tags}
    for groups in (SHARED_GROUPS, PER_FRAME_GROUPS):
        if groups in kept:
            kept[groups] = [{FRAME_ANATOMY: list(items(group, FRAME_ANATOMY))} for group in items(tags, groups)]
    return kept


def _without_listed(tags: Tags) -> Tags:
    """Without what is published of it alone: of a long series no doubtful text is asked for once more (RULES B11)."""
    return {tag: value for tag, value in tags.items() if tag not in LISTED}


def _has_own_region(instance: RawInstance) -> bool:
    kind = instance.sop_class_uid.removeprefix(_STORAGE)
    return kind != instance.sop_class_uid and any(
        kind == family or (family.endswith(".") and kind.startswith(family)) for family in _SAYS_ITS_OWN_REGION
    )
