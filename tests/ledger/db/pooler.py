"""A proxy that pools transactions, as PgBouncer does: each transaction goes to whatever session is free.

Small enough to read: it signs in by itself, answers a client's start-up with "welcome", then carries whole exchanges
until the server says that it is idle again (PostgreSQL's message flow, chapter 55).
"""

from __future__ import annotations

import contextlib
import queue
import socket
import struct
import threading
from collections.abc import Iterator

import psycopg

_SSL, _GSS = 80877103, 80877104


@contextlib.contextmanager
def pooling(address: str, *, sessions: queue.Queue[socket.socket], size: int) -> Iterator[int]:
    """The port of a proxy with `size` sessions, handed out in the order of `sessions` (last in first out, or in turn)."""
    signed_in = [psycopg.connect(address, autocommit=True) for _ in range(size)]
    for connection in signed_in:
        sessions.put(socket.socket(fileno=_duplicate(connection)))
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(listener, sessions), daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        # Whoever waits in accept() is woken by this, and not by close().
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in signed_in:
            connection.close()
        while not sessions.empty():
            sessions.get().close()


def _duplicate(connection: psycopg.Connection[object]) -> int:
    with socket.socket(fileno=connection.pgconn.socket) as own:
        copy = own.dup()
        own.detach()
    copy.setblocking(True)
    return copy.detach()


def _accept(listener: socket.socket, sessions: queue.Queue[socket.socket]) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(client, sessions), daemon=True).start()


def _serve(client: socket.socket, sessions: queue.Queue[socket.socket]) -> None:
    with client, contextlib.suppress(OSError, EOFError):
        _welcome(client)
        while True:
            session, idle = None, False
            while not idle:
                asked = _message(client)
                if asked[:1] == b"X":
                    return
                session = session or sessions.get()
                session.sendall(asked)
                if asked[:1] in (b"Q", b"S"):
                    idle = _answered(session, client)
            sessions.put(session)


def _welcome(client: socket.socket) -> None:
    while struct.unpack("!I", _exactly(client, struct.unpack("!I", _exactly(client, 4))[0] - 4)[:4])[0] in (_SSL, _GSS):
        client.sendall(b"N")
    told = {"server_version": "15.0", "client_encoding": "UTF8", "standard_conforming_strings": "on", "DateStyle": "ISO"}
    words = [(b"S", f"{name}\0{value}\0".encode()) for name, value in told.items()]
    for kind, body in [(b"R", struct.pack("!I", 0)), *words, (b"K", struct.pack("!II", 1, 1)), (b"Z", b"I")]:
        client.sendall(kind + struct.pack("!I", len(body) + 4) + body)


def _answered(session: socket.socket, client: socket.socket) -> bool:
    """Carry the server's answer over; returns whether no transaction is open after it."""
    while True:
        said = _message(session)
        client.sendall(said)
        if said[:1] == b"Z":
            return said[5:] == b"I"


def _message(source: socket.socket) -> bytes:
    head = _exactly(source, 5)
    return head + _exactly(source, struct.unpack("!I", head[1:])[0] - 4)


def _exactly(source: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        part = source.recv(size - len(read))
        if not part:
            raise EOFError
        read += part
    return read
