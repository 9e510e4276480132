"""The brake's book-keeping: what was taken back, what may still be, and what waits for the operator (RULES D3).

One budget for every path: a retraction is claimed here, in one transaction, before anything is sent; a claim that was
not carried out is not paid for twice, whatever killed it. What is over the budget is not refused but planned: the plan
is kept, shown and accepted as it is, by its ids and its hash. Nothing is counted to decide among a million studies
(RULES E8): the numbers of an archive are one row, moved by the transaction that moves what they count.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, exists, func, select, update

from syncd.ledger.db.rows import slices
from syncd.ledger.db.schema import brakes, copies, records, retraction_charges, retraction_plan, tallies, upsert
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.studies.marks import MARKED_AT_ONCE, mark
from syncd.ledger.studies.records import slice_of
from syncd.model.ids import ArchiveName
from syncd.model.outcome import Outcome, Retraction
from syncd.model.words import Cause, Priority
from syncd.model.work import BUDGET_WINDOW, Brake, Mark, MarkKind, PlannedRetraction, StudyRecord

CHANGED = -1
"""What `accept` answers when the plan is not the one that was shown."""

TALLY = "shown"
"""How many studies published from an archive are shown, the word being its name."""

_SHOWN = select(func.sum(tallies.c.number)).where(tallies.c.kind == TALLY, tallies.c.word == bindparam("archive"))
_CHARGES = retraction_charges.c
_PLAN = retraction_plan.c


class Retractions:
    """`ledger.retractions`: each method one transaction or one short read; `mark_absent` is a walk of such."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def brake(self, archive: ArchiveName) -> Brake:
        """How many of the archive's studies are shown, were taken back in the last day, and wait for the operator."""
        now = self._transactions.now()
        return self._transactions.read(lambda connection: _brake(connection, archive, now=now))

    def claim(self, study_uid: str, *, archive: ArchiveName, cause: Cause) -> bool:
        """Whether the study may be taken back now: then it is paid for, once, whatever kills us. Else it is planned."""
        now = self._transactions.now()
        return self._transactions.own(lambda tx: _claim(tx, study_uid, archive=archive, cause=cause, now=now))

    def may_claim(self, study_uid: str, *, archive: ArchiveName) -> bool:
        """What `claim` would answer."""
        now = self._transactions.now()
        return self._transactions.read(lambda connection: _may_claim(connection, study_uid, archive=archive, now=now))

    def plan(self, study_uids: Sequence[str], *, archive: ArchiveName, cause: Cause) -> int:
        """Close the brake: these wait for the operator; returns how many do anew."""
        now = self._transactions.now()
        return self._transactions.own(lambda tx: _plan(tx, study_uids, archive=archive, cause=cause, now=now))

    def show_plan(self, archive: ArchiveName) -> tuple[tuple[str, ...], str]:
        """The studies that wait at the closed brake, and the hash to accept them by; empty when it is open."""
        return self._transactions.read(lambda connection: _show_plan(connection, archive))

    def accept(self, archive: ArchiveName, accepted: str) -> int:
        """Open the brake for exactly the plan of that hash, and mark its studies; returns how many, or `CHANGED` if the
        plan is another one by now. A second process may ask for it too."""
        now = self._transactions.now()
        return self._transactions.write(lambda tx: _accept(tx, archive, accepted, now=now))

    def mark_absent(self, archive: ArchiveName) -> int:
        """Mark what was published from `archive` and has no copy any more, in slices; returns how many. If that is more
        than may be taken back, all of it is planned first, and nothing goes without the operator's word (RULES D3)."""
        budget = self.brake(archive)
        absent = self._transactions.read(lambda connection: _count_absent(connection, archive))
        at_once = not budget.planned and budget.spent + absent <= budget.limit
        now, marked, after = self._transactions.now(), 0, ""
        while uids := self._transactions.read(slice_of(_absent(archive), after=after, size=MARKED_AT_ONCE)):
            after = uids[-1]
            marked += self._transactions.own(partial(_mark_gone, study_uids=uids, archive=archive, at_once=at_once, now=now))
        return marked


def _brake(connection: Connection, archive: ArchiveName, *, now: float) -> Brake:
    """The archive's numbers as they are at `now`, also if nobody wrote since the last charge expired."""
    published = int(connection.execute(_SHOWN, {"archive": archive}).scalar() or 0)
    row = connection.execute(select(brakes).where(brakes.c.archive == archive)).one_or_none()
    if row is None:
        return Brake(archive=archive, published=published)
    expired = connection.execute(select(func.count()).where(_is_expired(archive, now), ~_CHARGES.accepted)).scalar_one()
    return Brake(archive=archive, published=published, spent=row.spent - expired, planned=row.planned)


def _claim(tx: Transaction, study_uid: str, *, archive: ArchiveName, cause: Cause, now: float) -> bool:
    """Whether the study may be taken back now; if so it is paid for, if not it is planned."""
    _let_expire(tx, archive, now=now)
    known = _find_plan(tx.connection, study_uid)
    if _open_charge(tx.connection, study_uid):
        return True
    if known is not None and known.accepted_at:
        _charge(tx, study_uid, archive=archive, cause=cause, now=now, accepted=True)
        return True
    budget = _brake(tx.connection, archive, now=now)
    if budget.planned or budget.spent >= budget.limit:
        _plan(tx, [study_uid], archive=archive, cause=cause, now=now)
        return False
    _charge(tx, study_uid, archive=archive, cause=cause, now=now, accepted=False)
    return True


def _may_claim(connection: Connection, study_uid: str, *, archive: ArchiveName, now: float) -> bool:
    known = _find_plan(connection, study_uid)
    if _open_charge(connection, study_uid) or (known is not None and known.accepted_at):
        return True
    budget = _brake(connection, archive, now=now)
    return not budget.planned and budget.spent < budget.limit


def _plan(tx: Transaction, study_uids: Sequence[str], *, archive: ArchiveName, cause: Cause, now: float) -> int:
    """Let these studies wait for the operator's word, those excepted that have it; returns how many do anew."""
    fresh: list[str] = []
    for uids in slices(study_uids):
        known = set(tx.connection.execute(select(_PLAN.study_uid).where(_PLAN.study_uid.in_(uids))).scalars())
        fresh += [uid for uid in uids if uid not in known]
    row = {"archive": archive, "cause": cause.value, "planned_at": now, "accepted_at": 0.0}
    upsert(tx.connection, retraction_plan, rows=[{"study_uid": uid, **row} for uid in fresh])
    _move(tx, archive, planned=len(fresh))
    return len(fresh)


def settle(tx: Transaction, told: Iterable[Outcome], *, sent: Collection[str]) -> None:
    """What became of the plans and claims of these studies. Of those in `sent` something was on its way, and its reply may
    have been lost; then what was claimed is not paid back, for the study may have been taken back for a moment."""
    alike: dict[tuple[bool, bool], list[str]] = {}
    for outcome in told:
        if outcome.retraction is not Retraction.UNTOLD:
            paid = outcome.retraction is Retraction.DONE or outcome.study_uid in sent
            alike.setdefault((outcome.retraction is Retraction.THERE, paid), []).append(outcome.study_uid)
    for (there, paid), uids in alike.items():
        causes = [Cause.GONE] if there else list(Cause)
        waiting = _PLAN.study_uid.in_(uids) & _PLAN.cause.in_(causes)
        claimed = _CHARGES.study_uid.in_(uids) & _CHARGES.cause.in_(causes) & ~_CHARGES.done
        _unplan(tx, waiting)
        if paid:
            tx.connection.execute(update(retraction_charges).where(claimed).values(done=True))
        else:
            _uncharge(tx, claimed)


def count_record(tx: Transaction, record: StudyRecord, *, archive: str | None, retracted: str | None) -> None:
    """A record was written; before, it was of `archive` and `retracted` (None: there was none)."""
    if archive is not None and not retracted:
        tx.count(TALLY, word=archive, by=-1)
    if not record.retracted:
        tx.count(TALLY, word=record.archive, by=1)


def _show_plan(connection: Connection, archive: ArchiveName) -> tuple[tuple[str, ...], str]:
    """The studies that wait for the operator's word, and the hash by which he gives it; empty without any."""
    waiting = (_PLAN.archive == archive) & (_PLAN.accepted_at == 0)
    rows = connection.execute(select(_PLAN.study_uid, _PLAN.cause).where(waiting).order_by(_PLAN.study_uid)).all()
    if not rows:
        return (), ""
    told = "\n".join([archive, *(f"{row.study_uid} {row.cause}" for row in rows)])
    return tuple(row.study_uid for row in rows), hashlib.sha256(told.encode()).hexdigest()


def _accept(tx: Transaction, archive: ArchiveName, accepted: str, *, now: float) -> int:
    """The operator's word for the plan of that hash: its studies, and no others, go on; `CHANGED` if it is another."""
    uids, current = _show_plan(tx.connection, archive)
    if not uids or current != accepted:
        return CHANGED
    waiting = (_PLAN.archive == archive) & (_PLAN.accepted_at == 0)
    tx.connection.execute(update(retraction_plan).where(waiting).values(accepted_at=now))
    _move(tx, archive, planned=-len(uids))
    _mark(tx, uids, archive=archive, now=now)
    return len(uids)


def find_plans(connection: Connection, study_uids: Sequence[str]) -> dict[str, PlannedRetraction]:
    """Those of these studies that are planned, accepted or not."""
    found = [
        _noun(row)
        for uids in slices(study_uids)
        for row in connection.execute(select(retraction_plan).where(_PLAN.study_uid.in_(uids)))
    ]
    return {one.study_uid: one for one in found}


def forget_plan(tx: Transaction, archive: ArchiveName) -> None:
    """The archive is listed anew, and so is what is gone from it."""
    _unplan(tx, _PLAN.archive == archive)


def _absent(archive: ArchiveName) -> Select[Any]:
    """Studies that are shown, were published from `archive` and have no known copy any more, as `records.every_uid`."""
    key = records.c.study_uid
    return (
        select(key)
        .where(records.c.archive == archive, records.c.retracted == "", ~exists().where(copies.c.study_uid == key))
        .where(key > bindparam("after"))
        .order_by(key)
        .limit(bindparam("most"))
    )


def _count_absent(connection: Connection, archive: ArchiveName) -> int:
    key = records.c.study_uid
    gone = (records.c.archive == archive) & (records.c.retracted == "")
    rows = select(func.count()).select_from(records).where(gone, ~exists().where(copies.c.study_uid == key))
    return int(connection.execute(rows).scalar_one())


def _mark_gone(tx: Transaction, study_uids: Sequence[str], *, archive: ArchiveName, at_once: bool, now: float) -> int:
    """Let these be looked at; if they do not go `at_once`, none of them is taken back before the operator's word."""
    if not at_once:
        _plan(tx, study_uids, archive=archive, cause=Cause.GONE, now=now)
    return _mark(tx, study_uids, archive=archive, now=now)


def _mark(tx: Transaction, study_uids: Sequence[str], *, archive: ArchiveName, now: float) -> int:
    marked = 0
    for start in range(0, len(study_uids), MARKED_AT_ONCE):
        marks = [
            Mark(study_uid=uid, kind=MarkKind.INVENTORY, archive=archive, priority=Priority.REPAIR)
            for uid in study_uids[start : start + MARKED_AT_ONCE]
        ]
        marked += mark(tx, marks, copies=(), settle_after=0.0, now=now)
    return marked


def _charge(tx: Transaction, study_uid: str, *, archive: ArchiveName, cause: Cause, now: float, accepted: bool) -> None:
    charge = {"study_uid": study_uid, "charged_at": now, "archive": archive, "cause": cause.value}
    upsert(tx.connection, retraction_charges, rows=[{**charge, "done": False, "accepted": accepted}])
    if not accepted:
        _move(tx, archive, spent=1)


def _let_expire(tx: Transaction, archive: ArchiveName, *, now: float) -> None:
    _uncharge(tx, _is_expired(archive, now))


def _is_expired(archive: ArchiveName, now: float) -> ColumnElement[bool]:
    return (_CHARGES.archive == archive) & (_CHARGES.charged_at <= now - BUDGET_WINDOW)


def _uncharge(tx: Transaction, which: ColumnElement[bool]) -> None:
    rows = tx.connection.execute(select(_CHARGES.archive, _CHARGES.accepted).where(which)).all()
    if rows:
        tx.connection.execute(delete(retraction_charges).where(which))
        for name, number in Counter(row.archive for row in rows if not row.accepted).items():
            _move(tx, ArchiveName(name), spent=-number)


def _unplan(tx: Transaction, which: ColumnElement[bool]) -> None:
    rows = tx.connection.execute(select(_PLAN.archive, _PLAN.accepted_at).where(which)).all()
    if rows:
        tx.connection.execute(delete(retraction_plan).where(which))
        for name, number in Counter(row.archive for row in rows if not row.accepted_at).items():
            _move(tx, ArchiveName(name), planned=-number)


def _move(tx: Transaction, archive: ArchiveName, *, spent: int = 0, planned: int = 0) -> None:
    by = {"spent": spent, "planned": planned}
    moved = {brakes.c[name]: brakes.c[name] + number for name, number in by.items() if number}
    if moved and not tx.connection.execute(update(brakes).where(brakes.c.archive == archive).values(moved)).rowcount:
        upsert(tx.connection, brakes, rows=[{"archive": archive, **by}])


def _open_charge(connection: Connection, study_uid: str) -> bool:
    claimed = exists().where(_CHARGES.study_uid == study_uid, ~_CHARGES.done)
    return bool(connection.execute(select(claimed)).scalar_one())


def _find_plan(connection: Connection, study_uid: str) -> PlannedRetraction | None:
    row = connection.execute(select(retraction_plan).where(_PLAN.study_uid == study_uid)).one_or_none()
    return None if row is None else _noun(row)


def _noun(row: Any) -> PlannedRetraction:
    return PlannedRetraction(
        study_uid=row.study_uid,
        archive=ArchiveName(row.archive),
        cause=Cause(row.cause),
        planned_at=row.planned_at,
        accepted_at=row.accepted_at,
    )
