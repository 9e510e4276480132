"""uvicorn in a thread of the process that does the work.

The socket is opened by us, before the thread starts: a port that is taken is then an error of the settings, told at
once, and requests wait in the socket's queue until uvicorn takes them. By itself uvicorn would own its process: here it
handles no signals, writes no logs of its own, and ends when it is told to.
"""

from __future__ import annotations

import socket
import threading

import uvicorn
from starlette.types import ASGIApp

from syncd.errors import ConfigurationError
from syncd.settings.values import bind_address
from syncd.web.connections import Connection

GRACE = 3.0
"""Seconds for requests under way when stopping."""

BACKLOG = 256
"""Connections that wait to be accepted. So many are accepted at once at most, before the first of too many is ended: it
must be well below the 1,024 files that a process may have open by default."""

_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared with, not listened on
"""Addresses that one listens on but cannot call, and what to call instead."""


class WebServer:
    """Serves `app` on `bind` (`host:port`; port 0 takes a free one) between `start` and `stop`."""

    def __init__(self, app: ASGIApp, bind: str) -> None:
        self._app = app
        self._host, self._port = bind_address(bind)
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it can be called, with the port that it really has."""
        port = self._socket.getsockname()[1] if self._socket else self._port
        host = _EVERY_ADDRESS.get(self._host, self._host)
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Raises `ConfigurationError` when the address cannot be listened on."""
        self._socket = _listen(self._host, port=self._port)
        config = uvicorn.Config(
            self._app,
            http=Connection,
            backlog=BACKLOG,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=5,
            timeout_graceful_shutdown=int(GRACE),
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="syncd-web", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End it and free the port; again is no mistake."""
        if self._server is None or self._thread is None or self._socket is None:
            return
        self._server.should_exit = True
        self._thread.join(GRACE + 1)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(GRACE)
        self._socket.close()
        self._server = self._thread = self._socket = None


def _listen(host: str, *, port: int) -> socket.socket:
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(address)
            opened.listen(BACKLOG)
        except OSError:
            opened.close()
            raise
    except OSError as error:
        why = error.strerror or "unknown host"
        advice = "set SYNCD_WEB__BIND to another address or port"
        raise ConfigurationError(f"SYNCD_WEB__BIND: cannot listen on {host}:{port}: {why}; {advice}") from error
    return opened
