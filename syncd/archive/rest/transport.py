"""httpx on connections that heed our deadlines, and answers that are bounded while they come in (RULES S2)."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore
import httpx

from syncd.http import deadline
from syncd.http.replies import bounded


class TimedTransport(httpx.HTTPTransport):
    """For one archive, from any thread."""

    def __init__(self, *, tls: ssl.SSLContext, connections: int, keepalive: float) -> None:
        super().__init__(verify=tls)
        # httpx hands no network backend on to httpcore, which has a public one.
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls, max_connections=connections, keepalive_expiry=keepalive, network_backend=_TimedBackend()
        )


class _TimedBackend(httpcore.SyncBackend):
    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *rest: Any, **more: Any) -> Any:
        return _TimedStream(super().connect_tcp(host, port, deadline.left(timeout), *rest, **more))


class _TimedStream(httpcore.NetworkStream):
    """Each wait takes its own timeout, or what is left, whichever is less."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, deadline.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _TimedStream(self._inner.start_tls(ssl_context, server_hostname, deadline.left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class BoundedTransport(httpx.BaseTransport):
    """`inner`, with every reply limited to `limit` bytes."""

    def __init__(self, inner: httpx.BaseTransport, *, limit: int) -> None:
        self._inner = inner
        self._limit = limit

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        if not isinstance(response.stream, httpx.SyncByteStream):
            raise TypeError("a synchronous transport is needed")
        coding = response.headers.pop("Content-Encoding", "")
        response.stream = _BoundedStream(response.stream, limit=self._limit, coding=coding)
        return response

    def close(self) -> None:
        self._inner.close()


class _BoundedStream(httpx.SyncByteStream):
    def __init__(self, inner: httpx.SyncByteStream, *, limit: int, coding: str) -> None:
        self._inner = inner
        self._chunks: Iterable[bytes] = bounded(inner, limit=limit, coding=coding)

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            now = deadline.current()
            if now is not None:
                now.check()
            yield chunk

    def close(self) -> None:
        self._inner.close()
