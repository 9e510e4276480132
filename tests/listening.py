"""Listens to everything that the tests make syncd say, and searches it for what they planted (tests/planted.py, RULES S1).

Searched are, of each test that passes: what was captured of standard output and error, to which the log of whatever runs in
this process is written as the daemon writes it; messages of our own exceptions, raised or not; logs and output of processes,
and pages of the web room, which the tests' own clients hand over. What a failed test shows is for its reader. A find fails
the whole run, for no single test asked for it.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import structlog

from syncd import logs
from syncd.errors import SyncdError
from tests.planted import find_planted

FOR_WHO_MAY_READ = (("render",), ("parked", "show"))
"""Commands that show a study's patient, or a server's own words: docs/security.md, What is kept, and where."""
PATIENTS_OF_OTHERS = ("Captured log",)
"""Sections of libraries' own records with their values, which syncd's log does not write (tests/web/test_logs.py)."""

_heard: list[tuple[str, str]] = []
_raised: set[str] = set()
_read: dict[Path, int] = {}
"""Log files, and how far each was searched."""


def hear(where: str, text: str) -> None:
    """Something that syncd said: a page, what a command printed."""
    _heard.append((where, text))


def hear_command(words: tuple[str, ...], text: str) -> None:
    """What a command printed, unless it is one that shows patients."""
    if not any(words[: len(shown)] == shown for shown in FOR_WHO_MAY_READ):
        hear(f"`syncd {' '.join(words)}`", text)


def hear_file(log: Path) -> None:
    """A log that is written from now on."""
    _read.setdefault(log, 0)


class Listener:
    """A plugin of pytest; `found` are the finds so far."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._failed = False
        _remember_messages()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        self._failed = False
        if not structlog.is_configured():
            _log_as_the_daemon()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        self._failed |= report.failed
        if report.when == "teardown":
            captured = [] if self._failed else [one for one in report.sections if not one[0].startswith(PATIENTS_OF_OTHERS)]
            self.search(item.nodeid, captured)
        return report

    def search(self, test: str, captured: list[tuple[str, str]]) -> None:
        """All that was said since the last search."""
        said = [*captured, *_heard, ("an exception", "\n".join(_raised)), *_unread()]
        _heard.clear()
        _raised.clear()
        for where, text in said:
            self.found += [f"{find} in {where} of {test}" for find in find_planted(text)]


def _unread() -> list[tuple[str, str]]:
    said = []
    for log, searched in list(_read.items()):
        if not log.exists():
            del _read[log]
        elif log.stat().st_size > searched:
            with log.open("rb") as file:
                file.seek(searched)
                new = file.read()
            whole = new.rpartition(b"\n")[0]
            _read[log] += len(whole)
            said.append((log.name, whole.decode(errors="replace")))
    return said


def _log_as_the_daemon() -> None:
    """The processors of syncd's own log, to standard output; structlog's default would show every variable."""
    safe = (logs.exceptions_in_words, logs.plain_values, logs.without_secrets)
    json = structlog.processors.JSONRenderer(ensure_ascii=False)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, *safe, json]
    )


def _remember_messages() -> None:
    """Every exception of ours is heard when it is made, whoever catches it."""
    made = SyncdError.__init__
    if getattr(made, "is_heard", False):
        return

    def heard(self: SyncdError, *arguments: Any) -> None:
        made(self, *arguments)
        _raised.add(str(self))

    heard.is_heard = True  # type: ignore[attr-defined]
    SyncdError.__init__ = heard  # type: ignore[method-assign]
