"""One HTTP call to Orthanc, and who must act when it fails.

What goes wrong on the way ends in this module: each failure becomes `Transient` (wait), `Unreachable` (wait; say what to
look at) or `Unsuitable` (the operator must act, and we wait for it), and no message carries a word of the body (RULES S1).

Idle connections do not last: Orthanc closes them after one second, and a request sent at that moment is lost without
having been seen; every call made here only reads, so it is simply sent once more on a fresh connection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode

from syncd.archive.rest.answers import Malformed, an_object
from syncd.archive.rest.connection import ArchiveConnection
from syncd.errors import SyncdError, Transient, Unsuitable
from syncd.http import deadline, failures
from syncd.http.client import Client, Response
from syncd.http.failures import Busy, ReplyUnreadable
from syncd.http.headers import common_headers, retry_after
from syncd.http.messages import Lost, NoConnection, NotHttp, NotSendable, Taken, Transport
from syncd.http.replies import ReplyRefused, Unreadable, read_each, read_json

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

_ASKING_FOR_PATIENCE = (429, 503)
_PAGE = re.compile(rb"\s*<")


class Door:
    """Requests below an archive's root."""

    def __init__(self, connection: ArchiveConnection, *, transport: Transport | None, limit: int) -> None:
        self._root = connection.url.rstrip("/")
        self._credentials = connection.credentials()
        self._client = Client(
            transport, tls=connection.tls(), timeout=connection.timeout, limit=limit, most=CONNECTIONS, idle=KEEPALIVE
        )

    def get(self, path: str, *, params: Mapping[str, object] | None = None) -> Response:
        """`path` begins with a slash; it may bring a query of its own, which is sent as it is."""
        return self._send("GET", f"{path}?{urlencode(params)}" if params else path).read()

    def post(self, path: str, *, json: object = None, content: bytes | None = None) -> Response:
        """`json` as a body, or `content` as it is."""
        if content is not None:
            return self._send("POST", path, body=content).read()
        return self._send("POST", path, body=_WRITTEN.encode(json).encode(), kind="application/json").read()

    def open(self, path: str) -> Response:
        """A GET whose body is not read yet."""
        return self._send("GET", path)

    def close(self) -> None:
        self._client.close()

    def _send(self, method: str, path: str, *, body: bytes = b"", kind: str = "") -> Response:
        typed = {"Content-Type": kind} if kind else {}
        headers = {**common_headers(), "Accept": "application/json", **typed, **self._credentials.headers()}
        return self._client.send(method, self._root, path, headers=headers, body=body)


Call = Callable[[Door], Response]
"""A request by the archive's door, for instance `lambda http: http.get("/system")`."""

_WRITTEN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Calls:
    """The HTTP client of one archive. `ask` is safe to be called by several threads at once."""

    def __init__(
        self,
        connection: ArchiveConnection,
        *,
        transport: Transport | None = None,
        on_call: Callable[[str], None] | None = None,
        max_reply: int = MAX_REPLY,
    ) -> None:
        self._at = connection
        self._credentials = connection.credentials()
        self._longest = connection.longest
        self._on_call = on_call or (lambda outcome: None)
        self._door = Door(connection, transport=transport, limit=max_reply)

    def ask(self, call: Call, read: Callable[[Any], Noun], *, what: str, absent: SyncdError | None = None) -> Noun:
        """What `read` makes of the JSON that `call` (given the archive's door) is answered. A 404 raises `absent` where it
        is expected.

        `what` names the route in messages, e.g. `GET /changes`.
        """
        response = self._send(call, what=what)
        self._judge(response, what=what, absent=absent)
        value = self._read(response, partial(read_json, lenient=True), what=what)
        try:
            return read(value)
        except Malformed as error:
            raise self.not_orthanc(what) from error

    def _ask_each(self, call: Call, read: Callable[[Mapping[str, Any]], Noun], *, what: str) -> list[Noun]:
        """The same of a list's objects, one after the other."""
        response = self._send(call, what=what)
        self._judge(response, what=what, absent=None)
        try:
            found = self._read(response, lambda body: read_each(body, lambda each: read(an_object(each))), what=what)
        except Malformed as error:
            self._on_call(OK)
            raise self.not_orthanc(what) from error
        if found is None:
            raise self.not_orthanc(what)
        return found

    def find(
        self, level: str, asked: Mapping[str, Any], *, since: int, limit: int, read: Callable[[Mapping[str, Any]], Noun]
    ) -> list[Noun]:
        """`POST /tools/find`: a page of what fits."""
        body = {"Level": level, "Query": {}, "Short": True, "Since": since, "Limit": limit, **asked}
        return self._ask_each(lambda http: http.post("/tools/find", json=body), read, what="POST /tools/find")

    def bulk(
        self, ids: Sequence[str], *, level: str, metadata: bool, read: Callable[[Mapping[str, Any]], Noun]
    ) -> list[Noun]:
        """`POST /tools/bulk-content`: all of that level that belongs to these resources."""
        body = {"Resources": list(ids), "Level": level, "Metadata": metadata, "Short": True}
        what = "POST /tools/bulk-content"
        return self._ask_each(lambda http: http.post("/tools/bulk-content", json=body), read, what=what)

    def text(self, path: str, *, what: str, absent: SyncdError) -> str:
        """The text of a GET that is answered without JSON; a 404 raises `absent`."""
        return self.content(path, what=what, absent=absent).decode("utf-8", errors="replace")

    def content(self, path: str, *, what: str, absent: SyncdError) -> bytes:
        """The bytes of a GET as they are; a 404 raises `absent`."""
        response = self._send(lambda http: http.get(path), what=what)
        self._judge(response, what=what, absent=absent)
        self._on_call(OK)
        return bytes(response.body)

    def stream(self, path: str, *, what: str) -> Iterator[bytes]:
        """The body of a GET as it arrives; what its reader does in between is held to no end of ours, nor does it count as
        the archive's time."""
        until = deadline.of_request(self._longest)

        response = self._send(lambda http: http.open(path), what=what)
        with closing(response):
            self._judge(response, what=what, absent=None)
            chunks = response.pieces()
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

    def _send(self, call: Call, *, what: str) -> Response:
        """The response, whatever its status. Sent once more where it was lost, and where other credentials may help."""
        until = deadline.of_request(self._longest)
        with deadline.kept(until), self._translate_errors(what):
            until.check()
            try:
                response = call(self._door)
            except Lost:
                response = call(self._door)
            if self._is_refused(response):
                self._on_call(DENIED)
                response.close()
                response = call(self._door)
                self._is_refused(response)
        return response

    def _is_refused(self, response: Response) -> bool:
        """Whether other credentials may help. What is raised leaves no answer that holds its connection."""
        try:
            return response.status == 401 and self._credentials.refused()
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
        except TimeoutError as error:
            self._on_call(UNREACHABLE)
            late = failures.too_late(self._at, what)
            # That all connections were taken says nothing about what was asked for.
            raise Transient(str(late), server=self._at.server) if isinstance(error, Taken) else late from error
        except (NoConnection, Lost, NotHttp) as error:
            self._on_call(UNREACHABLE)
            raise self._no_answer(error, what=what) from error
        except NotSendable as error:
            self._on_call(REFUSED)
            raise self._unsuitable(f"{what} cannot be asked ({type(error).__name__})") from error

    def _no_answer(self, error: Exception, *, what: str) -> SyncdError:
        if isinstance(error, NotHttp):
            return self._unsuitable(f"{self._at.setting('URL')} must begin with http:// or https://")
        tls = failures.tls_failure(self._at, error)
        if tls is not None:
            return tls
        if isinstance(error, NoConnection):
            return failures.no_connection(self._at, in_time=not error.late)
        return failures.broken(self._at, what)

    def _unsuitable(self, message: str) -> Unsuitable:
        return Unsuitable(f"{self._at.who}: {message}", server=self._at.server)

    def _judge(self, response: Response, *, what: str, absent: SyncdError | None) -> None:
        """Raise what the status says; return for 200."""
        status = response.status
        if status == 200:
            return
        if status == 404:
            self._on_call(NOT_FOUND)
            raise absent or self.not_orthanc(what)
        if status in (401, 403):
            self._on_call(DENIED)
            both = f"{self._at.setting('USERNAME')} and {self._at.setting('PASSWORD')}"
            if self._at.authorization is not None:
                both = f"{self._at.setting('AUTH__KIND')} and what it needs"
            raise self._unsuitable(f"refuses our credentials (HTTP {status}); set {both}")
        if status in (408, 429) or status >= 500:
            self._on_call(BUSY)
            kind = Busy if status in _ASKING_FOR_PATIENCE else Transient
            pause = retry_after(response.headers.get("Retry-After", ""))
            raise kind(f"{self._at.who}: {what} is answered HTTP {status}", server=self._at.server, retry_after=pause)
        self._on_call(REFUSED)
        if 300 <= status < 400:
            raise Unsuitable(failures.redirected(self._at, status), server=self._at.server)
        raise self._unsuitable(f"{what} is answered HTTP {status}; does a proxy stand before Orthanc?")

    def _read(self, response: Response, read: Callable[[bytes | bytearray], Noun], *, what: str) -> Noun:
        body = response.body
        if _PAGE.match(body):
            self._on_call(UNREADABLE)
            raise self._unsuitable(
                f"{what} is answered by a web page instead of JSON; "
                f"is {self._at.setting('URL')} Orthanc's REST API, without a login page before it?"
            )
        try:
            value = read(body)
        except Unreadable as error:
            self._on_call(UNREADABLE)
            raise ReplyUnreadable(f"{self._at.who}: the answer to {what} {error}", server=self._at.server) from error
        except ReplyRefused as error:
            self._on_call(REFUSED)
            raise failures.refused(self._at, what, error) from error
        self._on_call(OK)
        return value
