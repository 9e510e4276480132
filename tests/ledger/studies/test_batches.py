"""Contract: a batch of claims, intents or outcomes is what each of them alone would be, and each table is asked once."""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, select

from syncd.errors import LedgerUnavailable
from syncd.ledger.db.schema import history, metadata
from syncd.ledger.ledger import Claim, Ledger
from syncd.ledger.studies import outcomes as room
from syncd.model.outbox import FHIR, OutboxEntry
from syncd.model.outcome import Outcome, Retraction, Selected
from syncd.model.selection import UnselectedStudy
from syncd.model.snapshot import Note
from syncd.model.study.rejection import Rejection
from syncd.model.words import Cause, Decision, StudyState
from syncd.model.work import CONTEST_WINDOW, Intent
from tests.ledger.made import (
    MAIN,
    NOW,
    SETTLE,
    Clock,
    claim_study,
    copies_of,
    copy,
    done,
    mark,
    parked,
    publish,
    record,
    resync,
)
from tests.ledger.made import event as told

UIDS = tuple(f"1.{number}" for number in range(1, 6))


def intent(study_uid: str, **changes: Any) -> Intent:
    whole = Intent(study_uid=study_uid, resource_id=study_uid, digest="d", expected_version="1", owned={"endpoint": ["x"]})
    return replace(whole, **changes)


def rejection(note: str, source: str, target: str, *instances: str) -> Rejection:
    return Rejection(
        note_uid=note, source_uid=source, target_uid=target, title="113037", patient="p", instances=instances or ("i",)
    )


def claim_all(ledger: Ledger, uids: Sequence[str]) -> list[Claim]:
    mark(ledger, *map(resync, uids))
    return [claim for uid in uids if (claim := claim_study(ledger, uid)) is not None]


def content(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables; a tally of 0 is none."""

    def ask(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
        return {name: sorted(map(tuple, connection.execute(select(one))), key=repr) for name, one in metadata.tables.items()}

    found = ledger._transactions.read(ask)
    return found | {"tallies": [row for row in found["tallies"] if row[-1]]}


@contextmanager
def listening(ledger: Ledger) -> Iterator[list[str]]:
    """What is sent in writing transactions, and by readers: the verb and the table, many rows at once as one."""
    heard: list[str] = []

    def hear(connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        verb, *_ = statement.split()
        named = re.search(r"(?:FROM|INTO|UPDATE) +(\w+)", statement)
        heard.append("SELECT all of each" if "LEFT OUTER JOIN" in statement else f"{verb} {named[1]}" if named else verb)

    engines = (ledger._engine, ledger._readers)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", hear)


# What a claim carries


def test_a_claim_answers_what_its_turn_would_ask(ledger: Ledger, clock: Clock) -> None:
    """RULES B7, C4: what notes say of each study of the batch, and what is fought over."""
    publish(ledger, *UIDS)
    ledger.rejections.keep("1.1", [rejection("k1", "1.1", "1.2"), rejection("k1", "1.1", "1.1")])
    ledger.rejections.keep("1.3", [rejection("k3", "1.3", "1.1", "k1"), rejection("k3", "1.3", "9.9", "k1")])
    ledger.rejections.keep("1.4", [rejection("k4", "1.4", "1.3", "another")])
    for _ in range(2):
        clock.now += 1
        (claim,) = claim_all(ledger, ["1.5"])
        ledger.outcomes.commit(done(claim, Decision.UPDATE, record=record("1.5"), corrected=("status", f"{clock.now}")))
    mark(ledger, *map(resync, UIDS))
    claims = {claim.row.study_uid: claim for claim in ledger.claims.take(10, now=clock.now)}
    assert sorted(claims) == sorted(UIDS)
    for uid, claim in claims.items():
        assert claim.concerning == ledger.rejections.find_concerning(uid)
        assert claim.fought_over == ledger.corrections.find_fought_over(uid)
    assert [len(claims[uid].concerning) for uid in UIDS] == [3, 2, 3, 1, 0]
    assert claims["1.5"].fought_over == {"status"}
    ledger.claims.release(*UIDS)
    clock.now += CONTEST_WINDOW
    assert {claim.fought_over for claim in ledger.claims.take(10, now=clock.now)} == {frozenset()}


def test_fifty_claims_ask_each_table_once(file_ledger: Ledger) -> None:
    """RULES E8: whatever the number of studies."""
    publish(file_ledger, *(f"1.{number}" for number in range(50)))
    mark(file_ledger, *(resync(f"1.{number}") for number in range(50)))
    with listening(file_ledger) as heard:
        assert len(file_ledger.claims.take(50, now=NOW, within=[MAIN], stubborn=1)) == 50
    asked = Counter(heard)
    for table in ("records", "intents", "parked", "unselected", "rejections", "corrections"):
        assert asked.pop(f"SELECT {table}") == 1
    # The owner's epoch; which archives there are; the priorities, and the rows of each and of those that fail often.
    assert asked == {
        "BEGIN": 1, "SELECT sequences": 1, "SELECT copies": 3, "SELECT dirty": 3, "UPDATE dirty": 1,
    }  # fmt: skip


# Intents


def test_intents_of_a_batch_tell_what_notes_say_by_then(ledger: Ledger) -> None:
    """RULES B7, C3: asked in the transaction that keeps them."""
    publish(ledger, "1.1", "1.2", "1.3")
    claims = claim_all(ledger, ["1.1", "1.2"])
    assert [claim.concerning for claim in claims] == [(), ()]
    came = rejection("k", "1.3", "1.2")
    ledger.rejections.keep("1.3", [came])
    assert ledger.claims.save_intents([intent("1.1"), intent("1.2")]) == {"1.1": (), "1.2": (came,)}
    assert [ledger.claims.find_intent(uid) for uid in ("1.1", "1.2")] == [intent("1.1"), intent("1.2")]
    assert ledger.claims.save_intent(intent("1.2", digest="other")) == (came,)


def test_what_was_never_sent_claims_nothing(ledger: Ledger) -> None:
    """RULES C3: what stood there before does again."""
    publish(ledger, "1.1", "1.2", "1.3")
    ledger.claims.save_intent(intent("1.2", digest="sent earlier"))
    claims = claim_all(ledger, ["1.1", "1.2", "1.3"])
    before = {claim.row.study_uid: claim.intent for claim in claims}
    ledger.claims.save_intents([intent(uid, digest="new") for uid in before])
    del before["1.3"]
    ledger.claims.withdraw_intents(before)
    kept = [ledger.claims.find_intent(uid) for uid in ("1.1", "1.2", "1.3")]
    assert kept == [None, intent("1.2", digest="sent earlier"), intent("1.3", digest="new")]


# Outcomes

SAFE = (Note(rule="RULES B10", tag="0010,0030", done="left out", safety=True),)


def outcome_of(claim: Claim, drawn: dict[str, Any]) -> Outcome:
    uid = claim.row.study_uid
    entry = OutboxEntry(kind="Provenance", sink=FHIR, study_uid=uid, key=drawn["key"], payload={"of": drawn["key"] * 2})
    ways: dict[str, dict[str, Any]] = {
        "confirmed": {
            "record": record(uid, **drawn["record"]),
            "safety": drawn["safety"],
            "corrected": drawn["corrected"],
            "owed": (entry,) if drawn["owes"] else (),
        },
        "parked": {"parked": parked(uid, drawn["reason"])},
        "unpublished": {"unpublished": True},
        "silent": {},
    }
    outcome = done(
        claim,
        due=drawn["due"],
        attempts=drawn["attempts"],
        not_before=NOW + drawn["attempts"],
        new_stream=drawn["new_stream"],
        found=tuple(copy(uid, one, "t2") for one in drawn["found"]),
        gone=tuple(copy(uid, one) for one in drawn["gone"]),
        retraction=drawn["retraction"],
        **ways[drawn["ended"]],
    )
    return replace(outcome, selection=_selection(uid, drawn["selection"]))


def _selection(uid: str, state: str | None) -> Selected | UnselectedStudy | None:
    if not state:
        return None if state is None else Selected()
    return UnselectedStudy(study_uid=uid, archive=MAIN, state=StudyState(state), rule="r", study_date="", since=NOW)


RECORDS = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["registered", "available"]),
        "fingerprint": st.sampled_from(["old", "new"]),
        "archive": st.sampled_from(["main", "other"]),
        "retracted": st.sampled_from(["", "", "withdrawn", "kept"]),
    }
)
ORTHANC_IDS = st.lists(st.sampled_from(["o1", "o2", "o3", "o4"]), max_size=2, unique=True)
OUTCOMES = st.fixed_dictionaries(
    {
        "ended": st.sampled_from(["confirmed", "confirmed", "parked", "unpublished", "silent"]),
        "record": RECORDS,
        "safety": st.sampled_from([None, (), SAFE]),
        "corrected": st.sampled_from([(), ("status", "series")]),
        "owes": st.booleans(),
        "key": st.sampled_from(["a", "b"]),
        "reason": st.sampled_from(["refused", "forbidden"]),
        "due": st.sampled_from([None, None, NOW + 60]),
        "attempts": st.integers(0, 2),
        "new_stream": st.booleans(),
        "found": ORTHANC_IDS,
        "gone": ORTHANC_IDS,
        "retraction": st.sampled_from(Retraction),
        "selection": st.sampled_from([None, "", StudyState.EXCLUDED.value]),
    }
)
STUDIES = st.fixed_dictionaries(
    {
        "earlier": st.lists(OUTCOMES, max_size=2),
        "lines": st.sampled_from([0, 0, 19, 25]),
        "planned": st.booleans(),
        "claimed": st.sampled_from([None, Cause.GONE, Cause.REJECTED]),
        "intended": st.booleans(),
        "dropped": st.booleans(),
        "read_fhir": st.booleans(),
        "marked_meanwhile": st.booleans(),
        "outcome": OUTCOMES,
    }
)


def prepare(ledger: Ledger, uid: str, drawn: dict[str, Any]) -> Outcome:
    """A study with a past, claimed; returns how its turn ends."""
    for earlier in drawn["earlier"]:
        (claim,) = claim_all(ledger, [uid])
        ledger.outcomes.commit(outcome_of(claim, earlier))
    line = {"study_uid": uid, "at": NOW, "decision": "Skip", "reason": "equal", "correlation_id": ""}
    if drawn["lines"]:
        ledger._transactions.own(lambda tx: tx.connection.execute(history.insert(), [line] * drawn["lines"]))
    if drawn["planned"]:
        ledger.retractions.plan([uid], archive=MAIN, cause=Cause.GONE)
    if drawn["claimed"]:
        ledger.retractions.claim(uid, archive=MAIN, cause=drawn["claimed"])
    if drawn["dropped"]:
        ledger.parking.drop(uid)
    mark(ledger, told(uid), resync(uid, read_fhir=drawn["read_fhir"]))
    claim = claim_study(ledger, uid)
    assert claim is not None
    if drawn["intended"]:
        ledger.claims.save_intent(intent(uid))
    if drawn["marked_meanwhile"]:
        mark(ledger, resync(uid, read_fhir=True))
    return outcome_of(claim, drawn["outcome"])


_names = itertools.count(1)


@settings(max_examples=25, deadline=None)
@given(studies=st.lists(STUDIES, min_size=2, max_size=4))
def test_a_batch_of_outcomes_is_one_after_the_other(studies: list[dict[str, Any]]) -> None:
    """RULES A2, C3, D3, E1, E8: whatever was known before, each table holds the same afterwards."""
    clock, kept = Clock(NOW), []
    for together in (True, False):
        name = f"file:/batch{next(_names)}?vfs=memdb"
        with closing(sqlite3.connect(name, uri=True)), Ledger.open(f"sqlite:///{name}", clock=clock) as ledger:
            outcomes = [prepare(ledger, uid, drawn) for uid, drawn in zip(UIDS, studies, strict=False)]
            if together:
                still = ledger.outcomes.commit_many(outcomes)
            else:
                still = {one.study_uid: ledger.outcomes.commit(one) for one in outcomes}
            kept.append((still, content(ledger)))
    assert kept[0] == kept[1]


def test_a_batch_is_kept_on_each_database(ledger: Ledger) -> None:
    """RULES E1: records, what is parked, copies, history, and the mark that came meanwhile."""
    publish(ledger, *UIDS)
    one, two, three, four, five = claim_all(ledger, UIDS)
    mark(ledger, resync("1.2"))
    still = ledger.outcomes.commit_many(
        [
            done(one, Decision.UPDATE, record=record("1.1", version="2"), found=(copy("1.1", "o-1.1", "t2"),)),
            done(two, Decision.UPDATE, record=record("1.2", version="2"), safety=SAFE),
            done(three, parked=parked("1.3")),
            done(four, unpublished=True, gone=(copy("1.4", "o-1.4"),)),
            done(five, due=NOW + 60, attempts=1, not_before=NOW + 60),
        ]
    )
    assert still == {"1.1": False, "1.2": True, "1.3": False, "1.4": False, "1.5": True}
    standing = ledger.overview.standing(UIDS)
    assert [standing[uid].record.version for uid in UIDS if standing[uid].record] == ["2", "2", "1", "1", "1"]
    assert [[one.last_update for one in standing[uid].copies] for uid in UIDS] == [["t2"], [""], [""], [], [""]]
    assert {uid for uid in UIDS if standing[uid].parked} == {"1.3"}
    assert [len(ledger.overview.history(uid)) for uid in UIDS] == [2] * 5
    assert [one.study_uid for one in ledger.safety.page()] == ["1.2"]
    counts = ledger.overview.counts(NOW)
    assert (counts.dirty, counts.parked, counts.safety) == (2, {"refused": 1}, 1)
    assert [claim.row.study_uid for claim in ledger.claims.take(9, now=NOW)] == ["1.2"]


def test_outcomes_that_name_one_copy_are_kept_in_turn(ledger: Ledger) -> None:
    """RULES C8: a copy that becomes another study's is that one's, and the first one's absence is no news of it."""
    publish(ledger, "1.1", "1.2")
    ledger.marks.add([], copies=[replace(copy("1.2", "o-1.2", "t1"), labels="research")], settle_after=SETTLE)
    one, two = claim_all(ledger, ["1.1", "1.2"])
    here, there = copy("1.1", "o-1.2", "t9"), copy("1.2", "o-1.2")
    ledger.outcomes.commit_many([done(one, found=(here,)), done(two, gone=(there,))])
    assert copies_of(ledger, "1.1") == (copy("1.1", "o-1.1"), replace(here, labels="research"))


def test_two_outcomes_of_one_study_are_refused(ledger: Ledger) -> None:
    """RULES E1: the second would not know what the first one did."""
    publish(ledger, "1.1")
    (claim,) = claim_all(ledger, ["1.1"])
    with pytest.raises(ValueError, match="one study"):
        ledger.outcomes.commit_many([done(claim), done(claim)])
    assert ledger.marks.find_pending(["1.1"]) == {"1.1"}


def test_a_broken_outcome_spoils_only_itself(ledger: Ledger) -> None:
    """RULES E6: the others are kept, and it is told what is wrong with that one; its claim holds until it is given back."""
    publish(ledger, *UIDS)
    outcomes = [
        done(claim, Decision.UPDATE, record=record(claim.row.study_uid, version="2", raw={"instances": _raw(claim)}))
        for claim in claim_all(ledger, UIDS)
    ]
    endings = ledger.outcomes.commit_many(outcomes)
    assert isinstance(endings.pop("1.3"), TypeError)
    assert endings == {"1.1": False, "1.2": False, "1.4": False, "1.5": False}
    assert ledger.marks.find_pending(UIDS) == {"1.3"}
    assert ledger.claims.take(9, now=NOW) == []
    with pytest.raises(TypeError):
        ledger.outcomes.commit(outcomes[2])
    ledger.claims.release("1.3")
    assert [claim.row.study_uid for claim in ledger.claims.take(9, now=NOW)] == ["1.3"]
    counts = ledger.overview.counts(NOW)
    assert (counts.dirty, counts.published) == (1, {"available": 5})


def _raw(claim: Claim) -> object:
    return object() if claim.row.study_uid == "1.3" else 3


def test_a_ledger_that_takes_no_writes_keeps_no_outcome(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES E6: who asked is told once, for all of them."""
    publish(ledger, *UIDS)
    outcomes = [done(claim) for claim in claim_all(ledger, UIDS)]

    def fails(*_: object, **__: object) -> None:
        raise LedgerUnavailable("the disk is full")

    monkeypatch.setattr(room, "_write_history", fails)
    with pytest.raises(LedgerUnavailable):
        ledger.outcomes.commit_many(outcomes)
    monkeypatch.undo()
    assert ledger.marks.find_pending(UIDS) == set(UIDS)
    assert set(ledger.outcomes.commit_many(outcomes).values()) == {False}


def test_what_a_new_batch_of_forty_sends(file_ledger: Ledger) -> None:
    """RULES E6, E8: two transactions, and each table once, however many studies; what would change nothing is not sent."""
    uids = [f"1.{number}" for number in range(40)]
    mark(file_ledger, *(told(uid, priority=2) for uid in uids))
    claims = file_ledger.claims.take(50, now=NOW)
    with listening(file_ledger) as heard:
        file_ledger.claims.save_intents([intent(uid) for uid in uids])
    assert Counter(heard) == Counter(["BEGIN", "SELECT sequences", "INSERT intents", "SELECT rejections"])
    outcomes = [
        done(claim, Decision.CREATE, record=record(claim.row.study_uid), found=(copy(uid, f"o{uid}"),), safety=())
        for claim, uid in zip(claims, uids, strict=True)
    ]
    with listening(file_ledger) as heard:
        file_ledger.outcomes.commit_many(outcomes)
    assert Counter(heard) == Counter(
        [
            *("BEGIN", "SELECT sequences", "SELECT all of each", "INSERT records", "DELETE intents"),
            *("INSERT copies", "INSERT history", "DELETE dirty", "INSERT tallies"),
        ]
    )
    with listening(file_ledger) as heard:
        file_ledger.claims.withdraw_intents(dict.fromkeys(uids))
    assert Counter(heard) == Counter(["BEGIN", "SELECT sequences", "DELETE intents"])


def test_an_empty_batch_sends_nothing(file_ledger: Ledger) -> None:
    """RULES E6: nobody waits for the disk for nothing."""
    with listening(file_ledger) as heard:
        assert (file_ledger.claims.save_intents([]), file_ledger.outcomes.commit_many([])) == ({}, {})
        file_ledger.claims.withdraw_intents({})
        file_ledger.claims.release()
    assert heard == []
