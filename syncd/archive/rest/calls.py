"""One HTTP call to Orthanc, and who must act when it fails.

Nothing of httpx leaves this module: each failure becomes `Transient` (wait), `Unreachable` (wait; say what to look at) or
`Unsuitable` (the operator must act, and we wait for it), and no message carries a word of the body (RULES S1).

Idle connections do not last: Orthanc closes them after one second, and a request sent at that moment is lost without
having been seen; every call made here only reads, so it is simply sent once more on a fresh connection.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from pyorthanc import Orthanc

from syncd.archive.rest.bounds import (
    MAX_REPLY,
    SLOWEST_REPLY,
    BoundedTransport,
    ReplyRefused,
    ReplyTooLong,
    ReplyTooSlow,
    too_deep,
)
from syncd.archive.rest.connection import ArchiveConnection
from syncd.errors import SyncdError, Transient, Unreachable, Unsuitable
from syncd.model.correlation import correlation_id

KEEPALIVE = 0.9
"""Seconds an idle connection is kept: Orthanc (both versions) closes it after 1 s."""

CONNECTIONS = 16
"""Connections at a time: more than the workers of any sensible setting, fewer than Orthanc's 50 threads."""

OK, NOT_FOUND, DENIED, BUSY, UNREACHABLE, UNREADABLE, REFUSED = (
    "ok", "not-found", "denied", "busy", "unreachable", "unreadable", "refused",
)  # fmt: skip
"""How a call ended, for `on_call`."""

_ASKING_FOR_PATIENCE = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)


class ReplyTooLarge(Unsuitable):
    """An archive's reply is larger than syncd accepts."""


class ReplyTooLate(Transient):
    """An archive's reply did not come in time."""


class Busy(Transient):
    """An archive, or the proxy before it, asks for patience: that says nothing about what was asked for."""


class ReplyUnreadable(Transient):
    """An archive's reply is no JSON, or nested deeper than syncd follows."""


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
        self._connection = connection
        self._who = f"archive {connection.name} ({connection.address})"
        self._on_call = on_call or (lambda outcome: None)
        inner = transport or httpx.HTTPTransport(
            verify=connection.tls(),
            limits=httpx.Limits(max_connections=CONNECTIONS, keepalive_expiry=KEEPALIVE),
        )
        self._orthanc = _client(connection, BoundedTransport(inner, limit=max_reply, seconds=self._longest))

    @property
    def _longest(self) -> float:
        return self._connection.timeout * SLOWEST_REPLY

    def ask(self, call: Callable[[Any], Any], *, what: str, absent: SyncdError | None = None) -> Any:
        """The JSON that `call` (given the pyorthanc client) is answered. A 404 raises `absent` where it is expected.

        `what` names the route in messages, e.g. `GET /changes`.
        """
        with self._translate_errors(what):
            try:
                response = call(self._orthanc)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                response = call(self._orthanc)
        self._judge(response, what=what, absent=absent)
        return self._read(response, what=what)

    def text(self, path: str, *, what: str, absent: SyncdError) -> str:
        """The text of a GET that is answered without JSON; a 404 raises `absent`."""
        return self.content(path, what=what, absent=absent).decode("utf-8", errors="replace")

    def content(self, path: str, *, what: str, absent: SyncdError) -> bytes:
        """The bytes of a GET as they are; a 404 raises `absent`."""
        with self._translate_errors(what):
            try:
                response = self._orthanc.get(self._orthanc.url + path)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                response = self._orthanc.get(self._orthanc.url + path)
        self._judge(response, what=what, absent=absent)
        self._on_call(OK)
        return bytes(response.content)

    def stream(self, path: str, *, what: str) -> Iterator[bytes]:
        """The body of a GET as it arrives."""
        with self._translate_errors(what), self._orthanc.stream("GET", self._orthanc.url + path) as response:
            if response.status_code != httpx.codes.OK:
                self._judge(response, what=what, absent=None)
            yield from response.iter_bytes()
        self._on_call(OK)

    def not_orthanc(self, what: str) -> Unsuitable:
        """An answer of another shape than Orthanc's."""
        hint = f"is {self._connection.setting('URL')} the root of Orthanc's REST API?"
        return self._unsuitable(f"{self._who}: {what} is not answered as Orthanc does; {hint}")

    def close(self) -> None:
        self._orthanc.close()

    @contextmanager
    def _translate_errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except ReplyRefused as error:
            self._on_call(REFUSED)
            raise self._refusal_error(error, what=what) from error
        except httpx.TimeoutException as error:
            self._on_call(UNREACHABLE)
            if isinstance(error, httpx.ConnectTimeout):
                raise self._unreachable("no connection within the timeout") from error
            message = f"{self._who}: no answer to {what} within {self._connection.timeout:g} s"
            kind = Transient if isinstance(error, httpx.PoolTimeout) else ReplyTooLate
            raise kind(message, server=self._connection.name) from error
        except httpx.TransportError as error:
            self._on_call(UNREACHABLE)
            raise self._transport_error(error, what=what) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            self._on_call(REFUSED)
            raise self._unsuitable(f"{self._who}: {what} cannot be asked ({type(error).__name__})") from error

    def _transport_error(self, error: httpx.TransportError, *, what: str) -> SyncdError:
        tls = _tls_error(error)
        if isinstance(tls, ssl.SSLCertVerificationError):
            hint = f"set {self._connection.setting('CA_FILE')} to the authority that signed it"
            return self._unreachable(f"its certificate is refused ({tls.verify_message}); {hint}")
        if tls is not None:
            return self._unreachable("no TLS connection; does the address speak https, and want a client certificate?")
        if isinstance(error, httpx.UnsupportedProtocol):
            return self._unsuitable(f"{self._connection.setting('URL')}: must begin with http:// or https://")
        if isinstance(error, httpx.ConnectError):
            return self._unreachable(f"no connection; is Orthanc running, and {self._connection.setting('URL')} right?")
        return Transient(f"{self._who}: the connection broke during {what}", server=self._connection.name)

    def _unsuitable(self, message: str) -> Unsuitable:
        return Unsuitable(message, server=self._connection.name)

    def _unreachable(self, why: str) -> Unreachable:
        return Unreachable(f"{self._who}: {why}", server=self._connection.name)

    def _refusal_error(self, error: ReplyRefused, *, what: str) -> SyncdError:
        message = f"{self._who}: {what} {error}"
        if isinstance(error, ReplyTooLong):
            return ReplyTooLarge(message, server=self._connection.name)
        if isinstance(error, ReplyTooSlow):
            return ReplyTooLate(message, server=self._connection.name)
        return self._unsuitable(message)

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
            both = f"{self._connection.setting('USERNAME')} and {self._connection.setting('PASSWORD')}"
            raise self._unsuitable(f"{self._who}: refuses our credentials (HTTP {status}); set {both}")
        if status in (httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS) or status >= 500:
            self._on_call(BUSY)
            kind = Busy if status in _ASKING_FOR_PATIENCE else Transient
            raise kind(
                f"{self._who}: {what} is answered HTTP {status}",
                server=self._connection.name,
                retry_after=_retry_after(response.headers.get("Retry-After", "")),
            )
        self._on_call(REFUSED)
        if 300 <= status < 400:
            raise self._unsuitable(
                f"{self._who}: redirects to another address (HTTP {status}), which is not followed; "
                f"set {self._connection.setting('URL')} to the final one"
            )
        raise self._unsuitable(f"{self._who}: {what} is answered HTTP {status}; does a proxy stand before Orthanc?")

    def _read(self, response: httpx.Response, *, what: str) -> Any:
        body = response.content
        if body.lstrip()[:1] == b"<":
            self._on_call(UNREADABLE)
            raise self._unsuitable(
                f"{self._who}: {what} is answered by a web page instead of JSON; "
                f"is {self._connection.setting('URL')} Orthanc's REST API, without a login page before it?"
            )
        try:
            value = json.loads(body.decode("utf-8", errors="replace"))
        except (ValueError, RecursionError) as error:
            self._on_call(UNREADABLE)
            message = f"{self._who}: the answer to {what} cannot be read as JSON"
            raise ReplyUnreadable(message, server=self._connection.name) from error
        if too_deep(value):
            self._on_call(UNREADABLE)
            message = f"{self._who}: the answer to {what} is nested too deep"
            raise ReplyUnreadable(message, server=self._connection.name)
        self._on_call(OK)
        return value


def _client(connection: ArchiveConnection, transport: httpx.BaseTransport) -> Any:
    """pyorthanc's client: no redirects, no compression, and nothing from the environment (proxies, .netrc)."""
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "syncd"}
    if connection.token:
        headers["Authorization"] = f"Bearer {connection.token}"
    return Orthanc(
        connection.url.rstrip("/"),
        connection.username or None,
        connection.password or None,
        return_raw_response=True,
        transport=transport,
        timeout=connection.timeout,
        headers=headers,
        trust_env=False,
        follow_redirects=False,
        event_hooks={"request": [_correlate]},
    )


def _correlate(request: httpx.Request) -> None:
    if correlation_id.get():
        request.headers["X-Correlation-ID"] = correlation_id.get()


def _tls_error(error: BaseException) -> ssl.SSLError | None:
    """The TLS failure at the bottom of httpx's and httpcore's exceptions, if it was one."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


def _retry_after(text: str) -> float | None:
    """RFC 9110 10.2.3: seconds, or a date."""
    if text.strip().isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
