"""What a command costs before it does anything: measured once, and taken off what is told of a study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.plan import Plan
from benchmarks.report import Row, at_most
from benchmarks.site.program import Cost
from benchmarks.site.session import Session

ANY = range(5)
"""`status` says by its code how things stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Costs of one command with nothing to do."""

    costs: Sequence[Cost]

    @property
    def wall(self) -> float:
        return median(cost.wall for cost in self.costs)

    @property
    def cpu(self) -> float:
        return median(cost.cpu for cost in self.costs)

    def seconds(self, cost: Cost) -> float:
        """Wall time of a run without its start; a hundredth of a second at least, for it is divided by."""
        return max(cost.wall - self.wall, 0.01)

    def drowns(self, cost: Cost) -> bool:
        """Whether that run took no longer than a start alone: what is left of it says nothing and is no value."""
        return cost.wall - self.wall < self.wall / 10

    def cpu_seconds(self, cost: Cost) -> float:
        """CPU of a run without its start."""
        return cost.cpu - self.cpu


def started(session: Session, command: str, *, repetitions: int) -> Started:
    """Of `resync`, or of `audit` after one, with an empty archive and a ledger of its own, as the arms have it."""
    archive = session.orthanc()
    costs = []
    for _ in range(repetitions):
        installation = session.installation(archive)
        if command != "resync":
            installation.command("resync")
        costs.append(installation.command(command))
    archive.discard()
    return Started(costs=costs)


def rows(session: Session, plan: Plan) -> Iterator[Row]:
    """CPU of `syncd --help` and of `syncd status` with a ledger and no daemon."""
    session.say("starts of --help and status")
    archive = session.orthanc()
    installation = session.installation(archive)
    installation.command("resync")
    for words, seconds in ((("--help",), 0.25), (("status",), 0.45)):
        costs = [installation.command(*words, codes=ANY).cpu for _ in range(plan.repetitions)]
        yield Row(
            measure=f"CPU of syncd {' '.join(words)}",
            value=median(costs),
            unit="s",
            goal=at_most(seconds, unit="s"),
            raw={"s": costs},
        )
    archive.discard()
