"""Where each archive's change feed stands, moved in the transaction that makes its marks (RULES A1–A3).

What was seen within the overlap is kept beside the cursor, entry by entry, and only differences are written: a poll
that reads a thousand old entries again and finds one new one writes one row. Three hands hold one row: intake moves the
numbers, the inventory the state, the operator a pause. So each writes its own columns only: `commit_intake` never touches
`state`, and never takes a wanted sweep back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, bindparam, delete, func, select, update

from syncd.ledger.db.rows import to_row
from syncd.ledger.db.schema import feed_seen, feeds, upsert
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.studies.marks import mark
from syncd.model.change import Change
from syncd.model.ids import ArchiveName
from syncd.model.words import ArchiveState
from syncd.model.work import Copy, FeedPosition, Mark

Seen = Mapping[int, tuple[Change, float]]

BEHIND_EVERY_NUMBER = 2**63 - 1
"""Orthanc counts in 63 bits."""

_HERE = feed_seen.c.archive == bindparam("a")
_KEPT = select(func.count(), func.coalesce(func.sum(feed_seen.c.seq), 0)).where(_HERE)
_FORGET_BELOW = delete(feed_seen).where(_HERE, feed_seen.c.seq < bindparam("s"))
_FORGET = delete(feed_seen).where(feed_seen.c.archive == bindparam("a"), feed_seen.c.seq == bindparam("s"))


class Feed:
    """`ledger.feed`: where each archive's feed stands; each method one transaction or one short read."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def position(self, archive: ArchiveName) -> FeedPosition | None:
        """`None` before the first bootstrap."""
        return self._transactions.read(lambda connection: _position(connection, archive))

    def standing(self, archive: ArchiveName) -> FeedPosition | None:
        """The same without what was seen of the overlap, which only reading on needs and which is a thousand entries."""
        return self._transactions.read(lambda connection: _standing(connection, archive))

    def begin_bootstrap(self, archive: ArchiveName, *, cursor: int, high_water: int) -> None:
        """(Re)start the feed at `cursor`; commit this before listing the archive."""
        now = self._transactions.now()
        self._transactions.own(lambda tx: _begin_bootstrap(tx, archive, cursor=cursor, high_water=high_water, now=now))

    def finish_bootstrap(self, archive: ArchiveName) -> None:
        self._transactions.own(lambda tx: _finish_bootstrap(tx, archive))

    def set_state(self, archive: ArchiveName, state: ArchiveState, reason: str) -> None:
        self._transactions.own(lambda tx: _set_state(tx, archive, state, reason=reason))

    def want_sweep(self, archive: ArchiveName) -> None:
        self._transactions.own(lambda tx: _set_sweep(tx, archive, wanted=True))

    def finish_sweep(self, archive: ArchiveName) -> None:
        self._transactions.own(lambda tx: _set_sweep(tx, archive, wanted=False))

    def commit_intake(
        self,
        position: FeedPosition,
        *,
        before: FeedPosition | None = None,
        marks: Sequence[Mark],
        copies: Sequence[Copy],
        settle_after: float,
    ) -> int:
        """Marks, copies, cursor and overlap in one transaction (RULES A2); returns how many studies were marked. `before` is
        the position from which this one followed: then only what it adds is written.

        `position.state` and `reason` only count for an archive without position: later the inventory and the operator
        move them, by `finish_bootstrap` and `set_state`. A wanted sweep stays wanted until `finish_sweep`.
        """
        now = self._transactions.now()
        return self._transactions.own(
            lambda tx: _take(tx, position, before=before, marks=marks, copies=copies, settle_after=settle_after, now=now)
        )


def _position(connection: Connection, archive: ArchiveName) -> FeedPosition | None:
    """The archive's position with everything seen in the overlap; `None` before the first bootstrap."""
    standing = _standing(connection, archive)
    return None if standing is None else replace(standing, seen=_load_seen(connection, archive))


def _standing(connection: Connection, archive: ArchiveName) -> FeedPosition | None:
    row = connection.execute(select(feeds).where(feeds.c.archive == archive)).one_or_none()
    if row is None:
        return None
    return FeedPosition(
        archive=ArchiveName(row.archive),
        state=ArchiveState(row.state),
        cursor=row.cursor,
        high_water=row.high_water,
        moved_at=row.moved_at,
        sweep_wanted=row.sweep_wanted,
        reason=row.reason,
    )


def _load_seen(connection: Connection, archive: ArchiveName) -> dict[int, tuple[Change, float]]:
    rows = connection.execute(select(feed_seen).where(feed_seen.c.archive == archive).order_by(feed_seen.c.seq))
    return {
        seq: (Change(seq=seq, change_type=kind, resource_type=of, resource_id=id_, date=date), first_seen)
        for _, seq, kind, of, id_, date, first_seen in rows
    }


def _begin_bootstrap(tx: Transaction, archive: ArchiveName, *, cursor: int, high_water: int, now: float) -> None:
    """Start anew from `cursor`: committed before the listing begins, so a restart finds this mark (RULES A1)."""
    tx.connection.execute(delete(feed_seen).where(feed_seen.c.archive == archive))
    start = FeedPosition(
        archive=archive, state=ArchiveState.BOOTSTRAPPING, cursor=cursor, high_water=high_water, moved_at=now
    )
    upsert(tx.connection, feeds, rows=[_feed_row(start)])


def _finish_bootstrap(tx: Transaction, archive: ArchiveName) -> None:
    """The inventory is in; an archive that was paused meanwhile stays paused."""
    bootstrapping = (feeds.c.archive == archive) & (feeds.c.state == ArchiveState.BOOTSTRAPPING.value)
    tx.connection.execute(update(feeds).where(bootstrapping).values(state=ArchiveState.OK.value, reason=""))


def _set_state(tx: Transaction, archive: ArchiveName, state: ArchiveState, *, reason: str) -> None:
    """For an archive whose bootstrap has begun; there is nothing to pause before."""
    tx.connection.execute(update(feeds).where(feeds.c.archive == archive).values(state=state.value, reason=reason))


def _set_sweep(tx: Transaction, archive: ArchiveName, *, wanted: bool) -> None:
    tx.connection.execute(update(feeds).where(feeds.c.archive == archive).values(sweep_wanted=wanted))


def _take(
    tx: Transaction,
    position: FeedPosition,
    *,
    before: FeedPosition | None,
    marks: Sequence[Mark],
    copies: Sequence[Copy],
    settle_after: float,
    now: float,
) -> int:
    """Marks, copies, cursor and what was seen, together (RULES A2); returns how many studies were marked."""
    moved = _feed_row(position)
    known = tx.connection.execute(select(feeds.c.archive).where(feeds.c.archive == position.archive)).first()
    if known is not None:
        del moved["state"], moved["reason"]
        if not position.sweep_wanted:
            del moved["sweep_wanted"]
        tx.connection.execute(update(feeds).where(feeds.c.archive == position.archive).values(moved))
    else:
        upsert(tx.connection, feeds, rows=[moved])
    _write_seen(tx.connection, position.archive, position.seen, before=before.seen if before else None)
    return mark(tx, marks, copies=copies, settle_after=settle_after, now=now)


def _write_seen(connection: Connection, archive: ArchiveName, seen: Seen, *, before: Seen | None) -> None:
    """Make the kept overlap exactly `seen`. Where that follows from `before`, only what is other than there is written;
    whether the ledger had just that, two sums tell: it may have been begun anew meanwhile."""
    if before is not None:
        connection.execute(_FORGET_BELOW, {"a": archive, "s": min(seen, default=BEHIND_EVERY_NUMBER)})
        fresh = [_seen_row(archive, seq, *entry) for seq, entry in seen.items() if before.get(seq) is not entry]
        upsert(connection, feed_seen, rows=fresh)
        if tuple(connection.execute(_KEPT, {"a": archive}).one()) == (len(seen), sum(seen)):
            return
    _compare_seen(connection, archive, seen)


def _compare_seen(connection: Connection, archive: ArchiveName, seen: Seen) -> None:
    before = _load_seen(connection, archive)
    gone = [{"a": archive, "s": seq} for seq in before.keys() - seen.keys()]
    if gone:
        connection.execute(_FORGET, gone)
    changed = [_seen_row(archive, seq, *entry) for seq, entry in seen.items() if before.get(seq) != entry]
    upsert(connection, feed_seen, rows=changed)


def _seen_row(archive: ArchiveName, seq: int, change: Change, first_seen: float) -> dict[str, object]:
    return {
        "archive": archive,
        "seq": seq,
        "change_type": change.change_type,
        "resource_type": change.resource_type,
        "resource_id": change.resource_id,
        "date": change.date,
        "first_seen": first_seen,
    }


def _feed_row(position: FeedPosition) -> dict[str, object]:
    row = to_row(position)
    del row["seen"]
    return {**row, "state": position.state.value}
