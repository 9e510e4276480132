"""One HTTP exchange with the FHIR server, by requests; what can go wrong on the way ends here.

Every reply is bounded in size, redirects are never followed, and no library exception leaves this module. A lost reply
proves nothing: a write that timed out may have happened, which callers learn from `Transient` and the committed intent,
never from guessing (RULES C5).
"""

from __future__ import annotations

import email.utils
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.adapters import BaseAdapter, HTTPAdapter

from syncd.errors import Transient, Unreachable, Unsuitable
from syncd.model.correlation import correlation_id

LARGEST_REPLY = 64 * 1024 * 1024
"""Bytes: a 50,000-instance ImagingStudy in R5 has about 8 MB; anything far above is no answer to us (RULES S2)."""

_JSON = "application/fhir+json"
_JSON_DSTU2 = "application/json+fhir"
ANY_VERSION = f"{_JSON}, {_JSON_DSTU2};q=0.9"
"""What is accepted from a server whose version is not known yet."""


def media_type(fhir_version: str) -> str:
    """FHIR's JSON as a server of this version (`4.0.1`) calls it: DSTU2 had the words the other way round (MAPPING M)."""
    return _JSON_DSTU2 if fhir_version.startswith("1.0") else _JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirConnection:
    """Where the FHIR server is and how to speak to it. `timeout` is in seconds, for connecting and for each read."""

    url: str
    auth_kind: str = "none"
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str = ""
    client_cert: str = ""
    client_key: str = ""
    verify_tls: bool = True
    timeout: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer. `body` is the JSON object, or None where there is none or it is not JSON."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any] | None

    @property
    def outcome(self) -> Mapping[str, Any] | None:
        """The OperationOutcome, if that is what the server answered."""
        if self.body is not None and self.body.get("resourceType") == "OperationOutcome":
            return self.body
        return None

    @property
    def date(self) -> float | None:
        """When the server says that it answered (RFC 9110 6.6.1), in seconds since the epoch."""
        try:
            return email.utils.parsedate_to_datetime(self.headers.get("Date", "")).timestamp()
        except ValueError:
            return None

    @property
    def retry_after(self) -> float | None:
        """Seconds asked for by `Retry-After` (RFC 9110 10.2.3), as a number or a date; what cannot be read asks nothing."""
        text = self.headers.get("Retry-After", "").strip()
        if text.isdecimal():
            return float(text)
        try:
            moment = email.utils.parsedate_to_datetime(text)
        except ValueError:
            return None
        return max(0.0, moment.timestamp() - time.time())


class FhirHttp:
    """Requests to one FHIR base URL; safe to use from several threads (one requests session each).

    `media_type` is set once the server's version is known.
    """

    def __init__(
        self,
        connection: FhirConnection,
        *,
        on_call: Callable[[str], None] | None = None,
        adapter: Callable[[], BaseAdapter] | None = None,
    ) -> None:
        self.base_url = connection.url.rstrip("/")
        self._connection = connection
        self._on_call = on_call or (lambda outcome: None)
        self.media_type = _JSON
        self._adapter = adapter or (lambda: HTTPAdapter(pool_maxsize=2))
        self._local = threading.local()
        self.before_write: Callable[[], None] = lambda: None
        """Asked immediately before every request that may change the server; what it raises, nothing is sent (RULES E4)."""

    def exchange(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        resource: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request below the base URL. Raises `Unreachable`, `Transient` or `Unsuitable` (TLS)."""
        if method != "GET" and not path.endswith("/_search"):
            self.before_write()
        sent = {"Accept": self.media_type, **(headers or {})}
        if correlation_id.get():
            sent["X-Correlation-ID"] = correlation_id.get()
        data: Any = None
        if resource is not None:
            data = json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode()
            sent["Content-Type"] = self.media_type
        elif form is not None:
            data = form
        try:
            with self._session().request(
                method,
                self.base_url + path if path[:1] in ("", "?") else f"{self.base_url}/{path}",
                params=params,
                data=data,
                headers=sent,
                timeout=self._connection.timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                reply = Reply(status=response.status_code, headers=response.headers, body=_json_object(response))
        except requests.exceptions.SSLError as error:
            self._on_call("tls")
            raise Unsuitable(
                f"The certificate of {self.base_url} was refused: set SYNCD_FHIR__CA_FILE to the CA that signed it",
                server="fhir",
            ) from error
        except requests.exceptions.Timeout as error:
            self._on_call("timeout")
            raise Transient("The FHIR server did not answer in time", server="fhir") from error
        except requests.exceptions.ConnectionError as error:
            self._on_call("unreachable")
            raise Unreachable(
                f"The FHIR server cannot be reached at {self.base_url}: is it running, and SYNCD_FHIR__URL right?",
                server="fhir",
            ) from error
        except requests.exceptions.RequestException as error:
            self._on_call("broken")
            raise Transient(f"The FHIR server's reply broke off ({type(error).__name__})", server="fhir") from error
        self._on_call(f"{reply.status // 100}xx")
        return reply

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self._new_session()
        return session

    def _new_session(self) -> requests.Session:
        connection = self._connection
        session = requests.Session()
        session.trust_env = False
        session.mount("http://", self._adapter())
        session.mount("https://", self._adapter())
        session.headers.update({"User-Agent": "syncd", **connection.headers})
        session.verify = (connection.ca_file or True) if connection.verify_tls else False
        if connection.client_cert:
            session.cert = (
                (connection.client_cert, connection.client_key) if connection.client_key else connection.client_cert
            )
        if connection.auth_kind == "basic":
            session.auth = (connection.username, connection.password)
        elif connection.auth_kind == "bearer":
            session.headers["Authorization"] = f"Bearer {connection.token}"
        return session


def _json_object(response: requests.Response) -> Mapping[str, Any] | None:
    body = bytearray()
    for chunk in response.iter_content(65536):
        body += chunk
        if len(body) > LARGEST_REPLY:
            raise Transient("The FHIR server's reply is larger than any ImagingStudy", server="fhir")
    if "json" not in response.headers.get("Content-Type", ""):
        return None
    try:
        parsed = json.loads(bytes(body))
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None
