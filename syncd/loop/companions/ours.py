"""What is wholly ours beside a study, in one hand at a time: its lock, what we know of it, and what is remembered after.

Who keeps such a resource (Patient, Endpoint, machine, ourselves) differs in what to write and in what a refusal means; that
two studies do not write it at once, and that what was written is remembered, is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from syncd.loop.context import Context
from syncd.loop.steps import Step, report_step
from syncd.model.work import Companion
from syncd.plan.decide import Found


@contextmanager
def hold_ours(
    resource: Mapping[str, Any],
    *,
    context: Context,
    fresh: bool = False,
    believed: Callable[[Companion], Companion | None] = lambda known: known,
) -> Iterator[Companion | None]:
    """Hold its lock for the block; gives what we wrote last, None where that does not count. `believed`: what of the
    ledger's word counts. `fresh`: the server is asked whether it is still there; whoever needs it writes it again."""
    resource_type, resource_id = str(resource["resourceType"]), str(resource["id"])
    with context.locks.hold(f"{resource_type}/{resource_id}"):
        known = context.ledger.companions.find(resource_type, resource_id)
        known = believed(known) if known is not None else None
        if known is not None and fresh and not isinstance(context.server.read(resource_type, resource_id), Found):
            known = None
        yield known


def remember(kept: Companion, *, known: Companion | None, context: Context, step: Step | None = None) -> None:
    """Keep what is there now, where that is not what was `known`; `step` is what the tests call the moment before."""
    if kept == known:
        return
    if step is not None:
        report_step(step)
    context.ledger.companions.save(kept)
