"""Specific Character Set (0008,0005): which set a term names, and bytes as the text that they are in it (PS3.3 C.12.1.1.2,
PS3.5 6.1.2).

pydicom knows terms and escape sequences, and replaces what does not fit; here a text is read by its set as a whole or
not at all, for half a name is another name. ISO 2022 has states: which set a byte belongs to depends on the escape
sequences before it, a delimiter resets that, and within a two-byte set the byte of the delimiter (5CH) is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydicom.charset import python_encoding

from syncd.snapshot.values.text import is_broken

UTF_8, LATIN_1 = "ISO_IR 192", "ISO_IR 100"
_STAND_ALONE = {UTF_8: "utf-8", "GB18030": "gb18030", "GBK": "gbk"}
"""Those that allow no code extension (PS3.3 Table C.12-5)."""

_DEFAULT = "ISO_IR 6"
_JIS_X_0201, _JIS_X_0208, _JIS_X_0212 = "ISO_IR 13", "ISO_IR 87", "ISO_IR 159"
_KOREAN, _CHINESE = "ISO_IR 149", "ISO_IR 58"
_SINGLE_BYTE = {
    f"ISO_IR {number}": python_encoding[f"ISO_IR {number}"] for number in (100, 101, 109, 110, 126, 127, 138, 144, 148, 166)
} | {"ISO_IR 203": "iso8859_15", _JIS_X_0201: "shift_jis"}
"""Sets of G1 (Tables C.12-2 and C.12-3). pydicom 3.0 does not know ISO_IR 203 yet."""
_TWO_BYTES = {_KOREAN: "euc_kr", _CHINESE: "gb2312"}
"""Sets of G1 (Table C.12-4), without their escape sequences."""
_TWO_BYTES_IN_G0 = {_JIS_X_0208: ("iso2022_jp", b"\x1b$B"), _JIS_X_0212: ("iso2022_jp_2", b"\x1b$(D")}
_KNOWN = frozenset({_DEFAULT, *_STAND_ALONE, *_SINGLE_BYTE, *_TWO_BYTES, *_TWO_BYTES_IN_G0})

_TO_G0 = {b"\x1b(B": _DEFAULT, b"\x1b(J": _JIS_X_0201, b"\x1b$B": _JIS_X_0208, b"\x1b$(D": _JIS_X_0212}
_TO_G1 = {
    b"\x1b-A": "ISO_IR 100", b"\x1b-B": "ISO_IR 101", b"\x1b-C": "ISO_IR 109", b"\x1b-D": "ISO_IR 110",
    b"\x1b-F": "ISO_IR 126", b"\x1b-G": "ISO_IR 127", b"\x1b-H": "ISO_IR 138", b"\x1b-L": "ISO_IR 144",
    b"\x1b-M": "ISO_IR 148", b"\x1b-T": "ISO_IR 166", b"\x1b-b": "ISO_IR 203", b"\x1b)I": _JIS_X_0201,
    b"\x1b$)C": _KOREAN, b"\x1b$)A": _CHINESE,
}  # fmt: skip
_PIECES = re.compile(rb"\x1b\$[()].|\x1b[()\-.$].|[^\x1b]+|\x1b", re.DOTALL)
_DELIMITERS = frozenset(b"\\^=\r\n\f\t")
"""After them the first set holds again (PS3.5 6.1.2.5.3). `^` and `=` are delimiters of PN; who repeats the escape sequence
after them elsewhere is read alike, and who does not is not read."""

_MEANT = re.compile(r"(ISO[ _-]?)?(2022[ _-]?)?(ISO[ _-]?)?IR[ _-]?(\d+)")
_BY_NAME = {
    "UTF8": UTF_8, "ASCII": _DEFAULT, "USASCII": _DEFAULT, "LATIN1": LATIN_1, "ISO88591": LATIN_1, "ISO88592": "ISO_IR 101",
    "ISO88593": "ISO_IR 109", "ISO88594": "ISO_IR 110", "ISO88595": "ISO_IR 144", "ISO88596": "ISO_IR 127",
    "ISO88597": "ISO_IR 126", "ISO88598": "ISO_IR 138", "ISO88599": "ISO_IR 148", "ISO885915": "ISO_IR 203",
    "TIS620": "ISO_IR 166",
}  # fmt: skip
"""Other names of sets, which say as much as a Defined Term."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CharacterSets:
    """What a (0008,0005) names: its sets, the first of which holds from the start. `misspelt`: a term is no Defined Term,
    but one can only be meant."""

    sets: tuple[str, ...]
    misspelt: bool = False

    @property
    def is_latin_1(self) -> bool:
        return self.sets[0] == LATIN_1


@dataclass(frozen=True, slots=True, kw_only=True)
class InSet:
    """A text in the sets named. `unnamed`: an escape sequence in it names one more."""

    text: str
    unnamed: bool = False


def character_sets(named: str) -> CharacterSets | None:
    """The sets that a (0008,0005) names; None where a term names none that is known. Nothing named is the default."""
    terms = [term.strip(" \0") for term in re.split(r"[\\¥]", named)]
    found = [_set(term) for term in terms]
    if None in found:
        return None
    sets = [each for each in found if each is not None]
    misspelt = any(term not in (_defined_terms(each)) for term, each in zip(terms, sets, strict=True))
    if sets[0] in _STAND_ALONE:
        return CharacterSets(sets=(sets[0],), misspelt=misspelt or len(sets) > 1)
    extensions = [each for each in sets[1:] if each not in _STAND_ALONE]
    return CharacterSets(sets=(sets[0], *extensions), misspelt=misspelt or len(extensions) < len(sets) - 1)


def read_in(sets: CharacterSets, value: bytes) -> InSet | None:
    """`value` as a text in these sets; None where any byte of it is not."""
    first = sets.sets[0]
    if first in _STAND_ALONE:
        text = _strictly(value, _STAND_ALONE[first])
        return None if text is None or is_broken(text) or _has_escape(value) else InSet(text=text)
    return _read_iso_2022(value, first=first, named=frozenset(sets.sets))


def read_as_utf8(value: bytes) -> str | None:
    """`value`, which is not ASCII, as UTF-8; None if it is not."""
    text = _strictly(value, "utf-8")
    return None if text is None or is_broken(text) or _has_escape(value) else text


def _set(term: str) -> str | None:
    """The set that one term names, as `ISO_IR n` whether it is written with or without code extensions."""
    if not term:
        return _DEFAULT
    folded = term.upper()
    if folded in _STAND_ALONE:
        return folded
    if meant := _MEANT.fullmatch(folded):
        found = f"ISO_IR {int(meant[4])}"
        return found if found in _KNOWN else None
    return _BY_NAME.get(re.sub("[ _-]", "", folded))


def _defined_terms(found: str) -> tuple[str, ...]:
    if found == _DEFAULT:
        return ("", "ISO 2022 IR 6", "ISO_IR 6")
    return (found,) if found in _STAND_ALONE else (found, found.replace("ISO_IR", "ISO 2022 IR"))


def _read_iso_2022(value: bytes, *, first: str, named: frozenset[str]) -> InSet | None:
    """By state: G0 for bytes below 80H, G1 for those from A0H on (PS3.5 6.1.2.4, 6.1.2.5)."""
    at_start = first if first in _SINGLE_BYTE or first in _TWO_BYTES else ""
    g0, g1, unnamed = _DEFAULT, at_start, False
    text = []
    for piece in _PIECES.findall(value):
        if piece in _TO_G0:
            g0 = _TO_G0[piece]
            unnamed |= g0 in _TWO_BYTES_IN_G0 and g0 not in named
        elif piece in _TO_G1:
            g1 = _TO_G1[piece]
            unnamed |= g1 not in named
        elif piece == b"\x1b":
            text.append("\x1b")  # no escape sequence: a control character like others
        elif piece.startswith(b"\x1b"):
            return None
        else:
            read, g1 = _run(piece, g0=g0, g1=g1, at_start=at_start)
            if read is None:
                return None
            text.append(read)
    return InSet(text="".join(text), unnamed=unnamed)


def _run(piece: bytes, *, g0: str, g1: str, at_start: str) -> tuple[str | None, str]:
    """Bytes between escape sequences, and what G1 holds behind them."""
    if g0 in _TWO_BYTES_IN_G0:
        codec, escape = _TWO_BYTES_IN_G0[g0]
        return _strictly(escape + piece + b"\x1b(B", codec), g1
    text: list[str] = []
    at = 0
    while at < len(piece):
        if piece[at] < 0x80:
            g1 = at_start if piece[at] in _DELIMITERS else g1
            text.append(chr(piece[at]))
            at += 1
            continue
        width = 2 if g1 in _TWO_BYTES else 1
        read = _in_g1(piece[at : at + width], g1)
        if read is None:
            return None, g1
        text.append(read)
        at += width
    return "".join(text), g1


def _in_g1(character: bytes, g1: str) -> str | None:
    if not g1 or min(character) < 0xA0 or (g1 == _JIS_X_0201 and not 0xA1 <= character[0] <= 0xDF):
        return None
    return _strictly(character, _SINGLE_BYTE.get(g1) or _TWO_BYTES[g1])


def _strictly(value: bytes, codec: str) -> str | None:
    try:
        return value.decode(codec)
    except UnicodeError:
        return None


def _has_escape(value: bytes) -> bool:
    return any(len(piece) > 1 and piece.startswith(b"\x1b") for piece in _PIECES.findall(value))
