"""Which archives the ledger knows, and how one is forgotten (RULES C8).

An archive that the settings do not name any more is not gone: what it held was published, and its studies wait until
the operator says that it will not come back. The word may be given beside a live daemon, and for a million copies: it
is kept first, then each slice of copies goes in the transaction that marks their studies, and the feed's position goes
last. Interrupted anywhere, the same word goes on where it ended.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, delete, select

from syncd.ledger.db.schema import copies, feed_seen, feeds
from syncd.ledger.db.writer import Transaction
from syncd.ledger.studies.marks import mark
from syncd.ledger.studies.records import archives_with_copies, fact, save_fact
from syncd.model.ids import ArchiveName
from syncd.model.words import Priority
from syncd.model.work import Mark, MarkKind

FORGOTTEN, ROOTS = "forgotten-archives", "dicomweb-roots"
"""Facts: archives whose Endpoints must still be switched off; where each archive last said that its DICOMweb is."""

_NOWHERE = ArchiveName("")
_SLICE = (
    select(copies.c.orthanc_id, copies.c.study_uid)
    .where(copies.c.archive == bindparam("archive"))
    .order_by(copies.c.orthanc_id)
    .limit(bindparam("size"))
)
_GONE = delete(copies).where(copies.c.archive == bindparam("a"), copies.c.orthanc_id == bindparam("o"))


def every_archive(connection: Connection) -> frozenset[ArchiveName]:
    """Every archive that was ever followed, or holds a known copy."""
    followed = connection.execute(select(feeds.c.archive)).scalars()
    return frozenset(ArchiveName(name) for name in (*followed, *archives_with_copies(connection)))


def archives_to_switch_off(connection: Connection) -> tuple[ArchiveName, ...]:
    """Those whose Endpoints must still be switched off."""
    return tuple(ArchiveName(name) for name in fact(connection, FORGOTTEN) or ())


def begin_forgetting(tx: Transaction, archive: ArchiveName) -> None:
    save_fact(tx, FORGOTTEN, sorted({*archives_to_switch_off(tx.connection), archive}))


def forget_slice(tx: Transaction, archive: ArchiveName, *, size: int, now: float) -> int:
    """Drop up to `size` copies and mark their studies; returns how many there were."""
    rows = tx.connection.execute(_SLICE, {"archive": archive, "size": size}).all()
    if rows:
        tx.connection.execute(_GONE, [{"a": archive, "o": row.orthanc_id} for row in rows])
        marks = [
            Mark(study_uid=row.study_uid, kind=MarkKind.RESYNC, archive=_NOWHERE, priority=Priority.REPAIR) for row in rows
        ]
        mark(tx, marks, copies=(), settle_after=0.0, now=now)
    return len(rows)


def forget_feed(tx: Transaction, archive: ArchiveName) -> None:
    """It is followed no more; should the name be used again, that archive is listed from the start."""
    for table in (feed_seen, feeds):
        tx.connection.execute(delete(table).where(table.c.archive == archive))
    save_fact(tx, ROOTS, {name: root for name, root in roots(tx.connection).items() if name != archive})


def drop_from_forgotten(tx: Transaction, archive: ArchiveName) -> None:
    """Its Endpoints are off, or are wanted again."""
    save_fact(tx, FORGOTTEN, [name for name in archives_to_switch_off(tx.connection) if name != archive])


def roots(connection: Connection) -> Mapping[str, str]:
    """The DICOMweb root of each archive, as it last said."""
    return {str(name): str(root) for name, root in (fact(connection, ROOTS) or {}).items()}
