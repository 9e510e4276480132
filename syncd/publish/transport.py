"""requests as all of us use it: on connections that heed our deadlines and our TLS context, which it knows only by files and
flags, without redirects, and with answers that are bounded while they come in (RULES S2).
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from syncd.http.headers import CookieRules
from syncd.http.replies import bounded, read_json
from syncd.http.sockets import timed

_PIECE = 65_536


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


class Sessions:
    """One session for each thread that asks. `coding`: how answers may be packed."""

    def __init__(self, adapter: Callable[[], BaseAdapter], *, verify: bool, coding: str = "identity") -> None:
        self._adapter = adapter
        self._verify = verify
        self._coding = coding
        self._local = threading.local()

    def mine(self) -> requests.Session:
        """That of this thread."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self._new_session()
        return session

    def _new_session(self) -> requests.Session:
        session = _Session()
        session.trust_env = False
        session.mount("http://", self._adapter())
        session.mount("https://", self._adapter())
        session.headers["Accept-Encoding"] = self._coding
        session.cookies.set_policy(CookieRules())
        session.verify = self._verify
        return session


class _Session(requests.Session):
    """One that does not even look where a redirect leads: requests would read its body to the end before, whatever it is."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def json_of(response: requests.Response, *, limit: int, packed: bool = False) -> Any:
    """The JSON of an answer, read to its end; None where it is none by its type, or empty. Raises `Unreadable` and
    `ReplyRefused`."""
    coding = response.headers.get("Content-Encoding", "")
    chunks = response.raw.stream(_PIECE, decode_content=False)
    body = b"".join(bounded(chunks, limit=limit, coding=coding, packed=packed))
    return read_json(body) if body and "json" in response.headers.get("Content-Type", "") else None
