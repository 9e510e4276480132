"""Marks become dirty rows: read, merged by the pure rule of `syncd.model.work.merge_mark`, written back.

Read and write lie in one `BEGIN IMMEDIATE` transaction, so two processes that mark the same study both count. The
generation is drawn once per call from a ledger-wide sequence (RULES E1): whatever was claimed before carries a lower one.
A claim on the row is left as it is; the row's new generation tells its owner at the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, case, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from syncd.ledger.db.rows import field_names, slices, to_noun, to_row
from syncd.ledger.db.schema import copies as copies_table
from syncd.ledger.db.schema import dirty, records, sequences, upsert
from syncd.ledger.db.writer import Transaction
from syncd.model.work import Copy, DirtyRow, Mark, merge_mark

_ROW_COLUMNS = tuple(dirty.c[name] for name in field_names(DirtyRow))
_ROWS = select(*_ROW_COLUMNS).where(dirty.c.study_uid.in_(bindparam("uids", expanding=True)))
_PUBLISHED = select(records.c.study_uid).where(records.c.study_uid.in_(bindparam("uids", expanding=True)))
_NEXT = (
    update(sequences)
    .where(sequences.c.name == bindparam("sequence"))
    .values(value=sequences.c.value + 1)
    .returning(sequences.c.value)
)


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
        tx.connection.execute(_COPY[tx.connection.dialect.name], [_copy_row(copy, now=now) for copy in latest.values()])


def _copy_row(copy: Copy, *, now: float) -> dict[str, object]:
    return {**to_row(copy), "first_seen": now, "counted_at": now if copy.instances >= 0 else 0.0}


def _copy_statement(insert: sqlite.Insert | postgresql.Insert) -> sqlite.Insert | postgresql.Insert:
    told, kept = insert.excluded, copies_table.c
    return insert.on_conflict_do_update(
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


_COPY = {
    "sqlite": _copy_statement(sqlite.insert(copies_table)),
    "postgresql": _copy_statement(postgresql.insert(copies_table)),
}
