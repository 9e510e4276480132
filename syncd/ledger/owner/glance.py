"""How the ledger stands, in SQL that every driver takes: what `status` asks, the daemon's heartbeat, and the metrics.

Counts come from tallies that every transaction moves, not from counting: the overview of a million studies costs as much
as that of ten, and may be asked every few seconds (RULES E8).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from syncd.ledger.db.plain import Ask
from syncd.model.outbox import Queue
from syncd.model.overview import Counts, FailingStudy, Heartbeat
from syncd.model.words import Priority

HEARTBEAT = "heartbeat"
"""The fact that holds it."""

_DUE = """
WITH RECURSIVE levels(priority) AS (
    SELECT min(priority) FROM dirty
    UNION ALL
    SELECT (SELECT min(priority) FROM dirty WHERE dirty.priority > levels.priority) FROM levels WHERE priority IS NOT NULL
)
SELECT priority, (SELECT count(*) FROM dirty WHERE dirty.priority = levels.priority AND due <= :now)
FROM levels WHERE priority IS NOT NULL
"""
"""Each priority that pending rows have is one step in the index, and so are those of them that are due."""

_TALLIES = "SELECT kind, word, CAST(sum(number) AS BIGINT) FROM tallies GROUP BY kind, word"
"""A number is the sum of its members'."""

_FAILING = """
SELECT study_uid, attempts, first_marked, due,
    (SELECT reason FROM history WHERE history.study_uid = dirty.study_uid ORDER BY id DESC LIMIT 1)
FROM dirty WHERE attempts > 0 ORDER BY attempts DESC, first_marked, study_uid LIMIT :most
"""


@dataclass(frozen=True, slots=True)
class Glance:
    """What can be asked; all of one state of the ledger."""

    ask: Ask

    def counts(self, now: float) -> Counts:
        """Rows being worked on count as dirty and due."""
        numbers = {(kind, word): n for kind, word, n in self.ask(_TALLIES, {}) if n}
        due: dict[int, int] = dict(self.ask(_DUE, {"now": now}))
        ((oldest,),) = self.ask("SELECT min(first_marked) FROM dirty", {})
        outdated, held = self._count_outdated(numbers)
        return Counts(
            dirty=numbers.get(("dirty", ""), 0),
            due=sum(due.values()),
            oldest_mark=oldest or 0.0,
            published=_by_word(numbers, "published"),
            parked=_by_word(numbers, "parked"),
            backfill=due.get(Priority.BACKFILL, 0),
            unselected=_by_word(numbers, "unselected"),
            dropped=numbers.get(("dropped", ""), 0),
            safety=numbers.get(("safety", ""), 0),
            outdated=outdated,
            held=held,
            outbox=_queues(numbers),
        )

    def heartbeat(self) -> Heartbeat | None:
        value = self._fact(HEARTBEAT)
        return None if value is None else Heartbeat(**value)

    def find_failing(self, limit: int = 100) -> list[FailingStudy]:
        """Pending studies whose last try failed, with its reason, those that failed most first (RULES C6). For a person's
        command only: it looks at every pending row."""
        return [
            FailingStudy(study_uid=study_uid, attempts=attempts, since=since, due=due, reason=reason or "")
            for study_uid, attempts, since, due, reason in self.ask(_FAILING, {"most": limit})
        ]

    def find_parked(self) -> list[tuple[str, str, str]]:
        """StudyInstanceUID, reason and detail of each study that is set aside and not dropped."""
        return [
            (study_uid, reason, detail)
            for study_uid, reason, detail in self.ask(
                "SELECT study_uid, reason, detail FROM parked WHERE NOT dropped ORDER BY study_uid", {}
            )
        ]

    def schema(self) -> str:
        """The migration by which the ledger is as it is."""
        return max((str(revision) for (revision,) in self.ask("SELECT version_num FROM alembic_version", {})), default="")

    def _count_outdated(self, numbers: dict[tuple[str, str], int]) -> tuple[int, bool]:
        """How many published studies are of another fingerprint than today's, and whether they are held."""
        told: dict[str, Any] = self._fact("rendering") or {}
        if not told:
            return 0, False
        others = (n for (kind, word), n in numbers.items() if kind == "fingerprint" and word != told["fingerprint"])
        return sum(others), bool(told["held"])

    def _fact(self, name: str) -> Any:
        rows = self.ask("SELECT value FROM facts WHERE name = :name", {"name": name})
        return json.loads(rows[0][0]) if rows else None


def _by_word(numbers: dict[tuple[str, str], int], wanted: str) -> dict[str, int]:
    return {word: number for (kind, word), number in sorted(numbers.items()) if kind == wanted}


def _queues(numbers: dict[tuple[str, str], int]) -> tuple[Queue, ...]:
    """What waits for whom."""
    waiting, given_up = _by_word(numbers, "outbox"), _by_word(numbers, "outbox-given-up")
    return tuple(
        Queue(
            kind=word.partition("/")[0],
            sink=word.partition("/")[2],
            waiting=waiting.get(word, 0),
            given_up=given_up.get(word, 0),
        )
        for word in sorted({*waiting, *given_up})
    )
