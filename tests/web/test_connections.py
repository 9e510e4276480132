"""Whoever reaches the port cannot end the daemon's work with it: idle, slow and stopped clients (RULES S3)."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import requests

from syncd.web import connections
from syncd.web.app import create_app
from syncd.web.connections import LARGEST_NUMBER
from syncd.web.metrics import Metrics
from syncd.web.server import WebServer
from tests.servers import wait_until
from tests.web.facts import SetFacts, served

MANY = 3 * LARGEST_NUMBER


def _connect(url: str, *, kept: ExitStack) -> socket.socket:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return kept.enter_context(socket.create_connection((host, int(port)), timeout=10))


def _ended(one: socket.socket) -> bool:
    """Whether the other side has ended it; waits as long as the socket's timeout."""
    try:
        return one.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def test_idle_connections_are_no_more_than_a_hundred() -> None:
    """Each would be an open file of the daemon. The oldest go, and a health check gets through."""
    with served(SetFacts()) as url, ExitStack() as kept:
        idle = [_connect(url, kept=kept) for _ in range(MANY)]
        assert requests.get(f"{url}/livez", timeout=10).status_code == 200
        for one in idle[: MANY - LARGEST_NUMBER]:
            assert _ended(one)
        idle[-1].settimeout(0.01)
        assert not _ended(idle[-1]), "the newest is still listened to"


@pytest.mark.parametrize(
    "said",
    [b"", b"GET /livez HTT", b"POST /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999\r\n\r\nx"],
    ids=["nothing", "half a request", "an answered request that goes on"],
)
def test_a_request_must_come_in_time(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """uvicorn alone waits for it for ever, and for the rest of one that it has answered."""
    monkeypatch.setattr(connections, "PATIENCE", 0.2)
    with served(SetFacts()) as url, ExitStack() as kept:
        slow = _connect(url, kept=kept)
        slow.sendall(said)
        while not _ended(slow):
            pass  # what it answers before is of no interest


def test_bytes_one_by_one_do_not_prolong_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline is for the whole request."""
    monkeypatch.setattr(connections, "PATIENCE", 0.5)
    with served(SetFacts()) as url, ExitStack() as kept:
        slow = _connect(url, kept=kept)
        slow.settimeout(0.05)
        slow.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        sent = 0
        while not _ended(slow):
            slow.sendall(b"X-A: b\r\n")
            sent += 1
        assert sent > 2


@contextmanager
def _large_answers() -> Iterator[tuple[str, set[Any]]]:
    """Answers of 20 MB at `/readyz`; the URL, and the connections that are open."""
    facts = SetFacts(reasons=("x" * 1000,) * 20_000)
    server = WebServer(create_app(facts, Metrics(version="1"), token=str, allowed_hosts=("127.0.0.1",)), "127.0.0.1:0")
    server.start()
    assert server._server is not None
    try:
        yield server.url, server._server.server_state.connections
    finally:
        server.stop()


def _take_answer(one: socket.socket) -> None:
    """Read the one that comes to its end, after a moment in which it is not read."""
    one.recv(1, socket.MSG_PEEK)
    time.sleep(0.2)
    head, _, body = _read_until(one, b"\r\n\r\n").partition(b"\r\n\r\n")
    left = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]) - len(body)
    while left:
        left -= len(one.recv(min(left, 1 << 20)))


def _read_until(one: socket.socket, end: bytes) -> bytes:
    read = b""
    while end not in read:
        read += one.recv(1000)
    return read


def test_an_answer_must_be_taken_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped reader keeps what was made for it in memory: not for long."""
    monkeypatch.setattr(connections, "PATIENCE", 0.5)
    with _large_answers() as (url, open_ones), ExitStack() as kept:
        stopped = _connect(url, kept=kept)
        stopped.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert stopped.recv(1, socket.MSG_PEEK)
        wait_until(lambda: not open_ones, timeout=20, what="ended", every=0.05)


def test_who_took_a_large_answer_late_must_still_ask_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its buffer runs empty after the answer has ended: from then on the other side's turn must end as well, or a single
    byte, which stops uvicorn's own clock for idle connections, holds the connection for ever."""
    monkeypatch.setattr(connections, "PATIENCE", 1.0)
    with _large_answers() as (url, _), ExitStack() as kept:
        slow = _connect(url, kept=kept)
        slow.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        _take_answer(slow)
        slow.sendall(b"G")
        assert _ended(slow)


def test_another_request_is_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does not take an answer cannot stay by asking for the next one."""
    monkeypatch.setattr(connections, "PATIENCE", 1.0)
    with _large_answers() as (url, open_ones), ExitStack() as kept:
        stopped = _connect(url, kept=kept)
        stopped.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert stopped.recv(1, socket.MSG_PEEK)
        wait_until(lambda: all(one.cycle.response_complete for one in open_ones), timeout=5, what="answered", every=0.01)
        stopped.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        wait_until(lambda: not open_ones, timeout=5, what="ended", every=0.05)
