"""Which texts of an instance cannot be believed as the archive decoded them (RULES B11).

Orthanc (1.10.1 and 1.12.7 alike, measured) decodes by the first character set that it knows of (0008,0005), in items by
that of the whole instance, and says nothing of what it drops: under a term that it does not know `Müller` becomes
`Mller`, with several terms the escape sequences vanish and leave their debris, with ISO_IR 13 the delimiter becomes
`¥`. They are told apart without a further call: some names of sets are doubtful whatever the text is, the others only
where the text shows it. What shows nothing stays undetected: bytes that a rightly named multi-byte set cannot hold are
dropped.

What is in doubt is asked for once more, as the bytes of the file, and put in its place as `Undecoded`; the room `snapshot`
reads it. An instance in which everything is doubtful must not cost a call a value: only so many values are asked for, none
of them endless, and the rest is null, which says that there is a text and it could not be had.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from syncd.archive.reading.texts import CODED_STRINGS, SEQUENCES, TEXTS, WHOLE
from syncd.archive.rest.routes import Routes
from syncd.model.ids import OrthancId
from syncd.model.study.raw import Tags, Undecoded

CHARACTER_SET = "0008,0005"

MOST_ASKED = 64
"""Values of one instance that are read raw, each with a call of its own: a few times what a whole image says of itself."""

LONGEST = 64 * 1024
"""Bytes of a text; DICOM allows 10,240 characters in LT, and no name or description comes near."""

Place = tuple[str | int, ...]
"""Where a value is: its tag, or those of the sequences around it, each with the item's number, and its own."""

_SINGLE_BYTE = (100, 101, 109, 110, 126, 127, 138, 144, 148, 166)
_DECODED_WELL = frozenset(
    {f"{family} {number}" for family in ("ISO_IR", "ISO 2022 IR") for number in _SINGLE_BYTE}
    | {"ISO_IR 13", "ISO_IR 192", "GB18030", "GBK"}
)
"""Defined Terms (PS3.3 C.12.1.1.2) that, alone, are decoded by their set; an escape sequence stays in the text."""

_BY_ESCAPES = frozenset(f"ISO 2022 IR {number}" for number in (6, 13, 58, 87, 149, 159, *_SINGLE_BYTE))
"""Defined Terms that allow escape sequences, which Orthanc follows in some cases only."""

_LATIN_1 = frozenset({"ISO_IR 100", "ISO 2022 IR 100"})
_KATAKANA = "ISO_IR 13"

_ESCAPE = re.compile("\x1b[$()\\-.]")
_SPOILT = re.compile("[\x80-\x9f\ufffd\ud800-\udfff]")
"""C1 controls, which no set of DICOM holds, replacement characters and lone surrogates."""
_NOT_KATAKANA = re.compile("[^\x00-\x7f\u203e\uff61-\uff9f]")
"""What JIS X 0201 cannot hold; its `¥` is 5CH, which separates values (PS3.5 6.1.2.3)."""


def doubtful(tags: Tags, *, texts: Collection[str] = TEXTS) -> list[Place]:
    """Which of the `texts` among the full `tags` of an instance are to be read raw, the outermost first."""
    named = _terms(tags.get(CHARACTER_SET))
    found = _doubtful(tags, texts, at=(), named=named, decoded_by=named)
    return sorted(found, key=lambda place: (len(place), *map(str, place)))


def _doubtful(
    level: Mapping[str, Any], texts: Collection[str], *, at: Place, named: tuple[str, ...], decoded_by: tuple[str, ...]
) -> Iterator[Place]:
    named = _terms(level.get(CHARACTER_SET)) or named
    for tag, value in level.items():
        if tag in SEQUENCES and isinstance(value, list):
            for number, item in enumerate(value):
                if isinstance(item, dict):
                    yield from _doubtful(item, texts, at=(*at, tag, number), named=named, decoded_by=decoded_by)
        elif tag in texts:
            yield from [(*at, tag)] if _is_doubted(value, named, decoded_by) else ()
        elif tag in CODED_STRINGS and _is_unclean(value):
            yield (*at, tag)


def _is_doubted(value: object, named: tuple[str, ...], decoded_by: tuple[str, ...]) -> bool:
    """What is missing may have been a text; what is none is nobody's doubt."""
    return value is None or (isinstance(value, str) and _in_doubt(value, named, decoded_by))


def _is_unclean(value: object) -> bool:
    return value is None or (isinstance(value, str) and _is_dirty(value))


def _in_doubt(text: str, named: tuple[str, ...], decoded_by: tuple[str, ...]) -> bool:
    if named != decoded_by:
        return True  # an item names a set of its own, and is decoded by the instance's: even "" may have been something
    if not named:
        return not text.isascii() or _ESCAPE.search(text) is not None
    if len(named) == 1 and named[0] in _DECODED_WELL:
        return _shows_another(text, named[0])
    if _BY_ESCAPES.issuperset(term for term in named if term):
        return bool(text)
    return True


def _shows_another(text: str, term: str) -> bool:
    if _ESCAPE.search(text):
        return True
    if text.isascii():
        return False
    if _SPOILT.search(text):
        return True
    if term == _KATAKANA:
        return _NOT_KATAKANA.search(text) is not None
    return term in _LATIN_1 and _is_utf8(text)


def _is_utf8(text: str) -> bool:
    """Whether text that was read as Latin-1 is UTF-8 (`MÃ¼ller`)."""
    try:
        text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return False
    return True


def _is_dirty(text: str) -> bool:
    """Whether a string of the default repertoire has other characters; `¥` is how the archive shows its delimiter."""
    return not text.replace("¥", "\\").isascii()


def _terms(value: object) -> tuple[str, ...]:
    """The values of (0008,0005) as they are compared, none where it says nothing; Orthanc trims them and ignores case."""
    if not isinstance(value, str) or not value.strip("\\¥ \0"):
        return ()
    return tuple(term.strip(" \0").upper() for term in re.split(r"[\\¥]", value))


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
