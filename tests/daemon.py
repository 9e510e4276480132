"""`syncd` as its users run it: `syncd run` as a process of its own, the other commands beside it.

What it writes (log, output of every command) is kept, because what it must *not* write is tested too. The difficulty is
waiting: nothing announces that a daemon is ready or a study published, so `wait` asks for the very condition, notices at
once a daemon that died, and shows the end of its log when the condition does not come.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syncd.errors import SyncdError
from syncd.ledger.glance import glance
from syncd.ledger.ledger import Ledger
from syncd.ledger.owner.glance import Glance
from tests.listening import hear, hear_command, hear_file

ROOT = Path(__file__).resolve().parent.parent

TAIL = 40
"""Lines of the log that a failure shows."""

PATIENCE = 60.0
"""Seconds until a condition that should come within a few is given up."""

_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
_INTERRUPTIBLE = ("env", "--default-signal=INT")
"""A shell that starts a run in the background leaves SIGINT ignored, which children inherit."""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the web room; status 0 where nobody answered."""

    status: int
    text: str


class Syncd:
    """One installation: a folder with ledger and log, and the variables that every command gets."""

    def __init__(self, directory: Path, *, variables: Mapping[str, str]) -> None:
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log = directory / "syncd.log"
        hear_file(self.log)
        self.ledger_url = variables.get("SYNCD_LEDGER__URL", f"sqlite:///{directory}/ledger.db")
        self.variables = {
            "SYNCD_LEDGER__URL": self.ledger_url,
            "SYNCD_WEB__BIND": "127.0.0.1:0",
            "SYNCD_LOG__FORMAT": "json",
            "SYNCD_LOG__LEVEL": "debug",
            **variables,
        }
        self.said: list[str] = []
        """Everything that commands printed, and the web pages that were read."""
        self.run_as: tuple[str, ...] = ("syncd",)
        """The module that is the daemon, and what stands before its command: a test may wrap the real one."""
        self._process: subprocess.Popen[bytes] | None = None
        self._web = ""

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the daemon that runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def web(self) -> str:
        """The address of its web room."""
        return self._web

    def start(self, *, until_ready: bool = True) -> Syncd:
        """Start `syncd run`, wait for its web room, and, unless told otherwise, until it is ready."""
        assert not self.is_running
        with self.log.open("ab") as log:
            self._process = self._begin("run", stdout=log, stderr=log)
        self._web = ""
        self.wait(self._found_web, what="a heartbeat")
        if until_ready:
            self.wait(lambda: self.page("/readyz").status == 200, what="ready")
        return self

    def stop(self) -> None:
        """SIGTERM; in-flight work ends, and the exit code is 0."""
        self.signal(signal.SIGTERM)
        assert self.ended() == 0, self._told("did not end well")

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def ended(self, *, timeout: float = PATIENCE) -> int:
        """Wait until the daemon has ended, and give its exit code."""
        assert self._process is not None
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(self._told(f"did not end within {timeout:g} s")) from None
        self._process = None
        return code

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def start_only(self) -> None:
        """Start `syncd run` and wait for nothing."""
        with self.log.open("ab") as log:
            self._process = self._begin("run", stdout=log, stderr=log)

    def command(self, *arguments: str, expect: int | None = None, timeout: float = 120.0) -> Ended:
        """One command, ended. With `expect`, AssertionError for another exit code."""
        process = self.begin(*arguments)
        out, err = process.communicate(timeout=timeout)
        return self.heard(process, out, err, expect=expect)

    def begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command that goes on while the test does; hand its output to `heard`."""
        return self._begin(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def heard(self, process: subprocess.Popen[bytes], out: bytes, err: bytes, *, expect: int | None = None) -> Ended:
        ended = Ended(code=process.returncode, out=out.decode(), err=err.decode())
        self.said += [ended.out, ended.err]
        words = tuple(process.args)  # type: ignore[arg-type]
        hear_command(words[words.index("syncd") + 1 :], ended.out + ended.err)
        told = f"exit {ended.code} instead of {expect}\n--- out\n{ended.out}\n--- err\n{ended.err}"
        assert expect is None or ended.code == expect, self._told(told)
        return ended

    def page(self, path: str) -> Page:
        try:
            with _direct.open(self._web + path, timeout=10) as answer:
                page = Page(status=answer.status, text=answer.read().decode())
        except urllib.error.HTTPError as refusal:
            with refusal:
                page = Page(status=refusal.code, text=refusal.read().decode())
        except (urllib.error.URLError, OSError):
            return Page(status=0, text="")
        self.said.append(page.text)
        hear(path, page.text)
        return page

    def status(self) -> dict[str, Any]:
        """`/api/status` of the running daemon."""
        document: dict[str, Any] = json.loads(self.page("/api/status").text)
        return document

    def parked(self) -> dict[str, str]:
        """The parked studies with their reasons, from the ledger."""
        with contextlib.closing(Ledger.open_guest(self.ledger_url)) as ledger:
            return {entry.study_uid: entry.reason for entry in ledger.records.page_parked()}

    def attempts(self) -> dict[str, int]:
        """The failed attempts that are held against each pending study."""
        with contextlib.closing(Ledger.open_guest(self.ledger_url)) as ledger:
            return {row.study_uid: row.attempts for row in ledger.marks.page()}

    def settled(self) -> bool:
        """Whether nothing is pending, and the feed is read to its end."""
        status = self.status()
        behind = sum(archive["behind_changes"] for archive in status["archives"].values())
        return status["studies"]["dirty"] == 0 and behind == 0

    def events(self, name: str) -> list[dict[str, Any]]:
        """The events of this name in the daemon's log."""
        lines = self.log_text().splitlines()
        parsed = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [one for one in parsed if one.get("event") == name]

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def everything_said(self) -> str:
        return "\n".join([self.log_text(), *self.said])

    def wait(self, holds: Callable[[], object], *, what: str, timeout: float = PATIENCE) -> None:
        """Wait until `holds()`; AssertionError with the end of the log after `timeout`, or when the daemon died."""
        deadline = time.monotonic() + timeout
        while not holds():
            assert time.monotonic() < deadline, self._told(f"not {what} within {timeout:g} s")
            if self._process is None:
                time.sleep(0.1)
                continue
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(0.1)
                raise AssertionError(self._told(f"the daemon ended with {code} before: {what}"))

    def _begin(self, *arguments: str, stdout: Any, stderr: Any) -> subprocess.Popen[bytes]:
        program = self.run_as if arguments == ("run",) else ("syncd",)
        return subprocess.Popen(
            [*_INTERRUPTIBLE, *_DIES_WITH_US, sys.executable, "-m", *program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=self.directory,
            env=self._environment(),
            start_new_session=True,
        )

    def _environment(self) -> dict[str, str]:
        """Ours without any SYNCD_ variable but this installation's."""
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("SYNCD_")}
        return {**kept, "PYTHONPATH": str(ROOT), **self.variables}

    def _found_web(self) -> bool:
        if self._process is None:
            return False
        try:
            heartbeat = glance(self.ledger_url, Glance.heartbeat)
        except SyncdError:  # the schema is being made
            return False
        if heartbeat is None or heartbeat.pid != self._process.pid:
            return False
        self._web = heartbeat.web
        return bool(self._web)

    def _told(self, what: str) -> str:
        tail = "\n".join(self.log_text().splitlines()[-TAIL:]) or "(nothing)"
        return f"{what}\n--- /readyz\n{self.page('/readyz').text if self._web else ''}\n--- the end of the log\n{tail}"
