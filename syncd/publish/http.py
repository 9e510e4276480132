"""One HTTP exchange with the FHIR server; what can go wrong on the way ends here.

Every reply is bounded, redirects are never followed, and what a connection raises does not leave this module. A lost reply
proves nothing: a write that timed out may have happened, which callers learn from `Transient` and the committed intent,
never from guessing (RULES C5).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from syncd.errors import Transient
from syncd.http import deadline, failures
from syncd.http.client import Client, Response
from syncd.http.connection import Connection
from syncd.http.flow import FIRST, Flow
from syncd.http.headers import Credentials, Fixed, basic, bearer, common_headers, moment, retry_after
from syncd.http.messages import Lost, NoConnection, NotSendable, Transport
from syncd.http.replies import ReplyRefused, Unreadable, read_json

LARGEST_REPLY = 64 * 1024 * 1024
"""Bytes: a 50,000-instance ImagingStudy in R5 has about 8 MB; anything far above is no answer to us (RULES S2)."""

_JSON = "application/fhir+json"
_JSON_DSTU2 = "application/json+fhir"
ANY_VERSION = f"{_JSON}, {_JSON_DSTU2};q=0.9"
"""What is accepted from a server whose version is not known yet."""

_FORM = "application/x-www-form-urlencoded"
_WRITTEN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

_REFERENCE = {"reference": str}
_SHAPE: dict[str, Any] = {
    "resourceType": str,
    "id": str,
    "meta": {"versionId": str, "lastUpdated": str, "tag": [{}]},
    "identifier": [{}],
    "subject": _REFERENCE,
    "patient": _REFERENCE,
    "endpoint": [_REFERENCE],
    "basedOn": [_REFERENCE],
    "replaces": [_REFERENCE],
    "extension": [{}],
    "series": [{"uid": str, "endpoint": [_REFERENCE], "instance": [{}], "extension": [{}]}],
    "link": [{"relation": str, "url": str, "other": _REFERENCE}],
    "issue": [{"details": {}}],
    "software": {},
    "rest": [{"resource": [{"type": str}]}],
}
"""Where all versions of FHIR have an object, a list of objects or a text, as far as it is read here: whoever answers
otherwise is no FHIR server, whatever it says."""

_SHAPE["entry"] = [{"fullUrl": str, "resource": _SHAPE, "search": {}}]
_SHAPE_OF_BUNDLE = {name: shape for name, shape in _SHAPE.items() if name != "identifier"}
"""A Bundle may have one identifier, not a list of them."""


def media_type(fhir_version: str) -> str:
    """FHIR's JSON as a server of this version (`4.0.1`) calls it: DSTU2 had the words the other way round (MAPPING M)."""
    return _JSON_DSTU2 if fhir_version.startswith("1.0") else _JSON


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FhirConnection(Connection):
    """Where the FHIR server is and how to speak to it."""

    auth_kind: str = "none"
    concurrency: int = FIRST
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 60.0

    @property
    def server(self) -> str:
        return "fhir"

    @property
    def name_told(self) -> str:
        return "The FHIR server"

    @property
    def software(self) -> str:
        return "it"

    def setting(self, word: str) -> str:
        return f"SYNCD_FHIR__{word}"

    def credentials(self) -> Credentials:
        if self.authorization is not None:
            return self.authorization
        if self.auth_kind == "basic":
            return basic(self.username, self.password)
        return bearer(self.token) if self.auth_kind == "bearer" else Fixed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer. `body` is the JSON object, or None where there is none or it is not JSON; `fault` says why JSON that
    came is none to us."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any] | None
    fault: str = ""

    @property
    def outcome(self) -> Mapping[str, Any] | None:
        """The OperationOutcome, if that is what the server answered."""
        if self.body is not None and self.body.get("resourceType") == "OperationOutcome":
            return self.body
        return None

    @property
    def date(self) -> float | None:
        """When the server says that it answered (RFC 9110 6.6.1), in seconds since the epoch."""
        return moment(self.headers.get("Date", ""))

    @property
    def retry_after(self) -> float | None:
        """Seconds for which the server asks to be left alone."""
        return retry_after(self.headers.get("Retry-After", ""))


class FhirHttp:
    """Requests to one FHIR base URL; safe to use from several threads.

    `media_type` is set once the server's version is known. Raises `ConfigurationError` for files of the settings that
    cannot be used.
    """

    def __init__(
        self,
        connection: FhirConnection,
        *,
        on_call: Callable[[str], None] | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.base_url = connection.url.rstrip("/")
        self.connection = connection
        self._credentials = connection.credentials()
        self._longest = connection.longest
        self._on_call = on_call or (lambda outcome: None)
        self.media_type = _JSON
        self.flow = Flow(connection.concurrency)
        self._client = Client(transport, tls=connection.tls(), timeout=connection.timeout, limit=LARGEST_REPLY, packed=True)
        self.before_write: Callable[[], None] = lambda: None
        """Asked immediately before every request that may change the server; what it raises, nothing is sent (RULES E4)."""

    def exchange(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, str] | None = None,
        resource: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request below the base URL. Raises `Unreachable`, `Transient` or `Unsuitable`."""
        writes = method != "GET" and not path.endswith("/_search")
        sent = {**common_headers(), **self.connection.headers, "Accept": self.media_type, **(headers or {})}
        body = b""
        if resource is not None:
            body, sent["Content-Type"] = _WRITTEN.encode(resource).encode(), self.media_type
        elif form is not None:
            body, sent["Content-Type"] = urlencode(form).encode(), _FORM
        what = f"{method} {path.partition('/')[0].partition('?')[0]}"
        below = path if path[:1] in ("", "?") else f"/{path}"
        for once_more in (True, False):
            with self._told(what), self.flow.turn(what) as turn:
                sent |= self._credentials.headers()
                if writes:
                    self.before_write()
                until = deadline.of_request(self._longest)
                with deadline.kept(until), self._told(what):
                    until.check()
                    request = self._client.request(method, self.base_url, below, headers=sent, body=body)
                    reply = _reply(self._client.response(request, self._client.transport.send(request)))
                turn.note_answer(reply.status)
            self._on_call(f"{reply.status // 100}xx")
            if reply.status != 401 or not (self._credentials.refused() and once_more):
                break
        return reply

    def _told(self, what: str) -> AbstractContextManager[None]:
        return errors_told(self.connection, what, on_call=self._on_call)


def json_of(response: Response) -> Any:
    """The JSON of an answer, read to its end; None where it is none by its type, or empty. Raises `Unreadable` and
    `ReplyRefused`."""
    body = response.read().body
    return read_json(body) if body and "json" in response.headers.get("Content-Type", "") else None


def _reply(response: Response) -> Reply:
    """The answer, read to its end."""
    status, headers = response.status, response.headers
    try:
        parsed = json_of(response)
    except Unreadable as error:
        return Reply(status=status, headers=headers, body=None, fault=str(error))
    if not isinstance(parsed, dict):
        return Reply(status=status, headers=headers, body=None)
    shape = _SHAPE_OF_BUNDLE if parsed.get("resourceType") == "Bundle" else _SHAPE
    fault = "" if _fits(parsed, shape) else "has not the form of FHIR"
    return Reply(status=status, headers=headers, body=None if fault else parsed, fault=fault)


def _fits(value: Any, shape: Any) -> bool:
    if shape is str:
        return isinstance(value, str)
    if isinstance(shape, list):
        (inner,) = shape
        if not isinstance(value, list):
            return False
        return all(_fits(each, inner) for each in value) if inner else set(map(type, value)) <= {dict}
    return isinstance(value, dict) and all(_fits(inner, shape[name]) for name, inner in value.items() if name in shape)


@contextmanager
def errors_told(at: Connection, what: str, *, on_call: Callable[[str], None] = lambda outcome: None) -> Iterator[None]:
    """Turn whatever goes wrong on the way into an error that says who must act."""
    try:
        yield
    except ReplyRefused as error:
        on_call("broken")
        raise failures.refused(at, what, error) from error
    except TimeoutError as error:
        on_call("timeout")
        raise failures.too_late(at, what) from error
    except (NoConnection, Lost, NotSendable) as error:
        tls = failures.tls_failure(at, error)
        if tls is not None:
            on_call("tls")
            raise tls from error
        outcome, told = _no_answer(at, what, error)
        on_call(outcome)
        raise told from error


def _no_answer(at: Connection, what: str, error: Exception) -> tuple[str, Transient]:
    """A connection that ends without a word is that of nobody: a proxy before a server that is away does so."""
    if isinstance(error, NoConnection):
        return ("timeout" if error.late else "unreachable"), failures.no_connection(at, in_time=not error.late)
    if isinstance(error, Lost) and not error.begun:
        return "unreachable", failures.no_connection(at)
    return "broken", failures.broken(at, what)
