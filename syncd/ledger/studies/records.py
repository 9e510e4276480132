"""What was published and what is known of it: records, copies, parked studies, single facts.

Reads take keys or a page that begins after a key, never "all" (RULES E6, E8): a million studies pass through in slices,
and no reader holds a transaction open while its caller works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, Table, bindparam, delete, func, select, update

from syncd.ledger.db.rows import Nouns, slices, to_noun
from syncd.ledger.db.schema import assigned_ids, companions, copies, dirty, facts, parked, records, unselected, upsert
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.studies import corrections
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.study.dates import plain_date
from syncd.model.work import Copy, ParkedStudy, StudyRecord

T = TypeVar("T")


class Records:
    """`ledger.records`: each method one short read."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def find(self, study_uid: str) -> StudyRecord | None:
        return self._transactions.read(lambda connection: find_row(connection, StudyRecord, records, study_uid))

    def page(self, after: str = "", limit: int = 500) -> list[StudyRecord]:
        """A page in the order of UIDs; the next one begins after its last UID."""
        return self._transactions.read(
            lambda connection: find_page(connection, StudyRecord, records, after=after, limit=limit)
        )

    def find_parked(self, study_uid: str) -> ParkedStudy | None:
        return self._transactions.read(lambda connection: find_row(connection, ParkedStudy, parked, study_uid))

    def page_parked(self, after: str = "", limit: int = 500) -> list[ParkedStudy]:
        """A page in the order of UIDs; the next one begins after its last UID."""
        return self._transactions.read(
            lambda connection: find_page(connection, ParkedStudy, parked, after=after, limit=limit)
        )

    def count_outdated(self, fingerprint: str) -> int:
        """How many records were published under another fingerprint."""
        return self._transactions.read(lambda connection: _count_outdated(connection, fingerprint))

    def study_of(self, archive: ArchiveName, orthanc_ids: Iterable[OrthancId]) -> dict[OrthancId, str]:
        """The StudyInstanceUIDs of those Orthanc studies that are known."""
        return self._transactions.read(lambda connection: _study_of(connection, archive, orthanc_ids))

    def sample_copies(self, archive: ArchiveName, size: int) -> list[Copy]:
        """Up to `size` copies of published studies, spread over the ledger (RULES A4)."""
        return self._transactions.read(lambda connection: _sample_copies(connection, archive, size))


_DOORS: dict[type, Nouns[Any]] = {}


def nouns_of(kind: type[T], table: Table) -> Nouns[T]:
    """The door to the rows of `table`, of which a study has one at most; a kind of noun has one table."""
    if kind not in _DOORS:
        _DOORS[kind] = Nouns(kind, table)
    return _DOORS[kind]


def find_row(connection: Connection, kind: type[T], table: Table, study_uid: str) -> T | None:
    """The study's row of `table`, as `kind`."""
    return next(iter(nouns_of(kind, table).of(connection, [study_uid])), None)


def several(connection: Connection, kind: type[T], table: Table, study_uids: Iterable[str]) -> dict[str, T]:
    """The rows of these studies, by UID."""
    found: list[Any] = nouns_of(kind, table).of(connection, list(study_uids))
    return {one.study_uid: one for one in found}


def find_page(connection: Connection, kind: type[T], table: Table, *, after: str, limit: int) -> list[T]:
    """Up to `limit` rows whose UID comes after `after`, in the order of their UIDs."""
    rows = select(table).where(table.c.study_uid > after).order_by(table.c.study_uid).limit(limit)
    return [to_noun(kind, row) for row in connection.execute(rows)]


_COPIES = Nouns(Copy, copies, order=("archive", "orthanc_id"))


def copies_of(connection: Connection, study_uids: Iterable[str]) -> dict[str, tuple[Copy, ...]]:
    """Every known copy of these studies, by UID, in the order of archive and Orthanc id."""
    found: dict[str, tuple[Copy, ...]] = {}
    for copy in _COPIES.of(connection, list(study_uids)):
        found[copy.study_uid] = (*found.get(copy.study_uid, ()), copy)
    return found


_NEXT_ARCHIVE = select(func.min(copies.c.archive)).where(copies.c.archive > bindparam("last"))


def archives_with_copies(connection: Connection) -> frozenset[str]:
    """The archives of which a copy is known; each is one step in the index, however many copies there are."""
    found, last = [], ""
    while (name := connection.execute(_NEXT_ARCHIVE, {"last": last}).scalar()) is not None:
        found.append(last := str(name))
    return frozenset(found)


def _study_of(connection: Connection, archive: ArchiveName, orthanc_ids: Iterable[OrthancId]) -> dict[OrthancId, str]:
    """The UIDs of those Orthanc studies that are known."""
    return {
        OrthancId(row.orthanc_id): row.study_uid
        for ids in slices(orthanc_ids)
        for row in connection.execute(
            select(copies.c.orthanc_id, copies.c.study_uid).where(copies.c.archive == archive, copies.c.orthanc_id.in_(ids))
        )
    }


def _sample_copies(connection: Connection, archive: ArchiveName, size: int) -> list[Copy]:
    """`size` copies of published studies, spread over the ledger (RULES A4); fewer when there are not so many.

    Orthanc's ids are hashes, so equal steps through them are steps through all studies; then the first ones fill up.
    """
    published = (
        select(copies)
        .join(records, records.c.study_uid == copies.c.study_uid)
        .where(copies.c.archive == archive, copies.c.orthanc_id >= bindparam("from"))
        .order_by(copies.c.orthanc_id)
        .limit(bindparam("most"))
    )
    starts = [(f"{step * 0x10000 // size:04x}", 1) for step in range(size)]
    found: dict[str, Copy] = {}
    for start, most in [*starts, ("", size)]:
        for row in connection.execute(published, {"from": start, "most": most}):
            if len(found) < size:
                found.setdefault(row.orthanc_id, to_noun(Copy, row))
    return list(found.values())


def study_dates(connection: Connection, study_uids: Iterable[str]) -> dict[str, str]:
    """`YYYYMMDD` of those studies that were published with a date, or are kept as unselected with one."""
    return {
        row.study_uid: plain_date(row.study_date)
        for uids in slices(study_uids)
        for table in (unselected, records)
        for row in connection.execute(select(table.c.study_uid, table.c.study_date).where(table.c.study_uid.in_(uids)))
    }


def dirty_among(connection: Connection, study_uids: Iterable[str]) -> set[str]:
    return {
        uid
        for uids in slices(study_uids)
        for uid in connection.execute(select(dirty.c.study_uid).where(dirty.c.study_uid.in_(uids))).scalars()
    }


def every_uid(table: Table) -> Select[Any]:
    """The UIDs of a table after `after`, in order, at most `most`."""
    key = table.c.study_uid
    return select(key).where(key > bindparam("after")).order_by(key).limit(bindparam("most"))


def select_parked_only() -> Select[Any]:
    """Parked studies that were never published, as `every_uid`."""
    published = select(records.c.study_uid).where(records.c.study_uid == parked.c.study_uid).exists()
    return every_uid(parked).where(~published)


def select_outdated(fingerprint: str) -> Select[Any]:
    """Records made under another fingerprint (RULES B3) whose study is not waiting already, as `every_uid`."""
    pending = select(dirty.c.study_uid).where(dirty.c.study_uid == records.c.study_uid).exists()
    return every_uid(records).where(records.c.fingerprint != fingerprint, ~pending)


def slice_of(wanted: Select[Any], *, after: str, size: int) -> Callable[[Connection], Sequence[str]]:
    """The question for the next `size` UIDs of `wanted`; each slice is a read of its own (RULES E8)."""
    return lambda connection: connection.execute(wanted, {"after": after, "most": size}).scalars().all()


def forget_companions(tx: Transaction) -> None:
    """The server holds none of them any more; and what it refused it may take now (RULES E2: the target changed)."""
    tx.connection.execute(delete(companions))
    tx.connection.execute(delete(assigned_ids))
    tx.connection.execute(update(parked).where(~parked.c.dropped).values(digest="", target_version=""))
    corrections.forget_all(tx)


def fact(connection: Connection, name: str) -> Any:
    """A single value; `None` when it was never saved."""
    return connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar_one_or_none()


def save_fact(tx: Transaction, name: str, value: Any) -> None:
    upsert(tx.connection, facts, rows=[{"name": name, "value": value}])


def _count_outdated(connection: Connection, fingerprint: str) -> int:
    """How many records were made under another fingerprint, waiting or not."""
    different = select(func.count()).select_from(records).where(records.c.fingerprint != fingerprint)
    return connection.execute(different).scalar_one()
