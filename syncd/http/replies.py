"""How much of an answer is taken in, and what of it is believed (RULES S2).

A server may send more than memory holds: plainly, packed a thousand times smaller, or as JSON whose empty lists take
twenty times their bytes. It may nest deeper than Python follows, name numbers that nobody holds, or say one thing twice,
of which each reader takes another. All of it is refused here, before anything is understood.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

MAX_DEPTH = 256
"""Levels of JSON. A DICOM sequence takes two, and PS3.5 7.5 sets no depth; but Orthanc itself (1.10.1 and 1.12.7) takes in
40 sequences within each other and dies of 60. Python's reader follows some 900 levels."""

MAX_VALUES = 10_000_000
"""Values of one JSON text, counted by what stands between them: each takes some 60 bytes of memory, however short it is.
1,000,000 tags are 2,000,000."""

_PIECE = 65_536
"""Bytes unpacked at a time."""

_GZIP_OR_ZLIB = 47
"""zlib's word for: whichever of the two it is."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class ReplyRefused(Exception):
    """The reply is coded in a way that was not asked for."""


class ReplyTooLong(ReplyRefused):
    """The reply has more bytes, or values, than we accept."""


class Unreadable(Exception):
    """The reply is no JSON, or none that can be trusted; told in the words of a message's end."""

    def __init__(self, why: str = "") -> None:
        super().__init__("cannot be read as JSON" + (f" ({why})" if why else ""))


def bounded(chunks: Iterable[bytes], *, limit: int, coding: str = "", packed: bool = False) -> Iterator[bytes]:
    """The bytes of a reply, unpacked, up to `limit` of them. `coding` is its Content-Encoding; one that packs is refused
    unless it was asked for (`packed`)."""
    coding = coding.strip().lower()
    if coding in ("gzip", "x-gzip", "deflate") and packed:
        chunks = _unpacked(chunks)
    elif coding not in ("", "identity"):
        raise ReplyRefused("is answered in a compressed form that was not asked for; does a proxy stand between?")
    left = limit
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise ReplyTooLong(f"is answered with more than {limit // 1024 // 1024} MB, larger than any answer we need")
        yield chunk


def _unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A small piece at a time, whatever it unfolds to. gzip may consist of several parts (RFC 1952 2.2)."""
    unpacking = zlib.decompressobj(_GZIP_OR_ZLIB)
    for chunk in chunks:
        while chunk:
            if unpacking.eof:
                unpacking = zlib.decompressobj(_GZIP_OR_ZLIB)
            try:
                piece = unpacking.decompress(chunk, _PIECE)
                chunk = unpacking.unconsumed_tail or unpacking.unused_data
            except zlib.error as error:
                raise Unreadable("packed badly") from error
            if piece:
                yield piece
    if not unpacking.eof:
        raise Unreadable("packed, and broken off")


def read_json(body: bytes, *, lenient: bool = False) -> Any:
    """The value. `lenient`: bytes that are no UTF-8 count as characters that nobody knows, and halves of characters stay: an
    archive copies them from its files, and who reads those looks closer (RULES B11).

    Raises `Unreadable` and `ReplyTooLong`."""
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise ReplyTooLong(f"is answered with more than {MAX_VALUES:,} values")
    try:
        text = body.decode("utf-8-sig", errors="replace" if lenient else "strict")
        value = json.loads(text, object_pairs_hook=_unique, parse_int=_whole, parse_float=_decimal, parse_constant=_constant)
        if not lenient and _SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise Unreadable("no UTF-8") from error
    except UnicodeEncodeError as error:
        raise Unreadable("half a character") from error
    except RecursionError as error:
        raise Unreadable("nested too deep") from error
    except ValueError as error:
        raise Unreadable from error
    if too_deep(value):
        raise Unreadable("nested too deep")
    return value


def too_deep(value: Any, *, limit: int = MAX_DEPTH) -> bool:
    """Whether lists and objects lie in each other more than `limit` levels deep."""
    level = [value] if type(value) in _CONTAINERS else []
    for _ in range(limit):
        level = [
            child
            for each in level
            for child in (each.values() if type(each) is dict else each)
            if type(child) in _CONTAINERS
        ]
        if not level:
            return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("it says a key twice")
    return found


_CONTAINERS = frozenset({dict, list})
"""What a JSON value that was just read may lie in: these very types, which are told sooner than their kinds."""

_SURELY_IN_RANGE = 300
"""Digits of a number that every double holds."""


def _whole(text: str) -> int:
    if len(text) > _SURELY_IN_RANGE:
        _decimal(text)
    return int(text)


def _decimal(text: str) -> float:
    """Numbers are doubles (RFC 8259 6); what none of them holds is no number to anybody."""
    number = float(text)
    if math.isinf(number):
        raise Unreadable("a number out of range")
    return number


def _constant(text: str) -> NoReturn:
    """`NaN` and `Infinity`, which Python takes and JSON does not know."""
    raise Unreadable("a number out of range")
