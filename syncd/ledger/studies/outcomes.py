"""The one transaction that ends a reconcile.

What the FHIR server confirmed is a fact and is kept in any case: record, parked entry, copies, history. What becomes of
the dirty row is the question, and its difficulty is a mark that came while the study was worked on. The row then has
another generation than the outcome (RULES E1) and stays, due as that mark left it; but the backoff of this attempt still
counts, because no mark shortens one (RULES C6).
"""

from __future__ import annotations

from sqlalchemy import RowMapping, bindparam, delete, select, update

from syncd.ledger.db.rows import to_row
from syncd.ledger.db.schema import copies, dirty, history, intents, parked, records, safety_notes, unselected, upsert
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.studies import corrections, outbox, parking, rendering, retractions, safety
from syncd.ledger.studies.claims import HandedOut
from syncd.ledger.studies.marks import keep_copies
from syncd.model.outcome import Confirmed, Outcome, Parked, SeenCopies, Selected, Silent, Unpublished, Waiting
from syncd.model.selection import UnselectedStudy
from syncd.model.work import ParkedStudy, StudyRecord

HISTORY_LINES = 20
"""History lines kept per study (RULES E8)."""

_ONE = select(bindparam("uid").label("uid")).subquery("one")
_BEFORE = select(
    dirty.c.generation,
    dirty.c.due,
    dirty.c.streaming_since,
    dirty.c.read_fhir,
    records.c.status.label("status"),
    records.c.archive.label("archive"),
    records.c.retracted.label("retracted"),
    records.c.fingerprint.label("fingerprint"),
    parked.c.reason.label("parked_reason"),
    parked.c.dropped.label("dropped"),
    intents.c.study_uid.label("intended"),
    unselected.c.state.label("unselected_state"),
    safety_notes.c.notes.label("doubts"),
).select_from(
    _ONE.outerjoin(dirty, dirty.c.study_uid == _ONE.c.uid)
    .outerjoin(records, records.c.study_uid == _ONE.c.uid)
    .outerjoin(parked, parked.c.study_uid == _ONE.c.uid)
    .outerjoin(intents, intents.c.study_uid == _ONE.c.uid)
    .outerjoin(unselected, unselected.c.study_uid == _ONE.c.uid)
    .outerjoin(safety_notes, safety_notes.c.study_uid == _ONE.c.uid)
)
_NO_INTENT = delete(intents).where(intents.c.study_uid == bindparam("uid"))
_NOT_PARKED = delete(parked).where(parked.c.study_uid == bindparam("uid"))
_SELECTED = delete(unselected).where(unselected.c.study_uid == bindparam("uid"))
_CLEAN = delete(dirty).where(dirty.c.study_uid == bindparam("uid"))
_STAYS = (
    update(dirty)
    .where(dirty.c.study_uid == bindparam("uid"))
    .values(
        due=bindparam("due"),
        attempts=bindparam("attempts"),
        not_before=bindparam("not_before"),
        streaming_since=bindparam("streaming_since"),
        read_fhir=bindparam("read_fhir"),
        claim_epoch=None,
    )
)
_WRITE_LINE = history.insert()
_OLDEST_KEPT = (
    select(history.c.id)
    .where(history.c.study_uid == bindparam("uid"))
    .order_by(history.c.id.desc())
    .offset(HISTORY_LINES)
    .limit(1)
    .scalar_subquery()
)
_PRUNE = delete(history).where(history.c.study_uid == bindparam("uid"), history.c.id <= _OLDEST_KEPT)
_GONE = delete(copies).where(
    copies.c.archive == bindparam("a"), copies.c.orthanc_id == bindparam("o"), copies.c.study_uid == bindparam("uid")
)


class Outcomes:
    """`ledger.outcomes`: what became of claimed studies, each in one transaction."""

    def __init__(self, transactions: Transactions, handed_out: HandedOut) -> None:
        self._transactions = transactions
        self._handed_out = handed_out

    def commit(self, outcome: Outcome) -> bool:
        """Everything of the outcome in one transaction; returns whether the study is still dirty.

        If a newer mark came meanwhile (another generation, RULES E1) the row stays, due as that mark says but not before
        this turn's backoff allows, and keeps its wish to read FHIR.
        """
        now = self._transactions.now()
        stays = self._transactions.own(lambda tx: _commit(tx, outcome, now=now))
        self._handed_out.forget([outcome.study_uid])
        return stays


def _commit(tx: Transaction, outcome: Outcome, *, now: float) -> bool:
    """Keep what `outcome` says and end its claim; returns whether the study is still dirty."""
    before = tx.connection.execute(_BEFORE, {"uid": outcome.study_uid}).mappings().one()
    match outcome.ended:
        case Confirmed():
            _keep_confirmed(tx, outcome.ended, before=before, now=now)
            _unpark(tx, outcome.study_uid, before=before)
        case Unpublished():
            _clear_intent(tx, outcome.study_uid, before=before)
            _unpark(tx, outcome.study_uid, before=before)
        case Parked(entry=entry):
            _park(tx, entry, before=before)
        case Waiting() | Silent():
            pass
    retractions.settle(tx, outcome, sent=before["intended"] is not None)
    outbox.keep(tx, outcome.owed)
    _keep_selection(tx, outcome.study_uid, outcome.selection, before=before["unselected_state"])
    _keep_copies(tx, outcome.copies, now=now)
    _write_history(tx, outcome, now=now)
    return _settle(tx, outcome, before=before)


def _settle(tx: Transaction, outcome: Outcome, *, before: RowMapping) -> bool:
    if before["generation"] is None:
        return False
    unmarked, turn = before["generation"] == outcome.generation, outcome.turn
    if unmarked and turn.due is None:
        tx.connection.execute(_CLEAN, {"uid": outcome.study_uid})
        tx.count("dirty", by=-1)
        return False
    # A record is the server's own answer: the wish to read FHIR is fulfilled by it, unless a newer mark may have
    # brought a wish of its own. To read once too often costs a GET, once too seldom costs the truth (RULES C5).
    read_fhir = before["read_fhir"] and not (unmarked and outcome.record is not None)
    due = turn.due if unmarked and turn.due is not None else before["due"]
    tx.connection.execute(
        _STAYS,
        {
            "uid": outcome.study_uid,
            "due": max(due, turn.not_before),
            "attempts": turn.attempts,
            "not_before": turn.not_before,
            "streaming_since": 0.0 if turn.new_stream else before["streaming_since"],
            "read_fhir": read_fhir,
        },
    )
    return True


def _keep_confirmed(tx: Transaction, confirmed: Confirmed, *, before: RowMapping, now: float) -> None:
    record = confirmed.record
    if record is None:
        return
    _keep_record(tx, record, before=before["status"])
    rendering.count_record(tx, record, before=before["fingerprint"])
    retractions.count_record(tx, record, archive=before["archive"], retracted=before["retracted"])
    corrections.keep(tx, record.study_uid, confirmed.corrected, now=now)
    safety.keep(tx, record, confirmed.safety, before=before["doubts"], now=now)
    _clear_intent(tx, record.study_uid, before=before)


def _keep_record(tx: Transaction, record: StudyRecord, *, before: str | None) -> None:
    upsert(tx.connection, records, rows=[to_row(record)])
    if before is not None:
        tx.count("published", word=before, by=-1)
    tx.count("published", word=record.status, by=1)


def _clear_intent(tx: Transaction, study_uid: str, *, before: RowMapping) -> None:
    if before["intended"] is not None:
        tx.connection.execute(_NO_INTENT, {"uid": study_uid})


def _park(tx: Transaction, entry: ParkedStudy, *, before: RowMapping) -> None:
    if before["parked_reason"] is not None:
        parking.count(tx, before["parked_reason"], dropped=bool(before["dropped"]), by=-1)
    upsert(tx.connection, parked, rows=[to_row(entry)])
    parking.count(tx, entry.reason, dropped=entry.dropped, by=1)


def _unpark(tx: Transaction, study_uid: str, *, before: RowMapping) -> None:
    if before["parked_reason"] is not None:
        parking.count(tx, before["parked_reason"], dropped=bool(before["dropped"]), by=-1)
        tx.connection.execute(_NOT_PARKED, {"uid": study_uid})


def _keep_selection(
    tx: Transaction, study_uid: str, selection: Selected | UnselectedStudy | None, *, before: str | None
) -> None:
    if selection is None:
        return
    if before is not None:
        tx.count("unselected", word=before, by=-1)
    if isinstance(selection, UnselectedStudy):
        upsert(tx.connection, unselected, rows=[to_row(selection)])
        tx.count("unselected", word=selection.state, by=1)
    elif before is not None:
        tx.connection.execute(_SELECTED, {"uid": study_uid})


def _keep_copies(tx: Transaction, seen: SeenCopies, *, now: float) -> None:
    if seen.gone:
        rows = [{"a": copy.archive, "o": copy.orthanc_id, "uid": copy.study_uid} for copy in seen.gone]
        tx.connection.execute(_GONE, rows)
    keep_copies(tx, seen.found, now=now)


def _write_history(tx: Transaction, outcome: Outcome, *, now: float) -> None:
    line = {
        "study_uid": outcome.study_uid,
        "at": now,
        "decision": outcome.decision.value,
        "reason": outcome.reason,
        "correlation_id": outcome.correlation_id,
    }
    tx.connection.execute(_WRITE_LINE, line)
    tx.connection.execute(_PRUNE, {"uid": outcome.study_uid})
