"""Workers on the fakes, and how to let them work until something happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from syncd.loop.breaker import CircuitBreaker, CircuitBreakers
from syncd.loop.workers.pool import Workers
from tests.loop.world import World


def workers_of(world: World, **wanted: Any) -> Workers:
    """Two workers whose servers are always well, if `wanted` names no breakers."""
    breakers = {
        "fhir": CircuitBreaker(lambda: None),
        "archives": CircuitBreakers({name: CircuitBreaker(lambda: None) for name in world.context.archives}),
    }
    return Workers(world.context, **{**breakers, "concurrency": 2, **wanted})


def work_until(workers: Workers, stop: Callable[[], bool]) -> None:
    """Work until `stop` says so at a rest of the workers."""
    rest = workers._rest

    def resting(seen: int) -> None:
        if stop():
            workers._stopping = True
        else:
            rest(seen)

    workers._rest = resting  # type: ignore[method-assign]
    workers.run()
    workers._stopping = False
