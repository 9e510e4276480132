"""Contract: marks, claims and the commit that ends a reconcile."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from syncd.ledger.ledger import Ledger
from syncd.ledger.studies import due, unselected
from syncd.model.ids import OrthancId
from syncd.model.words import Decision, Priority
from syncd.model.work import Intent
from tests.ledger.made import (
    MAIN,
    NOW,
    SETTLE,
    Clock,
    claim_study,
    copies_of,
    copy,
    done,
    event,
    last_history,
    mark,
    next_due,
    only,
    parked,
    publish,
    record,
    resync,
    waits,
)


def test_a_study_marked_many_times_is_handed_out_once(ledger: Ledger) -> None:
    """RULES A2, E6."""
    assert mark(ledger, event("1.1"), event("1.1"), event("1.2")) == 2
    assert mark(ledger, event("1.1")) == 1
    assert [claim.row.study_uid for claim in ledger.claims.take(10, now=NOW)] == ["1.1", "1.2"]
    assert ledger.claims.take(10, now=NOW) == []


def test_work_is_handed_out_by_priority_then_due_time_then_uid(ledger: Ledger, clock: Clock) -> None:
    """RULES A9: feed marks, then repairs, then backfill."""
    mark(ledger, event("1.9", priority=Priority.BACKFILL, study_date="20240102"), event("1.8", priority=Priority.REPAIR))
    clock.now += 1
    mark(ledger, event("1.7"), event("1.2"), event("1.3", priority=Priority.BACKFILL))
    claims = ledger.claims.take(4, now=clock.now) + ledger.claims.take(4, now=clock.now)
    assert [claim.row.study_uid for claim in claims] == ["1.2", "1.7", "1.8", "1.9", "1.3"]


def test_a_claim_carries_everything_known_of_the_study(ledger: Ledger) -> None:
    """RULES C3, C8: record, copies, intent and parked entry, as they were committed."""
    mark(ledger, event("1.1", orthanc_id=OrthancId("b")), event("1.1", orthanc_id=OrthancId("a")))
    first = only(ledger)
    assert (first.record, first.intent, first.parked) == (None, None, None)
    entry = parked("1.1", outcome={"resourceType": "OperationOutcome"})
    assert ledger.outcomes.commit(waits(first, due=NOW, record=record("1.1")))
    assert ledger.outcomes.commit(waits(only(ledger), due=NOW, parked=entry))
    intent = Intent(study_uid="1.1", resource_id="1.1", digest="d", expected_version="1", owned={"endpoint": ["x"]})
    ledger.claims.save_intent(intent)
    claim = only(ledger)
    assert (claim.record, claim.intent, claim.parked) == (record("1.1"), intent, entry)
    assert claim.copies == (copy("1.1", "a"), copy("1.1", "b"))


def test_a_finished_study_is_clean_and_leaves_record_and_history(ledger: Ledger, clock: Clock) -> None:
    """RULES E1."""
    mark(ledger, event("1.1"))
    claim = only(ledger)
    clock.now += 5
    outcome = done(claim, Decision.CREATE, record=record("1.1"), correlation_id="c", found=(copy("1.1", "a", "t1"),))
    assert ledger.outcomes.commit(outcome) is False
    assert ledger.records.find("1.1") == record("1.1")
    assert copies_of(ledger, "1.1") == (copy("1.1", "a", "t1"),)
    assert ledger.marks.find_pending(["1.1"]) == set()
    assert next_due(ledger) is None
    (line,) = ledger.overview.history("1.1")
    assert (line.at, line.decision, line.reason, line.correlation_id) == (NOW + 5, "Create", "equal", "c")


def test_a_mark_that_comes_during_the_work_keeps_the_study_dirty(ledger: Ledger, clock: Clock) -> None:
    """RULES E1: the generation taken before the first call is compared in the transaction of the publication."""
    mark(ledger, event("1.1"))
    claim = only(ledger)
    clock.now += 3
    mark(ledger, event("1.1"))
    assert ledger.claims.take(10, now=clock.now) == [], "marked again, but still being worked on"
    assert ledger.outcomes.commit(done(claim, Decision.CREATE, record=record("1.1"))) is True
    again = only(ledger, now=clock.now)
    assert again.row.generation > claim.row.generation
    assert again.record == record("1.1"), "what the server confirmed is kept in any case"
    assert ledger.outcomes.commit(done(again)) is False


def test_generations_rise_across_studies_and_restarts(ledger: Ledger, url: str, clock: Clock) -> None:
    """RULES E1: one ledger-wide sequence, never per row."""
    generations = []
    for uid in ("1.1", "1.2"):
        mark(ledger, event(uid))
        claim = only(ledger)
        generations.append(claim.row.generation)
        ledger.outcomes.commit(done(claim))
    ledger.close()
    with Ledger.open(url, clock=clock) as again:
        mark(again, event("1.1"))
        generations.append(only(again).row.generation)
    assert generations == sorted(set(generations))


def test_a_backoff_is_kept_and_no_mark_shortens_it(ledger: Ledger, clock: Clock) -> None:
    """RULES C6."""
    mark(ledger, event("1.1"))
    claim = only(ledger)
    mark(ledger, resync("1.1"))
    assert ledger.outcomes.commit(waits(claim, due=NOW, attempts=2, not_before=NOW + 60))
    mark(ledger, resync("1.1"))
    assert next_due(ledger) == NOW + 60
    assert ledger.claims.take(10, now=NOW + 59) == []
    assert only(ledger, now=NOW + 60).row.attempts == 2


def test_an_unstable_study_keeps_its_row_until_it_is_due(ledger: Ledger) -> None:
    """RULES A5: publishing `registered` never clears the mark."""
    mark(ledger, event("1.1"))
    assert ledger.outcomes.commit(waits(only(ledger), due=NOW + SETTLE, record=record("1.1", status="registered")))
    assert next_due(ledger) == NOW + SETTLE
    assert ledger.claims.take(10, now=NOW + SETTLE - 1) == []
    assert only(ledger, now=NOW + SETTLE).record == record("1.1", status="registered")


def test_events_of_a_published_study_wait_for_quiet(ledger: Ledger, clock: Clock) -> None:
    """RULES A5, A6: the rule is `merged`'s; the ledger knows whether a record exists."""
    publish(ledger, "1.1")
    mark(ledger, event("1.1"), event("1.2"))
    assert [claim.row.study_uid for claim in ledger.claims.take(10, now=NOW)] == ["1.2"]
    assert next_due(ledger) == NOW + SETTLE


def test_an_available_publication_starts_the_stream_anew(ledger: Ledger, clock: Clock) -> None:
    """RULES A5: the timer of unbroken streaming is reset by it, also under a newer mark."""
    mark(ledger, event("1.1"))
    claim = only(ledger)
    clock.now += 1
    mark(ledger, event("1.1"))
    assert ledger.outcomes.commit(done(claim, record=record("1.1"), new_stream=True))
    row = ledger.marks.find("1.1")
    assert row is not None
    assert (row.streaming_since, row.last_event) == (0.0, NOW + 1)


@pytest.mark.parametrize(
    ("marked_meanwhile", "published", "still_wanted"),
    [(False, False, True), (False, True, False), (True, True, True), (True, False, True)],
)
def test_the_wish_to_read_fhir_survives_until_the_server_answered(
    ledger: Ledger, marked_meanwhile: bool, published: bool, still_wanted: bool
) -> None:
    """RULES C5: merging marks ORs it; only a confirmed write without a newer mark fulfils it."""
    mark(ledger, resync("1.1", read_fhir=True), event("1.1"))
    claim = only(ledger)
    assert claim.row.read_fhir
    if marked_meanwhile:
        mark(ledger, event("1.1"))
    assert ledger.outcomes.commit(waits(claim, due=NOW, record=record("1.1") if published else None))
    row = ledger.marks.find("1.1")
    assert row is not None
    assert row.read_fhir is still_wanted


def test_an_intent_is_kept_until_its_write_is_confirmed(ledger: Ledger) -> None:
    """RULES C3, C5: a transient failure leaves it, a record or a plain word removes it."""
    for uid, ending in (("1.1", {"record": record("1.1")}), ("1.2", {"unpublished": True})):
        mark(ledger, event(uid))
        claim = only(ledger)
        ledger.claims.save_intent(Intent(study_uid=uid, resource_id=uid, digest="d", expected_version="0"))
        assert ledger.outcomes.commit(waits(claim, due=NOW, attempts=1))
        assert ledger.claims.find_intent(uid) is not None
        again = only(ledger)
        assert again.intent is not None
        assert not ledger.outcomes.commit(done(again, **ending))
        assert ledger.claims.find_intent(uid) is None


def test_parked_entries_are_replaced_and_removed(ledger: Ledger) -> None:
    """RULES E2."""
    mark(ledger, event("1.1"))
    assert not ledger.outcomes.commit(done(only(ledger), Decision.PARK, parked=parked("1.1", "refused")))
    mark(ledger, event("1.1"))
    assert not ledger.outcomes.commit(done(only(ledger), Decision.PARK, parked=parked("1.1", "forbidden")))
    assert ledger.records.page_parked() == [parked("1.1", "forbidden")]
    mark(ledger, event("1.1"))
    assert not ledger.outcomes.commit(done(only(ledger), record=record("1.1")))
    assert ledger.records.find_parked("1.1") is None
    assert ledger.overview.counts(NOW).parked == {}


def test_copies_come_and_go_with_the_outcome(ledger: Ledger) -> None:
    """RULES C8, D1; a feed event that does not tell LastUpdate does not forget it (A8)."""
    ledger.marks.add([event("1.1")], copies=[copy("1.1", "a", "t1"), copy("1.1", "b", "t1")], settle_after=SETTLE)
    ledger.outcomes.commit(done(only(ledger), gone=(copy("1.1", "a"),), found=(copy("1.1", "c", "t2"),)))
    mark(ledger, event("1.1", orthanc_id=OrthancId("b")))
    assert copies_of(ledger, "1.1") == (copy("1.1", "b", "t1"), copy("1.1", "c", "t2"))


def test_work_handed_back_is_handed_out_again(ledger: Ledger) -> None:
    """RULES E6: shutdown gives claims back as they were."""
    mark(ledger, event("1.1"))
    claim = only(ledger)
    ledger.claims.release("1.1", "1.2")
    assert only(ledger) == claim


def test_one_study_can_be_claimed_before_it_is_due(ledger: Ledger) -> None:
    """README.md: `resync --study`; nothing pending, or in somebody's hands, gives nothing."""
    publish(ledger, "1.1")
    assert claim_study(ledger, "1.1") is None
    mark(ledger, event("1.1"))
    claim = claim_study(ledger, "1.1")
    assert claim is not None
    assert claim.row.due == NOW + SETTLE
    assert claim_study(ledger, "1.1") is None


def test_claims_of_a_dead_owner_are_void(ledger: Ledger, url: str, clock: Clock) -> None:
    """RULES E4: the epoch changes with the owner."""
    mark(ledger, event("1.1"))
    before = only(ledger)
    ledger.close()
    with Ledger.open(url, clock=clock) as again:
        assert only(again) == before


def test_history_keeps_the_last_twenty_lines_of_a_study(ledger: Ledger, clock: Clock) -> None:
    """RULES E8."""
    mark(ledger, event("1.2"))
    ledger.outcomes.commit(done(only(ledger)))
    for number in range(25):
        clock.now = NOW + number
        mark(ledger, event("1.1"))
        ledger.outcomes.commit(done(only(ledger, now=clock.now), reason=f"{number}"))
    assert [line.reason for line in ledger.overview.history("1.1")] == [f"{number}" for number in range(24, 4, -1)]
    assert [line.reason for line in last_history(ledger, 2)] == ["24", "23"]
    assert len(ledger.overview.history("1.2")) == 1


def test_the_tallies_agree_with_counting_after_any_work(ledger: Ledger, clock: Clock) -> None:
    """RULES E8: counters are kept by transaction; a hundred random steps, then everything is counted."""
    chance = random.Random(8)
    for _ in range(100):
        clock.now += 1
        mark(ledger, event(f"1.{chance.randrange(20)}"), resync(f"1.{chance.randrange(20)}"))
        for claim in ledger.claims.take(chance.randrange(4), now=clock.now):
            uid = claim.row.study_uid
            kinds: list[dict[str, Any]] = [
                {"record": record(uid, status=chance.choice(["registered", "available"]))},
                {"parked": parked(uid, chance.choice(["refused", "forbidden"]))},
                {"unpublished": True},
                {},
            ]
            ledger.outcomes.commit(
                done(
                    claim,
                    **chance.choice(kinds),
                    due=clock.now if chance.random() < 0.3 else None,
                )
            )
    mark(ledger, resync("2.1"))
    counts = ledger.overview.counts(clock.now)
    assert counts.published == Counter(one.status for one in ledger.records.page())
    assert counts.parked == Counter(one.reason for one in ledger.records.page_parked())
    rows = ledger.marks.page()
    assert counts.dirty == len(rows) > 0
    assert counts.due == sum(row.due <= clock.now for row in rows) > 0
    assert counts.oldest_mark == min(row.first_marked for row in rows)


def test_marking_everything_reaches_every_record(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES E3, E8: every record is verified before it is believed, slice by slice."""
    monkeypatch.setattr("syncd.ledger.studies.marks.MARKED_AT_ONCE", 10)
    uids = [f"1.{number}" for number in range(35)]
    publish(ledger, *uids)
    mark(ledger, resync("2.1"))
    assert ledger.marks.forget_target_state() == 35
    assert {claim.row.study_uid for claim in ledger.claims.take(100, now=NOW) if claim.row.read_fhir} == set(uids)


def test_only_what_was_published_under_another_fingerprint_is_outdated(ledger: Ledger) -> None:
    """RULES B3: at backfill priority; what is dirty already is rendered anew anyway."""
    publish(ledger, "1.1", "1.2", fingerprint="old")
    publish(ledger, "1.3", fingerprint="new")
    mark(ledger, resync("1.2"))
    assert ledger.records.count_outdated("new") == 2
    assert ledger.marks.add_outdated("new") == 1
    assert ledger.marks.add_outdated("new") == 0
    claims = {claim.row.study_uid: claim.row.priority for claim in ledger.claims.take(10, now=NOW)}
    assert claims == {"1.2": Priority.REPAIR, "1.1": Priority.BACKFILL}


def test_no_claim_sorts_what_waits(file_ledger: Ledger) -> None:
    """RULES A9, E8: the index gives the order, also of a million old studies."""
    values = {"level": 2, "now": NOW, "epoch": 1, "most": 5, "after_due": 0.0, "after_uid": "", "after_date": ""}
    for statement in (due._DUE, due._NEWEST, due._DUE_WITHIN, due._NEWEST_WITHIN):
        told = _plan(file_ledger, statement, {**values, "within": ["a", "b"]})
        assert "USING INDEX dirty_by" in told
        assert "TEMP B-TREE" not in told


@pytest.mark.parametrize("only_outside", [False, True])
def test_other_settings_sort_nothing_to_find_whom_they_concern(file_ledger: Ledger, only_outside: bool) -> None:
    """RULES E8: a million studies outside the history are walked in slices."""
    told = _plan(file_ledger, unselected._select_concerned(MAIN, only_outside=only_outside), {"after": "", "most": 5})
    assert "TEMP B-TREE" not in told


def _plan(ledger: Ledger, statement: Any, values: dict[str, Any]) -> str:
    """What SQLite's planner says; PostgreSQL's depends on what is in the tables."""
    with ledger._engine.connect() as connection:
        text = statement.params(values).compile(connection, compile_kwargs={"render_postcompile": True})
        given = tuple(values.get(name, "x") for name in text.positiontup)
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", given).all()
        return " ".join(str(row[3]) for row in plan)
