"""Where an answer ends, and what is believed of it (RFC 9112); on a pair of sockets, in pieces of any size."""

from __future__ import annotations

import http.client
import socket
import threading
import traceback
from collections.abc import Iterable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from syncd.http import wire as room
from syncd.http.messages import Headers, Lost, NotSendable, Origin, Request
from syncd.http.wire import MAX_HEAD, Wire

ORIGIN = Origin("http", "fake.invalid", 80)


def read(said: Iterable[bytes], *, method: str = "GET") -> tuple[int, Headers, bytes, bool]:
    """Status, headers and body of what the other side says before it hangs up, and whether the connection may stay."""
    near, far = socket.socketpair()

    def say() -> None:
        with far:
            far.recv(65_536)
            for piece in said:
                try:
                    far.sendall(piece)
                except OSError:
                    return

    speaker = threading.Thread(target=say)
    wire = Wire(near, timeout=5.0)
    speaker.start()
    try:
        wire.send(Request(method=method, origin=ORIGIN, target="/"))
        status, headers, pieces = wire.head(method)
        return status, headers, b"".join(pieces), wire.is_reusable
    finally:
        wire.close()
        speaker.join()


def whole(head: bytes, body: bytes = b"") -> list[bytes]:
    return [head + b"\r\n\r\n" + body]


OK = b"HTTP/1.1 200 OK\r\n"
SIZED = OK + b"Content-Length: 5"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
NO_HTTP = b"DOE^JANE\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    ("said", "body", "stays"),
    [
        (whole(SIZED, b"hello"), b"hello", True),
        (whole(OK + b"content-length:5,  5", b"hello"), b"hello", False),
        (whole(OK + b"Content-Length: 5\r\nContent-Length: 5", b"hello"), b"hello", True),
        (whole(OK + b"Content-Length: 0"), b"", True),
        (whole(CHUNKED, b"5\r\nhello\r\n0\r\n\r\n"), b"hello", True),
        (whole(CHUNKED, b"2;a=b\r\nhe\r\n03\r\nllo\r\n0\r\nX-Trailer: 1\r\n\r\n"), b"hello", True),
        (whole(OK + b"transfer-encoding:  Chunked", b"A\r\n0123456789\r\n0\r\n\r\n"), b"0123456789", True),
        (whole(OK + b"X: y", b"until it ends"), b"until it ends", False),
        (whole(SIZED + b"\r\nConnection: close", b"hello"), b"hello", False),
        (whole(b"HTTP/1.0 200 OK\r\nContent-Length: 5", b"hello"), b"hello", False),
        (whole(CHUNKED + b"\r\nContent-Length: 3", b"5\r\nhello\r\n0\r\n\r\n"), b"hello", False),
        (whole(b"HTTP/1.1 204 No Content"), b"", True),
        (whole(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5"), b"", True),
        ([INTERIM, *whole(SIZED, b"hello")], b"hello", True),
        ([b"HTTP/1.1 200\nContent-Length: 5\n\nhello"], b"hello", True),
    ],
    ids=[
        "length", "length twice", "length in two headers", "no byte", "chunks", "extension and trailer", "other case",
        "until closed", "told to close", "1.0", "both", "204", "304", "interim", "bare line feeds",
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 3, 10**6])
def test_an_answer_ends_where_it_says(said: list[bytes], body: bytes, stays: bool, size: int) -> None:
    """RFC 9112 6.3; a connection stays only after what ended so, with nothing behind it."""
    text = b"".join(said)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert read(pieces)[2:] == (body, stays)


@pytest.mark.parametrize("said", [whole(SIZED, b"hello, and more"), whole(CHUNKED, b"0\r\n\r\nHTTP/1.1 200 OK")])
def test_a_connection_does_not_stay_after_more_than_an_answer(said: list[bytes]) -> None:
    """Nobody asked for the rest."""
    assert not read(said)[3]


@pytest.mark.parametrize(
    "said",
    [
        whole(SIZED, b"hell"),
        whole(SIZED),
        whole(CHUNKED, b"5\r\nhel"),
        whole(CHUNKED, b"5\r\nhello\r\n"),
        whole(CHUNKED, b"5\r\nhello\r\n0\r\n"),
        whole(CHUNKED, b"5\r\nhellohello\r\n0\r\n\r\n"),
        whole(CHUNKED, b"-5\r\nhello\r\n0\r\n\r\n"),
        whole(CHUNKED, b"\r\n"),
        whole(CHUNKED, b"1" * 20 + b"\r\n"),
        whole(CHUNKED, b"5" + b" " * 200_000),
        whole(CHUNKED, b"0\r\n" + b"X: y\r\n" * 20_000 + b"\r\n"),
        whole(OK + b"Content-Length: 5, 6", b"hello"),
        whole(OK + b"Content-Length: 5, 4", b"hello"),
        whole(OK + b"Content-Length: five", b"hello"),
        whole(OK + b"Content-Length: +5", b"hello"),
        whole(OK + b"Content-Length: -5", b"hello"),
        whole(OK + "Content-Length: \N{SUPERSCRIPT TWO}".encode("latin-1"), b"hello"),
        whole(OK + b"Content-Length: " + b"9" * 5000, b"hello"),
        whole(OK + b"Transfer-Encoding: gzip, chunked", b"5\r\nhello\r\n0\r\n\r\n"),
        whole(OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"),
        whole(OK + b"no header"),
        whole(OK + b": nameless"),
        whole(OK + b"X: a\rb"),
        whole(OK + b"X: a\0b"),
        whole(OK + b"X: a\rContent-Length: 2", b"hello"),
        whole(OK + b"X : y\r\nContent-Length: 2", b"hello"),
        whole(OK + b" X: y\r\nContent-Length: 2", b"hello"),
        whole(OK + b"Transfer-Encoding: chunked\r\nContent-Type: multipart/x; boundary*=a; boundary*0=b", b"0\r\n\r\n"),
        whole(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x"),
        whole(b"HTTP/2 200"),
        whole(b"HTTP/1.1 20 OK"),
        whole(b"HTTP/1.1 000 OK"),
        whole(b"SSH-2.0-OpenSSH_9"),
        [b""],
        [b"HTTP/1.1 200 OK\r\nContent-Le"],
        [b"HTTP/1.1 200 OK\r\nX: y"],
        [b"HTTP/1.1 200 OK\r\nX: y\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n" * 3000, *whole(SIZED, b"hello")],
        [b"HTTP/1.1 103 Early Hints\r\n\r\n" * 30, *whole(SIZED, b"hello")],
        whole(OK + b"X: " + b"y" * (MAX_HEAD * 3) + b"\r\nContent-Length: 5", b"hello"),
        whole(OK + b"X: yyyyyyyyyy\r\n" * 90 + b"X: " + b"y" * (MAX_HEAD - 1000) + b"\r\nContent-Length: 5", b"hello"),
    ],
)
def test_what_is_not_plain_is_lost(said: list[bytes]) -> None:
    """RULES S2, C5: nothing is guessed; who is wrong about the end takes one answer for another."""
    with pytest.raises(Lost):
        read(said)


def test_no_word_of_an_answer_is_told() -> None:
    """RULES S1: what is no HTTP may be anything."""
    with pytest.raises(Lost) as raised:
        read([NO_HTTP])
    assert "DOE" not in "".join(traceback.format_exception(raised.value))


def test_no_body_comes_with_the_answer_to_a_head() -> None:
    """RFC 9110 9.3.2."""
    assert read(whole(SIZED), method="HEAD")[2:] == (b"", True)


def test_headers_are_found_whatever_their_case_and_several_are_one() -> None:
    """RFC 9110 5.1 to 5.3; a line that goes on in the next one is RFC 9112 5.2."""
    more = b'ETag:  W/"1" \r\nX-A: 1\r\nx-a: 2\r\nX-Long: a\r\n\t b\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2'
    headers = read(whole(SIZED + b"\r\n" + more, b"hello"))[1]
    assert (headers["etag"], headers["ETag"], headers.get("X-A"), headers["x-long"]) == ('W/"1"', 'W/"1"', "1, 2", "a b")
    assert headers.cookies == ["a=1", "b=2"]
    assert headers.get("Absent", "") == ""


@pytest.mark.parametrize("size", [0, 5000, room._TOGETHER + 1])
def test_a_request_leaves_at_once(size: int) -> None:
    """Its head and a body of the usual size in one call of the system's: two would be two packets, and whoever waits for the
    second may wait for an acknowledgement, too. A large body is sent from where it lies."""
    near, far = socket.socketpair()
    sent: list[int] = []

    class Counting(socket.socket):
        def send(self, part: memoryview, *_: int) -> int:  # type: ignore[override]
            sent.append(super().send(part))
            return sent[-1]

    counted = Counting(near.family, near.type, near.proto, fileno=near.detach())
    body = b"x" * size
    received = bytearray()
    reader = threading.Thread(target=lambda: [received.extend(piece) for piece in iter(lambda: far.recv(65_536), b"")])
    reader.start()
    with counted:
        Wire(counted, timeout=5.0).send(
            Request(method="PUT", origin=ORIGIN, target="/fhir/Patient/1", headers={"Accept": "x"}, body=body)
        )
    reader.join()
    far.close()
    head = b"PUT /fhir/Patient/1 HTTP/1.1\r\nHost: fake.invalid\r\nAccept: x\r\nContent-Length: %d\r\n\r\n" % size
    assert received == head + body
    assert size > room._TOGETHER or sent == [len(head) + size]


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/a b", {}),
        ("/a\r\nX: y", {}),
        ("/\x80", {}),
        ("", {}),
        ("/", {"X": "a\r\nY: b"}),
        ("/", {"X": "a\nb"}),
        ("/", {"X": "a\r\n b"}),
        ("/", {"X": "\0"}),
        ("/", {"X Y": "a"}),
        ("/", {"": "a"}),
        ("/", {"X:": "a"}),
        ("/", {"X": "\N{EURO SIGN}"}),
    ],
)
def test_nothing_is_sent_that_would_be_another_line(target: str, headers: dict[str, str]) -> None:
    """RULES S2: a value of the settings or a page's address is never a request of its own."""
    near, far = socket.socketpair()
    with near, far, pytest.raises(NotSendable):
        Wire(near, timeout=1.0).send(Request(method="GET", origin=ORIGIN, target=target, headers=headers))


def test_a_server_that_answers_before_it_has_heard_all_is_heard() -> None:
    """RULES C6: 413 comes while the body is still on its way."""
    near, far = socket.socketpair()
    far.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    far.close()
    wire = Wire(near, timeout=5.0)
    wire.send(Request(method="PUT", origin=ORIGIN, target="/", body=b"x" * 10_000_000))
    assert wire.head("PUT")[0] == 413
    wire.close()


names = st.sampled_from(["Content-Length", "Transfer-Encoding", "Connection", "ETag", "X-A"])
told = st.sampled_from(["0", "2", "5", "chunked", "close", "keep-alive", "x"])


@settings(max_examples=300, deadline=None)
@given(
    version=st.sampled_from([b"1.0", b"1.1"]),
    status=st.sampled_from([200, 204, 304, 404]),
    headers=st.lists(st.tuples(names, told), max_size=4),
    body=st.one_of(
        st.binary(max_size=12), st.sampled_from([b"5\r\nhello\r\n0\r\n\r\n", b"2\r\nhe\r\n0\r\n\r\nx", b"0\r\n\r\n"])
    ),
)
def test_what_is_believed_is_what_the_standard_library_reads(
    version: bytes, status: int, headers: list[tuple[str, str]], body: bytes
) -> None:
    """It may believe more, and looks for chunks where none may be (RFC 9112 6.1); else what is read here, it reads alike."""
    assume(status == 200 or status == 404 or all(name != "Transfer-Encoding" for name, _ in headers))
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers).encode()
    said = b"HTTP/%b %d X\r\n%b\r\n%b" % (version, status, fields, body)
    try:
        ours = read([said])
    except Lost:
        return
    near, far = socket.socketpair()
    with near, far:
        far.sendall(said)
        far.shutdown(socket.SHUT_WR)
        theirs = http.client.HTTPResponse(near, method="GET")
        theirs.begin()
        assert (ours[0], ours[2]) == (theirs.status, theirs.read())
        assert ours[1].get("etag") == theirs.getheader("ETag")
