"""HTTP/1.1 on one connection: a request goes out, its answer comes in (RFC 9112).

The libraries read the head of an answer as if it was a mail, which costs several times what the whole exchange does here
(docs/decisions/http-client.md). The difficulty is where an answer ends: who is wrong about it takes the rest of one
answer for the next. So what is not plain about that is not believed, and a connection is only used again after an answer
that ended where it said it would, with nothing behind it.

Each wait takes its timeout, or what the deadline of the thread leaves, whichever is less (RULES S2).
"""

from __future__ import annotations

import re
import select
import socket
import ssl
from collections.abc import Iterator

from syncd.http import deadline
from syncd.http.messages import Headers, Lost, NotSendable, Request

MAX_HEAD = 65_536
"""Bytes of an answer's status line and headers: eight times what servers send at most by default."""

MAX_LINE = 4096
"""Bytes of a line between two chunks, and how many lines may stand behind the last one."""

_PIECE = 65_536
"""Bytes taken in at a time: a larger buffer costs a call of the system's for its memory each time."""

_TOGETHER = 65_536
"""A body up to so many bytes leaves with its head, in one packet if it fits; a larger one is never copied."""

_FIELDS = re.compile(r"(?:[!#-'*+.0-9A-Z^-z|~-]+: [^\r\n\0]*\r\n)*")
_TARGET = re.compile(r"[A-Z]+ [!-~]+")
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: .*)?")
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
"""A line that goes on in the next one (RFC 9112 5.2)."""
_STRAY = re.compile(rb"\0|\r(?!\n)")
_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?")
_WITHOUT_BODY = frozenset({204, 304})
_INTERIM = 20
"""Interim answers (RFC 9110 15.2) before the one that counts."""


class Wire:
    """One connection, in the hands of one thread at a time."""

    __slots__ = ("_at", "_buffer", "_keeps", "_socket", "_timeout", "_waits", "since")

    def __init__(self, connected: socket.socket, *, timeout: float) -> None:
        self._socket = connected
        self._timeout = timeout
        self._waits: float | None = None
        self._buffer = b""
        self._at = 0
        self._keeps = False
        self.since = 0.0
        """When it was used last."""

    def send(self, request: Request) -> None:
        """The whole request. A server that will not have its body may answer and hang up before it has come: that the
        connection broke is found out by who reads the answer."""
        head = _head(request)
        body = request.body
        parts = (head + body,) if len(body) <= _TOGETHER else (head, body)
        self._keeps = False
        try:
            for part in parts:
                self._send(part)
        except (BrokenPipeError, ConnectionResetError):
            return
        except TimeoutError:
            raise
        except OSError as error:
            raise Lost from error

    def _send(self, part: bytes) -> None:
        left = memoryview(part)
        while left:
            self._set_timeout()
            left = left[self._socket.send(left) :]

    def head(self, method: str) -> tuple[int, Headers, Iterator[bytes]]:
        """Status, headers and what reads the body. Raises `Lost`."""
        for _ in range(_INTERIM):
            first, *lines = _FOLD.sub(b" ", self._head()).splitlines()
            found = _STATUS.fullmatch(first)
            if not found:
                raise Lost("no HTTP")
            status = int(found[2])
            if status < 200 and status != 101:
                continue
            headers = _fields(lines)
            self._keeps = found[1] == b"1" and "close" not in headers.get("connection", "").lower()
            return status, headers, self._body(status, headers, bodiless=method == "HEAD" or status in _WITHOUT_BODY)
        raise Lost("interim answers for ever")

    @property
    def is_reusable(self) -> bool:
        """After an answer that came to its end."""
        return self._keeps and self._at == len(self._buffer)

    @property
    def is_dead(self) -> bool:
        """Whether the other side ended it, or said what nobody asked for."""
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        return bool(waiting.poll(0))

    def close(self) -> None:
        self._socket.close()

    def _set_timeout(self) -> None:
        waits = deadline.left(self._timeout)
        if waits != self._waits:
            self._socket.settimeout(waits)
            self._waits = waits

    def _receive(self) -> bytes:
        """What came next; empty at the end of the connection."""
        self._set_timeout()
        try:
            return self._socket.recv(_PIECE)
        except TimeoutError:
            raise
        except OSError as error:
            raise Lost from error

    def _head(self) -> bytes:
        """The lines before the empty one."""
        said = self._buffer[self._at :]
        seen = 0
        while not (end := _END_OF_HEAD.search(said, seen)):
            seen = max(0, len(said) - 2)
            piece = self._receive()
            if not piece or seen > MAX_HEAD:
                raise Lost("no whole head")
            said += piece
        self._buffer, self._at = said, end.end()
        if _STRAY.search(said, 0, end.start() + 1):
            raise Lost("no plain head")
        return said[: end.start() + 1]

    def _body(self, status: int, headers: Headers, *, bodiless: bool) -> Iterator[bytes]:
        """RFC 9112 6.3, and its advice not to believe who says it twice."""
        coded, length = headers.get("transfer-encoding"), headers.get("content-length")
        if bodiless:
            return iter(())
        if status == 101 or (coded is not None and coded.strip().lower() != "chunked"):
            raise Lost("not as HTTP is spoken here")
        if coded is not None:
            self._keeps = self._keeps and length is None
            return self._chunked()
        if length is None:
            self._keeps = False
            return iter(lambda: self._take(_PIECE), b"")
        return self._sized(_length(length))

    def _sized(self, left: int) -> Iterator[bytes]:
        while left:
            piece = self._take(left)
            if not piece:
                raise Lost("broken off")
            left -= len(piece)
            yield piece

    def _chunked(self) -> Iterator[bytes]:
        while size := self._size():
            yield from self._sized(size)
            if self._line():
                raise Lost("chunks out of step")
        for _ in range(MAX_LINE):
            if not self._line():
                return
        raise Lost("trailers for ever")

    def _take(self, most: int) -> bytes:
        """The next bytes, `most` at most."""
        if self._at == len(self._buffer):
            self._buffer, self._at = self._receive(), 0
        begin, self._at = self._at, min(self._at + most, len(self._buffer))
        return self._buffer[begin : self._at]

    def _size(self) -> int:
        found = _SIZE.fullmatch(self._line())
        if not found:
            raise Lost("no chunk")
        return int(found[1], 16)

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            begun = self._buffer[self._at :]
            piece = self._receive()
            if not piece or len(begun) > MAX_LINE:
                raise Lost("broken off")
            self._buffer, self._at = begun + piece, 0
        begin, self._at = self._at, end + 1
        return self._buffer[begin:end].removesuffix(b"\r")


def _head(request: Request) -> bytes:
    """First line and headers. Raises `NotSendable` for what would be more than one line."""
    first, body = f"{request.method} {request.target}", request.body
    fields = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
    if not _TARGET.fullmatch(first) or not _FIELDS.fullmatch(fields) or fields.count("\n") != len(request.headers):
        raise NotSendable
    sized = f"Content-Length: {len(body)}\r\n" if body or request.method != "GET" else ""
    try:
        return f"{first} HTTP/1.1\r\nHost: {request.origin.named}\r\n{fields}{sized}\r\n".encode("latin-1")
    except UnicodeError as error:
        raise NotSendable from error


def _fields(lines: list[bytes]) -> Headers:
    """Those of these lines."""
    headers = Headers()
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        name = name.strip().lower()
        if not colon or not name:
            raise Lost("no header")
        headers.add(name, value.strip())
    return headers


def _length(said: str) -> int:
    """Whoever says it several times must mean the same."""
    lengths = {each.strip() for each in said.split(",")}
    if len(lengths) != 1 or not (length := lengths.pop()).isascii() or not length.isdecimal() or len(length) > 15:
        raise Lost("no length")
    return int(length)
