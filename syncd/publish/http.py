"""One HTTP exchange with the FHIR server, by requests; what can go wrong on the way ends here.

Every reply is bounded, redirects are never followed, and no library exception leaves this module. A lost reply proves
nothing: a write that timed out may have happened, which callers learn from `Transient` and the committed intent, never
from guessing (RULES C5).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import requests
from requests.adapters import BaseAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError

from syncd.http import deadline, failures
from syncd.http.connection import Connection
from syncd.http.headers import Credentials, Fixed, basic, bearer, common_headers, moment, retry_after
from syncd.http.replies import ReplyRefused, Unreadable
from syncd.publish.transport import Adapter, Sessions, json_of

LARGEST_REPLY = 64 * 1024 * 1024
"""Bytes: a 50,000-instance ImagingStudy in R5 has about 8 MB; anything far above is no answer to us (RULES S2)."""

_JSON = "application/fhir+json"
_JSON_DSTU2 = "application/json+fhir"
ANY_VERSION = f"{_JSON}, {_JSON_DSTU2};q=0.9"
"""What is accepted from a server whose version is not known yet."""


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
    """Requests to one FHIR base URL; safe to use from several threads (one requests session each).

    `media_type` is set once the server's version is known. Raises `ConfigurationError` for files of the settings that
    cannot be used.
    """

    def __init__(
        self,
        connection: FhirConnection,
        *,
        on_call: Callable[[str], None] | None = None,
        adapter: Callable[[], BaseAdapter] | None = None,
    ) -> None:
        self.base_url = connection.url.rstrip("/")
        self.connection = connection
        self._credentials = connection.credentials()
        self._longest = connection.longest
        self._on_call = on_call or (lambda outcome: None)
        self.media_type = _JSON
        sent_by = adapter or partial(Adapter, connection.tls())
        self._sessions = Sessions(sent_by, verify=connection.verify_tls, coding="gzip")
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
        data: Any = form
        if resource is not None:
            data = json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode()
            sent["Content-Type"] = self.media_type
        what = f"{method} {path.partition('/')[0].partition('?')[0]}"
        for once_more in (True, False):
            sent |= self._credentials.headers()
            if writes:
                self.before_write()
            until = deadline.of_request(self._longest)
            with deadline.kept(until), errors_told(self.connection, what, on_call=self._on_call):
                until.check()
                with self._sessions.mine().request(
                    method,
                    self.base_url + path if path[:1] in ("", "?") else f"{self.base_url}/{path}",
                    data=data,
                    headers=sent,
                    timeout=self.connection.timeout,
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    reply = _reply(response)
            self._on_call(f"{reply.status // 100}xx")
            if reply.status != requests.codes.unauthorized or not (self._credentials.refused() and once_more):
                break
        return reply


def _reply(response: requests.Response) -> Reply:
    """The answer, read to its end."""
    status, headers = response.status_code, response.headers
    try:
        parsed = json_of(response, limit=LARGEST_REPLY, packed=True)
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
        return isinstance(value, list) and all(_fits(each, shape[0]) for each in value)
    return isinstance(value, dict) and all(_fits(value[name], inner) for name, inner in shape.items() if name in value)


@contextmanager
def errors_told(at: Connection, what: str, *, on_call: Callable[[str], None] = lambda outcome: None) -> Iterator[None]:
    """Turn whatever requests raises into an error that says who must act."""
    try:
        yield
    except ReplyRefused as error:
        on_call("broken")
        raise failures.refused(at, what, error) from error
    except (requests.exceptions.Timeout, ReadTimeoutError, TimeoutError) as error:
        on_call("timeout")
        if isinstance(error, requests.exceptions.ConnectTimeout):
            raise failures.no_connection(at, in_time=False) from error
        raise failures.too_late(at, what) from error
    except (requests.exceptions.RequestException, HTTPError, OSError) as error:
        tls = failures.tls_failure(at, error)
        if tls is not None:
            on_call("tls")
            raise tls from error
        if isinstance(error, requests.exceptions.ConnectionError):
            on_call("unreachable")
            raise failures.no_connection(at) from error
        on_call("broken")
        raise failures.broken(at, what) from error
