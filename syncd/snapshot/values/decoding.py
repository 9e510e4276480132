"""A doubtful text from its bytes: what it says, or why that cannot be shown (RULES B11, MAPPING C.3).

Believed is the set that the images name, where every byte of the text is in it; what is ASCII is the same in every set
of DICOM. The name may be none, or false. A misspelt term that can only mean one set is that set. Text in the form of
UTF-8 that is declared nothing, or Latin-1, or nothing known, is UTF-8: nobody writes `Ã` before `¼`. Whatever else does
not fit is left out; no set is tried out.
"""

from __future__ import annotations

from dataclasses import dataclass

from syncd.model.study.raw import Undecoded
from syncd.model.study.reading import Reading
from syncd.snapshot.values.character_sets import character_sets, read_as_utf8, read_in

READ_AS_UTF8 = "charset_suspect: read again as UTF-8"
LEFT_OUT = "charset_suspect: left out"
MISSPELT = "character set misspelt: read by the one meant"
UNNAMED = "character set that is not named: read by its escape sequences"
UNDECLARED = "no character set declared: read by the site's"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A text; `done` is what a note says of it, empty where nothing is odd."""

    text: str
    done: str = ""


def decode(value: Undecoded, *, reading: Reading) -> Decoded:
    """The text of `value`, several values joined by backslashes; empty and noted where it cannot be shown."""
    content = value.value.rstrip(b" \0")
    if content.isascii() and b"\x1b" not in content:
        return Decoded(text=content.decode("ascii"))
    named = value.character_set.strip("\\¥ \0")
    sets = character_sets(value.character_set if named else reading.undeclared_charset)
    if sets is None:
        return _utf8_at_most(content, reading=reading)
    if sets.is_latin_1 and read_as_utf8(content) is not None:
        return _utf8_at_most(content, reading=reading)
    read = read_in(sets, content)
    if read is None:
        return _utf8_at_most(content, reading=reading)
    if read.unnamed:
        return Decoded(text=read.text, done=UNNAMED)
    if sets.misspelt:
        return Decoded(text=read.text, done=MISSPELT)
    return Decoded(text=read.text, done="" if named else UNDECLARED)


def _utf8_at_most(content: bytes, *, reading: Reading) -> Decoded:
    text = read_as_utf8(content) if reading.repair_utf8 else None
    return Decoded(text="", done=LEFT_OUT) if text is None else Decoded(text=text, done=READ_AS_UTF8)
