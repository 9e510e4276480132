"""Text as FHIR may hold it: trimmed, without control characters, never None (MAPPING C.3).

Orthanc has decoded the character set already, so no escape sequence has a meaning any more: an ESC that is left is the
debris of a broken ISO 2022 value and goes like every other C0 control. Two things are left that only look harmless: a
lone surrogate, which JSON can carry and UTF-8 cannot, and text that was UTF-8 but was declared nothing, which Orthanc
reads as Latin-1 (`MÃ¼ller`): passed on as it is, and noted, unless the site wants it mended (`Reading.repair_utf8`).
"""

from __future__ import annotations

import re

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


def clean(value: object) -> str:
    """The text of a value, empty if there is none or if it is not text (a sequence, a value that was too long)."""
    if not isinstance(value, str):
        return ""
    return _SURROGATES.sub(_REPLACEMENT, _CONTROLS.sub("", value)).strip()


def values(text: str) -> tuple[str, ...]:
    """The values of a multi-valued attribute (PS3.5 6.4: backslash), cleaned, without the empty ones."""
    return tuple(part for part in map(clean, text.split("\\")) if part)


def joined(text: str) -> str:
    """Free text with several values as one line: `; ` between them."""
    return "; ".join(values(text))


def charset_suspect(text: str) -> bool:
    """Whether `text` looks like UTF-8 bytes that were read as Latin-1 because (0008,0005) is missing."""
    if text.isascii():
        return False
    try:
        read_as_utf8(text)
    except UnicodeError:
        return False
    return True


def read_as_utf8(text: str) -> str:
    """Suspect text as it was meant. Raises `UnicodeError` for any other."""
    return text.encode("latin-1").decode("utf-8")
