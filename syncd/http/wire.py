"""One exchange after the other on one connection, as the standard library's `http.client` speaks.

The difficulty is where an answer ends: who is wrong about it takes the rest of one answer for the next. `http.client`
makes something of nearly everything; what is not plain about an end is not believed here, and a connection is only used
again after an answer that ended where it said it would, with nothing behind it.

Each wait takes its timeout, or what the deadline of the thread leaves, whichever is less (RULES S2).
"""

from __future__ import annotations

import io
import re
import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import errors as mail
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse
from typing import TYPE_CHECKING, Any, cast

from syncd.http import deadline
from syncd.http.messages import Headers, Lost, NotSendable, Request

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_HEAD = 65_536
"""Bytes of an answer's status line and headers, eight times what servers send at most by default; and of what stands
between two pieces of its body."""

_PIECE = 65_536
"""Bytes taken in at a time: a larger buffer costs a call of the system's for its memory each time."""

_TOGETHER = 65_536
"""A body up to so many bytes leaves with its head, in one packet if it fits; a larger one is never copied."""

_TARGET = re.compile(r"[!-~]+")
_FIELD = re.compile(r"[!#-'*+.0-9A-Z^-z|~-]+: [^\r\n\0]*")
"""`http.client` would send folded lines, and names with a blank in them."""

_FOLD = re.compile(r"\r?\n[ \t]+")
"""A line that goes on in the next one (RFC 9112 5.2)."""
_STRAY = re.compile(rb"\0|\r(?!\n)")
"""Others end lines elsewhere than we do."""

_NO_HEADER = (
    mail.FirstHeaderLineIsContinuationDefect,
    mail.InvalidHeaderDefect,
    mail.MisplacedEnvelopeHeaderDefect,
    mail.MissingHeaderBodySeparatorDefect,
)
"""`email.parser` reads no headers after a line that is none."""

_ONE_ONE = 11
"""The version, in the words of `http.client`."""

_WITHOUT_BODY = frozenset({204, 304})
_INTERIM = 20
"""Interim answers (RFC 9110 15.2) before the one that counts."""


class Wire:
    """One connection, in the hands of one thread at a time."""

    __slots__ = ("_connection", "_keeps", "_lines", "_socket", "_timed", "since")

    def __init__(self, connected: socket.socket, *, timeout: float) -> None:
        self._socket = connected
        self._timed = _Timed(connected, timeout=timeout)
        self._lines = _Lines(self._timed)
        self._connection = _Connection(self._lines)
        self._keeps = False
        self.since = 0.0
        """When it was used last."""

    def send(self, request: Request) -> None:
        """The whole request. A server that will not have its body may answer and hang up before it has come: that the
        connection broke is found out by who reads the answer. Raises `NotSendable`, `Lost` and `TimeoutError`."""
        self._keeps = False
        head, body = self._connection.head(request), request.body
        with _translated_errors(), suppress(BrokenPipeError, ConnectionResetError):
            for part in (head + body,) if len(body) <= _TOGETHER else (head, body):
                self._timed.send(part)

    def head(self, method: str) -> tuple[int, Headers, Iterator[bytes]]:
        """Status, headers and what reads the body. Raises `Lost` and `TimeoutError`."""
        self._lines.left = MAX_HEAD
        with _translated_errors():
            response = self._connection.getresponse()
        headers = _headers(response)
        self._keeps = response.version == _ONE_ONE and not response.will_close
        if method == "HEAD" or response.status in _WITHOUT_BODY:
            response.close()
            return response.status, headers, iter(())
        coded, length = headers.get("transfer-encoding"), headers.get("content-length")
        if response.status == 101 or (coded is not None and not (response.chunked and coded.lower() == "chunked")):
            raise Lost("not as HTTP is spoken here")
        if length is not None:
            self._keeps = self._keeps and coded is None
            response.length = _length(length) if coded is None else None
        return response.status, headers, self._pieces(response)

    @property
    def is_reusable(self) -> bool:
        """After an answer that came to its end."""
        return self._keeps and self._lines.tell() == self._timed.tell()

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

    def _pieces(self, response: HTTPResponse) -> Iterator[bytes]:
        with _translated_errors():
            while piece := response.read1(_PIECE):
                yield piece
                self._lines.left = MAX_HEAD
        if response.length:
            raise Lost("broken off")
        response.close()


class _Timed(io.RawIOBase):
    """A socket each wait of which takes its timeout, or what is left. `tell` counts the bytes that came."""

    def __init__(self, connected: socket.socket, *, timeout: float) -> None:
        self._socket = connected
        self._timeout = timeout
        self._waits: float | None = None
        self._came = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._came

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._set_timeout()
        came = self._socket.recv_into(buffer)
        self._came += came
        return came

    def send(self, part: bytes) -> None:
        """All of it."""
        left = memoryview(part)
        while left:
            self._set_timeout()
            left = left[self._socket.send(left) :]

    def _set_timeout(self) -> None:
        waits = deadline.left(self._timeout)
        if waits != self._waits:
            self._socket.settimeout(waits)
            self._waits = waits


class _Lines(io.BufferedReader):
    """What `http.client` takes for a socket, and reads all answers of a connection from. Left to itself, it takes the end of
    the connection for that of a head, and a carriage return for that of a line, and reads trailers for ever."""

    left = MAX_HEAD
    """Bytes that the next lines may have."""

    def makefile(self, mode: str) -> _Lines:
        return self

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        self.left -= len(line)
        if not line.endswith(b"\n") or self.left < 0 or _STRAY.search(line):
            raise Lost("no plain line")
        return line

    def close(self) -> None:
        """What ends an answer ends nothing here: the next one is still to come, or the rest of this one."""


class _Response(HTTPResponse):
    """The answer that counts: `http.client` passes over 100 alone."""

    def begin(self) -> None:
        for _ in range(_INTERIM):
            super().begin()
            if self.status >= 200 or self.status == 101:
                return
            self.headers = cast(HTTPMessage, None)
        raise Lost("interim answers for ever")


class _Connection(HTTPConnection):
    """On a connection of ours, and never on another."""

    response_class = _Response
    auto_open = 0

    def __init__(self, lines: _Lines) -> None:
        super().__init__("")
        self.sock = lines
        self._head = b""

    def head(self, request: Request) -> bytes:
        """First line and headers. Raises `NotSendable` for what would be more than one line."""
        target, fields = request.target, request.headers.items()
        if not _TARGET.fullmatch(target) or not all(_FIELD.fullmatch(f"{name}: {value}") for name, value in fields):
            raise NotSendable
        try:
            self.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
            self.putheader("Host", request.origin.named)
            for name, value in fields:
                self.putheader(name, value)
        except UnicodeError as error:
            raise NotSendable from error
        if request.body or request.method != "GET":
            self.putheader("Content-Length", str(len(request.body)))
        self.endheaders()
        return self._head

    def send(self, data: Any) -> None:
        """What `endheaders` has put together: it would send a body by itself, so in another packet."""
        self._head = data


@contextmanager
def _translated_errors() -> Iterator[None]:
    """`email.parser` fails in ways of its own at some Content-Types. What `http.client` says quotes answers (RULES S1)."""
    try:
        yield
    except TimeoutError:
        raise
    except OSError as error:
        raise Lost from error
    except (HTTPException, ValueError, TypeError) as error:
        raise Lost(type(error).__name__) from None


def _headers(response: HTTPResponse) -> Headers:
    """All of them; after a line that is none there may be more."""
    if any(isinstance(defect, _NO_HEADER) for defect in response.headers.defects):
        raise Lost("no header")
    headers = Headers()
    for name, value in response.headers.items():
        headers.add(name.lower(), (_FOLD.sub(" ", value) if "\n" in value else value).strip())
    return headers


def _length(said: str) -> int:
    """Whoever says it several times must mean the same."""
    lengths = {each.strip() for each in said.split(",")}
    if len(lengths) != 1 or not (length := lengths.pop()).isascii() or not length.isdecimal() or len(length) > 15:
        raise Lost("no length")
    return int(length)
