"""A recording proxy before a real server: what was really sent is counted here, and the network's faults are made here.

A server's own history cannot tell how often it was asked (HAPI answers an equal PUT with the old version), so claims such
as "an unchanged study costs no write" are counted at this place. The difficulty is the moment: an exchange is recorded
before its answer goes back, so whoever got the answer finds it recorded. The client's Host header is passed on, so the
absolute links in HAPI's answers lead through the proxy again.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from tests.gateway import Gateway

UPSTREAM_TIMEOUT = 120.0
HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"})
"""Headers that concern one connection only (RFC 9110 7.6.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the client sent. `path` includes the query."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""

    @property
    def json(self) -> Any:
        """The body as JSON, or None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and what the server answered; status 0 where no server answered."""

    method: str
    path: str
    status: int
    size: int
    """Bytes of the request's body."""
    json: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The proxy answers itself; the server never sees the request."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection is closed without an answer, and the server never sees the request."""


@dataclass(frozen=True, slots=True)
class LoseReply:
    """The server does its work, and the connection is closed before a byte of the answer goes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutReply:
    """The server does its work, and its answer breaks off after so many bytes of the body."""

    after: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The request waits until the event is set (at most `longest` seconds), then goes on; `reached` is set meanwhile."""

    until: threading.Event
    reached: threading.Event = field(default_factory=threading.Event)
    longest: float = 60.0


Fault = Answer | Drop | LoseReply | CutReply | Hold
Rule = Callable[[Request], Fault | None]


class RecordingProxy:
    """Stands on a loopback port of its own before `target` (`http://host:port`, a path in it is ignored)."""

    def __init__(self, target: str, *, gateway: Gateway | None = None) -> None:
        self.target = target
        self.gateway = gateway
        self._changed = threading.Condition()
        self._exchanges: list[Exchange] = []
        self._rules: list[Rule] = []
        self._connections: set[socket.socket] = set()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def before(self, address: str) -> str:
        """`address` (a URL of the target) as it is reached through this proxy."""
        parts = urlsplit(address)
        return self.url + parts.path + (f"?{parts.query}" if parts.query else "")

    def start(self) -> RecordingProxy:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.cut_connections()
        self._thread.join()

    def cut_connections(self) -> None:
        """Close every connection that clients keep open, as a restarted load balancer does."""
        with self._changed:
            connections = tuple(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def add_rule(self, rule: Rule) -> Rule:
        """The first rule that names a fault decides; added ones come before older ones."""
        with self._changed:
            self._rules.insert(0, rule)
        return rule

    def fail(self, fault: Fault, *, method: str = "", path: str = "", times: int | None = None) -> Rule:
        """`fault` for requests of this method whose path has a match of the pattern `path`; `times` None means always."""
        left = [times]

        def rule(request: Request) -> Fault | None:
            if not _matches(request, method=method, path=path) or left[0] == 0:
                return None
            left[0] = None if left[0] is None else left[0] - 1
            return fault

        return self.add_rule(rule)

    def remove_rule(self, rule: Rule) -> None:
        with self._changed, contextlib.suppress(ValueError):
            self._rules.remove(rule)

    def heal(self) -> None:
        """No more faults."""
        with self._changed:
            self._rules.clear()

    def exchanges(self, *, method: str = "", path: str = "") -> tuple[Exchange, ...]:
        """Those recorded so far, in order; `method` may be several joined by `|`, `path` is a pattern to be found."""
        with self._changed:
            return tuple(one for one in self._exchanges if _matches(one, method=method, path=path))

    def count(self, *, method: str = "", path: str = "") -> int:
        return len(self.exchanges(method=method, path=path))

    def writes(self) -> tuple[Exchange, ...]:
        """Every request that may change something. A search by `POST …/_search` is none."""
        return tuple(one for one in self.exchanges(method="PUT|POST|PATCH|DELETE") if "/_search" not in one.path)

    def forget(self) -> None:
        """Count from here on."""
        with self._changed:
            self._exchanges.clear()

    def wait_for(self, enough: Callable[[tuple[Exchange, ...]], bool], *, timeout: float = 60.0) -> tuple[Exchange, ...]:
        """Wait until what is recorded is `enough`, and return it. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: enough(tuple(self._exchanges)), timeout):
                raise TimeoutError(f"not within {timeout} s; recorded: {len(self._exchanges)} exchanges")
            return tuple(self._exchanges)

    def _fault_for(self, request: Request) -> Fault | None:
        with self._changed:
            return next((fault for rule in self._rules if (fault := rule(request)) is not None), None)

    def _record(self, request: Request, *, status: int) -> None:
        with self._changed:
            self._exchanges.append(
                Exchange(
                    method=request.method,
                    path=request.path,
                    status=status,
                    size=len(request.body),
                    json=request.json if request.body else None,
                    headers=request.headers,
                )
            )
            self._changed.notify_all()

    def __enter__(self) -> RecordingProxy:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def _matches(one: Request | Exchange, *, method: str, path: str) -> bool:
    return (not method or one.method in method.split("|")) and re.search(path, one.path) is not None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: RecordingProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is one of the things this proxy is for: nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.proxy._connections.add(self.connection)

    def finish(self) -> None:
        self.server.proxy._connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """What happened is in the record."""

    def __getattr__(self, name: str) -> Any:
        """http.server calls `do_<METHOD>`: every method is served alike."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        proxy, request = self.server.proxy, self._request()
        fault = proxy._fault_for(request)
        if isinstance(fault, Hold):
            fault.reached.set()
            fault.until.wait(fault.longest)
            fault = None
        if isinstance(fault, Answer):
            proxy._record(request, status=fault.status)
            return self._reply(fault.status, headers=fault.headers, body=fault.body)
        if isinstance(fault, Drop):
            proxy._record(request, status=0)
            return self._hang_up()
        return self._forward(request, fault=fault)

    def _forward(self, request: Request, *, fault: Fault | None) -> None:
        proxy = self.server.proxy
        target = urlsplit(proxy.target)
        upstream = http.client.HTTPConnection(target.hostname or "", target.port or 80, timeout=UPSTREAM_TIMEOUT)
        headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}
        gateway, path = proxy.gateway, request.path
        if gateway is not None:
            inside = gateway.inward(path)
            if inside is None:
                proxy._record(request, status=404)
                return self._reply(404, headers={}, body=b"")
            path = inside
            if not gateway.keeps_host:
                headers["host"] = target.netloc
        try:
            upstream.request(request.method, path, body=request.body or None, headers=headers)
            answer = upstream.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            proxy._record(request, status=0)
            return self._hang_up()
        finally:
            upstream.close()
        proxy._record(request, status=answer.status)
        if isinstance(fault, LoseReply):
            return self._hang_up()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP}
        if gateway is not None:
            kept = gateway.outward(kept)
        return self._reply(answer.status, headers=kept, body=body, cut=fault.after if isinstance(fault, CutReply) else None)

    def _request(self) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        body = self._chunks() if chunked else self.rfile.read(int(headers.get("content-length", 0)))
        return Request(method=self.command, path=self.path, headers=headers, body=body)

    def _chunks(self) -> bytes:
        """A chunked body (RFC 9112 7.1), put together; trailers are dropped."""
        body = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(body)

    def _reply(self, status: int, *, headers: Mapping[str, str], body: bytes, cut: int | None = None) -> None:
        self.send_response_only(status)
        has_length = any(name.lower() == "content-length" for name in headers)
        for name, value in headers.items():
            self.send_header(name, value)
        if not has_length and status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
