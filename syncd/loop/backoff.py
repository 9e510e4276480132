"""How long whoever failed waits before another attempt (RULES C6)."""

from __future__ import annotations

import random

from syncd.model.work import LONGEST_BACKOFF

SHORTEST_BACKOFF = 1.0
"""Seconds before the second attempt at least; up to twice as long each time, by chance (full jitter)."""


def pause_after(tries: int) -> float:
    """Seconds after so many that failed."""
    longest = min(LONGEST_BACKOFF, SHORTEST_BACKOFF * 2.0 ** min(tries, 20))
    return random.uniform(SHORTEST_BACKOFF, longest)  # noqa: S311 - jitter, no secret
