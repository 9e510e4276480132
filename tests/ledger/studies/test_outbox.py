"""The outbox: kept with the record, sent in order, and gone when the receiver has it (RULES B8)."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from syncd.errors import LedgerRefused
from syncd.ledger.db.schema import outbox
from syncd.ledger.inventories.rounds import Round
from syncd.ledger.ledger import Ledger
from syncd.ledger.studies import outbox as room
from syncd.model.outbox import FHIR, EntryState, OutboxEntry, Queue
from syncd.model.provenance import Occasion, OwedProvenance
from syncd.model.words import Decision, Priority
from syncd.model.work import Companion
from tests.ledger.db.test_migrations import of_version
from tests.ledger.inventories.test_archive_inventory import assert_by_index
from tests.ledger.made import SETTLE, Clock, claim_study, done, event
from tests.ledger.made import record as record_of

OWED = OutboxEntry(
    kind="Provenance",
    sink=FHIR,
    study_uid="1.1",
    key="prov-1",
    payload={"version": "2", "sources": ["1.2", "1.3"]},
    made_at=5.5,
    due=100.0,
    correlation_id="c-1",
)


def owed(key: str, **changes: Any) -> OutboxEntry:
    return replace(OWED, key=key, **changes)


def commit(ledger: Ledger, *owed: OutboxEntry, study: str = "1.1", subject: str = "") -> None:
    ledger.marks.add([event(study)], settle_after=SETTLE)
    claim = claim_study(ledger, study)
    assert claim is not None
    ledger.outcomes.commit(done(claim, Decision.UPDATE, record=replace(record_of(study), subject=subject), owed=owed))


def due(ledger: Ledger, *, now: float = 200.0, kind: str = "Provenance", sink: str = FHIR, limit: int = 9) -> list[str]:
    return keys(ledger.outbox.due(kind, sink, limit=limit, now=now))


def keys(entries: Iterable[OutboxEntry]) -> list[str]:
    return [one.key for one in entries]


def only_one(ledger: Ledger, study: str = "1.1") -> OutboxEntry:
    (found,) = ledger.outbox.of_study(study)
    return found


def queued(ledger: Ledger, clock: Clock) -> tuple[Queue, ...]:
    return ledger.overview.counts(clock()).outbox


def test_an_entry_is_kept_with_its_record_over_a_restart(url: str, clock: Clock) -> None:
    """RULES B8: in one transaction; what was said is found word for word."""
    with Ledger.open(url, clock=clock) as ledger:
        commit(ledger, OWED)
    with Ledger.open(url, clock=clock) as ledger:
        found = only_one(ledger)
        assert found == replace(OWED, due=found.due, seq=found.seq)
        assert ledger.records.find("1.1") is not None


def test_entries_come_due_in_their_order(ledger: Ledger) -> None:
    """RULES B8: a few at a time, the longest due first."""
    for study, key, when in (("1.1", "a", 100.0), ("1.2", "b", 50.0), ("1.3", "c", 300.0)):
        commit(ledger, owed(key, study_uid=study, due=when), study=study)
    assert due(ledger) == ["b", "a"]
    assert due(ledger, limit=1) == ["b"]


def test_nothing_overtakes_within_study_kind_and_sink(ledger: Ledger) -> None:
    """RULES B8: the later one is hidden by the earlier one, whatever its due time; other lanes are not."""
    commit(ledger, owed("first", due=150.0))
    later = [owed("second", due=10.0), owed("other-sink", sink="ris", due=10.0), owed("other-kind", kind="note", due=10.0)]
    commit(ledger, *later)
    commit(ledger, owed("other-study", study_uid="1.2", due=10.0), study="1.2")
    assert due(ledger, now=20.0) == ["other-study"]
    assert due(ledger, now=20.0, sink="ris") == ["other-sink"]
    assert due(ledger, now=20.0, kind="note") == ["other-kind"]
    assert due(ledger) == ["other-study", "first"]
    first, second = (one for one in ledger.outbox.of_study("1.1") if (one.kind, one.sink) == ("Provenance", FHIR))
    ledger.outbox.put_off(replace(first, attempts=1, due=500.0))
    assert due(ledger, now=499.0) == ["other-study"]
    ledger.outbox.settle(replace(first, due=500.0))
    assert due(ledger, now=500.0) == ["other-study", "second"]
    assert second.due == 150.0, "due no earlier than what it waits for"


def test_what_waits_behind_one_that_was_given_up_goes_on(ledger: Ledger) -> None:
    """RULES B8: a refusal costs the entry."""
    commit(ledger, owed("first"), owed("second"))
    ledger.outbox.give_up(ledger.outbox.of_study("1.1")[0], "refused")
    assert due(ledger) == ["second"]


def test_an_entry_that_was_taken_is_gone(ledger: Ledger, clock: Clock) -> None:
    """RULES B8."""
    commit(ledger, OWED)
    assert queued(ledger, clock) == (Queue(kind="Provenance", sink=FHIR, waiting=1),)
    for _ in range(2):
        ledger.outbox.settle(replace(OWED, seq=1))
    assert not ledger.outbox.of_study("1.1")
    assert queued(ledger, clock) == ()


def test_the_same_committed_again_is_the_same(ledger: Ledger, clock: Clock) -> None:
    """RULES C3: a lost answer makes the ledger hear an outcome twice; the backoff goes on, and who sends it settles it."""
    commit(ledger, OWED)
    before = only_one(ledger)
    ledger.outbox.put_off(replace(before, attempts=2, due=150.0))
    commit(ledger, OWED, OWED)
    assert only_one(ledger) == replace(before, attempts=2, due=150.0)
    assert queued(ledger, clock) == (Queue(kind="Provenance", sink=FHIR, waiting=1),)


def test_a_newer_entry_of_the_same_key_is_not_settled_by_the_older_one(ledger: Ledger, clock: Clock) -> None:
    """MAPPING J.5: the id follows from the content; a study may come back to it while it is sent."""
    commit(ledger, OWED)
    old = only_one(ledger)
    commit(ledger, owed("prov-1", payload={"version": "4"}))
    newer = only_one(ledger)
    assert newer.seq > old.seq
    ledger.outbox.settle(old)
    ledger.outbox.put_off(replace(old, attempts=3, due=9.0))
    ledger.outbox.give_up(old, "refused")
    assert ledger.outbox.of_study("1.1") == [newer]
    assert queued(ledger, clock) == (Queue(kind="Provenance", sink=FHIR, waiting=1),)
    assert "Provenance" not in {line.decision for line in ledger.overview.history("1.1")}


def test_one_that_is_owed_anew_goes_behind_what_waits(ledger: Ledger) -> None:
    """RULES B8: its newer words are later than the others'."""
    commit(ledger, owed("a"))
    commit(ledger, owed("b"))
    commit(ledger, owed("a", payload={"version": "9"}))
    assert keys(ledger.outbox.of_study("1.1")) == ["b", "a"]


def test_one_that_was_put_off_waits(ledger: Ledger) -> None:
    """RULES C6: a backoff of its own, and why."""
    commit(ledger, OWED)
    ledger.outbox.put_off(replace(only_one(ledger), attempts=1, due=900.0, reason="503"))
    assert not due(ledger, now=899.0)
    (found,) = ledger.outbox.due("Provenance", FHIR, limit=9, now=900.0)
    assert (found.attempts, found.reason) == (1, "503")


def test_what_was_given_up_is_told_and_kept_for_a_while(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES B8, E8: in the history, and in its place; the oldest go. Owed anew, it waits again."""
    commit(ledger, OWED)
    ledger.outbox.give_up(only_one(ledger), "replaced: not written, 400")
    line = ledger.overview.history("1.1")[0]
    assert (line.decision, line.reason, line.correlation_id) == ("Provenance", "replaced: not written, 400", "c-1")
    assert not ledger.outbox.of_study("1.1")
    (kept,) = ledger.outbox.of_study("1.1", state=EntryState.GIVEN_UP)
    assert kept.reason == "replaced: not written, 400"
    assert queued(ledger, clock) == (Queue(kind="Provenance", sink=FHIR, given_up=1),)
    commit(ledger, OWED)
    assert queued(ledger, clock) == (Queue(kind="Provenance", sink=FHIR, waiting=1),)


def test_no_more_is_kept_of_what_was_given_up_than_somebody_reads(ledger: Ledger, clock: Clock) -> None:
    """RULES E8: the oldest go."""
    most = room.GIVEN_UP_KEPT
    commit(ledger, *(owed(f"{number}") for number in range(most + 3)))
    for entry in ledger.outbox.of_study("1.1"):
        clock.now += 1.0
        ledger.outbox.give_up(entry, "refused")
    assert queued(ledger, clock) == (Queue(kind="Provenance", sink=FHIR, given_up=most),)
    kept = ledger.outbox.of_study("1.1", state=EntryState.GIVEN_UP)
    assert (kept[0].key, len(kept)) == ("3", most)


def test_a_clock_that_was_set_back_puts_nothing_off(url: str, clock: Clock) -> None:
    """RULES E5."""
    with Ledger.open(url, clock=clock) as ledger:
        commit(ledger, replace(OWED, due=clock() + 10 * 86400.0))
    with Ledger.open(url, clock=clock) as ledger:
        assert only_one(ledger).due == clock()


def test_what_was_new_when_a_process_died_is_due_for_the_next(url: str, clock: Clock) -> None:
    """RULES B8: until then it was its maker's to send; what failed before keeps its pause."""
    with Ledger.open(url, clock=clock) as ledger:
        commit(ledger, owed("new", due=clock() + 10.0))
        commit(ledger, owed("failed", study_uid="1.2"), study="1.2")
        ledger.outbox.put_off(replace(only_one(ledger, "1.2"), attempts=1, due=clock() + 10.0))
    with Ledger.open(url, clock=clock) as ledger:
        assert due(ledger, now=clock()) == ["new"]


def test_a_second_process_sends_nothing(url: str, clock: Clock) -> None:
    """RULES E4: a guest reads, and marks."""
    with Ledger.open(url, clock=clock) as ledger, Ledger.open_guest(url, clock=clock) as guest:
        commit(ledger, OWED)
        entry = only_one(guest)
        for change in (guest.outbox.settle, guest.outbox.put_off, lambda one: guest.outbox.give_up(one, "refused")):
            with pytest.raises(LedgerRefused):
                change(entry)


def test_a_dead_sink_with_many_entries_is_in_nobodys_way(file_ledger: Ledger) -> None:
    """RULES B8, E8: what is due for one sink is found by an index, and read no further than asked, whatever waits for
    another one; so is what waits of a study."""
    row = {**room.to_row(OWED), "state": "waiting", "sink": "dead"}
    del row["seq"]
    rows = [{**row, "study_uid": f"9.{number}", "key": f"k{number}"} for number in range(10_000)]
    file_ledger._transactions.own(lambda tx: tx.connection.execute(outbox.insert(), rows))
    commit(file_ledger, owed("alive", sink="alive"))
    assert due(file_ledger, sink="alive") == ["alive"]
    assert due(file_ledger, sink="dead", limit=2) == ["k0", "k1"]
    wanted = room._DUE.params(of_kind="Provenance", of_sink="dead", now=200.0).limit(1)
    assert_by_index(file_ledger, wanted)
    with file_ledger._readers.connect() as connection:
        of_study = room._OF_STUDIES.text(connection)
        (step, *_) = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {of_study}", ('["9.7"]',))
        assert step.detail == "SEARCH outbox USING INDEX outbox_by_lane (study_uid=?)"
        text = str(wanted.compile(connection, compile_kwargs={"literal_binds": True}))
        plan = " ".join(row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
    assert "outbox_by_due (state=? AND kind=? AND sink=? AND due<?)" in plan
    assert "outbox_by_lane (study_uid=? AND kind=? AND sink=? AND state=? AND seq<?)" in plan


def test_order_and_tallies_hold_whatever_happens(ledger: Ledger, clock: Clock) -> None:
    """RULES B8, E8: three hundred random steps over few lanes; what is sent of a lane is sent in its order, and counted."""
    chance, sent = random.Random(8), defaultdict[tuple[str, str, str], list[int]](list)
    for number in range(300):
        clock.now += chance.random() * 5.0
        study, sink = f"1.{chance.randrange(3)}", chance.choice([FHIR, "ris"])
        key, words = f"{study}-{chance.randrange(8)}", {"version": chance.randrange(2)}
        if chance.random() < 0.5:
            commit(ledger, owed(key, study_uid=study, sink=sink, due=clock.now, payload=words), study=study)
        for entry in ledger.outbox.due("Provenance", sink, limit=chance.randrange(3), now=clock.now):
            match chance.randrange(4):
                case 0:
                    ledger.outbox.put_off(replace(entry, attempts=1, due=clock.now + chance.random() * 20.0))
                case 1:
                    ledger.outbox.give_up(entry, "refused")
                    sent[entry.lane].append(entry.seq)
                case _:
                    ledger.outbox.settle(entry)
                    sent[entry.lane].append(entry.seq)
        if number % 50 == 0:
            ledger.clock_steps.follow(-chance.random() * 10.0)
    assert len(sent) == 6 and all(order == sorted(order) for order in sent.values())
    states = {state: [ledger.outbox.of_study(f"1.{n}", state=state) for n in range(3)] for state in EntryState}
    counted = {state: Counter(one.sink for some in found for one in some) for state, found in states.items()}
    told = {queue.sink: (queue.waiting, queue.given_up) for queue in queued(ledger, clock)}
    assert told == {sink: (counted[EntryState.WAITING][sink], counted[EntryState.GIVEN_UP][sink]) for sink in (FHIR, "ris")}


def test_a_ledger_that_owed_provenances_owes_them_still(url: str, clock: Clock) -> None:
    """RULES B8, E: word for word, in the order of the writes, with their attempts; nothing else changes."""
    row = "INSERT INTO owed_provenance VALUES ('{}', '{}', '1.1', '{}', '{}', {}, '{}', {}, {})"
    of_version(
        "0009",
        url,
        [
            row.format("prov-b", "1.1", "7", "replaced", 6.25, '["1.2","1.3"]', 3, 70.5),
            row.format("prov-a", "1.1", "6", "subject", 5.5, "[]", 0, 60.0),
            row.format("prov-c", "1.2", "1", "created", 7.0, "[]", 1, 80.0),
            "INSERT INTO findings VALUES ('r', 'foreign', '1.1', '', '1', 5)",
        ],
    )
    with Ledger.open(url, clock=clock) as ledger:
        first, second = ledger.outbox.of_study("1.1")
        assert OwedProvenance.of_entry(second) == OwedProvenance(
            provenance_id="prov-b",
            study_uid="1.1",
            resource_id="1.1",
            version="7",
            occasion=Occasion.REPLACED,
            recorded=6.25,
            sources=("1.2", "1.3"),
        )
        assert (first.key, first.due, second.attempts, second.due) == ("prov-a", clock(), 3, 70.5)
        assert queued(ledger, clock) == (Queue(kind="Provenance", sink=FHIR, waiting=3),)
        commit(ledger, replace(second, due=0.0))
        assert ledger.outbox.of_study("1.1") == [first, second], "the same as the program makes it today"
        commit(ledger, owed("new"))
        assert keys(ledger.outbox.of_study("1.1")) == ["prov-a", "prov-b", "new"]


def test_more_than_one_slice_of_an_old_backlog_moves(url: str, clock: Clock) -> None:
    """The migration reads a thousand at a time."""
    row = "INSERT INTO owed_provenance SELECT 'prov-' || n, '1.' || n, 'r', '1', 'subject', n, '[]', 1, n FROM "
    numbers = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2500) "
    of_version("0009", url, [f"{row}({numbers}SELECT n FROM numbers) AS several"])
    with Ledger.open(url, clock=clock) as ledger:
        assert queued(ledger, clock) == (Queue(kind="Provenance", sink=FHIR, waiting=2500),)
        assert len(due(ledger, limit=5000, now=clock())) == 2500


# The daily rounds


def test_a_round_goes_on_after_a_restart(url: str, clock: Clock) -> None:
    """RULES E8: its position is a fact of the ledger."""
    with Ledger.open(url, clock=clock) as ledger:
        assert ledger.rounds.position("patients") == Round()
        ledger.rounds.move("patients", Round(after="pat-5", began=7.0))
    with Ledger.open(url, clock=clock) as ledger:
        assert ledger.rounds.position("patients") == Round(after="pat-5", began=7.0)
        assert ledger.rounds.position("studies") == Round()


def test_companions_come_in_pages(ledger: Ledger) -> None:
    """RULES E8: keyset pages of one type."""
    kept = [Companion(resource_type="Patient", resource_id=f"pat-{number}", version="1", digest="") for number in range(5)]
    for one in (*kept, replace(kept[0], resource_type="Device")):
        ledger.companions.save(one)
    assert ledger.rounds.companions("Patient", after="", limit=2) == kept[:2]
    assert ledger.rounds.companions("Patient", after="pat-1", limit=9) == kept[2:]


def test_the_studies_of_a_subject_are_marked(ledger: Ledger) -> None:
    """RULES B4: all but the one that is dealt with; read afresh, at the priority of repairs."""
    for study, subject in (("1.1", "Patient/a"), ("1.2", "Patient/a"), ("1.3", "Patient/b"), ("1.4", "Patient/a")):
        commit(ledger, study=study, subject=subject)
    assert ledger.marks.add_subject("Patient/a", but="1.2") == 2
    rows = {row.study_uid: row for row in ledger.marks.page()}
    assert rows.keys() == {"1.1", "1.4"}
    assert all(row.read_fhir and row.priority == Priority.REPAIR for row in rows.values())


def test_an_older_ledger_owes_nothing_and_replaced_nobody(url: str, clock: Clock) -> None:
    """RULES E: brought up to date with what it held."""
    of_version("0002", url, ["INSERT INTO companions VALUES ('Patient', 'pat-1', '1', 'd', 'k')"])
    with Ledger.open(url, clock=clock) as ledger:
        known = ledger.companions.find("Patient", "pat-1")
        assert known is not None and known.replaced_by == ""
        assert not due(ledger, now=clock())
