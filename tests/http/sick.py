"""A server on a real socket that sends what a test wants, in the pieces and at the pace that it wants."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

Pieces = Callable[[], Iterable[bytes]]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\n"


def at_once(answer: bytes) -> Pieces:
    """The whole answer."""
    return lambda: [answer]


def dripping(answer: bytes, *, pause: float) -> Pieces:
    """A byte now and then, and at last one for ever."""

    def pieces() -> Iterator[bytes]:
        for at in range(10**9):
            yield answer[at : at + 1] or b" "
            time.sleep(pause)

    return pieces


@contextmanager
def answering(pieces: Pieces, *, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Answer every connection, as long as the context lasts; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(plain: socket.socket) -> None:
            with suppress(OSError), tls.wrap_socket(plain, server_side=True) if tls else plain as connection:
                connection.recv(65_536)
                for piece in pieces():
                    connection.sendall(piece)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
