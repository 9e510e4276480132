"""What a one-shot command asks of the ledger: is everything that it marked dealt with?

Counting is bounded by what was marked and is not settled yet, and only a person's command asks (RULES E8).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, delete, exists, func, select, update

from syncd.ledger.db.schema import copies, dirty, feeds, sequences
from syncd.ledger.db.writer import Transaction
from syncd.ledger.studies.retractions import forget_plan
from syncd.ledger.studies.unselected import begin_import
from syncd.model.ids import ArchiveName
from syncd.model.words import ArchiveState, Priority


def newest_generation(connection: Connection) -> int:
    """The newest generation given to a mark (RULES E1)."""
    found = connection.execute(select(sequences.c.value).where(sequences.c.name == "generation")).scalar()
    return int(found or 0)


def count_unsettled(connection: Connection, *, generation: int, now: float, within: Collection[str] | None) -> int:
    """Studies marked up to `generation` that are due and not dealt with; those that wait for a later time are settled,
    those that wait for an archive outside of `within`, and old ones that nobody asked for: the daemon may not work on
    them at this hour (RULES A9)."""
    marked = dirty.c.generation <= generation, dirty.c.due <= now, dirty.c.priority < Priority.BACKFILL
    rows = select(func.count()).select_from(dirty).where(*marked)
    return int(connection.execute(_only_within(rows, within)).scalar_one())


def count_backing_off(connection: Connection, *, most_attempts: int, within: Collection[str] | None) -> int:
    """Studies that failed at most `most_attempts` times and will be tried again."""
    rows = select(func.count()).select_from(dirty).where(dirty.c.attempts > 0, dirty.c.attempts <= most_attempts)
    return int(connection.execute(_only_within(rows, within)).scalar_one())


def _only_within(rows: Select[Any], within: Collection[str] | None) -> Select[Any]:
    """Only studies of which no copy lies in another archive (RULES C8)."""
    if within is None:
        return rows
    elsewhere = exists().where(copies.c.study_uid == dirty.c.study_uid, copies.c.archive.not_in(sorted(within)))
    return rows.where(~elsewhere)


def accept_archive(tx: Transaction, archive: ArchiveName) -> int:
    """Take the archive as it is now: its copies are forgotten, and the next inventory finds those it has (RULES A4).

    What is gone is taken back through the brake (RULES D3), and planned anew when the inventory is in. Returns how many
    copies were forgotten; -1 if the archive is not known."""
    state = {"state": ArchiveState.BOOTSTRAPPING.value, "reason": "", "sweep_wanted": True}
    if not tx.connection.execute(update(feeds).where(feeds.c.archive == archive).values(**state)).rowcount:
        return -1
    forget_plan(tx, archive)
    begin_import(tx, archive, until=0)
    return tx.connection.execute(delete(copies).where(copies.c.archive == archive)).rowcount
