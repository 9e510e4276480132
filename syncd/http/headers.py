"""Headers that both clients send, or read (RFC 9110): who we are, for which turn we ask, when to come back.

A name and a password never change; a token of an authorization server ends. So a client asks anew for every request,
and tells when an answer was 401: whoever can get another token does so, and the request is sent once more.
"""

from __future__ import annotations

import base64
import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Protocol

from syncd.model.correlation import correlation_id

LONGEST_PAUSE = 86_400.0
"""Seconds: what a server may ask by `Retry-After` at most; whoever waits may wait less."""


def common_headers() -> dict[str, str]:
    """Who asks, and for which study's turn (docs/operation.md, Logs)."""
    named = {"User-Agent": "syncd"}
    if correlation_id.get():
        named["X-Correlation-ID"] = correlation_id.get()
    return named


def moment(text: str) -> float | None:
    """An HTTP date (RFC 9110 5.6.7) in seconds since the epoch; None where it is none."""
    try:
        found = email.utils.parsedate_to_datetime(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def retry_after(text: str) -> float | None:
    """Seconds asked for by `Retry-After` (RFC 9110 10.2.3), as a number or a date; what cannot be read asks nothing."""
    plain = text.strip()
    if plain.isascii() and plain.isdecimal():
        return min(float(plain), LONGEST_PAUSE)
    until = moment(plain)
    return None if until is None else min(max(0.0, until - time.time()), LONGEST_PAUSE)


class Credentials(Protocol):
    """Asked by every worker thread. Either may raise a `SyncdError`, for instance that nobody gives tokens now."""

    def headers(self) -> Mapping[str, str]:
        """What the next request carries."""

    def refused(self) -> bool:
        """A request with these headers was answered 401; whether it may be tried once more, with others. Told of the second
        401, too, and may raise what there is to say of it."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same header for ever, or none."""

    authorization: str = field(default="", repr=False)

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": self.authorization} if self.authorization else {}

    def refused(self) -> bool:
        return False


def basic(username: str, password: str) -> Credentials:
    """RFC 7617, in UTF-8."""
    return Fixed("Basic " + base64.b64encode(f"{username}:{password}".encode()).decode())


def bearer(token: str) -> Credentials:
    """RFC 6750 2.1."""
    return Fixed(f"Bearer {token}")
