"""Work handed out: claims and intents.

A claim is a row's `claim_epoch`: it holds while the process that wrote it owns the ledger, and is void for the next one
(RULES E4), so nothing has to be cleaned up after a crash. The most urgent row among a million is found without sorting
them: due rows are read priority by priority, each by a walk along one index. `due` is never before `not_before`, so
whoever looks for due rows need not look at backoffs (RULES C6).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, func, or_, select, update

from syncd.errors import LedgerUnavailable
from syncd.ledger.db.rows import slices, to_noun, to_row
from syncd.ledger.db.schema import STUBBORN, copies, dirty, intents, parked, records, unselected, upsert
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.studies.records import archives_with_copies, copies_of, find_row, several
from syncd.model.ids import ArchiveName
from syncd.model.selection import UnselectedStudy
from syncd.model.words import Priority
from syncd.model.work import OWN_ATTEMPTS, Copy, DirtyRow, Intent, ParkedStudy, StudyRecord

WORTH = 20.0
"""How many times longer than it took a look at waiting rows is believed: at most a twentieth of the time goes into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One study to work on, with everything that the ledger knows of it, read in the transaction of the claim."""

    row: DirtyRow
    record: StudyRecord | None = None
    copies: tuple[Copy, ...] = ()
    intent: Intent | None = None
    parked: ParkedStudy | None = None
    unselected: UnselectedStudy | None = None


def priorities(connection: Connection) -> Iterator[int]:
    """The priorities that pending rows have, in order; each is one step in the index, however many rows there are."""
    last = -1
    while (found := connection.execute(_NEXT_PRIORITY, {"last": last}).scalar()) is not None:
        yield found
        last = found


_NEXT_PRIORITY = select(func.min(dirty.c.priority)).where(dirty.c.priority > bindparam("last"))
_DUE = (
    select(dirty)
    .where(dirty.c.priority == bindparam("level"), dirty.c.due <= bindparam("now"))
    .where(or_(dirty.c.claim_epoch.is_(None), dirty.c.claim_epoch != bindparam("epoch")))
    .order_by(dirty.c.due, dirty.c.study_uid)
    .limit(bindparam("most"))
)
_NEWEST = (
    # All backwards, so that the index gives the order by itself: among studies of one day, nobody cares which is first.
    select(dirty)
    # An expression, so that no planner takes the index by due time and sorts what it finds there.
    .where(dirty.c.priority == bindparam("level"), dirty.c.due + 0.0 <= bindparam("now"))
    .where(or_(dirty.c.claim_epoch.is_(None), dirty.c.claim_epoch != bindparam("epoch")))
    .order_by(dirty.c.study_date.desc(), dirty.c.due.desc(), dirty.c.study_uid.desc())
    .limit(bindparam("most"))
)
_WITHIN = ~exists().where(
    copies.c.study_uid == dirty.c.study_uid, copies.c.archive.not_in(bindparam("within", expanding=True))
)
_DUE_WITHIN = _DUE.where(
    _WITHIN,
    dirty.c.due >= bindparam("after_due"),
    or_(dirty.c.due > bindparam("after_due"), dirty.c.study_uid >= bindparam("after_uid")),
)
_NEWEST_WITHIN = _NEWEST.where(
    _WITHIN,
    dirty.c.study_date <= bindparam("after_date"),
    or_(
        dirty.c.study_date < bindparam("after_date"),
        dirty.c.due < bindparam("after_due"),
        (dirty.c.due == bindparam("after_due")) & (dirty.c.study_uid <= bindparam("after_uid")),
    ),
)
_NOT_STUBBORN = dirty.c.attempts <= OWN_ATTEMPTS
_ORDERS = {
    # (old studies, only those within): in which order due rows are read
    (False, False): _DUE,
    (False, True): _DUE_WITHIN,
    (True, False): _NEWEST,
    (True, True): _NEWEST_WITHIN,
}
_ORDERS_NOT_STUBBORN = {key: order.where(_NOT_STUBBORN) for key, order in _ORDERS.items()}
_DUE_STUBBORN = (
    select(dirty)
    .where(STUBBORN, dirty.c.due <= bindparam("now"))
    .where(or_(dirty.c.claim_epoch.is_(None), dirty.c.claim_epoch != bindparam("epoch")))
    .order_by(dirty.c.due, dirty.c.study_uid)
    .limit(bindparam("most"))
)
_DUE_STUBBORN_WITHIN = _DUE_STUBBORN.where(_WITHIN)
_CLAIM = update(dirty).where(dirty.c.study_uid == bindparam("uid")).values(claim_epoch=bindparam("epoch"))


def _take(
    tx: Transaction,
    *,
    limit: int,
    now: float,
    epoch: int,
    within: Collection[str] | None,
    passed: Passed,
    most_backfill: int | None = None,
    stubborn: int | None = None,
) -> list[Claim]:
    """Up to `limit` due rows, most urgent first: by priority, due time, then UID; at backfill priority the newest
    StudyDate first, and not more than `most_backfill` (RULES A9).

    `within`: only studies of which no copy lies in another archive than these (RULES C8). With `stubborn`, rows that
    failed often are not among them: at most so many of those come after them (RULES C6)."""
    elsewhere = within is not None and not archives_with_copies(tx.connection).issubset(within)
    orders = _ORDERS if stubborn is None else _ORDERS_NOT_STUBBORN
    rows: list[Row[Any]] = []
    for level in priorities(tx.connection):
        backfill, most = level >= Priority.BACKFILL, limit - len(rows)
        if backfill and most_backfill is not None:
            most = min(most, most_backfill)
        wanted = {"level": level, "now": now, "epoch": epoch, "most": most}
        if not most:
            continue
        if elsewhere and within is not None:
            rows += passed.beyond(level, tx.connection, wanted, within=within, stubborn=stubborn is None)
        else:
            rows += tx.connection.execute(orders[backfill, False], wanted)
        if len(rows) >= limit:
            break
    if stubborn:
        further = {"now": now, "epoch": epoch, "most": stubborn}
        if elsewhere and within is not None:
            rows += tx.connection.execute(_DUE_STUBBORN_WITHIN, {**further, "within": sorted(within)})
        else:
            rows += tx.connection.execute(_DUE_STUBBORN, further)
    return _claim_rows(tx, rows, epoch=epoch)


class Passed:
    """How far the due rows were found to wait for an archive that cannot be read.

    A hundred thousand of them may stand before the one that can be worked on, and looking at each of them takes a second:
    so the rows that were passed are not looked at again before `WORTH` times as long as the look took. What becomes due
    later stands behind them, and is found at once; but an old study may stand before them by its date, and waits for the
    next look."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._within: frozenset[str] = frozenset()
        self._stubborn = True
        self._last: dict[int, _Place] = {}
        self._until: dict[int, float] = {}

    def beyond(
        self,
        level: int,
        connection: Connection,
        wanted: Mapping[str, Any],
        *,
        within: Collection[str],
        stubborn: bool = True,
    ) -> Sequence[Row[Any]]:
        """The first due rows of the priority `level` that lie `within`; `stubborn`: also those that failed often."""
        if (self._within, self._stubborn) != (frozenset(within), stubborn):
            self._within, self._stubborn = frozenset(within), stubborn
            self._last.clear()
        began = self._monotonic()
        fresh = level not in self._last or began >= self._until[level]
        backfill = level >= Priority.BACKFILL
        begin, end = (_NEWEST_BEGIN, _NEWEST_END) if backfill else (_DUE_BEGIN, _Place(due=wanted["now"], uid=""))
        place = begin if fresh else self._last[level]
        after = {**wanted, "after_due": place.due, "after_uid": place.uid, "within": sorted(self._within)}
        if backfill:
            after["after_date"] = place.date
        orders = _ORDERS if stubborn else _ORDERS_NOT_STUBBORN
        rows = connection.execute(orders[backfill, True], after).all()
        if fresh:
            self._until[level] = began + WORTH * (self._monotonic() - began)
        # Everything before the first row that was found waits; if none was found, everything that was due waits.
        self._last[level] = _Place(due=rows[0].due, uid=rows[0].study_uid, date=rows[0].study_date) if rows else end
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A place in the order in which due rows are read."""

    due: float
    uid: str
    date: str = ""


_DUE_BEGIN = _Place(due=-1.0, uid="")
_NEWEST_BEGIN, _NEWEST_END = _Place(due=1e300, uid="", date="99999999"), _Place(due=-1.0, uid="")


def _claim_rows(tx: Transaction, rows: Sequence[Row[Any]], *, epoch: int) -> list[Claim]:
    if not rows:
        return []
    connection, uids = tx.connection, [row.study_uid for row in rows]
    connection.execute(_CLAIM, [{"uid": uid, "epoch": epoch} for uid in uids])
    found = several(connection, StudyRecord, records, uids)
    intended = several(connection, Intent, intents, uids)
    waiting = several(connection, ParkedStudy, parked, uids)
    left_out = several(connection, UnselectedStudy, unselected, uids)
    held = copies_of(connection, uids)
    return [
        Claim(
            row=to_noun(DirtyRow, row),
            record=found.get(row.study_uid),
            copies=held.get(row.study_uid, ()),
            intent=intended.get(row.study_uid),
            parked=waiting.get(row.study_uid),
            unselected=left_out.get(row.study_uid),
        )
        for row in rows
    ]


def _release(tx: Transaction, study_uids: Iterable[str], *, epoch: int) -> None:
    """Hand claims back without an outcome; the rows stay as they are."""
    for uids in slices(study_uids):
        held = dirty.c.study_uid.in_(uids) & (dirty.c.claim_epoch == epoch)
        tx.connection.execute(update(dirty).where(held).values(claim_epoch=None))


def _release_others(tx: Transaction, *, but: Iterable[str], epoch: int) -> None:
    """Hand back whatever this owner claimed and does not know of: the answer to a claim may have been lost on its way."""
    lost = (dirty.c.claim_epoch == epoch) & dirty.c.study_uid.not_in(list(but))
    tx.connection.execute(update(dirty).where(lost).values(claim_epoch=None))


class Claims:
    """`ledger.claims`: each method one transaction or one short read."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._passed = Passed()
        self.handed_out = HandedOut()
        """What this owner works on; what ends a claim tells it."""

    def take(
        self,
        limit: int,
        *,
        now: float,
        within: Collection[ArchiveName] | None = None,
        most_backfill: int | None = None,
        stubborn: int | None = None,
    ) -> list[Claim]:
        """Up to `limit` studies that are due, most urgent first, each handed out once until `Outcomes.commit` or
        `release`; not more than `most_backfill` of them old ones.

        `within`: the archives that can be read; a study with a copy in any other one stays as it is (RULES C8). With
        `stubborn`, at most so many more of those that failed often, and none of them among the others (RULES C6)."""
        epoch, passed = self._transactions.require_epoch(), self._passed
        return self.handed_out.run_claim(
            self._transactions.own,
            epoch=epoch,
            change=lambda tx: _take(
                tx,
                limit=limit,
                now=now,
                epoch=epoch,
                within=within,
                passed=passed,
                most_backfill=most_backfill,
                stubborn=stubborn,
            ),
        )

    def release(self, *study_uids: str) -> None:
        """Hand claims back without an outcome (shutdown); the rows stay as they were."""
        self._transactions.own(lambda tx: _release(tx, study_uids, epoch=self._transactions.require_epoch()))
        self.handed_out.forget(study_uids)

    def save_intent(self, intent: Intent) -> None:
        self._transactions.own(lambda tx: upsert(tx.connection, intents, rows=[to_row(intent)]))

    def find_intent(self, study_uid: str) -> Intent | None:
        return self._transactions.read(lambda connection: find_row(connection, Intent, intents, study_uid))


_Claiming = Callable[[Transaction], list[Claim]]


class HandedOut:
    """The studies that this owner works on, remembered beside the ledger for the one case in which it cannot tell: a
    claim that was committed and whose answer never came (PostgreSQL). Nobody would hand those studies back."""

    def __init__(self) -> None:
        self._one_claim = threading.Lock()
        self._uids: set[str] = set()
        self._doubtful = False

    def run_claim(self, run: Callable[[_Claiming], list[Claim]], *, epoch: int, change: _Claiming) -> list[Claim]:
        """What `run` gives for `change`, remembered; claims of unknown fate are handed back in the same transaction."""
        with self._one_claim:
            held, doubtful = tuple(self._uids), self._doubtful

            def afresh(tx: Transaction) -> list[Claim]:
                if doubtful:
                    _release_others(tx, but=held, epoch=epoch)
                return change(tx)

            try:
                claims = run(afresh)
            except LedgerUnavailable:
                self._doubtful = True
                raise
            self._doubtful = False
            self._uids.update(claim.row.study_uid for claim in claims)
            return claims

    def forget(self, study_uids: Iterable[str]) -> None:
        """Committed or released."""
        self._uids.difference_update(study_uids)
