"""How many instances each copy has: what was counted before, what is counted now, and whose number moved (RULES A8).

Orthanc 1.10 moves no LastUpdate when an instance is deleted, so only a number tells. Of a copy that was never counted the
record may know how many instances were published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, select, update

from syncd.ledger.db.rows import slices
from syncd.ledger.db.schema import copies, dirty, records, unselected
from syncd.ledger.db.statements import Statement
from syncd.ledger.db.writer import Transaction
from syncd.ledger.studies.marks import mark
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.words import Priority, StudyState
from syncd.model.work import Mark, MarkKind

_OTHER = copies.alias("other")
_HELD = select(func.count()).select_from(_OTHER).where(_OTHER.c.study_uid == copies.c.study_uid).scalar_subquery()
_NEVER = copies.c.instances < 0
_BEFORE = (
    select(
        copies.c.orthanc_id,
        copies.c.study_uid,
        copies.c.instances,
        records.c.status,
        # Asked only of copies that were never counted: a record is long.
        case((_NEVER, records.c.raw)).label("raw"),
        case((_NEVER, _HELD)).label("held"),
        dirty.c.study_uid.label("waiting"),
        unselected.c.state.label("unselected"),
    )
    .select_from(
        copies.outerjoin(records, records.c.study_uid == copies.c.study_uid)
        .outerjoin(dirty, dirty.c.study_uid == copies.c.study_uid)
        .outerjoin(unselected, unselected.c.study_uid == copies.c.study_uid)
    )
    .where(copies.c.archive == bindparam("archive"), copies.c.orthanc_id.in_(bindparam("ids", expanding=True)))
)
"""What is known of the copies; how many copies the study has tells whether the record speaks of this one."""

_COUNTED = Statement(
    update(copies)
    .where(copies.c.archive == bindparam("a"), copies.c.orthanc_id == bindparam("o"))
    .values(instances=bindparam("n"), counted_at=bindparam("at"))
)

Counts = Mapping[OrthancId, int]


def keep_counts(
    tx: Transaction, archive: ArchiveName, asked: Sequence[OrthancId], counts: Counts, *, strict: bool, now: float
) -> int:
    """Keep what was counted of those `asked` for, and mark the studies whose number moved; returns how many. `strict` as in
    `find_miscounted`."""
    moved: list[Mark] = []
    counted: list[dict[str, Any]] = []
    for ids in slices(asked):
        for row in tx.connection.execute(_BEFORE, {"archive": archive, "ids": ids}):
            number = counts.get(OrthancId(row.orthanc_id), row.instances)
            if _is_moved(row, number, strict=strict):
                moved.append(_mark(row, archive=archive))
            counted.append({"a": archive, "o": row.orthanc_id, "n": number, "at": now})
    _COUNTED.run_many(tx.connection, counted)
    return mark(tx, moved, copies=(), settle_after=0.0, now=now)


def find_miscounted(connection: Connection, archive: ArchiveName, counts: Counts) -> set[OrthancId]:
    """The copies with another number than before, or with one for the first time; not of studies that wait already."""
    return {
        OrthancId(row.orthanc_id)
        for ids in slices(counts)
        for row in connection.execute(_BEFORE, {"archive": archive, "ids": ids})
        if _is_moved(row, counts[OrthancId(row.orthanc_id)], strict=True)
    }


def _is_moved(row: Any, number: int, *, strict: bool) -> bool:
    """`strict`: a study of which nobody knows how many instances there were is looked at, one that waits needs no further
    mark, and one that a first import left outside is none of these (it is taken for what is new, not for what is less)."""
    if number < 0 or (strict and row.waiting is not None):
        return False
    before = row.instances if row.instances >= 0 else _published_number(row)
    if before < 0:
        return strict and row.unselected != StudyState.OUTSIDE_HISTORY
    return bool(number != before)


def _published_number(row: Any) -> int:
    """How many instances the last publication read, of a ledger from before copies were counted; -1 where unknown."""
    if row.held != 1 or row.raw is None or row.status == "registered":
        return -1
    number = row.raw.get("instances", -1)
    return number if isinstance(number, int) else -1


def _mark(row: Any, *, archive: ArchiveName) -> Mark:
    return Mark(study_uid=row.study_uid, kind=MarkKind.INVENTORY, archive=archive, priority=Priority.REPAIR)
