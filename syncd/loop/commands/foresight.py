"""What rendering again would change: some of the studies that an earlier version or other settings rendered, both ways.

A new mapping version reaches every study of a site, and nobody wants to learn afterwards what it did to them. So a
sample, spread over all, is looked at by the very reconcile that would send them, dry, and each is held against what the
FHIR server holds now. Some differ for other reasons: what is parked, gone or arriving is counted apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from syncd.errors import ServerReset, StudyError, StudyGone, TornRead, Transient, Unreachable
from syncd.loop.commands.dry_run import run_dry
from syncd.loop.context import Context
from syncd.loop.study.trace import Turn
from syncd.model.words import Decision
from syncd.plan.comparison import compare

SAMPLE = 50
"""Studies looked at: some seconds of both servers, and enough to meet whatever concerns one study in twenty."""


@dataclass(slots=True, kw_only=True)
class Foresight:
    """`outdated`: studies that are of another fingerprint; `looked_at` of them, `changing` would be written. `elements`:
    in how many of these each element differs; `others`: what would become of the rest, by decision in lower case."""

    outdated: int
    looked_at: int = 0
    changing: int = 0
    elements: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)

    @property
    def expected_changes(self) -> int:
        """How many of all would be written, if the sample is like the rest."""
        return round(self.outdated * self.changing / self.looked_at) if self.looked_at else 0


def foreseen(
    context: Context, *, size: int = SAMPLE, progress: Callable[[Foresight], None] = lambda seen: None
) -> Foresight:
    """Look at a sample. Writes and marks nothing; raises what the servers' failures are."""
    seen = Foresight(outdated=context.ledger.records.count_outdated(context.fingerprint))
    for study_uid in context.ledger.rendering.sample(context.fingerprint, size=size):
        try:
            _take(seen, run_dry(context, study_uid), base_url=context.server.base_url)
        except Unreachable:
            raise
        except (StudyError, StudyGone, TornRead, ServerReset, Transient):
            seen.others["unknown"] += 1
        seen.looked_at += 1
        progress(seen)
    return seen


def _take(seen: Foresight, turn: Turn, *, base_url: str) -> None:
    decision, weighed = turn.outcome.decision, turn.trace.weighed
    if decision is not Decision.UPDATE or weighed is None:
        seen.others[decision.value.lower()] += decision is not Decision.SKIP
        return
    seen.changing += 1
    seen.elements.update(compare(weighed.goal, weighed.current, weighed.action, base_url=base_url).differing)
