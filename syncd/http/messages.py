"""A request and its answer, as values, and what carries the one and brings the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

_AS_IT_IS = "!$%&'()*+,/:;=?@[]~"
"""What may stand in a path and a query (RFC 3986 3.3, 3.4), what is escaped already, and brackets, which many send."""

PORTS = {"http": 80, "https": 443}


class NotSendable(ValueError):
    """This cannot be asked: no address, or a header that no line of HTTP holds."""


class NotHttp(NotSendable):
    """The address is of another scheme."""


class NoConnection(Exception):
    """Nobody listens there, or does not say so in time (`late`)."""

    def __init__(self, *, late: bool = False) -> None:
        super().__init__()
        self.late = late


class Taken(TimeoutError):
    """All connections were in use for as long as one may wait."""


class Lost(Exception):
    """The connection ended before the answer did, or what came is no answer. `begun`: its head had come."""

    begun = False


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a server listens."""

    scheme: str
    host: str
    port: int

    @property
    def named(self) -> str:
        """As `Host` names it (RFC 9110 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if not host.isascii():
            host = host.encode("idna").decode()
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


@lru_cache(maxsize=64)
def place_of(url: str) -> tuple[Origin, str]:
    """Where an address lies, and its path and query as a request's first line has them. Raises `NotSendable`, `NotHttp`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise NotSendable from error
    if parts.scheme not in PORTS:
        raise NotHttp
    if not host:
        raise NotSendable
    path = sendable(f"{parts.path}?{parts.query}" if parts.query else parts.path)
    return Origin(parts.scheme, host, port or PORTS[parts.scheme]), path


def sendable(text: str) -> str:
    """Path or query, with what may not stand there escaped; a fragment is nobody's business but ours."""
    return quote(text.partition("#")[0], safe=_AS_IT_IS, errors="replace")


class Headers(Mapping[str, str]):
    """Names are found whatever their case; what is said several times is one list (RFC 9110 5.3)."""

    __slots__ = ("_said", "cookies")

    def __init__(self, said: Iterable[tuple[str, str]] = ()) -> None:
        self._said: dict[str, str] = {}
        self.cookies: list[str] = []
        """What `Set-Cookie` says, which is no list."""
        for name, value in said:
            self.add(name.lower(), value)

    def add(self, name: str, value: str) -> None:
        """`name` in lower case."""
        before = self._said.get(name)
        self._said[name] = value if before is None else f"{before}, {value}"
        if name == "set-cookie":
            self.cookies.append(value)

    def __getitem__(self, name: str) -> str:
        return self._said[name.lower()]

    def get(self, name: str, default: Any = None) -> Any:
        return self._said.get(name.lower(), default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._said)

    def __len__(self) -> int:
        return len(self._said)


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. `headers` lack those that the connection decides: `Host` and `Content-Length`."""

    method: str
    origin: Origin
    target: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def url(self) -> str:
        return f"{self.origin.scheme}://{self.origin.named}{self.target}"


class Body(Iterable[bytes], Protocol):
    """The pieces of an answer's body as they come, coded as they are; it holds a connection until it ends or is closed.
    Raises `Lost` and `TimeoutError`."""

    def close(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class Answer:
    """What is answered, its body still to come."""

    status: int
    headers: Headers
    body: Body


class Transport(Protocol):
    """Carries requests to their origins; from any thread."""

    def send(self, request: Request) -> Answer:
        """Send it, once, and wait for the head of its answer. Raises `NoConnection`, `NotSendable`, `Lost` and
        `TimeoutError`."""

    def close(self) -> None:
        """End all connections that nobody uses."""
