"""Which texts of an instance cannot be believed as the archive decoded them (RULES B11).

Orthanc (1.10.1 and 1.12.7 alike, measured) decodes by the first character set that it knows of (0008,0005), in items by
that of the whole instance, and says nothing of what it drops: under a term that it does not know `Müller` becomes
`Mller`, with several terms the escape sequences vanish and leave their debris, with ISO_IR 13 the delimiter becomes
`¥`. They are told apart without a further call: some names of sets are doubtful whatever the text is, the others only
where the text shows it. What shows nothing stays undetected: bytes that a rightly named multi-byte set cannot hold are
dropped.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from syncd.archive.reading.texts import CODED_STRINGS, SEQUENCES, TEXTS
from syncd.model.study.raw import Tags

CHARACTER_SET = "0008,0005"

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
    """What is no text is nobody's doubt; what is missing may have been one."""
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
