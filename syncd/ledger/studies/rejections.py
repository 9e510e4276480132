"""What rejection notes said, by the study they lie in and the studies they name (MAPPING D.2, RULES B7).

A change of what a study's notes say concerns other studies, and marks them in its own transaction: those that the notes
name, and those that *their* notes name, if one of these is named itself and so has no effect any more. Nobody else is
marked: a note may name studies that no archive ever held, and a timer that starts changes nothing yet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, bindparam, delete, or_, select

from syncd.ledger.db.rows import field_names, slices, to_row
from syncd.ledger.db.schema import copies, records, rejections, upsert
from syncd.ledger.db.statements import Statement, among
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.studies.marks import NOWHERE, mark
from syncd.model.study.rejection import Rejection
from syncd.model.work import Mark, MarkKind

_NAMES = field_names(Rejection)
_COLUMNS = tuple(rejections.c[name] for name in _NAMES)
_CONCERNED = Statement(
    select(*_COLUMNS).where(or_(among(rejections.c.source_uid, "uids"), among(rejections.c.target_uid, "uids")))
)
_NAMED = Statement(select(*_COLUMNS).where(among(rejections.c.target_uid, "uids")))
_TOLD = Statement(select(*_COLUMNS).where(among(rejections.c.source_uid, "uids")))
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
        return self._transactions.read(lambda connection: find_concerning(connection, [study_uid]))[study_uid]

    def keep(self, source_uid: str, told: Sequence[Rejection]) -> int:
        """Make what is kept of `source_uid`'s notes exactly `told`, and mark the other studies concerned by a change, in
        one transaction; returns how many were marked."""
        now = self._transactions.now()
        return self._transactions.own(lambda tx: _keep(tx, source_uid, told, now=now))


def find_concerning(connection: Connection, study_uids: Collection[str]) -> dict[str, tuple[Rejection, ...]]:
    """By study, all that its own notes say, all that names it, and all that names a note which names it; in a fixed order.
    Each of the studies has an answer."""
    found: dict[str, set[Rejection]] = {uid: set() for uid in study_uids}
    for one in _ask(connection, _CONCERNED, study_uids):
        for uid in {one.source_uid, one.target_uid} & found.keys():
            found[uid].add(one)
    elsewhere = {one.source_uid for some in found.values() for one in some}
    naming_notes = _ask(connection, _NAMED, elsewhere)
    return {uid: tuple(sorted(some | _naming_notes_of(uid, some, naming_notes), key=_key)) for uid, some in found.items()}


def _naming_notes_of(study_uid: str, found: set[Rejection], candidates: Collection[Rejection]) -> set[Rejection]:
    """Those that name a note which was found, and which lies in another study than this one."""
    elsewhere = {one.source_uid for one in found} - {study_uid}
    notes = {one.note_uid for one in found}
    return {one for one in candidates if one.target_uid in elsewhere and notes.intersection(one.instances)}


def _keep(tx: Transaction, source_uid: str, told: Sequence[Rejection], *, now: float) -> int:
    """Make what is kept of `source_uid`'s notes exactly `told`; returns how many other studies were marked for it."""
    before = _ask(tx.connection, _TOLD, [source_uid])
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
    notes = _ask(connection, _TOLD, named)
    return affected | {one.target_uid for one in notes if one.note_uid in named[one.source_uid]}


def _find_known(connection: Connection, study_uids: Iterable[str]) -> set[str]:
    """Those that an archive holds or that were published; any other is looked at when it comes."""
    return {
        uid
        for uids in slices(sorted(study_uids))
        for table in (copies, records)
        for uid in connection.execute(select(table.c.study_uid).where(table.c.study_uid.in_(uids))).scalars()
    }


def _ask(connection: Connection, statement: Statement, study_uids: Collection[str]) -> set[Rejection]:
    if not study_uids:
        return set()
    rows = (dict(zip(_NAMES, row, strict=True)) for row in statement.rows(connection, {"uids": study_uids}))
    return {Rejection(**{**row, "instances": tuple(row["instances"])}) for row in rows}


def _key(one: Rejection) -> tuple[str, str, str]:
    return (one.note_uid, one.source_uid, one.target_uid)
