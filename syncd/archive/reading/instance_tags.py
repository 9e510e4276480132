"""The full tags of one instance, with nothing in them that its file does not say (RULES B11).

One call gives them all, however long they are. What the archive may have decoded wrongly is asked for once more, as the
bytes of the file, and put in its place as `Undecoded`; the room `snapshot` reads it. An instance in which everything is
doubtful must not cost a call a value: only so many values are asked for, none of them endless, and the rest is null,
which says that there is a text and it could not be had.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncd.archive.reading.doubt import CHARACTER_SET, Place, doubtful
from syncd.archive.reading.texts import CODED_STRINGS, TEXTS, WHOLE
from syncd.archive.rest.routes import Routes
from syncd.model.ids import OrthancId
from syncd.model.study.raw import Tags, Undecoded

MOST_ASKED = 64
"""Values of one instance that are read raw, each with a call of its own: a few times what a whole image says of itself."""

LONGEST = 64 * 1024
"""Bytes of a text; DICOM allows 10,240 characters in LT, and no name or description comes near."""


def whole_tags(routes: Routes, instance_id: OrthancId) -> Tags:
    """All tags of the instance, as the archive decodes them; one call. Raises `TornRead`."""
    return routes.tags(instance_id, whole=sorted({*WHOLE, *routes.texts}))


def mend_texts(routes: Routes, instance_id: OrthancId, tags: Tags) -> Tags:
    """`tags`, all of the instance's, with what is in doubt as bytes; one call for each doubtful text. Raises `TornRead`."""
    places = doubtful(tags, texts=TEXTS | (routes.texts - CODED_STRINGS))
    if not places:
        return tags
    put: dict[str, Any] = dict(tags)
    for number, place in enumerate(places):
        value = routes.content(instance_id, place) if number < MOST_ASKED else None
        _put(put, place, None if value is None or len(value) > LONGEST else value, named="")
    return put


def _put(level: dict[str, Any], place: Place, value: bytes | None, *, named: str) -> None:
    """Put `value` at its place; what lies on the way is copied, for the answer is not ours to change."""
    named = _character_set(level) or named
    tag = str(place[0])
    if len(place) == 1:
        level[tag] = None if value is None else Undecoded(value=value, character_set=named)
        return
    items, number = list(level[tag]), int(place[1])
    level[tag] = items
    items[number] = dict(items[number])
    _put(items[number], place[2:], value, named=named)


def _character_set(level: Mapping[str, Any]) -> str:
    named = level.get(CHARACTER_SET)
    return named.strip(" \0") if isinstance(named, str) else ""
