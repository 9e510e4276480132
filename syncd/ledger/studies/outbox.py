"""What is owed after a study's write (RULES B8): it comes with the record, in its transaction, and goes when it was taken.

Order is by lane: study, kind and sink. An earlier entry of the same lane that still waits hides the later ones, so `due`
shows the first of each lane only; that they are due no earlier than it is, keeps them out of the way of the search. Each
receiver is asked for by name, so that a hundred thousand entries of a dead one stand before nobody else's.

What is given up leaves a line in its study's history, for people, and stays for a while; nothing waits for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, exists, insert, or_, select, update

from syncd.ledger.db.rows import field_names, to_noun, to_row
from syncd.ledger.db.schema import history, outbox
from syncd.ledger.db.statements import Statement, among
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.model.outbox import EntryState, OutboxEntry

DAY = 86400.0
"""Seconds: no entry is put off for longer."""

GIVEN_UP_KEPT = 1000
"""Of what was given up, for each kind and sink: enough to see what is wrong, and no second archive."""

TALLIES = ("outbox", "outbox-given-up")
"""How many wait and how many were given up, the word being `<kind>/<sink>`."""

_WAITS, _GIVEN_UP = EntryState.WAITING.value, EntryState.GIVEN_UP.value

_NAMES = field_names(OutboxEntry)
_OF_STUDIES = Statement(
    select(*(outbox.c[name] for name in _NAMES)).where(among(outbox.c.study_uid, "uids")).order_by(outbox.c.seq)
)
_earlier = outbox.alias("earlier")
_OVERTAKES = exists().where(
    _earlier.c.study_uid == outbox.c.study_uid,
    _earlier.c.kind == outbox.c.kind,
    _earlier.c.sink == outbox.c.sink,
    _earlier.c.state == _WAITS,
    _earlier.c.seq < outbox.c.seq,
)
_OF_SINK = (outbox.c.kind == bindparam("of_kind"), outbox.c.sink == bindparam("of_sink"))
_DUE = (
    select(outbox)
    .where(outbox.c.state == _WAITS, *_OF_SINK, outbox.c.due <= bindparam("now"), ~_OVERTAKES)
    .order_by(outbox.c.due, outbox.c.seq)
    .limit(bindparam("most"))
)
# By its place, not by its key: the same may have been committed once more meanwhile, and that is another entry.
_THIS = (outbox.c.seq == bindparam("this"), outbox.c.state == _WAITS)
_IS = select(outbox.c.seq).where(*_THIS)
_GONE = delete(outbox).where(*_THIS)
_REPLACED = Statement(delete(outbox).where(outbox.c.seq == bindparam("this")))
_OWED = Statement(insert(outbox).values({name: bindparam(name) for name in _NAMES if name != "seq"}))
_PUT_OFF = update(outbox).where(*_THIS).values(attempts=bindparam("tries"), due=bindparam("until"), reason=bindparam("why"))
_BEHIND = (
    update(outbox)
    .where(outbox.c.study_uid == bindparam("uid"), *_OF_SINK, outbox.c.state == _WAITS)
    .where(outbox.c.seq > bindparam("this"), outbox.c.due < bindparam("until"))
    .values(due=bindparam("until"))
)
_GIVE_UP = update(outbox).where(*_THIS).values(state=_GIVEN_UP, due=bindparam("until"), reason=bindparam("why"))
_OLDEST_KEPT = (
    select(outbox.c.due)
    .where(outbox.c.state == _GIVEN_UP, *_OF_SINK)
    .order_by(outbox.c.due.desc(), outbox.c.seq.desc())
    .offset(GIVEN_UP_KEPT)
    .limit(1)
    .scalar_subquery()
)
_PRUNE = delete(outbox).where(outbox.c.state == _GIVEN_UP, *_OF_SINK, outbox.c.due <= _OLDEST_KEPT)


class Outbox:
    """`ledger.outbox`: every method is one transaction or one short read."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def of_study(self, study_uid: str, *, state: EntryState = EntryState.WAITING) -> list[OutboxEntry]:
        """What waits, or was given up, of a study, in the order in which it was owed."""
        found = self._transactions.read(lambda connection: _of_studies(connection, [study_uid]))
        return [entry for entry in found if entry.state is state]

    def due(self, kind: str, sink: str, *, limit: int, now: float) -> list[OutboxEntry]:
        """Up to `limit` entries of this kind for this sink whose time has come, the longest due first; of each study the
        first one only."""
        wanted = {"of_kind": kind, "of_sink": sink, "now": now, "most": limit}
        return self._transactions.read(lambda connection: _nouns(connection.execute(_DUE, wanted)))

    def waits(self, entry: OutboxEntry) -> bool:
        """Whether it still is to be sent, as it is."""
        return self._transactions.read(lambda connection: connection.execute(_IS, {"this": entry.seq}).first() is not None)

    def settle(self, entry: OutboxEntry) -> None:
        """The receiver has it."""
        self._transactions.own(lambda tx: _settle(tx, entry))

    def put_off(self, entry: OutboxEntry) -> None:
        """Another attempt, when `entry.due` says so; what comes after it waits as long."""
        self._transactions.own(lambda tx: _put_off(tx, entry))

    def give_up(self, entry: OutboxEntry, reason: str) -> None:
        """The receiver will never take it; the study's history says why."""
        now = self._transactions.now()
        self._transactions.own(lambda tx: _give_up(tx, entry, reason, now=now))


def keep(tx: Transaction, entries: Iterable[OutboxEntry]) -> None:
    """Owed from the transaction that keeps the record on. What waits already, word for word, stays as it is; the same with
    other words takes its place, behind all others of its lane."""
    wanted = {(*entry.lane, entry.key): entry for entry in entries}
    if not wanted:
        return
    known = {(*one.lane, one.key): one for one in _of_studies(tx.connection, {one.study_uid for one in wanted.values()})}
    replaced, fresh = [], []
    for key, entry in wanted.items():
        before = known.pop(key, None)
        if before is not None and _says_the_same(before, entry):
            continue
        if before is not None:
            replaced.append({"this": before.seq})
            _count(tx, before, by=-1)
        # What waits before it is due no later, which keeps it out of the way of whoever looks for what is due.
        earlier = (one.due for one in known.values() if one.lane == entry.lane and one.state is EntryState.WAITING)
        row = {**to_row(entry), "state": entry.state.value, "due": max(entry.due, *earlier, 0.0)}
        del row["seq"]
        fresh.append(row)
        _count(tx, entry, by=1)
    _REPLACED.run_many(tx.connection, replaced)
    _OWED.run_many(tx.connection, fresh)


def _says_the_same(before: OutboxEntry, entry: OutboxEntry) -> bool:
    return before.state is EntryState.WAITING and before.payload == entry.payload


def within_reason(connection: Connection, *, now: float) -> None:
    """On load: a clock that was set back must not put an entry off for a month (RULES E5), and whoever was to send what
    is new is dead."""
    late = or_(outbox.c.due > now + DAY, outbox.c.attempts == 0)
    connection.execute(update(outbox).where(outbox.c.state == _WAITS, late).values(due=now))


def _settle(tx: Transaction, entry: OutboxEntry) -> None:
    if tx.connection.execute(_GONE, {"this": entry.seq}).rowcount:
        _count(tx, entry, by=-1)


def _put_off(tx: Transaction, entry: OutboxEntry) -> None:
    wanted = {"this": entry.seq, "until": entry.due}
    tx.connection.execute(_PUT_OFF, {**wanted, "tries": entry.attempts, "why": entry.reason})
    tx.connection.execute(_BEHIND, {**wanted, "uid": entry.study_uid, **_sink(entry)})


def _give_up(tx: Transaction, entry: OutboxEntry, reason: str, *, now: float) -> None:
    if not tx.connection.execute(_GIVE_UP, {"this": entry.seq, "until": now, "why": reason}).rowcount:
        return  # settled, or replaced by a newer one, which will tell for itself
    word = f"{entry.kind}/{entry.sink}"
    pruned = tx.connection.execute(_PRUNE, _sink(entry)).rowcount
    tx.count(TALLIES[0], word=word, by=-1)
    tx.count(TALLIES[1], word=word, by=1 - pruned)
    line = {
        "study_uid": entry.study_uid,
        "at": now,
        "decision": entry.kind,
        "reason": reason,
        "correlation_id": entry.correlation_id,
    }
    tx.connection.execute(history.insert(), line)


def _sink(entry: OutboxEntry) -> dict[str, str]:
    return {"of_kind": entry.kind, "of_sink": entry.sink}


def _count(tx: Transaction, entry: OutboxEntry, *, by: int) -> None:
    tx.count(TALLIES[entry.state is EntryState.GIVEN_UP], word=f"{entry.kind}/{entry.sink}", by=by)


def _of_studies(connection: Connection, study_uids: Collection[str]) -> list[OutboxEntry]:
    """In the order in which it was owed."""
    rows = (dict(zip(_NAMES, row, strict=True)) for row in _OF_STUDIES.rows(connection, {"uids": study_uids}))
    return [OutboxEntry(**{**row, "state": EntryState(row["state"])}) for row in rows]


def _nouns(rows: Iterable[Row[Any]]) -> list[OutboxEntry]:
    return [to_noun(OutboxEntry, {**row._mapping, "state": EntryState(row.state)}) for row in rows]
