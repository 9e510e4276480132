"""Text as FHIR may hold it: trimmed, without control characters, never None (MAPPING C.3).

What is in doubt comes as bytes and is decoded elsewhere (`decoding`); of all other text no escape sequence has a meaning
any more: an ESC that is left goes like every other C0 control. Two things are left that only look harmless: a lone
surrogate, which JSON can carry and UTF-8 cannot, and text that was UTF-8 and was read as Latin-1 (`MÃ¼ller`).
"""

from __future__ import annotations

import re
from collections.abc import Container

from syncd.snapshot.notes import Noting, note_nothing

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_BROKEN = re.compile("[\x80-\x9f\ufffd]")
_REPLACEMENT = "\ufffd"


def clean(value: object) -> str:
    """The text of a value, empty if there is none or if it is not text (a sequence, a value that was too long)."""
    if value.__class__ is str and value.isprintable():  # most texts are: none of what is taken away counts as printable
        return value.strip()
    if not isinstance(value, str):
        return ""
    return _SURROGATES.sub(_REPLACEMENT, _CONTROLS.sub("", value)).strip()


def values(text: str) -> tuple[str, ...]:
    """The values of a multi-valued attribute (PS3.5 6.4: backslash), cleaned, without the empty ones."""
    if "\\" not in text:
        part = clean(text)
        return (part,) if part else ()
    return tuple(part for part in map(clean, text.split("\\")) if part)


def join_values(text: str) -> str:
    """Free text with several values as one line: `; ` between them."""
    return "; ".join(values(text))


def charset_suspect(text: str) -> bool:
    """Whether `text` looks like UTF-8 bytes that were read as Latin-1, because (0008,0005) is missing or false."""
    if text.isascii():
        return False
    try:
        text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return False
    return True


def is_broken(text: str) -> bool:
    """Whether `text` holds what no text does: C1 controls, which no set of DICOM has, or replacement characters."""
    return _BROKEN.search(text) is not None


def is_spoilt(text: str) -> bool:
    """Whether `text` shows, or may show, that it was decoded by another character set than its own: it is broken, has a
    yen sign where a delimiter may have been, or is UTF-8 read as Latin-1."""
    return is_broken(text) or "¥" in text or charset_suspect(text)


def upper_case(text: str, *, among: Container[str] | None = None, note: Noting = note_nothing) -> str:
    """A code string (VR CS, upper case only, PS3.5 6.2) as it should have been written: `text` in upper case, if that makes
    it one of the terms `among` (without them: always). What no table has stays as it came: to spell somebody's private word
    otherwise mends nothing."""
    mended = text.upper()
    if mended == text or (among is not None and (text in among or mended not in among)):
        return text
    note("C.3", "lower case in a code string: read as upper case")
    return mended
