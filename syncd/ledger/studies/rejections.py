"""What rejection notes said, by the study they lie in and the studies they name (MAPPING D.2, RULES B7).

A change of what a study's notes say concerns other studies, and marks them in its own transaction: those that the notes
name, and those that *their* notes name, if one of these is named itself and so has no effect any more. Nobody else is
marked: a note may name studies that no archive ever held, and a timer that starts changes nothing yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, bindparam, delete, or_, select

from syncd.ledger.db.rows import slices, to_noun, to_row
from syncd.ledger.db.schema import copies, records, rejections, upsert
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.studies.marks import NOWHERE, mark
from syncd.model.study.rejection import Rejection
from syncd.model.work import Mark, MarkKind

_CONCERNED = select(rejections).where(
    or_(rejections.c.source_uid == bindparam("uid"), rejections.c.target_uid == bindparam("uid"))
)
_TOLD = select(rejections).where(rejections.c.source_uid == bindparam("uid"))
_FORGET = delete(rejections).where(
    rejections.c.note_uid == bindparam("n"),
    rejections.c.source_uid == bindparam("s"),
    rejections.c.target_uid == bindparam("t"),
)


class Rejections:
    """`ledger.rejections`: each method one transaction or one short read."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def find_concerning(self, study_uid: str) -> tuple[Rejection, ...]:
        """What the study's own notes say, what names it, and what names a note that names it."""
        return self._transactions.read(lambda connection: _find_concerning(connection, study_uid))

    def keep(self, source_uid: str, told: Sequence[Rejection]) -> int:
        """Make what is kept of `source_uid`'s notes exactly `told`, and mark the other studies concerned by a change, in
        one transaction; returns how many were marked."""
        now = self._transactions.now()
        return self._transactions.own(lambda tx: _keep(tx, source_uid, told, now=now))


def _find_concerning(connection: Connection, study_uid: str) -> tuple[Rejection, ...]:
    """All that its own notes say, all that names it, and all that names a note which names it; in a fixed order."""
    found = _nouns(connection, connection.execute(_CONCERNED, {"uid": study_uid}))
    elsewhere = {one.source_uid for one in found} - {study_uid}
    notes = {one.note_uid for one in found}
    for uids in slices(sorted(elsewhere)):
        rows = connection.execute(select(rejections).where(rejections.c.target_uid.in_(uids)))
        found |= {one for one in _nouns(connection, rows) if notes.intersection(one.instances)}
    return tuple(sorted(found, key=_key))


def _keep(tx: Transaction, source_uid: str, told: Sequence[Rejection], *, now: float) -> int:
    """Make what is kept of `source_uid`'s notes exactly `told`; returns how many other studies were marked for it."""
    before = _nouns(tx.connection, tx.connection.execute(_TOLD, {"uid": source_uid}))
    gone = {_key(one) for one in before} - {_key(one) for one in told}
    if gone:
        tx.connection.execute(_FORGET, [{"n": note, "s": source, "t": target} for note, source, target in sorted(gone)])
    upsert(tx.connection, rejections, rows=[to_row(one) for one in told if one not in before])

    # Whether a note is there or only just missing makes no difference to those whom it names.
    changed = {replace(one, first_missing_at=0.0) for one in before} ^ {replace(one, first_missing_at=0.0) for one in told}
    marked = _find_known(tx.connection, _find_affected(tx.connection, changed) - {source_uid})
    marks = [Mark(study_uid=uid, kind=MarkKind.REJECTION, archive=NOWHERE) for uid in sorted(marked)]
    return mark(tx, marks, copies=(), settle_after=0.0, now=now)


def _find_affected(connection: Connection, changed: Iterable[Rejection]) -> set[str]:
    named: dict[str, set[str]] = {}
    for one in changed:
        named.setdefault(one.target_uid, set()).update(one.instances)
    affected = set(named)
    for uids in slices(sorted(named)):
        notes = select(rejections).where(rejections.c.source_uid.in_(uids))
        for one in _nouns(connection, connection.execute(notes)):
            if one.note_uid in named[one.source_uid]:
                affected.add(one.target_uid)
    return affected


def _find_known(connection: Connection, study_uids: Iterable[str]) -> set[str]:
    """Those that an archive holds or that were published; any other is looked at when it comes."""
    return {
        uid
        for uids in slices(sorted(study_uids))
        for table in (copies, records)
        for uid in connection.execute(select(table.c.study_uid).where(table.c.study_uid.in_(uids))).scalars()
    }


def _nouns(connection: Connection, rows: Iterable[object]) -> set[Rejection]:
    return {replace(one, instances=tuple(one.instances)) for one in (to_noun(Rejection, row) for row in rows)}  # type: ignore[arg-type]


def _key(one: Rejection) -> tuple[str, str, str]:
    return (one.note_uid, one.source_uid, one.target_uid)
