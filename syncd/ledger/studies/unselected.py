"""Studies that the archive holds and the site does not select: kept by name, counted, and found again when it does.

An excluded study has neither record nor work, and still must be known: else every inventory would find it new, and
nobody could say how many there are. A first import may meet a million old studies. They are left outside in slices of
one transaction each, as they are listed, without ever being work; and whatever an event has named meanwhile, or is
being worked on, is not touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, Table, bindparam, delete, exists, func, or_, select, union

from syncd.ledger.db.rows import slices, to_noun, to_row
from syncd.ledger.db.schema import copies, dirty, intents, parked, records, unselected, upsert
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.studies.marks import keep_copies, mark
from syncd.ledger.studies.records import fact, save_fact, study_dates
from syncd.model.ids import ArchiveName
from syncd.model.selection import FirstImport, UnselectedStudy
from syncd.model.words import Priority, StudyState
from syncd.model.work import Copy, Mark, MarkKind

MARKED_AT_ONCE = 1000
"""Studies marked in one transaction."""


class SelectionLedger:
    """`ledger.selection`: each method one short transaction or read, or a walk of such."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def find(self, study_uid: str) -> UnselectedStudy | None:
        wanted = select(unselected).where(unselected.c.study_uid == study_uid)
        row = self._transactions.read(lambda connection: connection.execute(wanted).one_or_none())
        return None if row is None else to_noun(UnselectedStudy, row)

    def page(self, after: str = "", limit: int = 500) -> list[UnselectedStudy]:
        """A page in the order of UIDs; the next one begins after its last UID."""
        key = unselected.c.study_uid
        wanted = select(unselected).where(key > after).order_by(key).limit(limit)
        rows = self._transactions.read(lambda connection: connection.execute(wanted).all())
        return [to_noun(UnselectedStudy, row) for row in rows]

    # The first import

    def first_import(self, archive: ArchiveName) -> FirstImport:
        value = self._transactions.read(lambda connection: fact(connection, _import_of(archive)))
        return FirstImport() if value is None else FirstImport(**value)

    def begin_import(self, archive: ArchiveName, *, until: int) -> None:
        """The next listing is a first one; what the feed says up to `until` is older than it."""
        self._transactions.own(lambda tx: begin_import(tx, archive, until=until))

    def move_import(self, archive: ArchiveName, *, until: int) -> None:
        """The feed's numbers begin anew."""
        now = self.first_import(archive)
        if now.until != until:
            self._transactions.own(
                lambda tx: save_fact(tx, _import_of(archive), to_row(FirstImport(pending=now.pending, until=until)))
            )

    def import_listed(self, archive: ArchiveName) -> None:
        """The first listing has ended: what a later one finds new is new."""
        until = self.first_import(archive).until
        self._transactions.own(lambda tx: save_fact(tx, _import_of(archive), to_row(FirstImport(until=until))))

    def leave_outside(self, entries: Sequence[UnselectedStudy], found: Sequence[Copy], *, archive: ArchiveName) -> set[str]:
        """Keep these of `archive` as outside the history, with their copies, but for those that were published, that an
        event or a worker has in hand, or that another archive takes; returns the UIDs of those that were left outside.
        Old work on them goes."""
        epoch, now = self._transactions.epoch(), self._transactions.now()
        return self._transactions.own(lambda tx: _leave_outside(tx, entries, found, archive=archive, epoch=epoch, now=now))

    # The site's settings

    def settings(self, archive: ArchiveName) -> dict[str, str]:
        """What was last followed: `rules` (a fingerprint) and `history`; empty before the first time."""
        value = self._transactions.read(lambda connection: fact(connection, _settings_of(archive)))
        return {} if value is None else dict(value)

    def keep_settings(self, archive: ArchiveName, said: dict[str, str]) -> None:
        self._transactions.own(lambda tx: save_fact(tx, _settings_of(archive), said))

    def count(self, archive: ArchiveName, *, only_outside: bool) -> int:
        """How many `mark_again` would mark, those that wait already included."""
        wanted = _select_concerned(archive, only_outside=only_outside).order_by(None).limit(None).subquery()
        return self._transactions.read(
            lambda connection: connection.execute(select(func.count()).select_from(wanted), {"after": ""}).scalar_one()
        )

    def mark_again(self, archive: ArchiveName, *, only_outside: bool) -> int:
        """Mark at backfill priority what other settings may concern: what is outside the history, or everything
        that was published from the archive, is parked, or is not selected. Returns how many. A crash in between leaves some
        unmarked: the caller keeps the settings only after this has returned."""
        marked, after, wanted = 0, "", _select_concerned(archive, only_outside=only_outside)
        while uids := self._transactions.read(partial(_slice, wanted=wanted, after=after)):
            after = uids[-1]
            marked += self._transactions.write(partial(_mark, uids=uids, archive=archive, now=self._transactions.now()))
        return marked


def begin_import(tx: Transaction, archive: ArchiveName, *, until: int) -> None:
    save_fact(tx, _import_of(archive), to_row(FirstImport(pending=True, until=until)))


def _leave_outside(
    tx: Transaction,
    entries: Sequence[UnselectedStudy],
    found: Sequence[Copy],
    *,
    archive: ArchiveName,
    epoch: int | None,
    now: float,
) -> set[str]:
    by_uid = {one.study_uid: one for one in entries}
    left: set[str] = set()
    for uids in slices(by_uid):
        taken = {
            uid
            for wanted in _select_taken(uids, archive=archive, epoch=epoch)
            for uid in tx.connection.execute(wanted).scalars()
        }
        left |= set(uids) - taken
    for uids in slices(sorted(left)):
        known = tx.connection.execute(select(unselected.c.state).where(unselected.c.study_uid.in_(uids))).scalars().all()
        for state in known:
            tx.count("unselected", word=state, by=-1)
        upsert(tx.connection, unselected, rows=[to_row(by_uid[uid]) for uid in uids])
        tx.count("unselected", word=StudyState.OUTSIDE_HISTORY.value, by=len(uids))
        tx.count("dirty", by=-tx.connection.execute(delete(dirty).where(dirty.c.study_uid.in_(uids))).rowcount)
    keep_copies(tx, [copy for copy in found if copy.study_uid in left], now=now)
    return left


def _select_taken(uids: Sequence[str], *, archive: ArchiveName, epoch: int | None) -> Iterable[Select[Any]]:
    """Studies that are published, excluded, named by somebody, being worked on, or taken from another archive."""
    yield select(records.c.study_uid).where(records.c.study_uid.in_(uids))
    yield select(intents.c.study_uid).where(intents.c.study_uid.in_(uids))
    in_hand = or_(dirty.c.priority < Priority.BACKFILL, dirty.c.claim_epoch == epoch)
    yield select(dirty.c.study_uid).where(dirty.c.study_uid.in_(uids), in_hand)
    excluded = unselected.c.state == StudyState.EXCLUDED.value
    yield select(unselected.c.study_uid).where(unselected.c.study_uid.in_(uids), excluded)
    # What another archive holds is that one's to leave outside, too (RULES C8).
    outside = exists().where(unselected.c.study_uid == copies.c.study_uid)
    yield select(copies.c.study_uid).where(copies.c.study_uid.in_(uids), copies.c.archive != archive, ~outside)


def _select_concerned(archive: ArchiveName, *, only_outside: bool) -> Any:
    """The UIDs after `after`, in order, at most `most`. A study that lies in several archives is each one's."""
    key = unselected.c.study_uid
    held = exists().where(copies.c.study_uid == key, copies.c.archive == archive)
    # An expression, so that both sides are walked along their primary keys and merged, and nothing is sorted.
    left = select(key).where(key > bindparam("after"), or_(unselected.c.archive.concat("") == archive, held))
    if only_outside:
        outside = left.where(unselected.c.state.concat("") == StudyState.OUTSIDE_HISTORY.value)
        return outside.order_by(key).limit(bindparam("most"))
    shown = select(records.c.study_uid).where(_here(records, archive), records.c.study_uid > bindparam("after"))
    kept = select(parked.c.study_uid).where(_here(parked, archive), parked.c.study_uid > bindparam("after"))
    return union(shown, left, kept.where(~parked.c.dropped)).order_by("study_uid").limit(bindparam("most"))


def _here(table: Table, archive: ArchiveName) -> Any:
    """A copy of the study lies in the archive."""
    return exists().where(copies.c.study_uid == table.c.study_uid, copies.c.archive == archive)


def _slice(connection: Connection, *, wanted: Any, after: str) -> Sequence[str]:
    return connection.execute(wanted, {"after": after, "most": MARKED_AT_ONCE}).scalars().all()


def _mark(tx: Transaction, *, uids: Sequence[str], archive: ArchiveName, now: float) -> int:
    """Those that wait already will be looked at anyway, by the settings of now."""
    waiting = {
        uid
        for part in slices(uids)
        for uid in tx.connection.execute(select(dirty.c.study_uid).where(dirty.c.study_uid.in_(part))).scalars()
    }
    dates = study_dates(tx.connection, uids)
    marks = [
        Mark(
            study_uid=uid,
            kind=MarkKind.RESYNC,
            archive=archive,
            priority=Priority.BACKFILL,
            study_date=dates.get(uid, ""),
        )
        for uid in uids
        if uid not in waiting
    ]
    return mark(tx, marks, copies=(), settle_after=0.0, now=now)


def _import_of(archive: ArchiveName) -> str:
    return f"first import of {archive}"


def _settings_of(archive: ArchiveName) -> str:
    return f"selection of {archive}"
