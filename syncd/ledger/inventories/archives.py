"""Which archives the ledger knows, and how one is forgotten (RULES C8).

An archive that the settings do not name any more is not gone: what it held was published, and its studies wait until
the operator says that it will not come back. The word may be given beside a live daemon, and for a million copies: it
is kept first, then each slice of copies goes in the transaction that marks their studies, and the feed's position goes
last. Interrupted anywhere, the same word goes on where it ended.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, delete, select, update

from syncd.ledger.db.schema import copies, feed_seen, feeds
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.studies.marks import MARKED_AT_ONCE, NOWHERE, mark
from syncd.ledger.studies.records import archives_with_copies, fact, save_fact
from syncd.ledger.studies.retractions import forget_plan
from syncd.ledger.studies.unselected import begin_import
from syncd.model.ids import ArchiveName
from syncd.model.words import ArchiveState, Priority
from syncd.model.work import Mark, MarkKind

_FORGOTTEN, _ROOTS = "forgotten-archives", "dicomweb-roots"
"""Facts: archives whose Endpoints must still be switched off; where each archive last said that its DICOMweb is."""

_SLICE = (
    select(copies.c.orthanc_id, copies.c.study_uid)
    .where(copies.c.archive == bindparam("archive"))
    .order_by(copies.c.orthanc_id)
    .limit(bindparam("size"))
)
_GONE = delete(copies).where(copies.c.archive == bindparam("a"), copies.c.orthanc_id == bindparam("o"))


class Archives:
    """`ledger.archives`: each method one transaction or one short read, or a walk of such."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def names(self) -> frozenset[ArchiveName]:
        """Every archive that was ever followed, or holds a known copy."""
        return self._transactions.read(_names)

    def accept(self, archive: ArchiveName) -> int:
        """Forget the archive's copies and list it anew; -1 if it is not known. A second process may ask for it too."""
        return self._transactions.write(lambda tx: _accept(tx, archive))

    def forget(self, archive: ArchiveName) -> int:
        """Drop the archive's copies and mark their studies, in slices; returns how many copies there were. A second
        process may ask for it. What is interrupted is gone on with by asking again."""
        now = self._transactions.now()
        self._transactions.write(lambda tx: _begin_forgetting(tx, archive))
        dropped = 0
        while size := self._transactions.write(lambda tx: _forget_slice(tx, archive, size=MARKED_AT_ONCE, now=now)):
            dropped += size
        self._transactions.write(lambda tx: _forget_feed(tx, archive))
        return dropped

    def to_switch_off(self) -> tuple[ArchiveName, ...]:
        """Those forgotten whose Endpoints must still be switched off."""
        return self._transactions.read(_to_switch_off)

    def drop_forgotten(self, archive: ArchiveName) -> None:
        """The Endpoints of a forgotten archive are off, or wanted again."""
        self._transactions.own(lambda tx: _drop_forgotten(tx, archive))

    def dicomweb_roots(self) -> Mapping[str, str]:
        """Where each archive last said that its DICOMweb is."""
        return self._transactions.read(_roots)

    def save_dicomweb_roots(self, roots: Mapping[str, str]) -> None:
        self._transactions.own(lambda tx: save_fact(tx, _ROOTS, dict(roots)))


def _names(connection: Connection) -> frozenset[ArchiveName]:
    """Every archive that was ever followed, or holds a known copy."""
    followed = connection.execute(select(feeds.c.archive)).scalars()
    return frozenset(ArchiveName(name) for name in (*followed, *archives_with_copies(connection)))


def _to_switch_off(connection: Connection) -> tuple[ArchiveName, ...]:
    """Those whose Endpoints must still be switched off."""
    return tuple(ArchiveName(name) for name in fact(connection, _FORGOTTEN) or ())


def _begin_forgetting(tx: Transaction, archive: ArchiveName) -> None:
    save_fact(tx, _FORGOTTEN, sorted({*_to_switch_off(tx.connection), archive}))


def _forget_slice(tx: Transaction, archive: ArchiveName, *, size: int, now: float) -> int:
    """Drop up to `size` copies and mark their studies; returns how many there were."""
    rows = tx.connection.execute(_SLICE, {"archive": archive, "size": size}).all()
    if rows:
        tx.connection.execute(_GONE, [{"a": archive, "o": row.orthanc_id} for row in rows])
        marks = [
            Mark(study_uid=row.study_uid, kind=MarkKind.RESYNC, archive=NOWHERE, priority=Priority.REPAIR) for row in rows
        ]
        mark(tx, marks, copies=(), settle_after=0.0, now=now)
    return len(rows)


def _forget_feed(tx: Transaction, archive: ArchiveName) -> None:
    """It is followed no more; should the name be used again, that archive is listed from the start."""
    for table in (feed_seen, feeds):
        tx.connection.execute(delete(table).where(table.c.archive == archive))
    save_fact(tx, _ROOTS, {name: root for name, root in _roots(tx.connection).items() if name != archive})


def _accept(tx: Transaction, archive: ArchiveName) -> int:
    """Take the archive as it is now: its copies are forgotten, and the next inventory finds those it has (RULES A4).

    What is gone is taken back through the brake (RULES D3), and planned anew when the inventory is in. Returns how many
    copies were forgotten; -1 if the archive is not known."""
    state = {"state": ArchiveState.BOOTSTRAPPING.value, "reason": "", "sweep_wanted": True}
    if not tx.connection.execute(update(feeds).where(feeds.c.archive == archive).values(**state)).rowcount:
        return -1
    forget_plan(tx, archive)
    begin_import(tx, archive, until=0)
    return tx.connection.execute(delete(copies).where(copies.c.archive == archive)).rowcount


def _drop_forgotten(tx: Transaction, archive: ArchiveName) -> None:
    """Its Endpoints are off, or are wanted again."""
    save_fact(tx, _FORGOTTEN, [name for name in _to_switch_off(tx.connection) if name != archive])


def _roots(connection: Connection) -> Mapping[str, str]:
    """The DICOMweb root of each archive, as it last said."""
    return {str(name): str(root) for name, root in (fact(connection, _ROOTS) or {}).items()}
