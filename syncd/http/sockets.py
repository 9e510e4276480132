"""Sockets that heed the deadline of the thread that uses them, in the libraries' hands.

The standard library makes TLS sockets of the class that a context names (`SSLContext.sslsocket_class`), so that whoever
uses our context needs nothing more; a plain socket is taken over by `timed`.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from syncd.http import deadline


class _Timed(socket.socket):
    """Each wait takes its own timeout, or what is left, whichever is less."""

    def recv(self, *arguments: Any) -> bytes:
        with self._in_time():
            return super().recv(*arguments)

    def recv_into(self, *arguments: Any, **named: Any) -> int:
        with self._in_time():
            return super().recv_into(*arguments, **named)

    def send(self, *arguments: Any) -> int:
        with self._in_time():
            return super().send(*arguments)

    def sendall(self, *arguments: Any) -> None:
        with self._in_time():
            super().sendall(*arguments)

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        own = self.gettimeout()
        self.settimeout(deadline.left(own))
        try:
            yield
        finally:
            if self.fileno() != -1:
                self.settimeout(own)


class TimedSocket(_Timed):
    """A plain one."""


class TimedTlsSocket(_Timed, ssl.SSLSocket):
    """One with TLS."""


def timed(plain: socket.socket) -> socket.socket:
    """The same connection as a socket that heeds the deadline; `plain` is closed to others."""
    timeout = plain.gettimeout()
    taken = TimedSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
    taken.settimeout(timeout)
    return taken
