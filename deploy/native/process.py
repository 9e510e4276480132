"""A server as a child process: started, waited for, killed, started again, and gone when its parent is gone.

The difficulty is a parent that dies without a word (a killed test run must not leave a JVM behind): the kernel's
parent-death signal does it, set by util-linux's `setpriv`, which then becomes the server itself. The kernel sends that
signal when the *thread* that started the child ends, so one thread that lives as long as this process starts them all.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TypeVar

FIRST_PORT, LAST_PORT = 20000, 31999
"""Below the range from which the kernel takes ports for outgoing connections: a restart finds its port still free."""

PORT_ATTEMPTS = 3
"""How often another port is tried when somebody took the chosen one before the server could."""

TAIL_LINES = 20
"""How much of the log a failed start shows."""

_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starts-servers")
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_Server = TypeVar("_Server", bound="ServerProcess")

_UNLESS_ORPHANED = '[ "$PPID" = "$0" ] || exit 1; exec "$@"'
"""Who dies before the signal is asked for is not told of by it (prctl(2)); so the parent is looked at once more after."""


class StartFailed(RuntimeError):
    """A server did not start; the message holds the end of its log and what to do."""


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    for port in random.sample(range(FIRST_PORT, LAST_PORT + 1), k=200):
        if port_is_free(port):
            return port
    raise StartFailed(f"no free port between {FIRST_PORT} and {LAST_PORT}: stop what listens there")


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def program(name: str) -> str | None:
    """Where a program is; also where Debian puts servers, which is not in the PATH of an ordinary user."""
    return shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")


def fetch(url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 10.0) -> bytes | None:
    """The body of a 200 answer to GET, past any proxy of the environment; None for any other answer and for none."""
    try:
        with _direct.open(urllib.request.Request(url, headers=dict(headers or {})), timeout=timeout) as answer:
            return bytes(answer.read())
    except (urllib.error.URLError, OSError):
        return None


class ServerProcess(ABC):
    """A server on loopback. `url` is its root, `base_url` the address that a client is configured with."""

    name = "server"
    advice = "read its log"
    ready_within = 60.0
    """Seconds until `start` gives up."""
    asked_every = 0.1
    """Seconds between two readiness questions; a process that ends is noticed at once."""
    ends_within = 20.0
    """Seconds that SIGTERM may take before SIGKILL follows."""

    def __init__(self, *, directory: Path, port: int) -> None:
        self.directory = directory
        self.log = directory / f"{self.name.lower()}.log"
        self.port = port
        self._port_is_given = port != 0
        self._process: subprocess.Popen[bytes] | None = None
        self._log_begins_at = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return self.url

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise StartFailed(f"{self.name} was not started")
        return self._process.pid

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The command line; whatever files it names are written before."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the server itself answers, and is the one that was started here."""

    def start(self: _Server) -> _Server:
        """Start and wait until it answers. Raises StartFailed."""
        if self.is_running:
            return self
        for _ in range(PORT_ATTEMPTS):
            if self.port == 0:
                self.port = free_port()
            elif not port_is_free(self.port):
                raise StartFailed(f"{self.name}: port {self.port} is taken; stop what listens there or choose another")
            if self._came_up():
                return self
            self.kill()
            if self._port_is_given or port_is_free(self.port):
                break
            self.port = 0
        raise StartFailed(f"{self.name} did not start. {self.advice}\n--- the end of {self.log}\n{self.log_tail()}")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that does not help. Data and port are kept for `start`."""
        if self._process is None:
            return
        if self.is_running:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self.ends_within)
        self.kill()

    def kill(self) -> None:
        """SIGKILL, as a power cut would. Data and port are kept for `start`."""
        if self._process is None:
            return
        if self.is_running:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def remove(self) -> None:
        """Kill it and delete its directory."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def restart(self: _Server) -> _Server:
        """The same server again: same data, same port."""
        self.stop()
        self._port_is_given = True
        return self.start()

    def log_text(self) -> str:
        """What the present (or last) run of the server logged."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_begins_at)
            return log.read().decode(errors="replace")

    def log_tail(self) -> str:
        return "\n".join(self.log_text().splitlines()[-TAIL_LINES:]) or "(it logged nothing)"

    def __enter__(self: _Server) -> _Server:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _came_up(self) -> bool:
        self.directory.mkdir(parents=True, exist_ok=True)
        command = tuple(self.command())
        found = program(command[0])
        if found is None:
            raise StartFailed(f"{self.name}: no program {command[0]}. {self.advice}")
        self._process = _starter.submit(self._spawn, (found, *command[1:])).result()
        deadline = time.monotonic() + self.ready_within
        while time.monotonic() < deadline:
            if self.is_ready():
                return True
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self.asked_every)
                return False
        return False

    def _spawn(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            self._log_begins_at = log.tell()
            # A session of its own: Ctrl-C in the terminal reaches the parent only, which stops its servers in order.
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", _UNLESS_ORPHANED, str(os.getpid()), *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
