"""Which kinds of the outbox there are: the one place where a kind is registered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from syncd.loop.context import Context
from syncd.loop.delivery import Delivery
from syncd.loop.outbox.provenance import ProvenanceDelivery
from syncd.mapping.resources.provenance import writes_provenance
from syncd.model.correlation import correlation_id
from syncd.model.outbox import FHIR, OutboxEntry
from syncd.model.work import StudyRecord

KINDS: tuple[Callable[[Context], Iterable[Delivery]], ...] = (
    lambda context: (ProvenanceDelivery(context),),
    lambda context: context.sinks,
)
"""Each gives what it sends, one for each of its sinks; none where the site wants none."""


def types(*, provenance: str, fhir_version: str) -> tuple[str, ...]:
    """Which resources these kinds keep on the FHIR server: what the credentials must allow. `provenance` is the site's
    POLICY__PROVENANCE, whose Provenance names our own Device."""
    return ("Provenance", "Device") if provenance != "off" and writes_provenance(fhir_version) else ()


FIRST_DUE = 10.0
"""Seconds after the commit: until then what the FHIR server is owed is its maker's to send."""


def deliveries(context: Context) -> tuple[Delivery, ...]:
    """All kinds, to all sinks."""
    return tuple(delivery for kind in KINDS for delivery in kind(context))


def entries_of(
    context: Context, before: StudyRecord | None, after: StudyRecord, *, intended_at: float
) -> tuple[OutboxEntry, ...]:
    """Everything that is owed for the write that made `before` to `after`, to be committed with it."""
    now = context.clock()
    return tuple(
        replace(
            entry,
            made_at=now,
            due=now + FIRST_DUE if entry.sink == FHIR else now,
            correlation_id=correlation_id.get(),
        )
        for delivery in deliveries(context)
        for entry in delivery.owe(before, after, intended_at=intended_at)
    )
