"""The hours of the day in which old studies may be worked on, by this machine's own clock.

Midnight is no border: `20:00-06:00` is one window, open before and after it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from syncd.selection.rules import UnusableRule

_HOURS = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])\s*-\s*([01]?[0-9]|2[0-3]):([0-5][0-9])")
ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From `start` up to, and without, `end`, in minutes of the day."""

    start: int
    end: int

    @property
    def text(self) -> str:
        return f"{_clock(self.start)}-{_clock(self.end)}"

    @property
    def opens(self) -> str:
        return _clock(self.start)

    def is_open(self, minute: int) -> bool:
        """Whether it is open at this minute of the day."""
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


def parse_window(text: str) -> Window | None:
    """`20:00-06:00`; `always` is None. Raises `UnusableRule`."""
    if text.strip().lower() == ALWAYS:
        return None
    match = _HOURS.fullmatch(text.strip())
    if match is None:
        raise UnusableRule("is no window of the day", "write it as 20:00-06:00, or always")
    first_hour, first_minute, last_hour, last_minute = map(int, match.groups())
    window = Window(start=first_hour * 60 + first_minute, end=last_hour * 60 + last_minute)
    if window.start == window.end:
        raise UnusableRule("is an empty window", "write always, or two different times")
    return window


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
