"""One client for all servers: the archives, the FHIR server, and who gives tokens for them.

Nothing of the environment counts (proxies, .netrc), no redirect is followed, and answers are bounded while they come in
(RULES S2). Who asks, how often, and what is made of an answer is the caller's business.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from syncd.http import deadline
from syncd.http.messages import Answer, Headers, Request, Transport, place_of, sendable
from syncd.http.pool import Pool
from syncd.http.replies import bounded

if TYPE_CHECKING:
    from syncd.http.cookies import Cookies

MOST = 128
"""Connections of one client at a time: twice the workers that settings allow."""


class Response:
    """An answer, its body read by `read`, or piece by piece. Whoever does not read it to its end closes it."""

    __slots__ = ("_answer", "_pieces", "body", "headers", "status")

    def __init__(self, answer: Answer, *, limit: int, packed: bool) -> None:
        self._answer = answer
        self.status: int = answer.status
        self.headers: Headers = answer.headers
        self.body: bytes | bytearray = b""
        self._pieces = bounded(answer.body, limit=limit, coding=answer.headers.get("content-encoding", ""), packed=packed)

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes, unpacked. Raises what `Transport.send` does, `ReplyRefused` and `Unreadable`."""
        try:
            for piece in self._pieces:
                deadline.left(0.0)
                yield piece
        finally:
            self.close()

    def read(self) -> Response:
        """Take in the whole body, whose bytes exist once."""
        whole = bytearray()
        for piece in self.pieces():
            whole += piece
        self.body = whole
        return self

    def close(self) -> None:
        self._answer.body.close()


class Client:
    """For one server; from any thread. `limit` bytes of an answer are taken in, `packed` ones too if that is said."""

    def __init__(
        self,
        transport: Transport | None,
        *,
        tls: ssl.SSLContext,
        timeout: float,
        limit: int,
        packed: bool = False,
        most: int = MOST,
        idle: float = math.inf,
    ) -> None:
        self.transport: Transport = transport or Pool(tls, timeout=timeout, most=most, idle=idle)
        self._limit = limit
        self._packed = packed
        self._coding = "gzip" if packed else "identity"
        self._cookies: Cookies | None = None

    def send(self, method: str, base: str, below: str = "", *, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """Send it once. Raises what `Transport.send` does; the same while the answer is read."""
        request = self.request(method, base, below, headers=headers, body=body)
        return self.response(request, self.transport.send(request))

    def request(self, method: str, base: str, below: str = "", *, headers: Mapping[str, str], body: bytes = b"") -> Request:
        """One to what lies `below` a base address, for `transport`. Raises `NotSendable`."""
        origin, path = place_of(base)
        target = path + sendable(below)
        sent = {**headers, "Accept-Encoding": self._coding}
        request = Request(method, origin, target if target[:1] == "/" else f"/{target}", sent, body)
        if self._cookies is not None and (cookie := self._cookies.header(request.url)):
            sent["Cookie"] = cookie
        return request

    def response(self, request: Request, answer: Answer) -> Response:
        """What `transport` was answered."""
        if answer.headers.cookies:
            self._keep_cookies(request.url, answer.headers)
        return Response(answer, limit=self._limit, packed=self._packed)

    def close(self) -> None:
        """End all connections that nobody uses."""
        self.transport.close()

    def _keep_cookies(self, url: str, headers: Headers) -> None:
        """The module is imported by who is given one; few are."""
        from syncd.http.cookies import Cookies

        if self._cookies is None:
            self._cookies = Cookies()
        self._cookies.keep(url, headers)
