"""What an archive lists beside what the ledger knows of it: one comparison, in two degrees (RULES A8).

A sweep comes every quarter of an hour for what the feed may have missed: new, changed, gone. What waits already is looked at
anyway. A resync comes once, and whoever asks for it wants to hear that both sides agree: so for it a study is in question
unless everything of it is known and settled, and only what is neither changed nor in question costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import FromClause, Select, Update, bindparam, column, exists, func, or_, select, update, values

from syncd.ledger.db.schema import copies, dirty, intents, parked, records, swept, unselected

Condition = Any
"""A condition of SQL, as a table's columns make it."""


def select_differing() -> Select[Any]:
    """The anti-join of what is new or changed; `Sweep.find_differing` reads it window by window."""
    return (
        select(swept, copies.c.orthanc_id.label("known"), records.c.status.label("published"))
        .select_from(_joined(swept))
        # A dirty study is looked at anyway; unless the ledger does not know this copy of it, for what another archive holds
        # does not tell of it (RULES C8).
        .where(swept.c.study_uid != "", or_(dirty.c.study_uid.is_(None), copies.c.orthanc_id.is_(None)))
        .where(or_(_has_moved(swept), (records.c.status == "registered") & swept.c.is_stable))
    )


def select_in_question(told: FromClause = swept) -> Select[Any]:
    """What of `told` (with the columns of `swept`) can be published otherwise than it is now, the mapping and the settings
    having this `fingerprint`: all but what is known, unchanged and settled."""
    joined = (
        _joined(told)
        .outerjoin(parked, parked.c.study_uid == told.c.study_uid)
        .outerjoin(intents, intents.c.study_uid == told.c.study_uid)
        .outerjoin(unselected, unselected.c.study_uid == told.c.study_uid)
    )
    return (
        select(told)
        .select_from(joined)
        .where(told.c.study_uid != "")
        .where(
            or_(
                _has_moved(told),
                copies.c.tags_digest.is_(None) & told.c.tags_digest.is_not(None),
                ~told.c.is_stable,
                dirty.c.study_uid.is_not(None),
                parked.c.study_uid.is_not(None),
                intents.c.study_uid.is_not(None),
                _is_unsettled(),
            )
        )
    )


def listed_as(rows: Sequence[dict[str, Any]]) -> FromClause:
    """These rows of a listing as if they were staged: for whoever may not write."""
    columns = tuple(swept.columns)
    told = [tuple(row[one.name] for one in columns) for row in rows]
    return values(*(column(one.name, one.type) for one in columns), name="told").data(told).cte("told")


def untold_digests() -> Update:
    """The update of copies that have no digest yet; `Sweep.keep_digests` does it window by window."""
    listed = select(swept.c.tags_digest).where(_same_copy(swept)).scalar_subquery()
    waits = exists().where(dirty.c.study_uid == copies.c.study_uid)
    is_listed = exists().where(_same_copy(swept), swept.c.tags_digest.is_not(None))
    return update(copies).values(tags_digest=listed).where(copies.c.tags_digest.is_(None), ~waits, is_listed)


def select_gone() -> Select[Any]:
    """The anti-join of what was not listed; `Sweep.find_gone` reads it window by window."""
    joined = copies.outerjoin(swept, _same_copy(swept)).outerjoin(dirty, dirty.c.study_uid == copies.c.study_uid)
    return select(copies).select_from(joined).where(swept.c.orthanc_id.is_(None), dirty.c.study_uid.is_(None))


def least_recently_counted() -> Select[Any]:
    """Listed copies in the order in which they were counted."""
    return (
        select(copies.c.orthanc_id, copies.c.study_uid)
        .select_from(copies.join(swept, _same_copy(swept)))
        .order_by(copies.c.counted_at)
    )


def known_counts() -> Select[Any]:
    """Of the listed copies: the sum of their counts, and how many were never counted."""
    known = select(
        func.coalesce(func.sum(copies.c.instances).filter(copies.c.instances >= 0), 0),
        func.count().filter(copies.c.instances < 0),
    )
    return known.select_from(copies.join(swept, _same_copy(swept)))


def _joined(told: FromClause) -> Any:
    return (
        told.outerjoin(copies, _same_copy(told))
        .outerjoin(records, records.c.study_uid == told.c.study_uid)
        .outerjoin(dirty, dirty.c.study_uid == told.c.study_uid)
    )


def _same_copy(told: FromClause) -> Condition:
    return (copies.c.archive == told.c.archive) & (copies.c.orthanc_id == told.c.orthanc_id)


def _has_moved(told: FromClause) -> Condition:
    """New, or with another LastUpdate, other labels or other main tags than before the last look."""
    return or_(
        copies.c.orthanc_id.is_(None),
        copies.c.last_update != told.c.last_update,
        # Only where both are known: a version without labels, or a ledger from before these were kept, says nothing.
        copies.c.labels != told.c.labels,
        copies.c.tags_digest != told.c.tags_digest,
    )


def _is_unsettled() -> Condition:
    """Neither published whole nor left out; rendered by another mapping or other settings (RULES B3); or taken back though
    the archive holds it, and not because the site does not select it."""
    left_out = unselected.c.study_uid.is_not(None)
    return or_(
        records.c.study_uid.is_(None) & ~left_out,
        records.c.status == "registered",
        records.c.fingerprint != bindparam("fingerprint"),
        (records.c.retracted != "") & ~left_out,
    )
