"""One study's way from the claim to the PUT of its ImagingStudy, followed through the package.

A new, stable study of one CT image lies in the fake archive, and workers with the real ledger publish it. Followed are the
thread that claims it, until it hands it over, and the thread that takes it: from the return of the call that claimed it to
the moment at which the fake FHIR server is asked to write. What other threads do meanwhile is not this study's way, and
would come out differently each time.

It is followed in an interpreter of its own: a long-lived one has computed some things already (tables are cached, modules
imported), and then the way would be a module shorter or longer depending on what ran before.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.thread import _WorkItem
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from structlog.testing import capture_logs

from scripts.house_source import PACKAGE
from scripts.steps import ROOT
from syncd.mapping.check import check
from tests.fakes.http import Request
from tests.loop.world import World, puts

_INSIDE = f"{ROOT / PACKAGE}/"
_HANDED_OVER, _TAKEN = ThreadPoolExecutor.submit.__code__, _WorkItem.run.__code__


class Journey(NamedTuple):
    """The modules in which anything ran, and the package's own calls that were open at the PUT, outermost first."""

    modules: frozenset[str]
    stack: tuple[str, ...]


@cache
def journey() -> Journey:
    """As followed by a fresh interpreter. Raises RuntimeError with its last words if it ended otherwise."""
    command = [sys.executable, "-m", "scripts.house_trace"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"scripts.house_trace ended with {ended.returncode}: {ended.stderr[-2000:]}")
    modules, stack = json.loads(ended.stdout)
    return Journey(modules=frozenset(modules), stack=tuple(stack))


def follow() -> Journey:
    """In this interpreter."""
    with tempfile.TemporaryDirectory() as folder, capture_logs():
        world = World(Path(folder))
        try:
            world.connect()
            world.store()
            world.settle()
            world.poll()
            return _followed(world)
        finally:
            world.ledger.close()
            world.archive.close()


def _followed(world: World) -> Journey:
    follower = _Follower()
    world.fhir.rules.append(follower.asked)
    before, check.SAMPLE = check.SAMPLE, 1  # on a study's way there is a library now and then: here always
    try:
        with world.working() as workers, follower.following():
            workers.run(until_idle=True)
    finally:
        check.SAMPLE = before
    if follower.arrived is None:
        raise RuntimeError("no claim was seen, or no ImagingStudy was written")
    return follower.arrived


class _Follower:
    """Watches calls and returns of all threads, and notes those of the two that matter."""

    def __init__(self) -> None:
        self.arrived: Journey | None = None
        self._modules: set[str] = set()
        self._thread: int | None = None
        self._handed_over = False

    @contextmanager
    def following(self) -> Iterator[None]:
        before = sys.getprofile(), threading.getprofile()
        threading.setprofile(self._seen)
        sys.setprofile(self._seen)
        try:
            yield
        finally:
            sys.setprofile(before[0])
            threading.setprofile(before[1])

    def asked(self, request: Request) -> None:
        """A rule of the fake FHIR server, which thereby answers as ever."""
        if puts()(request) and self.arrived is None and self._thread == threading.get_ident():
            frames = list(_frames(sys._getframe()))
            self.arrived = Journey(modules=frozenset(self._modules), stack=tuple(reversed([*map(_call, frames)])))
            self._thread = None

    def _seen(self, frame: FrameType, event: str, value: Any) -> None:
        thread = threading.get_ident()
        if self.arrived is not None:
            return
        if event == "call" and self._thread is None and self._handed_over and frame.f_code is _TAKEN:
            self._thread = thread
        elif event == "call" and self._thread == thread and not self._handed_over and frame.f_code is _HANDED_OVER:
            self._thread, self._handed_over = None, True
        elif event == "return" and self._thread is None and not self._handed_over and _is_claim(value):
            self._thread = thread
        if self._thread == thread and frame.f_code.co_filename.startswith(_INSIDE):
            self._modules.add(frame.f_code.co_filename.removeprefix(_INSIDE))


def _is_claim(value: object) -> bool:
    """Told by the name of the type, so that it is found wherever it lives."""
    return isinstance(value, list | tuple) and bool(value) and type(value[0]).__name__ == "Claim"


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    """The package's frames, innermost first."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(_INSIDE):
            yield frame
        frame = frame.f_back


def _call(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename.removeprefix(_INSIDE)}: {frame.f_code.co_qualname}"


if __name__ == "__main__":
    found = follow()
    print(json.dumps([sorted(found.modules), found.stack]))
