"""A wall clock for one process, set while the process runs: Debian's libfaketime, preloaded (package `faketime`).

The monotonic clock is left alone, as the kernel leaves it alone when an administrator or NTP sets the time. The difficulty
is to set the clock of a process that runs: libfaketime reads the offset from a file at every question.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

LIBRARY = "libfaketimeMT.so.1"
"""The one for programs with threads."""


class SettableClock:
    """The clock of every process that gets `variables`. Skips the test where libfaketime is not installed."""

    def __init__(self, folder: Path) -> None:
        found = sorted(Path("/usr/lib").glob(f"*/faketime/{LIBRARY}"))
        if not found:
            pytest.skip("libfaketime is not installed (Debian: apt-get install faketime)")
        self._offset = folder / "offset"
        self.set(0)
        self.variables = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, seconds: int) -> None:
        """So many seconds beside the real time, from now on."""
        written = self._offset.with_suffix(".new")
        written.write_text(f"{seconds:+d}\n")
        os.replace(written, self._offset)
