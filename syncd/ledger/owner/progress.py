"""What a one-shot command asks of the ledger: is everything that it marked dealt with?

Counting is bounded by what was marked and is not settled yet, and only a person's command asks (RULES E8).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, exists, func, select

from syncd.ledger.db.schema import copies, dirty, sequences
from syncd.ledger.db.transactions import Transactions
from syncd.model.ids import ArchiveName
from syncd.model.words import Priority


class Progress:
    """`ledger.progress`: each method one short read."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def newest_generation(self) -> int:
        """The newest generation given to a mark; what is marked later has a higher one (RULES E1)."""
        return self._transactions.read(_newest_generation)

    def count_unsettled(self, generation: int, *, now: float, within: Collection[ArchiveName] | None = None) -> int:
        """How many studies marked up to `generation` are due and not dealt with; `within` as for `Claims.take`."""
        return self._transactions.read(
            lambda connection: _count_unsettled(connection, generation=generation, now=now, within=within)
        )

    def count_backing_off(self, *, most_attempts: int, within: Collection[ArchiveName] | None = None) -> int:
        """How many studies failed at most `most_attempts` times and will be tried again; `within` as for `Claims.take`."""
        return self._transactions.read(
            lambda connection: _count_backing_off(connection, most_attempts=most_attempts, within=within)
        )


def _newest_generation(connection: Connection) -> int:
    """The newest generation given to a mark (RULES E1)."""
    found = connection.execute(select(sequences.c.value).where(sequences.c.name == "generation")).scalar()
    return int(found or 0)


def _count_unsettled(connection: Connection, *, generation: int, now: float, within: Collection[str] | None) -> int:
    """Studies marked up to `generation` that are due and not dealt with; those that wait for a later time are settled,
    those that wait for an archive outside of `within`, and old ones that nobody asked for: the daemon may not work on
    them at this hour (RULES A9)."""
    marked = dirty.c.generation <= generation, dirty.c.due <= now, dirty.c.priority < Priority.BACKFILL
    rows = select(func.count()).select_from(dirty).where(*marked)
    return int(connection.execute(_only_within(rows, within)).scalar_one())


def _count_backing_off(connection: Connection, *, most_attempts: int, within: Collection[str] | None) -> int:
    """Studies that failed at most `most_attempts` times and will be tried again."""
    rows = select(func.count()).select_from(dirty).where(dirty.c.attempts > 0, dirty.c.attempts <= most_attempts)
    return int(connection.execute(_only_within(rows, within)).scalar_one())


def _only_within(rows: Select[Any], within: Collection[str] | None) -> Select[Any]:
    """Only studies of which no copy lies in another archive (RULES C8)."""
    if within is None:
        return rows
    elsewhere = exists().where(copies.c.study_uid == dirty.c.study_uid, copies.c.archive.not_in(sorted(within)))
    return rows.where(~elsewhere)
