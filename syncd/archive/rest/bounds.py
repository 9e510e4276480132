"""Limits on what a server may send: bytes, time and nesting (RULES S2).

The timeouts of httpx hold for each single read: a server that drips a byte now and then would hold a worker for ever,
and one that never ends would fill the memory. So the transport counts while the reply comes in. A compressed reply
could unfold into anything; none is asked for, and one that comes all the same is refused.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx

MAX_REPLY = 128 * 1024 * 1024
"""Bytes of one reply. 50,000 instances in one bulk answer of 1.10.1 are 37 MB; 1,000,000 study ids are 51 MB."""

SLOWEST_REPLY = 10
"""A reply may take this many timeouts as a whole, from its first byte to its last."""

MAX_DEPTH = 256
"""Levels of JSON. A DICOM sequence takes two, and PS3.5 7.5 sets no depth; but Orthanc itself (1.10.1 and 1.12.7) takes in
40 sequences within each other and dies of 60. Python's reader follows some 900 levels."""


class ReplyRefused(Exception):
    """The reply is coded in a way that was not asked for."""


class ReplyTooLong(ReplyRefused):
    """The reply has more bytes than we accept."""


class ReplyTooSlow(ReplyRefused):
    """The reply takes longer than we wait for its end."""


class BoundedTransport(httpx.BaseTransport):
    """`inner`, with every reply limited to `limit` bytes and `seconds` as a whole."""

    def __init__(self, inner: httpx.BaseTransport, *, limit: int, seconds: float) -> None:
        self._inner = inner
        self._limit = limit
        self._seconds = seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            response.close()
            raise ReplyRefused("is answered in a compressed form that was not asked for; does a proxy stand between?")
        if not isinstance(response.stream, httpx.SyncByteStream):
            raise TypeError("a synchronous transport is needed")
        response.stream = _BoundedStream(response.stream, limit=self._limit, seconds=self._seconds)
        return response

    def close(self) -> None:
        self._inner.close()


class _BoundedStream(httpx.SyncByteStream):
    def __init__(self, inner: httpx.SyncByteStream, *, limit: int, seconds: float) -> None:
        self._inner = inner
        self._limit = limit
        self._seconds = seconds

    def __iter__(self) -> Iterator[bytes]:
        left = self._limit
        until = time.monotonic() + self._seconds
        for chunk in self._inner:
            left -= len(chunk)
            if left < 0:
                raise ReplyTooLong(f"is answered with more than {self._limit // 1024 // 1024} MB")
            if time.monotonic() > until:
                raise ReplyTooSlow(f"is not answered to its end within {self._seconds:g} s")
            yield chunk

    def close(self) -> None:
        self._inner.close()


def too_deep(value: Any, *, limit: int = MAX_DEPTH) -> bool:
    """Whether lists and objects lie in each other more than `limit` levels deep."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        level = [
            child
            for each in level
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
