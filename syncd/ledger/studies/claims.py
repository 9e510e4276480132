"""Work handed out: claims and intents.

A claim is a row's `claim_epoch`: it holds while the process that wrote it owns the ledger, and is void for the next one
(RULES E4), so nothing has to be cleaned up after a crash. What is claimed together is read together, a table at a time,
and so that its turns need not ask for it again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, bindparam, delete, update

from syncd.errors import LedgerUnavailable
from syncd.ledger.db.rows import Nouns
from syncd.ledger.db.schema import dirty, intents, parked, records, unselected
from syncd.ledger.db.statements import Statement, among
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.studies.corrections import find_fought_over
from syncd.ledger.studies.due import Passed, find_due
from syncd.ledger.studies.records import copies_of, find_row, several
from syncd.ledger.studies.rejections import find_concerning
from syncd.model.ids import ArchiveName
from syncd.model.selection import UnselectedStudy
from syncd.model.study.rejection import Rejection
from syncd.model.work import Copy, DirtyRow, Intent, ParkedStudy, StudyRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One study to work on, with everything that the ledger knows of it, read in the transaction of the claim."""

    row: DirtyRow
    record: StudyRecord | None = None
    copies: tuple[Copy, ...] = ()
    intent: Intent | None = None
    parked: ParkedStudy | None = None
    unselected: UnselectedStudy | None = None
    concerning: tuple[Rejection, ...] = ()
    """As `Rejections.find_concerning` would answer (RULES B7)."""
    fought_over: frozenset[str] = frozenset()
    """As `Corrections.find_fought_over` would answer (RULES C4)."""


_DIRTY, _INTENTS = Nouns(DirtyRow, dirty), Nouns(Intent, intents)
_CLAIM = Statement(update(dirty).where(among(dirty.c.study_uid, "uids")).values(claim_epoch=bindparam("epoch")))
_RELEASE = Statement(
    update(dirty).where(among(dirty.c.study_uid, "uids"), dirty.c.claim_epoch == bindparam("epoch")).values(claim_epoch=None)
)
_RELEASE_OTHERS = Statement(
    update(dirty)
    .where(dirty.c.claim_epoch == bindparam("epoch"), ~among(dirty.c.study_uid, "uids"))
    .values(claim_epoch=None)
)
_WITHDRAW = Statement(delete(intents).where(among(intents.c.study_uid, "uids")))


def claim_rows(tx: Transaction, rows: Sequence[Row[Any]], *, epoch: int, now: float) -> list[Claim]:
    """Claim the rows, which are read as `due.COLUMNS`. Each table is asked once, however many there are."""
    if not rows:
        return []
    connection, claimed = tx.connection, [_DIRTY.noun(row) for row in rows]
    uids = [row.study_uid for row in claimed]
    _CLAIM.run(connection, {"uids": uids, "epoch": epoch})
    found = several(connection, StudyRecord, records, uids)
    intended = several(connection, Intent, intents, uids)
    waiting = several(connection, ParkedStudy, parked, uids)
    left_out = several(connection, UnselectedStudy, unselected, uids)
    held = copies_of(connection, uids)
    concerning = find_concerning(connection, uids)
    fought_over = find_fought_over(connection, uids, now=now)
    return [
        Claim(
            row=row,
            record=found.get(row.study_uid),
            copies=held.get(row.study_uid, ()),
            intent=intended.get(row.study_uid),
            parked=waiting.get(row.study_uid),
            unselected=left_out.get(row.study_uid),
            concerning=concerning[row.study_uid],
            fought_over=fought_over.get(row.study_uid, frozenset()),
        )
        for row in claimed
    ]


def _release(tx: Transaction, study_uids: Collection[str], *, epoch: int) -> None:
    """Hand claims back without an outcome; the rows stay as they are."""
    _RELEASE.run(tx.connection, {"uids": study_uids, "epoch": epoch})


def _release_others(tx: Transaction, *, but: Collection[str], epoch: int) -> None:
    """Hand back whatever this owner claimed and does not know of: the answer to a claim may have been lost on its way."""
    _RELEASE_OTHERS.run(tx.connection, {"uids": but, "epoch": epoch})


def _save_intents(tx: Transaction, many: Sequence[Intent], *, member: int) -> dict[str, tuple[Rejection, ...]]:
    _INTENTS.keep(tx.connection, many, member=member)
    return find_concerning(tx.connection, [one.study_uid for one in many])


def _withdraw_intents(tx: Transaction, before: Mapping[str, Intent | None], *, member: int) -> None:
    if none_stood := [uid for uid, intent in before.items() if intent is None]:
        _WITHDRAW.run(tx.connection, {"uids": none_stood})
    _INTENTS.keep(tx.connection, [intent for intent in before.values() if intent is not None], member=member)


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
        epoch = self._transactions.require_epoch()

        def change(tx: Transaction) -> list[Claim]:
            rows = find_due(
                tx.connection,
                limit=limit,
                now=now,
                epoch=epoch,
                within=within,
                passed=self._passed,
                most_backfill=most_backfill,
                stubborn=stubborn,
            )
            return claim_rows(tx, rows, epoch=epoch, now=self._transactions.now())

        return self.handed_out.run_claim(
            self._transactions.own,
            epoch=epoch,
            change=change,
        )

    def release(self, *study_uids: str) -> None:
        """Hand claims back without an outcome (shutdown); the rows stay as they were."""
        epoch = self._transactions.require_epoch()
        if study_uids:
            self._transactions.own(lambda tx: _release(tx, study_uids, epoch=epoch))
        self.handed_out.forget(study_uids)

    def save_intents(self, many: Sequence[Intent]) -> Mapping[str, tuple[Rejection, ...]]:
        """Keep what is about to be sent, of each study one, before the first of them is sent (RULES C3). Returns what
        rejection notes say of each of these studies at this moment: of a study that was mapped from other words, nothing
        may be sent."""
        member = self._transactions.require_epoch()
        return self._transactions.own(lambda tx: _save_intents(tx, many, member=member)) if many else {}

    def save_intent(self, intent: Intent) -> tuple[Rejection, ...]:
        """The same of one study."""
        return self.save_intents([intent])[intent.study_uid]

    def withdraw_intents(self, before: Mapping[str, Intent | None]) -> None:
        """Of what was saved and never sent: put back what stood there `before`, by study. None: nothing did."""
        member = self._transactions.require_epoch()
        if before:
            self._transactions.own(lambda tx: _withdraw_intents(tx, before, member=member))

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
