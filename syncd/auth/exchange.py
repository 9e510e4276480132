"""One HTTP exchange with somebody who gives tokens, as values; how it is made is the wiring's business."""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`body` is a JSON object, or None; it may hold a token and is in no `repr`."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Names are found whatever their case."""
    body: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def date(self) -> float | None:
        """When the server says that it answered (RFC 9110 6.6.1), in seconds since the epoch."""
        try:
            found = email.utils.parsedate_to_datetime(self.headers.get("Date", ""))
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None


class Asked(Protocol):
    """Sends one request to a whole address, without credentials of its own, and follows no redirect.

    Raises `Transient`, `Unreachable` or `Unsuitable` of the server for which the token is.
    """

    def __call__(
        self, method: str, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str]
    ) -> Answer: ...
