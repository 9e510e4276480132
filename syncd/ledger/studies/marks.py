"""Marks become dirty rows: read, merged by the pure rule of `syncd.model.work.merge_mark`, written back.

Read and write lie in one `BEGIN IMMEDIATE` transaction, so two processes that mark the same study both count. The
generation is drawn once per call from a ledger-wide sequence (RULES E1): whatever was claimed before carries a lower one.
A claim on the row is left as it is; the row's new generation tells its owner at the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Executable, Select, bindparam, case, func, or_, select, update

from syncd.ledger.db.rows import field_names, slices, to_noun, to_row
from syncd.ledger.db.schema import copies as copies_table
from syncd.ledger.db.schema import dirty, insert_of, records, sequences, upsert
from syncd.ledger.db.statements import Statement
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.studies.records import (
    dirty_among,
    every_uid,
    find_page,
    find_row,
    forget_companions,
    select_outdated,
    select_parked_only,
    slice_of,
    study_dates,
)
from syncd.ledger.studies.references import select_mismatched, select_under
from syncd.model.ids import ArchiveName
from syncd.model.words import Priority
from syncd.model.work import Copy, DirtyRow, Mark, MarkKind, merge_mark

MARKED_AT_ONCE = 1000
"""Studies marked per transaction where many are marked: others get their turn in between."""

NOWHERE = ArchiveName("")
"""The archive of a mark that no archive gave rise to."""

_ROW_COLUMNS = tuple(dirty.c[name] for name in field_names(DirtyRow))
_ROWS = select(*_ROW_COLUMNS).where(dirty.c.study_uid.in_(bindparam("uids", expanding=True)))
_PUBLISHED = select(records.c.study_uid).where(records.c.study_uid.in_(bindparam("uids", expanding=True)))
_NEXT = (
    update(sequences)
    .where(sequences.c.name == bindparam("sequence"))
    .values(value=sequences.c.value + 1)
    .returning(sequences.c.value)
)


class Marks:
    """`ledger.marks`: what is pending, and the only thing that a guest may write; each method one transaction or one
    short read, or a walk of such."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def add(self, many: Sequence[Mark], *, copies: Sequence[Copy] = (), settle_after: float) -> int:
        """Merge marks into the dirty set; returns how many studies they name."""
        now = self._transactions.now()
        return self._transactions.write(lambda tx: mark(tx, many, copies=copies, settle_after=settle_after, now=now))

    def add_outdated(self, fingerprint: str) -> int:
        """Mark, at backfill priority, what was published under another fingerprint (RULES B3) and is not dirty already:
        that will be rendered anew anyway. So a restart in the middle of a long backfill marks nothing twice."""
        wanted = select_outdated(fingerprint)
        return self._add_each(wanted, kind=MarkKind.RERENDER, priority=Priority.BACKFILL, read_fhir=False)

    def add_subject(self, subject: str, *, but: str = "") -> int:
        """Mark, reading FHIR, the studies published under this subject, without the study `but` (RULES B4)."""
        wanted = select_under(subject, but=but)
        return self._add_each(wanted, kind=MarkKind.VERIFY, priority=Priority.REPAIR, read_fhir=True)

    def add_mismatched(self, reference: str) -> int:
        """Mark the studies parked because they are another person's than this Patient: it says something else now (B10)."""
        wanted = select_mismatched(reference)
        return self._add_each(wanted, kind=MarkKind.VERIFY, priority=Priority.REPAIR, read_fhir=False)

    def forget_target_state(self) -> int:
        """The FHIR server was reset or exchanged (RULES C6, E3): every record and every parked study is looked at again,
        reading FHIR; companions and refusals are forgotten. Returns how many studies were marked.

        A crash in between leaves some unmarked: the caller forgets the cause only after this has returned."""
        self._transactions.own(forget_companions)
        return sum(
            self._add_each(wanted, kind=MarkKind.VERIFY, priority=Priority.REPAIR, read_fhir=True)
            for wanted in (every_uid(records), select_parked_only())
        )

    def find(self, study_uid: str) -> DirtyRow | None:
        """What is pending of the study."""
        return self._transactions.read(lambda connection: find_row(connection, DirtyRow, dirty, study_uid))

    def page(self, after: str = "", limit: int = 500) -> list[DirtyRow]:
        """A page of what is pending, in the order of UIDs; the next one begins after its last UID."""
        return self._transactions.read(lambda connection: find_page(connection, DirtyRow, dirty, after=after, limit=limit))

    def find_pending(self, study_uids: Iterable[str]) -> set[str]:
        """Those of `study_uids` that have pending marks."""
        return self._transactions.read(lambda connection: dirty_among(connection, study_uids))

    def _add_each(self, wanted: Select[Any], *, kind: MarkKind, priority: int, read_fhir: bool) -> int:
        marked, after = 0, ""
        while uids := self._transactions.read(slice_of(wanted, after=after, size=MARKED_AT_ONCE)):
            after = uids[-1]
            dates = self._transactions.read(partial(study_dates, study_uids=uids))
            many = [
                Mark(
                    study_uid=uid,
                    kind=kind,
                    archive=NOWHERE,
                    priority=priority,
                    read_fhir=read_fhir,
                    study_date=dates.get(uid, ""),
                )
                for uid in uids
            ]
            marked += self.add(many, settle_after=0.0)
        return marked


def next_in(connection: Connection, sequence: str) -> int:
    """The next number of a ledger-wide sequence."""
    return int(connection.execute(_NEXT, {"sequence": sequence}).scalar_one())


def mark(tx: Transaction, marks: Sequence[Mark], *, copies: Iterable[Copy], settle_after: float, now: float) -> int:
    """Merge `marks` into the dirty set; returns how many studies they name. A mark's Orthanc id is a copy, too."""
    named = [
        Copy(archive=one.archive, orthanc_id=one.orthanc_id, study_uid=one.study_uid)
        for one in marks
        if one.orthanc_id is not None
    ]
    keep_copies(tx, [*named, *copies], now=now)
    if not marks:
        return 0
    generation = next_in(tx.connection, "generation")
    by_study: dict[str, list[Mark]] = {}
    for one in marks:
        by_study.setdefault(one.study_uid, []).append(one)
    for uids in slices(by_study):
        known = {row.study_uid: to_noun(DirtyRow, row) for row in tx.connection.execute(_ROWS, {"uids": uids})}
        published = set(tx.connection.execute(_PUBLISHED, {"uids": uids}).scalars())
        changed = []
        for uid in uids:
            row = known.get(uid)
            for one in by_study[uid]:
                row = merge_mark(
                    row, one, generation=generation, published=uid in published, settle_after=settle_after, now=now
                )
            if row is not None:
                changed.append(to_row(row))
        upsert(tx.connection, dirty, rows=changed)
        tx.count("dirty", by=len(uids) - len(known))
    return len(by_study)


def keep_copies(tx: Transaction, copies: Iterable[Copy], *, now: float) -> None:
    """Keep which Orthanc study holds which UID; what is not told of a copy (LastUpdate, count, labels, digest) stays
    as it was known."""
    latest: dict[tuple[str, str], Copy] = {}
    for copy in copies:
        before = latest.get((copy.archive, copy.orthanc_id))
        if before is None or copy.last_update or copy.instances >= 0 or before.study_uid != copy.study_uid:
            latest[copy.archive, copy.orthanc_id] = copy
    if latest:
        rows = [_copy_row(copy, now=now) for copy in latest.values()]
        _COPY.run_many(tx.connection, rows)


def _copy_row(copy: Copy, *, now: float) -> dict[str, object]:
    return {**to_row(copy), "first_seen": now, "counted_at": now if copy.instances >= 0 else 0.0}


def _copy_statement(dialect: str) -> Executable:
    insert = insert_of(dialect)(copies_table).values({column.name: bindparam(column.name) for column in copies_table.c})
    told, kept = insert.excluded, copies_table.c
    said: Executable = insert.on_conflict_do_update(
        index_elements=["archive", "orthanc_id"],
        set_={
            "study_uid": told.study_uid,
            "last_update": case((told.last_update == "", kept.last_update), else_=told.last_update),
            "instances": case((told.instances < 0, kept.instances), else_=told.instances),
            "counted_at": case((told.instances < 0, kept.counted_at), else_=told.counted_at),
            "labels": func.coalesce(told.labels, kept.labels),
            "tags_digest": func.coalesce(told.tags_digest, kept.tags_digest),
        },
        # A row that says the same already is not written: the feed names one study many times.
        where=or_(
            kept.study_uid != told.study_uid,
            (told.last_update != "") & (kept.last_update != told.last_update),
            told.instances >= 0,
            told.labels.is_not(None) & (func.coalesce(kept.labels, "?") != told.labels),
            told.tags_digest.is_not(None) & (func.coalesce(kept.tags_digest, "?") != told.tags_digest),
        ),
    )
    return said


_COPY = Statement(_copy_statement)
