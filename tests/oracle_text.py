"""Text as the bytes of a file say it, by PS3.5 chapter 6 and PS3.3 C.12.1.1.2 alone: no decoder of anybody is asked.

What (0008,0005) names decides; values are separated before they are decoded (5CH, PS3.5 6.1.2.3), unless that byte is half
of a character. Where bytes and name contradict each other nobody can tell what was meant: then several readings are right,
and so is to say nothing; any other text is an invention (RULES B11).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

Values = tuple[str, ...]

_SINGLE = {
    "100": "iso8859_1",
    "101": "iso8859_2",
    "109": "iso8859_3",
    "110": "iso8859_4",
    "144": "iso8859_5",
    "127": "iso8859_6",
    "126": "iso8859_7",
    "138": "iso8859_8",
    "148": "iso8859_9",
    "203": "iso8859_15",
    "166": "iso8859_11",
    "13": "shift_jis",
}
"""G1 of one byte: the registration's number → Python's codec (of `shift_jis` the single bytes only)."""

_LATIN = frozenset({"100", "101", "109", "110", "148", "203"})
"""In these, letters that look like UTF-8 are UTF-8: `Ã¼` is nobody's name."""

_ESCAPES = {
    b"(B": ("G0", "6"),
    b"(J": ("G0", "14"),
    b")I": ("G1", "13"),
    b"$B": ("G0", "87"),
    b"$(D": ("G0", "159"),
    b"$)C": ("G1", "149"),
    b"$)A": ("G1", "58"),
    **{b"-" + final: ("G1", number) for number, final in zip(
        ("100", "101", "109", "110", "144", "127", "126", "138", "148", "203", "166"),
        (b"A", b"B", b"C", b"D", b"L", b"G", b"F", b"H", b"M", b"b", b"T"),
        strict=True,
    )},
}  # fmt: skip
"""PS3.3 tables C.12-3 and C.12-4: what follows ESC → the element and the set that it designates."""

_WHOLE = {"ISO_IR 192": "utf-8", "GB18030": "gb18030", "GBK": "gbk"}
"""Sets without code extensions (C.12-5)."""

_LIMITS = {"SH": 16, "LO": 64, "CS": 16, "ST": 1024, "LT": 10240}
"""Characters of one value (PS3.5 6.2); of PN 64 in each group."""

LONG = 256
"""Bytes above which an archive may have nothing to say (Orthanc answers null)."""

_SPOILT = re.compile("[\x80-\x9f\ufffd\x1b]")


class Untold(Exception):
    """The bytes are not what the character set says they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`certain`: the one right text. Else any of `possible`, or none."""

    certain: bool
    possible: tuple[Values, ...]

    def in_case(self, case: int) -> Values | None:
        """The text in one of the cases 0, 1, 2 …; None where it is to be left out."""
        if self.certain:
            return self.possible[0]
        return self.possible[case] if case < len(self.possible) else None


def read(raw: bytes, charset: Values, *, vr: str) -> Reading:
    """The values of an element, not yet cleaned. `charset`: the values of (0008,0005), none where it is missing."""
    terms = tuple(one.strip("\0 ") for one in charset)
    raw = raw.rstrip(b"\0")
    try:
        told = _decoded(raw, terms)
    except Untold:
        told = tuple(dict.fromkeys((*_meant(raw, terms), *_groups(raw, terms, vr=vr))))
        return Reading(certain=False, possible=told)
    if raw.isascii() and b"\x1b" not in raw:
        return Reading(certain=not _too_long(raw, told, vr=vr), possible=(told,))
    if _is_utf8(raw) and terms[0] != "ISO_IR 192" and (_number(terms[0]) in _SINGLE or not _number(terms[0])):
        latin = _number(terms[0]) in _LATIN
        return Reading(certain=False, possible=(_split(raw.decode()), *(() if latin else (told,))))
    spoilt = any(map(_SPOILT.search, told))
    return Reading(certain=not spoilt and not _too_long(raw, told, vr=vr), possible=(told,))


def _decoded(raw: bytes, terms: Values) -> Values:
    """By the standard's letter. Raises `Untold`."""
    if raw.isascii() and b"\x1b" not in raw:
        return _split(raw.decode("ascii"))
    if len(terms) == 1 and terms[0] in _WHOLE:
        return _strictly(raw, _WHOLE[terms[0]])
    numbers = ["6" if not term else _number(term) for term in terms]
    extended = len(terms) > 1 or (terms and terms[0].startswith("ISO 2022 IR "))
    if not terms or "" in numbers or (len(terms) > 1 and not all(one.startswith("ISO 2022 IR ") for one in terms if one)):
        raise Untold
    if b"\x1b" in raw and not extended:
        raise Untold
    return _iso_2022(raw, first=numbers[0], allowed=frozenset(numbers))


def _meant(raw: bytes, terms: Values) -> Iterator[Values]:
    """What somebody may have meant, likeliest first: only readings that account for every byte."""
    if _is_utf8(raw):
        yield _split(raw.decode())
    first = terms[0] if terms else ""
    codec = "gb18030" if re.match("GB|EUC-?CN", first, re.IGNORECASE) else ""
    if codec:
        yield from _possibly(raw, codec)
        return
    numbers = [found[0] for term in terms if (found := re.findall(r"\d+", term))]
    primary = next((one for one in numbers if one in _SINGLE), "6")
    with suppress(Untold):
        yield _iso_2022(raw, first=primary, allowed=None)
    if first in ("", "ISO_IR 6", "ISO 2022 IR 6") and not _is_utf8(raw) and b"\x1b" not in raw:
        yield from _possibly(raw, "iso8859_1")  # what archives take for the default
    if primary in ("100", "6") and not _is_utf8(raw):
        yield from _possibly(raw, "cp1252")
    if primary == "13":
        yield from _possibly(raw, "shift_jis")


def _groups(raw: bytes, terms: Values, *, vr: str) -> Iterator[Values]:
    """Of a name the groups that can be told; the others are left out."""
    found = []
    for group in raw.split(b"=") if vr == "PN" and b"=" in raw else ():
        with suppress(Untold):
            found.append(_decoded(group, terms)[0])
            continue
        found.append("")
    if any(found):
        yield ("=".join(found),)


def _possibly(raw: bytes, codec: str) -> Iterator[Values]:
    try:
        told = _strictly(raw, codec)
    except Untold:
        return
    if not any(map(_SPOILT.search, told)):
        yield told


def _strictly(raw: bytes, codec: str) -> Values:
    try:
        return _split(raw.decode(codec))
    except UnicodeDecodeError as error:
        raise Untold from error


def _split(text: str) -> Values:
    return tuple(text.split("\\"))


def _is_utf8(raw: bytes) -> bool:
    try:
        return not raw.decode("utf-8").isascii()
    except UnicodeDecodeError:
        return False


def _number(term: str) -> str:
    """The registration's number of a Defined Term; nothing if it is none."""
    found = re.fullmatch(r"ISO(?:_IR|( 2022 IR)) (\d+)", term)
    known = {"6", *_SINGLE} | ({"87", "159", "149", "58"} if found and found[1] else set())
    return found[2] if found and found[2] in known else ""


def _iso_2022(raw: bytes, *, first: str, allowed: frozenset[str] | None) -> Values:
    """ISO 2022 as PS3.5 6.1.2.5 uses it; every value and every part of a name begins with the first set again."""
    start = ("14" if first == "13" else "6", first if first in _SINGLE else "")
    g0, g1 = start
    values, at = [""], 0
    while at < len(raw):
        byte, size = raw[at], 1
        if byte == 0x1B:
            element, number, size = _escape(raw[at + 1 : at + 4])
            if allowed is not None and number != "6" and {"14": "13"}.get(number, number) not in allowed:
                raise Untold
            g0, g1 = (number, g1) if element == "G0" else (g0, number)
        elif byte < 0x21:
            values[-1] += chr(byte)
            g0, g1 = start if byte in b"\t\n\f\r" else (g0, g1)
        elif byte < 0x80 and g0 in ("87", "159"):
            values[-1] += _double(raw[at : at + 2], g0)
            size = 2
        elif byte == 0x5C:
            values.append("")
            g0, g1 = start
        elif byte < 0x80:
            values[-1] += chr(byte)
            g0, g1 = start if byte in b"^=" else (g0, g1)
        else:
            size = 2 if g1 in ("149", "58") else 1
            values[-1] += _double(raw[at : at + 2], g1) if size == 2 else _high(raw[at : at + 1], g1)
        at += size
    return tuple(values)


def _escape(following: bytes) -> tuple[str, str, int]:
    for length in (3, 2):
        if following[:length] in _ESCAPES:
            return *_ESCAPES[following[:length]], 1 + length
    raise Untold


def _double(pair: bytes, number: str) -> str:
    wrapped, codec = {
        "87": (b"\x1b$B" + pair + b"\x1b(B", "iso2022_jp"),
        "159": (b"\x1b$(D" + pair + b"\x1b(B", "iso2022_jp_2"),
        "149": (pair, "euc_kr"),
        "58": (pair, "gb2312"),
    }[number]
    try:
        if len(pair) == 2:
            return wrapped.decode(codec)
    except UnicodeDecodeError:
        pass
    raise Untold


def _high(byte: bytes, number: str) -> str:
    try:
        if number and byte[0] >= 0xA0:
            return byte.decode(_SINGLE[number])
    except UnicodeDecodeError:
        pass
    raise Untold


def _too_long(raw: bytes, told: Values, *, vr: str) -> bool:
    """Longer than its VR allows, and too long for an archive's answer: left out, or whole, never cut."""
    parts = [group for one in told for group in one.split("=")] if vr == "PN" else told
    return len(raw) > LONG and any(len(one) > (64 if vr == "PN" else _LIMITS.get(vr, len(raw))) for one in parts)
