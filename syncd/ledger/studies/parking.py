"""What an operator says of a parked study: try it once more, or let me hear nothing of it (RULES E2).

Both are words for the next look, written by whichever process the operator spoke to; the daemon finds them there.
Silence belongs to what was refused: it lasts until the digest changes, so a study that failed without a refusal is
silenced by the digest that it was about to send.
"""

from __future__ import annotations

from sqlalchemy import RowMapping, delete, func, select, update

from syncd.ledger.db.schema import intents, parked, unselected
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.studies import corrections
from syncd.model.words import StudyState


class Parking:
    """`ledger.parking`: each method one transaction."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def allow_retry(self, study_uid: str) -> None:
        """Let a parked study be sent once more although nothing changed; a second process may ask for it too."""
        self._transactions.write(lambda tx: _allow_retry(tx, study_uid))

    def drop(self, study_uid: str) -> bool:
        """Neither send nor tell of a parked study until its digest changes (RULES E2); a second process may ask for it
        too. Returns whether it was parked."""
        return self._transactions.write(lambda tx: _drop(tx, study_uid))


def _allow_retry(tx: Transaction, study_uid: str) -> None:
    """Forget which essence was refused, and who fought over it, so that the next look sends it once; one that is outside
    the history is inside when somebody names it."""
    _speak_again(tx, _entry(tx, study_uid))
    said = update(parked).where(parked.c.study_uid == study_uid).values(digest="", dropped=False)
    tx.connection.execute(said)
    corrections.forget(tx, study_uid)
    outside = (unselected.c.study_uid == study_uid) & (unselected.c.state == StudyState.OUTSIDE_HISTORY.value)
    if tx.connection.execute(delete(unselected).where(outside)).rowcount:
        tx.count("unselected", word=StudyState.OUTSIDE_HISTORY.value, by=-1)


def _drop(tx: Transaction, study_uid: str) -> bool:
    """Silence until the study's digest changes; returns whether it was parked at all."""
    entry = _entry(tx, study_uid)
    if entry is None:
        return False
    if not entry["dropped"]:
        count(tx, entry["reason"], dropped=False, by=-1)
        count(tx, entry["reason"], dropped=True, by=1)
    intended = select(intents.c.digest).where(intents.c.study_uid == study_uid).scalar_subquery()
    refused = func.coalesce(func.nullif(parked.c.digest, ""), intended, "")
    said = update(parked).where(parked.c.study_uid == study_uid).values(digest=refused, dropped=True)
    tx.connection.execute(said)
    return True


def count(tx: Transaction, reason: str, *, dropped: bool, by: int) -> None:
    """Move the tally that counts this entry."""
    if dropped:
        tx.count("dropped", by=by)
    else:
        tx.count("parked", word=reason, by=by)


def _entry(tx: Transaction, study_uid: str) -> RowMapping | None:
    wanted = select(parked.c.reason, parked.c.dropped).where(parked.c.study_uid == study_uid)
    return tx.connection.execute(wanted).mappings().one_or_none()


def _speak_again(tx: Transaction, entry: RowMapping | None) -> None:
    if entry is not None and entry["dropped"]:
        count(tx, entry["reason"], dropped=True, by=-1)
        count(tx, entry["reason"], dropped=False, by=1)
