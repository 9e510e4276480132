"""One archive's listing, staged, and compared with the copies that the ledger knows (RULES A8).

Nobody holds all studies in memory (RULES E8): the listing goes into a table, and every comparison is an anti-join, read
window by window along the primary key, so that no reader stays open and no slice costs more than another. The archive
lives on while it is listed: a copy first seen after the listing began is missing in it for no other reason, so it is
not compared; and nothing here says that a study is gone, only that it was not listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, Table, Update, bindparam, delete, func, select

from syncd.ledger.db.rows import slices, to_noun, to_row
from syncd.ledger.db.schema import copies, swept, upsert
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.inventories.comparison import (
    known_counts,
    least_recently_counted,
    listed_as,
    select_differing,
    select_gone,
    select_in_question,
    untold_digests,
)
from syncd.ledger.inventories.counting import find_miscounted, keep_counts
from syncd.ledger.studies.records import fact, save_fact
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.inventories import Difference, Inventory
from syncd.model.study.raw import StudyListing
from syncd.model.work import Copy

Statement = TypeVar("Statement", Select[Any], Update)

WINDOW = 2000
"""Rows of the walked table that one comparison looks at: some 10 ms."""


class Sweep:
    """`ledger.sweep`: what one inventory of an archive needs, each method one short transaction or read."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def now(self) -> float:
        """The ledger's clock, which `began` and what was first seen when are told by."""
        return self._transactions.now()

    def begin(self, archive: ArchiveName) -> float:
        """Forget an older listing; returns the moment from which on copies are too new to be compared."""
        self._clear(archive)
        return self._transactions.now()

    def stage(self, archive: ArchiveName, ids: Sequence[OrthancId]) -> None:
        """Keep ids of the listing, of which nothing else is known yet."""
        untold = {"study_uid": "", "last_update": "", "study_date": "", "is_stable": False}
        untold |= {"labels": None, "tags_digest": None}
        rows = [{"archive": archive, "orthanc_id": one, **untold} for one in sorted(set(ids))]
        self._transactions.own(lambda tx: upsert(tx.connection, swept, rows=rows))

    def detail(self, archive: ArchiveName, listings: Sequence[StudyListing]) -> int:
        """Keep details; returns how many of them told something of the listing that was not known yet."""
        # In the order of the table: the ids are hashes, and each page would touch all of it in another order.
        in_order = sorted(listings, key=lambda one: one.orthanc_id)
        rows = {one.orthanc_id: _staging_row(one, archive=archive) for one in in_order}
        return self._transactions.own(lambda tx: _detail(tx, archive, rows))

    def find_undetailed(self, archive: ArchiveName, window: tuple[str, str]) -> list[OrthancId]:
        """The ids of the window of which no page told anything."""
        wanted = _within(select(swept.c.orthanc_id), swept, archive, window).where(swept.c.study_uid == "")
        return [
            OrthancId(one) for one in self._transactions.read(lambda connection: connection.execute(wanted).scalars().all())
        ]

    def windows(self, archive: ArchiveName) -> Iterator[tuple[str, str]]:
        """The staged listing in windows (after, up to); ids staged meanwhile behind the current one are included."""
        return self._windows(swept, archive)

    def copy_windows(self, archive: ArchiveName, *, untold: bool = False) -> Iterator[tuple[str, str]]:
        """The same of the copies that are known; `untold`: of those of which no digest is."""
        return self._windows(copies, archive, *((copies.c.tags_digest.is_(None),) if untold else ()))

    def find_staged(self, archive: ArchiveName, window: tuple[str, str]) -> list[StudyListing]:
        """Every study of the window, as far as it has a UID."""
        wanted = _within(select(swept), swept, archive, window).where(swept.c.study_uid != "")
        return [_listing(row) for row in self._rows(wanted)]

    def find_differing(self, archive: ArchiveName, window: tuple[str, str]) -> list[tuple[StudyListing, Difference]]:
        """New, changed, or stable though only `registered`; a known copy of a study that is dirty already is left alone."""
        rows = self._rows(_within(select_differing(), swept, archive, window))
        return [(_listing(row), _difference(row)) for row in rows]

    def find_in_question(self, archive: ArchiveName, window: tuple[str, str], *, fingerprint: str) -> list[StudyListing]:
        """All but what is known, unchanged and settled, rendering being of this `fingerprint` (RULES B3)."""
        rows = self._rows(_within(select_in_question(), swept, archive, window), {"fingerprint": fingerprint})
        return [_listing(row) for row in rows]

    def are_in_question(self, archive: ArchiveName, listings: Sequence[StudyListing], *, fingerprint: str) -> set[OrthancId]:
        """Which of these are, nothing being staged: up to some hundred of them, for a second process."""
        if not listings:
            return set()
        told = listed_as([_staging_row(one, archive=archive) for one in listings])
        rows = self._rows(select_in_question(told), {"fingerprint": fingerprint})
        return {OrthancId(row.orthanc_id) for row in rows}

    def number_of(self, archive: ArchiveName, window: tuple[str, str]) -> int:
        """How many studies `find_staged` has in the window."""
        counted = select(func.count()).select_from(swept).where(swept.c.study_uid != "")
        (row,) = self._rows(_inside(counted, swept, archive, window))
        return int(row[0])

    def keep_digests(self, archive: ArchiveName, window: tuple[str, str]) -> int:
        """Keep the digest that was listed of copies of which none is known and that nobody is going to read: what an older
        version left out, or set aside. Returns of how many."""
        known = _inside(untold_digests(), copies, archive, window)
        return self._transactions.own(lambda tx: int(tx.connection.execute(known).rowcount))

    def find_gone(self, archive: ArchiveName, window: tuple[str, str], *, began: float) -> list[Copy]:
        """Copies of the window that were known when the listing began, and are not in it; dirty studies left alone."""
        rows = self._rows(_within(select_gone(), copies, archive, window).where(copies.c.first_seen < began))
        return [to_noun(Copy, row) for row in rows]

    def to_count(self, archive: ArchiveName, *, counted_before: float, most: int) -> dict[OrthancId, str]:
        """Listed copies that were not counted since `counted_before`, longest ago first: Orthanc id → UID."""
        wanted = least_recently_counted().where(copies.c.archive == archive, copies.c.counted_at < counted_before)
        return {OrthancId(row.orthanc_id): row.study_uid for row in self._rows(wanted.limit(most))}

    def keep_counts(
        self, archive: ArchiveName, asked: Sequence[OrthancId], counts: Mapping[OrthancId, int], *, strict: bool = False
    ) -> int:
        """Keep what was counted of those `asked` for, and mark the studies whose number moved; returns how many. `strict`:
        also those of which none was known, but none that waits already."""
        now = self._transactions.now()
        return self._transactions.own(lambda tx: keep_counts(tx, archive, asked, counts, strict=strict, now=now))

    def find_miscounted(self, archive: ArchiveName, counts: Mapping[OrthancId, int]) -> set[OrthancId]:
        """Which of these copies `keep_counts` would mark, strictly; for a second process."""
        return self._transactions.read(lambda connection: find_miscounted(connection, archive, counts))

    def known_instances(self, archive: ArchiveName) -> tuple[int, int]:
        """Of the listed copies: the sum of their counts, and how many were never counted."""
        (row,) = self._rows(known_counts().where(copies.c.archive == archive))
        return int(row[0]), int(row[1])

    def finish(self, archive: ArchiveName, inventory: Inventory) -> None:
        """Keep what was found, and forget the listing."""
        self._clear(archive)
        self._transactions.own(lambda tx: save_fact(tx, _fact(archive), to_row(inventory)))

    def last(self, archive: ArchiveName) -> Inventory | None:
        """The last inventory that was finished."""
        value = self._transactions.read(lambda connection: fact(connection, _fact(archive)))
        return None if value is None else Inventory(**value)

    def _windows(self, table: Table, archive: ArchiveName, *chosen: Any) -> Iterator[tuple[str, str]]:
        after = ""
        while (upto := self._transactions.read(_window_end(table, archive, after, *chosen))) is not None:
            yield after, upto
            after = upto

    def _clear(self, archive: ArchiveName) -> None:
        for _, upto in self._windows(swept, archive):
            part = delete(swept).where(swept.c.archive == archive, swept.c.orthanc_id <= upto)
            self._transactions.own(lambda tx, part=part: tx.connection.execute(part))  # type: ignore[misc]

    def _rows(self, wanted: Select[Any], said: Mapping[str, Any] | None = None) -> Sequence[Any]:
        return self._transactions.read(lambda connection: connection.execute(wanted, said).all())


def _within(wanted: Select[Any], table: Table, archive: ArchiveName, window: tuple[str, str]) -> Select[Any]:
    return _inside(wanted, table, archive, window).order_by(table.c.orthanc_id)


def _inside(wanted: Statement, table: Table, archive: ArchiveName, window: tuple[str, str]) -> Statement:
    after, upto = window
    key = table.c.orthanc_id
    return wanted.where(table.c.archive == archive, key > after, key <= upto)


def _window_end(table: Table, archive: ArchiveName, after: str, *chosen: Any) -> Callable[[Connection], str | None]:
    wanted = select(func.max(_part(table, archive, after, *chosen).subquery().c.key))
    return lambda connection: connection.execute(wanted).scalar()


def _part(table: Table, archive: ArchiveName, after: str, *chosen: Any) -> Select[Any]:
    key = table.c.orthanc_id
    return select(key.label("key")).where(table.c.archive == archive, key > after, *chosen).order_by(key).limit(WINDOW)


def _staging_row(one: StudyListing, *, archive: ArchiveName) -> dict[str, Any]:
    return {
        "archive": archive,
        "orthanc_id": one.orthanc_id,
        "study_uid": one.study_uid,
        "last_update": one.last_update,
        "study_date": one.study_date,
        "is_stable": one.is_stable,
        "labels": one.labels,
        "tags_digest": one.tags_digest,
    }


def _listing(row: Any) -> StudyListing:
    return StudyListing(
        orthanc_id=OrthancId(row.orthanc_id),
        study_uid=row.study_uid,
        is_stable=row.is_stable,
        last_update=row.last_update,
        study_date=row.study_date,
        labels=row.labels,
        tags_digest=row.tags_digest,
    )


def _difference(row: Any) -> Difference:
    if row.known is None:
        return Difference.NEW
    return Difference.STABLE if row.published == "registered" and row.is_stable else Difference.CHANGED


_UNTOLD = (
    select(func.count())
    .select_from(swept)
    .where(
        swept.c.archive == bindparam("archive"),
        swept.c.orthanc_id.in_(bindparam("ids", expanding=True)),
        swept.c.study_uid == "",
    )
)


def _detail(tx: Transaction, archive: ArchiveName, rows: Mapping[OrthancId, Mapping[str, Any]]) -> int:
    untold = sum(tx.connection.execute(_UNTOLD, {"archive": archive, "ids": ids}).scalar_one() for ids in slices(rows))
    upsert(tx.connection, swept, rows=list(rows.values()))
    return untold


def _fact(archive: ArchiveName) -> str:
    return f"sweep of {archive}"
