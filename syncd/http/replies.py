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
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, NoReturn, TypeVar

Taken = TypeVar("Taken")

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

_BEFORE_VALUES = (b'":', b" :", b"\n:", b"\t:", b"\r:")

_BEFORE_VALUES_IN_TEXT = tuple(one.decode() for one in _BEFORE_VALUES)

_BLANKS = re.compile(r"[ \t\n\r]*")
_LIST_ENDS = re.compile(r"\][ \t\n\r]*")

_SURELY_A_DOUBLE = 300
"""Digits of a whole number that a double holds, as far as it can."""

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


def read_json(body: bytes | bytearray, *, lenient: bool = False) -> Any:
    """The value. `lenient`: bytes that are no UTF-8 count as characters that nobody knows, and halves of characters stay: an
    archive copies them from its files, and who reads those looks closer (RULES B11).

    Raises `Unreadable` and `ReplyTooLong`."""
    _require_few_values(body)
    with _faults_told():
        text = body.decode("utf-8-sig", errors="replace" if lenient else "strict")
        value = _PLAIN.decode(text)
        if not _has_all(body, keys=_keys(value)):
            value = _WATCHING.decode(text)
        if not lenient and _SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    return value


def read_each(body: bytes | bytearray, take: Callable[[Any], Taken]) -> list[Taken] | None:
    """What `take` makes of each value of a list, lenient as `read_json` can be; None where the text is no list. Of all the
    values only one is held at a time: those of a large study's instances take five times their text.

    Raises `Unreadable`, `ReplyTooLong` and what `take` raises."""
    _require_few_values(body)
    text = body.decode("utf-8-sig", errors="replace")
    at = _BLANKS.match(text).end()  # type: ignore[union-attr]  # it matches everywhere
    if text[at : at + 1] != "[":
        return None
    taken: list[Taken] = []
    at = _BLANKS.match(text, at + 1).end()  # type: ignore[union-attr]
    while text[at : at + 1] != "]" or taken:
        with _faults_told():
            value, end = _value_at(text, at)
        taken.append(take(value))
        at = _BLANKS.match(text, end).end()  # type: ignore[union-attr]
        if text[at : at + 1] != ",":
            break
        at = _BLANKS.match(text, at + 1).end()  # type: ignore[union-attr]
    if _LIST_ENDS.fullmatch(text, at) is None:
        raise Unreadable
    return taken


def _value_at(text: str, at: int) -> tuple[Any, int]:
    value, end = _PLAIN.raw_decode(text, at)
    keys = _keys(value)
    if keys != text.count(":", at, end) and keys != sum(text.count(one, at, end) for one in _BEFORE_VALUES_IN_TEXT):
        value, end = _WATCHING.raw_decode(text, at)
    return value, end


def _require_few_values(body: bytes | bytearray) -> None:
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise ReplyTooLong(f"is answered with more than {MAX_VALUES:,} values")


@contextmanager
def _faults_told() -> Iterator[None]:
    """Whatever a reader of JSON finds wrong."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise Unreadable("no UTF-8") from error
    except UnicodeEncodeError as error:
        raise Unreadable("half a character") from error
    except RecursionError as error:
        raise Unreadable("nested too deep") from error
    except ValueError as error:
        raise Unreadable from error


def _keys(value: Any) -> int:
    """How many keys all objects in it have; lists and objects lie in each other no more than `MAX_DEPTH` levels deep."""
    keys = 0
    level = [value] if value.__class__ is dict or value.__class__ is list else []
    for _ in range(MAX_DEPTH):
        if not level:
            return keys
        named = [each for each in level if each.__class__ is dict]
        keys += sum(map(len, named))
        within = chain.from_iterable(each.values() if each.__class__ is dict else each for each in level)
        level = [child for child in within if child.__class__ is dict or child.__class__ is list]
    if level:
        raise Unreadable("nested too deep")
    return keys


def _has_all(body: bytes | bytearray, *, keys: int) -> bool:
    """Whether so many keys are surely all that the text has, so that none is said twice: each stands before a colon, with a
    quotation mark or a blank between. Texts within may hold such colons, too; then nobody knows."""
    return keys == body.count(b":") or keys == sum(map(body.count, _BEFORE_VALUES))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("it says a key twice")
    return found


def _whole(text: str) -> int:
    if len(text) > _SURELY_A_DOUBLE:
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


_PLAIN = json.JSONDecoder(parse_int=_whole, parse_float=_decimal, parse_constant=_constant)
_WATCHING = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_whole, parse_float=_decimal, parse_constant=_constant)
"""Looks at each key: twice the time of the other."""
