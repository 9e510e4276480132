"""A bad network: one request in five meets a fault, drawn from a seed; the kinds that a network knows take turns."""

from __future__ import annotations

import itertools
import json
import random
import threading
from collections import Counter
from collections.abc import Callable

from tests.proxy import Answer, CutReply, Drop, Fault, Hold, LoseReply, Request

SHARE = 0.2
DELAY = 0.3
"""Seconds: longer than any answer takes, shorter than any timeout."""

_OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
_JSON = {"Content-Type": "application/fhir+json"}


def _answer(status: int, **headers: str) -> Fault:
    return Answer(status=status, body=json.dumps(_OUTCOME).encode(), headers={**_JSON, **headers})


KINDS: dict[str, Callable[[], Fault]] = {
    "dropped": Drop,
    "reply lost": LoseReply,
    "reply cut": lambda: CutReply(after=1),
    "delayed": lambda: Hold(until=threading.Event(), longest=DELAY),
    "500": lambda: _answer(500),
    "503": lambda: _answer(503, **{"Retry-After": "1"}),
    "429": lambda: _answer(429, **{"Retry-After": "1"}),
}


class Weather:
    """A rule for a proxy. `met` counts the faults by kind, `calm` those requests that passed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._kinds = itertools.cycle(KINDS)
        self.met: Counter[str] = Counter()
        self.calm = 0

    def __call__(self, request: Request) -> Fault | None:
        if self._chance.random() >= SHARE:
            self.calm += 1
            return None
        kind = next(self._kinds)
        self.met[kind] += 1
        return KINDS[kind]()
