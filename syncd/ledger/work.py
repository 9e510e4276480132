"""Work handed out: claims and intents.

A claim is a row's `claim_epoch`: it holds while the process that wrote it owns the ledger, and is void for the next one
(RULES E4), so nothing has to be cleaned up after a crash. The difficulty is to find the most urgent row among a million
without sorting them: due rows are read priority by priority, each by a walk along one index.
`due` is never before `not_before`, so whoever looks for due rows need not look at backoffs (RULES C6).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, or_, select, update

from syncd.ledger.records import copies_of, several
from syncd.ledger.rows import slices, to_noun, to_row
from syncd.ledger.schema import dirty, intents, parked, records, upsert
from syncd.ledger.writer import Transaction
from syncd.model.work import Copy, DirtyRow, Intent, ParkedStudy, StudyRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One study to work on, with everything that the ledger knows of it, read in the transaction of the claim."""

    row: DirtyRow
    record: StudyRecord | None = None
    copies: tuple[Copy, ...] = ()
    intent: Intent | None = None
    parked: ParkedStudy | None = None


def unclaimed(epoch: int | None) -> ColumnElement[bool]:
    return or_(dirty.c.claim_epoch.is_(None), dirty.c.claim_epoch != epoch)


def priorities(connection: Connection) -> Iterator[int]:
    """The priorities that pending rows have, in order; each is one step in the index, however many rows there are."""
    last = -1
    while (found := connection.execute(_NEXT_PRIORITY, {"last": last}).scalar()) is not None:
        yield found
        last = found


_NEXT_PRIORITY = select(func.min(dirty.c.priority)).where(dirty.c.priority > bindparam("last"))
_DUE = (
    select(dirty)
    .where(dirty.c.priority == bindparam("level"), dirty.c.due <= bindparam("now"))
    .where(or_(dirty.c.claim_epoch.is_(None), dirty.c.claim_epoch != bindparam("epoch")))
    .order_by(dirty.c.due, dirty.c.study_uid)
    .limit(bindparam("most"))
)
_CLAIM = update(dirty).where(dirty.c.study_uid == bindparam("uid")).values(claim_epoch=bindparam("epoch"))


def claim(tx: Transaction, *, limit: int, now: float, epoch: int) -> list[Claim]:
    """Up to `limit` due rows, most urgent first: by priority, due time, then UID (RULES A9)."""
    rows: list[Row[Any]] = []
    for level in priorities(tx.connection):
        wanted = {"level": level, "now": now, "epoch": epoch, "most": limit - len(rows)}
        rows += tx.connection.execute(_DUE, wanted)
        if len(rows) >= limit:
            break
    return _claimed(tx, rows, epoch=epoch)


def claim_study(tx: Transaction, study_uid: str, *, epoch: int) -> Claim | None:
    """The study's row, due or not; `None` when nothing is pending or somebody works on it."""
    rows = tx.connection.execute(select(dirty).where(dirty.c.study_uid == study_uid, unclaimed(epoch))).all()
    claims = _claimed(tx, rows, epoch=epoch)
    return claims[0] if claims else None


def _claimed(tx: Transaction, rows: Sequence[Row[Any]], *, epoch: int) -> list[Claim]:
    if not rows:
        return []
    connection, uids = tx.connection, [row.study_uid for row in rows]
    connection.execute(_CLAIM, [{"uid": uid, "epoch": epoch} for uid in uids])
    found = several(connection, StudyRecord, records, uids)
    intended = several(connection, Intent, intents, uids)
    waiting = several(connection, ParkedStudy, parked, uids)
    held = copies_of(connection, uids)
    return [
        Claim(
            row=to_noun(DirtyRow, row),
            record=found.get(row.study_uid),
            copies=held.get(row.study_uid, ()),
            intent=intended.get(row.study_uid),
            parked=waiting.get(row.study_uid),
        )
        for row in rows
    ]


def release(tx: Transaction, study_uids: Iterable[str], *, epoch: int) -> None:
    """Hand claims back without an outcome; the rows stay as they are."""
    for uids in slices(study_uids):
        held = dirty.c.study_uid.in_(uids) & (dirty.c.claim_epoch == epoch)
        tx.connection.execute(update(dirty).where(held).values(claim_epoch=None))


def next_due(connection: Connection, *, epoch: int | None) -> float | None:
    """When the earliest unclaimed row is due; `None` when nothing is pending."""
    firsts = [
        connection.execute(
            select(dirty.c.due).where(dirty.c.priority == level, unclaimed(epoch)).order_by(dirty.c.due).limit(1)
        ).scalar()
        for level in priorities(connection)
    ]
    return min((due for due in firsts if due is not None), default=None)


def save_intent(tx: Transaction, intent: Intent) -> None:
    upsert(tx.connection, intents, rows=[to_row(intent)])
