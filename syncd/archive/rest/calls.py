"""One HTTP call to Orthanc, and who must act when it fails.

Nothing of httpx leaves this module: each failure becomes `Transient` (wait), `Unreachable` (wait; say what to look at) or
`Unsuitable` (the operator must act, and we wait for it), and no message carries a word of the body (RULES S1).

Idle connections do not last: Orthanc closes them after one second, and a request sent at that moment is lost without
having been seen; every call made here only reads, so it is simply sent once more on a fresh connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from http.cookiejar import CookieJar
from typing import Any, TypeVar

import httpx
from pyorthanc import Orthanc

from syncd.archive.rest.answers import Malformed, objects
from syncd.archive.rest.connection import ArchiveConnection
from syncd.archive.rest.transport import BoundedTransport, TimedTransport
from syncd.errors import SyncdError, Transient, Unsuitable
from syncd.http import deadline, failures
from syncd.http.failures import Busy, ReplyUnreadable
from syncd.http.headers import CookieRules, Credentials, common_headers, retry_after
from syncd.http.replies import ReplyRefused, Unreadable, read_json

MAX_REPLY = 128 * 1024 * 1024
"""Bytes of one reply. 50,000 instances in one bulk answer of 1.10.1 are 37 MB; 1,000,000 study ids are 51 MB."""

KEEPALIVE = 0.9
"""Seconds an idle connection is kept: Orthanc (both versions) closes it after 1 s."""

CONNECTIONS = 16
"""Connections at a time: more than the workers of any sensible setting, fewer than Orthanc's 50 threads."""

OK, NOT_FOUND, DENIED, BUSY, UNREACHABLE, UNREADABLE, REFUSED = (
    "ok", "not-found", "denied", "busy", "unreachable", "unreadable", "refused",
)  # fmt: skip
"""How a call ended, for `on_call`."""

Noun = TypeVar("Noun")

_ASKING_FOR_PATIENCE = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)


class Door:
    """Requests below an archive's root, by pyorthanc's client: no redirects, no compression, and nothing of the environment
    (proxies, .netrc)."""

    def __init__(self, connection: ArchiveConnection, transport: httpx.BaseTransport, credentials: Credentials) -> None:
        def complete(request: httpx.Request) -> None:
            request.headers.update({**common_headers(), **credentials.headers()})

        self._root = connection.url.rstrip("/")
        self._orthanc: Any = Orthanc(
            self._root,
            return_raw_response=True,
            transport=transport,
            timeout=connection.timeout,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            trust_env=False,
            follow_redirects=False,
            event_hooks={"request": [complete]},
            cookies=CookieJar(policy=CookieRules()),
        )

    def get(self, path: str, *, params: Mapping[str, object] | None = None) -> httpx.Response:
        """`path` begins with a slash; it may bring a query of its own, which is sent as it is."""
        answered: httpx.Response = self._orthanc.get(self._root + path, params=params)
        return answered

    def post(self, path: str, *, json: object = None, content: bytes | None = None) -> httpx.Response:
        """`json` as a body, or `content` as it is."""
        answered: httpx.Response = self._orthanc.post(self._root + path, json=json, content=content)
        return answered

    def open(self, path: str) -> httpx.Response:
        """A GET whose body is not read yet."""
        opened: httpx.Response = self._orthanc.send(self._orthanc.build_request("GET", self._root + path), stream=True)
        return opened

    def close(self) -> None:
        self._orthanc.close()


Call = Callable[[Door], httpx.Response]
"""A request by the archive's door, for instance `lambda http: http.get("/system")`."""


class Calls:
    """The HTTP client of one archive. `ask` is safe to be called by several threads at once."""

    def __init__(
        self,
        connection: ArchiveConnection,
        *,
        transport: httpx.BaseTransport | None = None,
        on_call: Callable[[str], None] | None = None,
        max_reply: int = MAX_REPLY,
    ) -> None:
        self._at = connection
        self._credentials = connection.credentials()
        self._longest = connection.longest
        self._on_call = on_call or (lambda outcome: None)
        inner = transport or TimedTransport(tls=connection.tls(), connections=CONNECTIONS, keepalive=KEEPALIVE)
        self._door = Door(connection, BoundedTransport(inner, limit=max_reply), self._credentials)

    def ask(self, call: Call, read: Callable[[Any], Noun], *, what: str, absent: SyncdError | None = None) -> Noun:
        """What `read` makes of the JSON that `call` (given the archive's door) is answered. A 404 raises `absent` where it
        is expected.

        `what` names the route in messages, e.g. `GET /changes`.
        """
        response = self._send(call, what=what)
        self._judge(response, what=what, absent=absent)
        value = self._read(response, what=what)
        try:
            return read(value)
        except Malformed as error:
            raise self.not_orthanc(what) from error

    def find(
        self, level: str, asked: Mapping[str, Any], *, since: int, limit: int, read: Callable[[Mapping[str, Any]], Noun]
    ) -> list[Noun]:
        """`POST /tools/find`: a page of what fits."""
        body = {"Level": level, "Query": {}, "Short": True, "Since": since, "Limit": limit, **asked}
        return self.ask(
            lambda http: http.post("/tools/find", json=body),
            lambda value: [read(each) for each in objects(value)],
            what="POST /tools/find",
        )

    def bulk(
        self, ids: Sequence[str], *, level: str, metadata: bool, read: Callable[[Mapping[str, Any]], Noun]
    ) -> list[Noun]:
        """`POST /tools/bulk-content`: all of that level that belongs to these resources."""
        body = {"Resources": list(ids), "Level": level, "Metadata": metadata, "Short": True}
        return self.ask(
            lambda http: http.post("/tools/bulk-content", json=body),
            lambda value: [read(each) for each in objects(value)],
            what="POST /tools/bulk-content",
        )

    def text(self, path: str, *, what: str, absent: SyncdError) -> str:
        """The text of a GET that is answered without JSON; a 404 raises `absent`."""
        return self.content(path, what=what, absent=absent).decode("utf-8", errors="replace")

    def content(self, path: str, *, what: str, absent: SyncdError) -> bytes:
        """The bytes of a GET as they are; a 404 raises `absent`."""
        response = self._send(lambda http: http.get(path), what=what)
        self._judge(response, what=what, absent=absent)
        self._on_call(OK)
        return bytes(response.content)

    def stream(self, path: str, *, what: str) -> Iterator[bytes]:
        """The body of a GET as it arrives; what its reader does in between is held to no end of ours, nor does it count as
        the archive's time."""
        until = deadline.of_request(self._longest)

        response = self._send(lambda http: http.open(path), what=what)
        with closing(response):
            self._judge(response, what=what, absent=None)
            chunks = iter(response.iter_bytes())
            while True:
                with deadline.kept(until), self._translate_errors(what):
                    until.check()
                    chunk = next(chunks, None)
                if chunk is None:
                    break
                handed_over = deadline.now()
                yield chunk
                until = until.later(by=deadline.now() - handed_over)
        self._on_call(OK)

    def not_orthanc(self, what: str) -> Unsuitable:
        """An answer of another shape than Orthanc's."""
        hint = f"is {self._at.setting('URL')} the root of Orthanc's REST API?"
        return self._unsuitable(f"{what} is not answered as Orthanc does; {hint}")

    def close(self) -> None:
        self._door.close()

    def _send(self, call: Call, *, what: str) -> httpx.Response:
        """The response, whatever its status. Sent once more where it was lost, and where other credentials may help."""
        until = deadline.of_request(self._longest)
        with deadline.kept(until), self._translate_errors(what):
            until.check()
            try:
                response = call(self._door)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                response = call(self._door)
            if self._is_refused(response):
                self._on_call(DENIED)
                response.close()
                response = call(self._door)
                self._is_refused(response)
        return response

    def _is_refused(self, response: httpx.Response) -> bool:
        """Whether other credentials may help. What is raised leaves no answer that holds its connection."""
        try:
            return response.status_code == httpx.codes.UNAUTHORIZED and self._credentials.refused()
        except SyncdError:
            response.close()
            raise

    @contextmanager
    def _translate_errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except ReplyRefused as error:
            self._on_call(REFUSED)
            raise failures.refused(self._at, what, error) from error
        except (httpx.TimeoutException, TimeoutError) as error:
            self._on_call(UNREACHABLE)
            raise self._timeout_error(error, what=what) from error
        except httpx.TransportError as error:
            self._on_call(UNREACHABLE)
            raise self._transport_error(error, what=what) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            self._on_call(REFUSED)
            raise self._unsuitable(f"{what} cannot be asked ({type(error).__name__})") from error

    def _timeout_error(self, error: Exception, *, what: str) -> SyncdError:
        if isinstance(error, httpx.ConnectTimeout):
            return failures.no_connection(self._at, in_time=False)
        late = failures.too_late(self._at, what)
        # That all connections were taken says nothing about what was asked for.
        return Transient(str(late), server=self._at.server) if isinstance(error, httpx.PoolTimeout) else late

    def _transport_error(self, error: httpx.TransportError, *, what: str) -> SyncdError:
        tls = failures.tls_failure(self._at, error)
        if tls is not None:
            return tls
        if isinstance(error, httpx.UnsupportedProtocol):
            return self._unsuitable(f"{self._at.setting('URL')} must begin with http:// or https://")
        if isinstance(error, httpx.ConnectError):
            return failures.no_connection(self._at)
        return failures.broken(self._at, what)

    def _unsuitable(self, message: str) -> Unsuitable:
        return Unsuitable(f"{self._at.who}: {message}", server=self._at.server)

    def _judge(self, response: httpx.Response, *, what: str, absent: SyncdError | None) -> None:
        """Raise what the status says; return for 200."""
        status = response.status_code
        if status == httpx.codes.OK:
            return
        if status == httpx.codes.NOT_FOUND:
            self._on_call(NOT_FOUND)
            raise absent or self.not_orthanc(what)
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            self._on_call(DENIED)
            both = f"{self._at.setting('USERNAME')} and {self._at.setting('PASSWORD')}"
            if self._at.authorization is not None:
                both = f"{self._at.setting('AUTH__KIND')} and what it needs"
            raise self._unsuitable(f"refuses our credentials (HTTP {status}); set {both}")
        if status in (httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS) or status >= 500:
            self._on_call(BUSY)
            kind = Busy if status in _ASKING_FOR_PATIENCE else Transient
            pause = retry_after(response.headers.get("Retry-After", ""))
            raise kind(f"{self._at.who}: {what} is answered HTTP {status}", server=self._at.server, retry_after=pause)
        self._on_call(REFUSED)
        if 300 <= status < 400:
            raise Unsuitable(failures.redirected(self._at, status), server=self._at.server)
        raise self._unsuitable(f"{what} is answered HTTP {status}; does a proxy stand before Orthanc?")

    def _read(self, response: httpx.Response, *, what: str) -> Any:
        body = response.content
        if body.lstrip()[:1] == b"<":
            self._on_call(UNREADABLE)
            raise self._unsuitable(
                f"{what} is answered by a web page instead of JSON; "
                f"is {self._at.setting('URL')} Orthanc's REST API, without a login page before it?"
            )
        try:
            value = read_json(body, lenient=True)
        except Unreadable as error:
            self._on_call(UNREADABLE)
            raise ReplyUnreadable(f"{self._at.who}: the answer to {what} {error}", server=self._at.server) from error
        except ReplyRefused as error:
            self._on_call(REFUSED)
            raise failures.refused(self._at, what, error) from error
        self._on_call(OK)
        return value
