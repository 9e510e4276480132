"""The one transaction that ends some reconciles.

What the FHIR server confirmed is a fact and is kept in any case: record, parked entry, copies, history. What becomes of
the dirty row is the question, and its difficulty is a mark that came while the study was worked on. The row then has
another generation than the outcome (RULES E1) and stays, due as that mark left it; but the backoff of this attempt still
counts, because no mark shortens one (RULES C6).

Outcomes are kept together, a table at a time: what is known of their studies is read by one statement, and each table that
changes is written by one. That is the same as one after the other, for no two of them are of one study; two that name one
copy are the exception, and are kept in turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, delete, exists, select, update

from syncd.errors import LedgerRefused, LedgerUnavailable
from syncd.ledger.db.rows import Nouns
from syncd.ledger.db.schema import (
    copies,
    dirty,
    history,
    intents,
    parked,
    records,
    retraction_charges,
    retraction_plan,
    safety_notes,
    unselected,
)
from syncd.ledger.db.statements import Statement, among, listed
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.studies import corrections, outbox, parking, rendering, retractions, safety
from syncd.ledger.studies.claims import HandedOut
from syncd.ledger.studies.marks import keep_copies
from syncd.model.outcome import Confirmed, Outcome, Parked, Selected, Unpublished
from syncd.model.selection import UnselectedStudy
from syncd.model.work import ParkedStudy, StudyRecord

HISTORY_LINES = 20
"""History lines kept per study (RULES E8)."""

Ending = bool | Exception
"""Of an outcome: whether its study is still dirty, or why it alone could not be kept."""


class Before(NamedTuple):
    """What the ledger held of one study; None where it had no such row."""

    study_uid: str
    generation: int | None
    due: float | None
    streaming_since: float | None
    read_fhir: bool | None
    status: str | None
    archive: str | None
    retracted: str | None
    fingerprint: str | None
    parked_reason: str | None
    dropped: bool | None
    intended: str | None
    unselected_state: str | None
    doubts: Sequence[Any] | None
    planned: str | None
    is_charged: bool
    """A retraction is claimed and was not carried out yet."""
    last_line: int | None
    """The history line that is one too many with the next, and so are those before it."""


class _Turn(NamedTuple):
    outcome: Outcome
    before: Before


def _select_before(dialect: str) -> Select[Any]:
    """A row for each of `uids`, in the order of `Before`."""
    these = listed("uids", dialect)
    uid = these.c.key
    charged = exists().where(retraction_charges.c.study_uid == uid, ~retraction_charges.c.done)
    lines = select(history.c.id).where(history.c.study_uid == uid).order_by(history.c.id.desc())
    joined = these
    for table in (dirty, records, parked, intents, unselected, safety_notes, retraction_plan):
        joined = joined.outerjoin(table, table.c.study_uid == uid)
    return select(
        uid,
        *(dirty.c.generation, dirty.c.due, dirty.c.streaming_since, dirty.c.read_fhir),
        *(records.c.status, records.c.archive, records.c.retracted, records.c.fingerprint),
        *(parked.c.reason, parked.c.dropped, intents.c.study_uid, unselected.c.state, safety_notes.c.notes),
        retraction_plan.c.study_uid,
        charged,
        lines.offset(HISTORY_LINES - 1).limit(1).scalar_subquery(),
    ).select_from(joined)


_RECORDS, _PARKED, _UNSELECTED = Nouns(StudyRecord, records), Nouns(ParkedStudy, parked), Nouns(UnselectedStudy, unselected)
_BEFORE = Statement(_select_before)
_NO_INTENT = Statement(delete(intents).where(among(intents.c.study_uid, "uids")))
_NOT_PARKED = Statement(delete(parked).where(among(parked.c.study_uid, "uids")))
_SELECTED = Statement(delete(unselected).where(among(unselected.c.study_uid, "uids")))
_CLEAN = Statement(delete(dirty).where(among(dirty.c.study_uid, "uids")))
_STAYS = Statement(
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
_LINE = ("study_uid", "at", "decision", "reason", "correlation_id")
_WRITE_LINE = Statement(history.insert().values({name: bindparam(name) for name in _LINE}))
_PRUNE = Statement(delete(history).where(history.c.study_uid == bindparam("uid"), history.c.id <= bindparam("last")))
_GONE = Statement(
    delete(copies).where(
        copies.c.archive == bindparam("a"), copies.c.orthanc_id == bindparam("o"), copies.c.study_uid == bindparam("uid")
    )
)


class Outcomes:
    """`ledger.outcomes`: what became of claimed studies."""

    def __init__(self, transactions: Transactions, handed_out: HandedOut) -> None:
        self._transactions = transactions
        self._handed_out = handed_out

    def commit_many(self, outcomes: Sequence[Outcome]) -> Mapping[str, Ending]:
        """Everything of these outcomes, of different studies, in one transaction; by study, whether it is still dirty. If
        they cannot be kept together, each is kept alone, and who failed has its error in the answer. Raises
        `LedgerUnavailable` and `LedgerRefused` where that is true of all.

        If a newer mark came meanwhile (another generation, RULES E1) a row stays, due as that mark says but not before
        its turn's backoff allows, and keeps its wish to read FHIR.
        """
        if len({one.study_uid for one in outcomes}) < len(outcomes):
            raise ValueError("two outcomes of one study are no batch")
        if not outcomes:
            return {}
        now = self._transactions.now()
        endings = self._try(outcomes, now=now)
        if isinstance(endings, Exception):
            endings = self._try_each(outcomes, error=endings, now=now)
        self._handed_out.forget([uid for uid, ending in endings.items() if isinstance(ending, bool)])
        return endings

    def commit(self, outcome: Outcome) -> bool:
        """The same of one; raises its error."""
        ending = self.commit_many([outcome])[outcome.study_uid]
        if isinstance(ending, Exception):
            raise ending
        return ending

    def _try_each(self, outcomes: Sequence[Outcome], *, error: Exception, now: float) -> Mapping[str, Ending]:
        """Each alone, as they cannot be kept together because of `error`."""
        if len(outcomes) == 1:
            return {outcomes[0].study_uid: error}
        endings: dict[str, Ending] = {}
        for outcome in outcomes:
            try:
                ended = self._try([outcome], now=now)
            except (LedgerUnavailable, LedgerRefused) as unavailable:
                ended = unavailable
            endings |= {outcome.study_uid: ended} if isinstance(ended, Exception) else ended
        return endings

    def _try(self, outcomes: Sequence[Outcome], *, now: float) -> Mapping[str, Ending] | Exception:
        """What became of them, or what is wrong with one of them."""
        try:
            return self._transactions.own(lambda tx: _commit_all(tx, outcomes, now=now))
        except (LedgerUnavailable, LedgerRefused):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are kept
            return error


def _commit_all(tx: Transaction, outcomes: Sequence[Outcome], *, now: float) -> dict[str, Ending]:
    together = [outcomes] if _is_of_different_copies(outcomes) else [[one] for one in outcomes]
    return {uid: stays for some in together for uid, stays in _commit(tx, some, now=now).items()}


def _is_of_different_copies(outcomes: Iterable[Outcome]) -> bool:
    named = [{(copy.archive, copy.orthanc_id) for copy in (*one.copies.found, *one.copies.gone)} for one in outcomes]
    return sum(map(len, named)) == len(set().union(*named))


def _commit(tx: Transaction, outcomes: Sequence[Outcome], *, now: float) -> dict[str, bool]:
    """Keep what the outcomes say and end their claims; by study, whether it is still dirty."""
    rows = _BEFORE.rows(tx.connection, {"uids": [one.study_uid for one in outcomes]})
    before = {row[0]: Before(*row) for row in rows}
    turns = [_Turn(one, before[one.study_uid]) for one in outcomes]
    _keep_records(tx, turns, now=now)
    _clear_intents(tx, turns)
    _keep_parked(tx, turns)
    _settle_retractions(tx, turns)
    outbox.keep(tx, [entry for one in outcomes for entry in one.owed])
    _keep_selection(tx, turns)
    _keep_copies(tx, outcomes, now=now)
    _write_history(tx, turns, now=now)
    return _settle(tx, turns)


def _keep_records(tx: Transaction, turns: Sequence[_Turn], *, now: float) -> None:
    confirmed = [
        (ended, ended.record, before)
        for (ended, before) in ((turn.outcome.ended, turn.before) for turn in turns)
        if isinstance(ended, Confirmed) and ended.record is not None
    ]
    _RECORDS.keep(tx.connection, [record for _, record, _ in confirmed])
    for _, record, before in confirmed:
        if before.status is not None:
            tx.count("published", word=before.status, by=-1)
        tx.count("published", word=record.status, by=1)
        rendering.count_record(tx, record, before=before.fingerprint)
        retractions.count_record(tx, record, archive=before.archive, retracted=before.retracted)
    corrections.keep(
        tx, ((record.study_uid, element) for ended, record, _ in confirmed for element in ended.corrected), now=now
    )
    safety.keep(tx, ((record, ended.safety, before.doubts) for ended, record, before in confirmed), now=now)


def _clear_intents(tx: Transaction, turns: Sequence[_Turn]) -> None:
    """What the record says, or that nothing is shown, is in place of what was intended."""
    void = [
        turn.outcome.study_uid
        for turn in turns
        if turn.before.intended is not None
        and (isinstance(turn.outcome.ended, Unpublished) or turn.outcome.record is not None)
    ]
    if void:
        _NO_INTENT.run(tx.connection, {"uids": void})


def _keep_parked(tx: Transaction, turns: Sequence[_Turn]) -> None:
    entries, released = [], []
    for outcome, before in turns:
        if not isinstance(outcome.ended, Confirmed | Unpublished | Parked):
            continue
        if before.parked_reason is not None:
            parking.count(tx, before.parked_reason, dropped=bool(before.dropped), by=-1)
        if isinstance(outcome.ended, Parked):
            entries.append(outcome.ended.entry)
            parking.count(tx, outcome.ended.entry.reason, dropped=outcome.ended.entry.dropped, by=1)
        elif before.parked_reason is not None:
            released.append(outcome.study_uid)
    _PARKED.keep(tx.connection, entries)
    if released:
        _NOT_PARKED.run(tx.connection, {"uids": released})


def _settle_retractions(tx: Transaction, turns: Sequence[_Turn]) -> None:
    concerned = [turn for turn in turns if turn.before.planned is not None or turn.before.is_charged]
    sent = {turn.outcome.study_uid for turn in concerned if turn.before.intended is not None}
    retractions.settle(tx, (turn.outcome for turn in concerned), sent=sent)


def _keep_selection(tx: Transaction, turns: Sequence[_Turn]) -> None:
    left_out, taken_in = [], []
    for outcome, before in turns:
        if outcome.selection is None:
            continue
        if before.unselected_state is not None:
            tx.count("unselected", word=before.unselected_state, by=-1)
        if not isinstance(outcome.selection, Selected):
            left_out.append(outcome.selection)
            tx.count("unselected", word=outcome.selection.state, by=1)
        elif before.unselected_state is not None:
            taken_in.append(outcome.study_uid)
    _UNSELECTED.keep(tx.connection, left_out)
    if taken_in:
        _SELECTED.run(tx.connection, {"uids": taken_in})


def _keep_copies(tx: Transaction, outcomes: Sequence[Outcome], *, now: float) -> None:
    gone = (copy for one in outcomes for copy in one.copies.gone)
    _GONE.run_many(tx.connection, [{"a": copy.archive, "o": copy.orthanc_id, "uid": copy.study_uid} for copy in gone])
    keep_copies(tx, [copy for one in outcomes for copy in one.copies.found], now=now)


def _write_history(tx: Transaction, turns: Sequence[_Turn], *, now: float) -> None:
    lines = [
        {
            "study_uid": outcome.study_uid,
            "at": now,
            "decision": outcome.decision.value,
            "reason": outcome.reason,
            "correlation_id": outcome.correlation_id,
        }
        for outcome, _ in turns
    ]
    _WRITE_LINE.run_many(tx.connection, lines)
    full = [before for _, before in turns if before.last_line is not None]
    _PRUNE.run_many(tx.connection, [{"uid": before.study_uid, "last": before.last_line} for before in full])


def _settle(tx: Transaction, turns: Sequence[_Turn]) -> dict[str, bool]:
    clean, staying = [], []
    for outcome, before in turns:
        if before.generation is None:
            continue
        unmarked, turn = before.generation == outcome.generation, outcome.turn
        if unmarked and turn.due is None:
            clean.append(outcome.study_uid)
            continue
        # A record is the server's own answer: the wish to read FHIR is fulfilled by it, unless a newer mark may have
        # brought a wish of its own. To read once too often costs a GET, once too seldom costs the truth (RULES C5).
        read_fhir = before.read_fhir and not (unmarked and outcome.record is not None)
        due = turn.due if unmarked and turn.due is not None else before.due
        staying.append(
            {
                "uid": outcome.study_uid,
                "due": max(due or 0.0, turn.not_before),
                "attempts": turn.attempts,
                "not_before": turn.not_before,
                "streaming_since": 0.0 if turn.new_stream else before.streaming_since,
                "read_fhir": read_fhir,
            }
        )
    if clean:
        _CLEAN.run(tx.connection, {"uids": clean})
        tx.count("dirty", by=-len(clean))
    _STAYS.run_many(tx.connection, staying)
    dirty_still = {row["uid"] for row in staying}
    return {outcome.study_uid: outcome.study_uid in dirty_still for outcome, _ in turns}
