"""Wrong tokens, counted by who sent them: guessing must cost more than it brings (RULES S3)."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

AT_MOST, WITHIN = 10, 60.0
"""Wrong tokens of one address within so many seconds; whoever sends more is not listened to until they have passed."""

_ADDRESSES = 1000
"""Addresses that are remembered, those that failed last: the memory must not grow with the number of guessers."""


class WrongTokens:
    """Safe for several threads."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def count(self, address: str) -> bool:
        """One more of this address; whether it is the last that was allowed."""
        now, who = self._monotonic(), _network(address)
        with self._guard:
            recent = [at for at in self._failures.pop(who, ()) if now - at < WITHIN]
            self._failures[who] = [*recent, now][-AT_MOST:]
            if len(self._failures) > _ADDRESSES:
                self._failures.popitem(last=False)
            return len(recent) + 1 == AT_MOST

    def pause(self, address: str) -> float:
        """Seconds for which the address is not listened to; 0 where it is."""
        with self._guard:
            failures = self._failures.get(_network(address), [])
        if len(failures) < AT_MOST:
            return 0.0
        return max(0.0, failures[0] + WITHIN - self._monotonic())


def _network(address: str) -> str:
    """Who it is: an IPv4 address, also as a socket for both families names it (`::ffff:192.0.2.1`), or the /64 that one
    subscriber of IPv6 has all to himself (RFC 6177)."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if known.version == 4:
        return str(known)
    return str(known.ipv4_mapped or ipaddress.ip_network((known, 64), strict=False))
