"""Connections that are kept between two requests, and those that are not; over real sockets."""

from __future__ import annotations

import gc
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from syncd.archive.rest.calls import CONNECTIONS, KEEPALIVE
from syncd.http import deadline
from syncd.http import pool as room
from syncd.http.client import Client
from syncd.http.messages import Answer, Lost, NoConnection, NotHttp, NotSendable, Origin, Request, Taken, place_of
from syncd.http.pool import Pool
from tests.http.rims import RIMS
from tests.http.sick import HEAD

OK = HEAD + b"Content-Length: 2\r\n\r\n{}"


@dataclass
class Keeping:
    """A server that keeps its connections. `answers` in turn, the last one for ever; None hangs up without a word."""

    answers: list[bytes | None]
    port: int = 0
    asked: list[tuple[int, bytes]] = field(default_factory=list)
    """The number of the connection, and what came on it."""
    connections: list[socket.socket] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    """A client ended a connection."""

    def serve(self, number: int, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            while asked := connection.recv(65_536):
                self.asked.append((number, asked))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer is None:
                    return
                connection.sendall(answer)
                if b"Connection: close" in answer:
                    return
            self.left.set()

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.asked]


@contextmanager
def keeping(*answers: bytes | None, family: int = socket.AF_INET) -> Iterator[Keeping]:
    server = Keeping(list(answers))
    host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    with socket.create_server((host, 0), family=socket.AddressFamily(family)) as listener:
        server.port = listener.getsockname()[1]

        def accept() -> None:
            with suppress(OSError):
                while True:
                    server.connections.append(listener.accept()[0])
                    number = len(server.connections)
                    threading.Thread(target=server.serve, args=(number, server.connections[-1]), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield server
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            for connection in server.connections:
                connection.close()


NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def pool(**options: Any) -> Pool:
    return Pool(NO_TLS, **{"timeout": 5.0, "most": 4, **options})


def request(port: int, *, method: str = "GET", host: str = "127.0.0.1") -> Request:
    return Request(method=method, origin=Origin("http", host, port), target="/x")


def whole(answer: Answer) -> bytes:
    return b"".join(answer.body)


def test_one_after_the_other_goes_by_one_connection() -> None:
    """A new one costs as much as the answer."""
    with keeping(OK) as server:
        used = pool()
        for _ in range(3):
            assert whole(used.send(request(server.port))) == b"{}"
        assert server.numbers == [1, 1, 1]
        used.close()


def test_those_of_several_threads_are_several() -> None:
    """Until an answer has been read to its end its connection is nobody else's."""
    with keeping(OK) as server:
        used = pool()
        first, second = used.send(request(server.port)), used.send(request(server.port))
        assert (whole(first), whole(second)) == (b"{}", b"{}")
        whole(used.send(request(server.port)))
        assert server.numbers == [1, 2, 2]  # the youngest
        used.close()


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        OK + b" ",
    ],
    ids=["told so", "1.0", "an answer more", "a blank more"],
)
def test_a_connection_is_not_kept_after(answer: bytes) -> None:
    """RFC 9112 9.6; what comes behind an answer would be the next one's."""
    with keeping(answer, OK) as server:
        used = pool()
        assert [whole(used.send(request(server.port))) for _ in range(2)] == [b"{}", b"{}"]
        assert server.numbers == [1, 2]
        used.close()


def test_what_comes_later_than_its_answer_is_found_before_the_next_request() -> None:
    """Nobody asked for it, so it answers nothing."""
    with keeping(OK) as server:
        used = pool()
        whole(used.send(request(server.port)))
        server.connections[0].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
        assert whole(used.send(request(server.port))) == b"{}"
        assert server.numbers == [1, 2]
        used.close()


def test_one_that_the_server_ended_meanwhile_is_not_used() -> None:
    """Orthanc ends idle connections after a second."""
    with keeping(OK) as server:
        used = pool()
        whole(used.send(request(server.port)))
        server.connections[0].shutdown(socket.SHUT_RDWR)
        assert whole(used.send(request(server.port))) == b"{}"
        assert server.numbers == [1, 2]
        used.close()


def test_one_that_may_be_ended_any_moment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A little before Orthanc's second."""
    now = [100.0]
    monkeypatch.setattr(deadline, "now", lambda: now[0])
    with keeping(OK) as server:
        used = pool(idle=KEEPALIVE)
        for _ in range(3):
            whole(used.send(request(server.port)))
            now[0] += 0.6
        now[0] += 0.6
        whole(used.send(request(server.port)))
        assert server.numbers == [1, 1, 1, 2]
        used.close()


def test_a_lost_request_is_asked_again_on_a_new_connection() -> None:
    """What hung up on one may have done so on its idle neighbours."""
    with keeping(OK, OK, None, OK) as server:
        used = pool()
        first, second = used.send(request(server.port)), used.send(request(server.port))
        whole(first), whole(second)
        with pytest.raises(Lost) as raised:
            used.send(request(server.port))
        assert not raised.value.begun
        assert whole(used.send(request(server.port))) == b"{}"
        assert server.numbers == [1, 2, 2, 3]
        used.close()


@pytest.mark.parametrize("rim", RIMS)
def test_who_reads_is_asked_once_more_and_the_fhir_server_is_not(rim: str) -> None:
    """RULES C5: every call to the archive only reads; of the FHIR server's the one who asked decides."""
    with keeping(None, OK) as server:
        ask = RIMS[rim](f"http://127.0.0.1:{server.port}")
        if rim == "archive":
            ask()
        else:
            with pytest.raises(Exception, match="cannot be reached"):
                ask()
        assert len(server.asked) == {"archive": 2, "fhir": 1}[rim]


def test_an_answer_that_nobody_reads_gives_its_place_back() -> None:
    """The connection itself ends: what is left of the answer would be the next one's."""
    with keeping(HEAD + b"Content-Length: 100\r\n\r\n{}", OK) as server:
        used = pool(most=1)
        used.send(request(server.port)).body.close()
        assert whole(used.send(request(server.port))) == b"{}"
        assert server.numbers == [1, 2]
        used.close()


def test_half_an_answer_is_lost_after_its_head() -> None:
    """The place is free, the connection is not used again."""
    with keeping(HEAD + b"Connection: close\r\nContent-Length: 100\r\n\r\n{}", OK) as server:
        used = pool(most=1)
        with pytest.raises(Lost) as raised:
            whole(used.send(request(server.port)))
        assert raised.value.begun
        assert whole(used.send(request(server.port))) == b"{}"
        used.close()


def test_no_more_connections_than_said() -> None:
    """A place is waited for, as long as for anything else."""
    with keeping(OK) as server:
        used = pool(most=1, timeout=0.05)
        held = used.send(request(server.port))
        with pytest.raises(Taken):
            used.send(request(server.port))
        whole(held)
        whole(used.send(request(server.port)))
        assert server.numbers == [1, 1]
        used.close()
    assert CONNECTIONS < 50  # Orthanc's threads


def test_a_failure_to_connect_takes_no_place() -> None:
    """Else a server that was away for a while could never be asked again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    used = pool(most=1, timeout=0.05)
    for _ in range(3):
        with pytest.raises(NoConnection) as raised:
            used.send(request(port))
        assert not raised.value.late


def test_a_request_waits_for_no_acknowledgement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nagle's algorithm keeps a last, small packet back until the one before it is acknowledged, which takes 40 ms."""
    made: list[socket.socket] = []
    connect = socket.create_connection

    def connected(*where: object, **how: object) -> socket.socket:
        made.append(connect(*where, **how))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(room.socket, "create_connection", connected)
    with keeping(OK) as server:
        used = pool()
        whole(used.send(request(server.port)))
        assert made[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        used.close()


def test_ipv6() -> None:
    """RFC 3986 3.2.2: in brackets, in the address as in `Host`."""
    with keeping(OK, family=socket.AF_INET6) as server:
        ask = RIMS["fhir"](f"http://[::1]:{server.port}")
        assert ask().status == 200
    assert f"\r\nHost: [::1]:{server.port}\r\n".encode() in server.asked[0][1]


def test_a_client_that_is_forgotten_leaves_no_connection() -> None:
    """Warnings are errors here: a socket that is left open is one."""
    with keeping(OK) as server:
        client = Client(None, tls=NO_TLS, timeout=5.0, limit=100)
        client.send("GET", f"http://127.0.0.1:{server.port}", headers={}).read()
        del client
        gc.collect()
        assert server.left.wait(5.0)


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("http://host", Origin("http", "host", 80), ""),
        ("https://HOST/fhir", Origin("https", "host", 443), "/fhir"),
        ("http://host:8080/a b/\u00e4?x=1|2#part", Origin("http", "host", 8080), "/a%20b/%C3%A4?x=1%7C2"),
        ("http://user:secret@host/o", Origin("http", "host", 80), "/o"),
        ("http://[::1]:1/", Origin("http", "::1", 1), "/"),
    ],
)
def test_an_address_is_host_port_and_path(url: str, origin: Origin, target: str) -> None:
    """RFC 3986; what is escaped already stays, and no user name leaves by an address."""
    assert place_of(url) == (origin, target)


@pytest.mark.parametrize("url", ["http://[", "http://host:x", "http://host:99999", "http:///x", "", "http://"])
def test_what_is_no_address_cannot_be_asked(url: str) -> None:
    """A server may send us anywhere."""
    with pytest.raises(NotSendable):
        place_of(url)


def test_another_scheme_is_told_as_that() -> None:
    with pytest.raises(NotHttp):
        place_of("ftp://host/x")


@pytest.mark.parametrize(
    ("origin", "named"),
    [
        (Origin("http", "host", 80), "host"),
        (Origin("http", "host", 443), "host:443"),
        (Origin("https", "host", 443), "host"),
        (Origin("https", "::1", 8443), "[::1]:8443"),
        (Origin("http", "b\u00fccher.example", 80), "xn--bcher-kva.example"),
    ],
)
def test_a_host_is_named_as_the_web_does(origin: Origin, named: str) -> None:
    """RFC 9110 7.2."""
    assert origin.named == named
