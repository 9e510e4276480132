"""One entry for every fake server, and three doors to it: a loopback port, a transport of ours, a requests adapter.

A fake is a state machine: `handle(method, path, query, headers, body)` takes a request and returns a `Response`, with no
socket in between, so that a property test can make thousands of steps a second. The difficulty is failure: a reply that
is lost after the server did what was asked cannot be told by a return value, so rules may raise `ReplyLost`, which each
door turns into what its own library raises in that case.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from syncd.http.messages import Answer, Headers, Lost, NoConnection
from syncd.http.messages import Request as Sent


class ConnectionRefused(Exception):
    """Nothing listens: the request was never seen."""


class ReplyLost(Exception):
    """The server did what was asked, and the connection broke before the reply (RULES C5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as a server sees it; header names in lower case, the first value of each query parameter."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    raw_query: str = ""
    """The query as it came, for servers that do not unescape it."""

    @property
    def json(self) -> Any:
        """The body as JSON; `ValueError` if it is not."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    raw_query: str = ""
    """The query as it came, for servers that do not unescape it."""

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


Rule = Callable[[Request], Response | None]
"""What shall happen to a request: None lets it through; a Response answers instead of the server; it may raise."""


def json_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`value` as Orthanc sends JSON."""
    sent = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    return Response(status=status, headers=sent, body=json.dumps(value).encode())


def basic(username: str, password: str) -> str:
    """The Authorization header of RFC 7617."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


class Clock:
    """Time that moves only when told to, in seconds since 1970."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self.now = start

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class FakeServer:
    """What every fake shares: a lock, a log of requests, rules, an expected Authorization header, an outage."""

    mount = ""

    def __init__(self, *, clock: Callable[[], float], authorization: str = "") -> None:
        self.clock = clock
        self.authorization = authorization
        self.url = "http://fake.invalid" + self.mount
        self.requests: list[Request] = []
        self.rules: list[Rule] = []
        self.away = False
        self._lock = threading.RLock()

    def handle(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        raw_query: str = "",
    ) -> Response:
        """Answer one request. Raises `ConnectionRefused` or `ReplyLost` where no answer comes."""
        if self.away:
            raise ConnectionRefused
        lowered = {name.lower(): value for name, value in (headers or {}).items()}
        asked = dict(query or {})
        request = Request(method=method, path=path, query=asked, headers=lowered, body=body, raw_query=raw_query)
        with self._lock:
            self.requests.append(request)
            for rule in tuple(self.rules):
                scripted = rule(request)
                if scripted is not None:
                    return scripted
            if self.authorization and lowered.get("authorization") != self.authorization:
                return self.unauthorized()
            return self.answer(request)

    def answer(self, request: Request) -> Response:
        """The server's own answer; each fake has its own."""
        return Response(status=404)

    def unauthorized(self) -> Response:
        return Response(status=401, headers={"WWW-Authenticate": 'Basic realm="fake"'})

    def lose_reply_of(self, matches: Callable[[Request], bool], *, times: int = 1) -> None:
        """The next `times` requests that match are carried out, and their replies lost."""
        left = [times]

        def lose(request: Request) -> Response | None:
            if left[0] > 0 and matches(request):
                left[0] -= 1
                self.answer(request)
                raise ReplyLost
            return None

        self.rules.append(lose)

    def answer_instead(self, matches: Callable[[Request], bool], response: Response, *, times: int = 1) -> None:
        """The next `times` requests that match get `response`, and nothing is done."""
        left = [times]

        def replace(request: Request) -> Response | None:
            if left[0] > 0 and matches(request):
                left[0] -= 1
                return response
            return None

        self.rules.append(replace)


def handle_url(server: FakeServer, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
    """`handle` for a whole URL."""
    parts = urlsplit(url)
    query: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        query.setdefault(name, value)
    return server.handle(method, parts.path or "/", query, headers, body, raw_query=parts.query)


@contextmanager
def listening(server: FakeServer) -> Iterator[str]:
    """Serve the fake on a free loopback port while the context lasts; yields (and sets) its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body leave in one packet: otherwise each answer waits 40 ms for a delayed acknowledgement.
        wbufsize = 65536

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                answer = handle_url(server, self.command, self.path, dict(self.headers.items()), body)
            except (ConnectionRefused, ReplyLost):
                self.close_connection = True
                return
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        def log_message(self, *_: Any) -> None:
            """A test's output is its own."""

    for verb in ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"):
        setattr(Handler, f"do_{verb}", Handler.serve)
    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    before = server.url
    server.url = f"http://127.0.0.1:{listener.server_address[1]}{server.mount}"
    try:
        yield server.url
    finally:
        server.url = before
        listener.shutdown()
        listener.server_close()
        thread.join()


class Pieces:
    """The body of an answer, in memory."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        """Nothing is held."""


class FakeTransport:
    """The fake as our own client sees a server (`syncd.http.messages.Transport`)."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server

    def send(self, request: Sent) -> Answer:
        try:
            answer = handle_url(self._server, request.method, request.url, request.headers, request.body)
        except ConnectionRefused as error:
            raise NoConnection from error
        except ReplyLost as error:
            raise Lost from error
        return Answer(status=answer.status, headers=Headers(answer.headers.items()), body=Pieces([answer.body]))

    def close(self) -> None:
        """There is no connection."""


class RequestsAdapter(BaseAdapter):
    """The fake as the tests' own requests see a server: `session.mount(url, RequestsAdapter(server))`."""

    def __init__(self, server: FakeServer) -> None:
        super().__init__()
        self._server = server
        self._door = requests.adapters.HTTPAdapter()

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        body = request.body.encode() if isinstance(request.body, str) else bytes(request.body or b"")
        try:
            answer = handle_url(self._server, str(request.method), str(request.url), dict(request.headers), body)
        except (ConnectionRefused, ReplyLost) as error:
            raise requests.exceptions.ConnectionError(type(error).__name__, request=request) from error
        raw = HTTPResponse(
            body=BytesIO(answer.body), headers=dict(answer.headers), status=answer.status, preload_content=False
        )
        return self._door.build_response(request, raw)

    def close(self) -> None:
        self._door.close()
