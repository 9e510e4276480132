"""Connections to servers, kept for a while between two requests, for all threads of one client."""

from __future__ import annotations

import math
import socket
import ssl
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator

from syncd.http import deadline
from syncd.http.messages import Answer, Lost, NoConnection, NotSendable, Origin, Request, Taken
from syncd.http.wire import Wire


class Pool:
    """`most` connections at a time, each kept for `idle` seconds after its last answer. `timeout` is in seconds, for
    connecting and for each pause."""

    def __init__(self, tls: ssl.SSLContext, *, timeout: float, most: int, idle: float = math.inf) -> None:
        self._tls = tls
        self._timeout = timeout
        self._idle_for = idle
        self._free = threading.BoundedSemaphore(most)
        self._guard = threading.Lock()
        self._idle: dict[Origin, deque[Wire]] = {}
        weakref.finalize(self, _end_all, self._idle)

    def send(self, request: Request) -> Answer:
        """`Transport.send`."""
        if not self._free.acquire(timeout=deadline.left(self._timeout)):
            raise Taken
        try:
            wire = self._take(request.origin) or self._connect(request.origin)
        except BaseException:
            self._free.release()
            raise
        try:
            wire.send(request)
            status, headers, pieces = wire.head(request.method)
        except BaseException as error:
            if isinstance(error, Lost):
                self._forget(request.origin)
            self._drop(wire)
            raise
        return Answer(
            status=status, headers=headers, body=_Body(pieces, lambda whole: self._end(request.origin, wire, whole))
        )

    def close(self) -> None:
        """End all connections that nobody uses."""
        with self._guard:
            _end_all(self._idle)

    def _take(self, origin: Origin) -> Wire | None:
        """One that still holds: the one used last, for it is the youngest."""
        with self._guard:
            idle = self._idle.get(origin)
            expired = deadline.now() - self._idle_for
            while idle and idle[0].since < expired:
                idle.popleft().close()
            while idle:
                wire = idle.pop()
                if not wire.is_dead:
                    return wire
                wire.close()
        return None

    def _connect(self, origin: Origin) -> Wire:
        waits = deadline.left(self._timeout)
        plain = None
        try:
            plain = socket.create_connection((origin.host, origin.port), waits)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin.scheme != "https":
                return Wire(plain, timeout=self._timeout)
            plain.settimeout(deadline.left(self._timeout))
            return Wire(self._tls.wrap_socket(plain, server_hostname=origin.host.rstrip(".")), timeout=self._timeout)
        except BaseException as error:
            if plain is not None:
                plain.close()
            if isinstance(error, deadline.OutOfTime) or not isinstance(error, OSError | ValueError):
                raise
            if not isinstance(error, OSError) and not isinstance(error, ssl.CertificateError):
                raise NotSendable from error
            raise NoConnection(late=isinstance(error, TimeoutError)) from error

    def _end(self, origin: Origin, wire: Wire, whole: bool) -> None:
        if not whole or not wire.is_reusable:
            self._drop(wire)
            return
        wire.since = deadline.now()
        with self._guard:
            self._idle.setdefault(origin, deque()).append(wire)
        self._free.release()

    def _drop(self, wire: Wire) -> None:
        wire.close()
        self._free.release()

    def _forget(self, origin: Origin) -> None:
        """Where one was lost, its idle neighbours may be as well: who asks again shall have a new one."""
        with self._guard:
            _end_all({origin: self._idle.pop(origin, deque())})


def _end_all(idle: dict[Origin, deque[Wire]]) -> None:
    while idle:
        for wire in idle.popitem()[1]:
            wire.close()


class _Body:
    """The body of an answer, which gives its connection back."""

    __slots__ = ("_end", "_pieces")

    def __init__(self, pieces: Iterator[bytes], end: Callable[[bool], None]) -> None:
        self._pieces = pieces
        self._end: Callable[[bool], None] | None = end

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            piece = next(self._pieces, None)
        except BaseException as error:
            if isinstance(error, Lost):
                error.begun = True
            self.close()
            raise
        if piece is None:
            self._finish(whole=True)
            raise StopIteration
        return piece

    def close(self) -> None:
        """End the connection where the body did not end yet."""
        self._finish(whole=False)

    def _finish(self, *, whole: bool) -> None:
        end, self._end = self._end, None
        if end is not None:
            end(whole)
