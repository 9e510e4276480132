"""What of a reply is taken in, and what is believed (RULES S2)."""

from __future__ import annotations

import contextlib
import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.errors import SyncdError, Transient, Unsuitable
from syncd.http import replies
from syncd.http.failures import ReplyTooLarge, ReplyUnreadable
from syncd.http.replies import ReplyRefused, ReplyTooLong, Unreadable, bounded, read_each, read_json
from tests.http.rims import RIMS
from tests.http.sick import HEAD, answering, at_once

NOT_BELIEVED = {
    "a key twice": b'{"resourceType": "Patient", "id": "1", "id": "2"}',
    "a key twice within": b'{"a": [{"b": 1, "b": 1}]}',
    "a key twice, blanks": b'{"a" : 1, "b"\n:\t2, "a"\r:3}',
    "a key twice beside colons": b'{"a": "b\\": c :", "a": "://"}',
    "5,000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "beyond a double": b'{"a": 1e999}',
    "beyond a double, below": b'{"a": -1e999}',
    "a whole number beyond": b'{"a": 1' + b"0" * 400 + b"}",
    "no number": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "deep": b"[" * 300 + b"]" * 300,
    "very deep": b'{"a":' * 100_000,
    "half a character": b'{"a": "\\ud800"}',
    "half a character as a key": b'{"\\udfff": 1}',
    "cut": b'{"a": ',
    "two values": b"{}{}",
    "nothing": b" ",
}


@pytest.mark.parametrize("body", NOT_BELIEVED.values(), ids=NOT_BELIEVED)
def test_what_nobody_can_trust_is_not_believed(body: bytes) -> None:
    """Each reader of such a text takes something else from it."""
    for lenient in (False,) if b"\\u" in body else (False, True):
        with pytest.raises(Unreadable, match="cannot be read as JSON"):
            read_json(body, lenient=lenient)


_keys = st.sampled_from(["a", "b", 'c"', "d:", 'e" :', "\\"])
_blanks = st.sampled_from(["", " ", "\n", "\t ", "\r\n"])
_objects = st.recursive(
    st.sampled_from(['""', "1", '"x:"', '" :"', '"\\":"']),
    lambda inner: st.lists(st.tuples(_keys, _blanks, _blanks, inner), max_size=3).map(
        lambda members: "{" + ",".join(json.dumps(key) + one + ":" + two + value for key, one, two, value in members) + "}"
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(_objects)
def test_a_key_that_is_said_twice_is_found_wherever_it_stands(text: str) -> None:
    """Counted first, and looked at where counting does not tell: both say what looking at each says."""
    twice: list[bool] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice.append(len(dict(pairs)) != len(pairs))
        return dict(pairs)

    value = json.loads(text, object_pairs_hook=note)
    if any(twice):
        with pytest.raises(Unreadable):
            read_json(text.encode())
    else:
        assert read_json(text.encode()) == value


@pytest.mark.parametrize("body", NOT_BELIEVED.values(), ids=NOT_BELIEVED)
@pytest.mark.parametrize("rim", RIMS)
def test_a_server_that_says_it_is_not_believed_either(rim: str, body: bytes) -> None:
    """Transient of an archive; no body of the FHIR server's answer, which is then no answer to a read."""
    answer = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with answering(at_once(answer)) as port:
        ask = RIMS[rim](f"http://127.0.0.1:{port}")
        if rim == "fhir":
            assert (found := ask()).body is None
            assert "cannot be read as JSON" in found.fault
        elif b"\\u" not in body:  # what half a character is in a file, RULES B11 finds out
            with pytest.raises(ReplyUnreadable, match="answer to GET /system cannot be read as JSON"):
                ask()


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        None,
        7,
        -7.25,
        2**64,
        1e300,
        "\N{GRINNING FACE}",
        {"a": {"a": 1}},
        [[[]]],
        "\\ud800",
        {"ü": ""},
        {'a": :': 'b": :', "c://": [{}]},
    ],
)
def test_everything_else_is_read_as_it_is(value: Any) -> None:
    """Also what only looks like half a character, and a character of two halves."""
    assert read_json(json.dumps(value).encode()) == value
    assert read_json(b"\xef\xbb\xbf" + json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
@pytest.mark.parametrize("body", [b"[]", b"[1]", b'[{"a": [1]}, {"b": {}}]', b'[[], "x,y]", null]'])
def test_a_list_is_read_value_by_value_as_it_is_read_whole(body: bytes, blank: str) -> None:
    """Wherever blanks may stand."""
    spaced = blank + body.decode().replace("},", f"}}{blank},{blank}").replace("[", f"[{blank}") + blank
    assert read_each(spaced.encode(), lambda each: each) == read_json(spaced.encode())


@pytest.mark.parametrize("body", [b"{}", b"1", b'"["', b"", b"x"])
def test_what_is_no_list_has_no_values(body: bytes) -> None:
    """Who asked for one knows what to say of it."""
    assert read_each(body, lambda each: each) is None


@pytest.mark.parametrize("body", [b"[", b"[1", b"[1,", b"[1,]", b"[,1]", b"[1 2]", b"[1] 2", b"[1]]", b"[{]", b"[1e999]"])
def test_a_list_that_is_none_is_not_believed(body: bytes) -> None:
    """Neither what came before its fault."""
    for read in (lambda text: read_each(text, lambda each: each), read_json):
        with pytest.raises(Unreadable):
            read(body)


@pytest.mark.parametrize("body", NOT_BELIEVED.values(), ids=NOT_BELIEVED)
def test_no_value_of_a_list_is_believed_that_is_not_believed_alone(body: bytes) -> None:
    """An archive may say half a character, and nothing else of these."""
    with pytest.raises(Unreadable) if b"\\u" not in body else contextlib.nullcontext():
        read_each(b"[1," + body + b"]", lambda each: each)


@settings(max_examples=200, deadline=None)
@given(st.lists(_objects))
def test_a_key_that_is_said_twice_is_found_in_each_value(texts: list[str]) -> None:
    """As in the text as a whole."""
    body = f"[{','.join(texts)}]".encode()
    try:
        whole = read_json(body)
    except Unreadable:
        with pytest.raises(Unreadable):
            read_each(body, lambda each: each)
    else:
        assert read_each(body, lambda each: each) == whole


def test_of_a_long_list_one_value_is_held_at_a_time() -> None:
    """What is taken of it counts, and its text twice."""
    body = json.dumps(
        [{"ID": f"{number:0100d}", "Tags": {f"{tag:08x}": "x" for tag in range(40)}} for number in range(3000)]
    )

    def peak(read: Callable[[bytes], Any]) -> int:
        tracemalloc.start()
        try:
            read(body.encode())
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(lambda text: read_each(text, lambda each: each["ID"])) < 3 * len(body) < peak(read_json)


def test_bytes_that_are_no_utf_8_are_an_archive_s_business_alone() -> None:
    """An archive copies texts of files, whatever they are (RULES B11 looks closer); a FHIR server has none of those."""
    assert read_json(b'"\xff"', lenient=True) == "\N{REPLACEMENT CHARACTER}"
    with pytest.raises(Unreadable, match="UTF-8"):
        read_json(b'"\xff"')


def test_a_text_of_too_many_values_is_refused_before_it_is_read() -> None:
    """64 MB of empty lists are 1.4 GB of them."""
    body = b"[" + b"[]," * replies.MAX_VALUES + b"[]]"
    tracemalloc.start()
    try:
        with pytest.raises(ReplyTooLong, match="10,000,000 values"):
            read_json(body)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_bomb_costs_no_more_memory_than_a_plain_reply() -> None:
    """128 MB of zeros, packed into 128 KB and sent at once."""
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packing.compress(bytes(1024 * 1024)) for _ in range(128)) + packing.flush()
    taken = 0
    tracemalloc.start()
    try:
        with pytest.raises(ReplyTooLong):
            for piece in bounded([bomb], limit=16 * 1024 * 1024, coding="gzip", packed=True):
                taken += len(piece)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
    assert taken <= 16 * 1024 * 1024


PLAIN = json.dumps({"resourceType": "Patient", "id": "1", "text": "x" * 100_000}).encode()


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(PLAIN)),
        ("x-gzip", gzip.compress(PLAIN)),
        (" GZIP ", gzip.compress(PLAIN[:10]) + gzip.compress(PLAIN[10:])),
        ("deflate", zlib.compress(PLAIN)),
    ],
    ids=["gzip", "x-gzip", "two parts", "zlib"],
)
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_a_packed_reply_is_unpacked(coding: str, packed: bytes, size: int) -> None:
    """In whatever pieces it comes."""
    pieces = (packed[at : at + size] for at in range(0, len(packed), size))
    assert b"".join(bounded(pieces, limit=10**6, coding=coding, packed=True)) == PLAIN


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "compress", "\u00e4"])
def test_another_coding_is_refused(coding: str) -> None:
    """None of them was asked for; several are the way of bombs."""
    with pytest.raises(ReplyRefused, match="compressed"):
        list(bounded([b"x"], limit=10, coding=coding, packed=True))


@pytest.mark.parametrize("packed", [gzip.compress(PLAIN)[:-3], b"no gzip", b""], ids=["cut", "none", "empty"])
def test_what_is_packed_badly_has_no_body(packed: bytes) -> None:
    """The status and the headers of a write still count."""
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    with answering(at_once(head + packed)) as port:
        found = RIMS["fhir"](f"http://127.0.0.1:{port}")()
    assert (found.status, found.body) == (200, None)


def test_the_fhir_server_may_pack_and_the_archive_may_not() -> None:
    """A FHIR server may be far away, the archive is not, and its answers are large."""
    packed = gzip.compress(PLAIN)
    answer = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed
    with answering(at_once(answer)) as port:
        assert RIMS["fhir"](f"http://127.0.0.1:{port}")().body == json.loads(PLAIN)
        with pytest.raises(Unsuitable, match="does a proxy stand between"):
            RIMS["archive"](f"http://127.0.0.1:{port}")()


@pytest.mark.parametrize("status", [b"200 OK", b"302 Found", b"503 Busy"])
@pytest.mark.parametrize("rim", RIMS)
def test_an_endless_reply_is_cut(rim: str, status: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunk after chunk, quickly; requests reads that of a redirect by itself, to its end, also where none is followed."""
    monkeypatch.setattr("syncd.publish.http.LARGEST_REPLY", 100_000)
    monkeypatch.setattr("syncd.archive.rest.calls.MAX_REPLY", 100_000)

    def pieces() -> Any:
        yield b"HTTP/1.1 " + status + b"\r\nLocation: /elsewhere\r\nTransfer-Encoding: chunked\r\n\r\n"
        while True:
            yield b"4000\r\n" + b" " * 0x4000 + b"\r\n"

    with answering(pieces) as port:
        kind: type[SyncdError] = ReplyTooLarge if rim == "fhir" else Transient
        with pytest.raises(kind, match="larger than any answer"):
            RIMS[rim](f"http://127.0.0.1:{port}")()
