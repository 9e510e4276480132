"""requests on connections that heed our deadlines and our TLS context, which it knows only by files and flags; what goes
wrong there, in our words."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, ReadTimeoutError

from syncd.http import failures
from syncd.http.connection import Connection
from syncd.http.replies import ReplyRefused
from syncd.http.sockets import timed


class _Plain(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return timed(super()._new_conn())


class _Encrypted(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return timed(super()._new_conn())


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _EncryptedPool(HTTPSConnectionPool):
    ConnectionCls = _Encrypted


class Adapter(HTTPAdapter):
    """For one session of one thread."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        super().__init__(pool_maxsize=2)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._tls, **more)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _EncryptedPool}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """The context says what is trusted; requests would add all authorities that it knows itself."""


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
