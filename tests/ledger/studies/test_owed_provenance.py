"""Provenances that are owed: kept with the record, found again, and gone when they are paid (RULES B8)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncd.errors import LedgerRefused
from syncd.ledger.inventories.rounds import Round
from syncd.ledger.ledger import Ledger
from syncd.model.provenance import Occasion, OwedProvenance
from syncd.model.words import Decision, Priority
from syncd.model.work import Companion
from tests.ledger.db.test_migrations import of_version
from tests.ledger.made import SETTLE, Clock, claim_study, done, event
from tests.ledger.made import record as record_of

OWED = OwedProvenance(
    provenance_id="prov-1",
    study_uid="1.1",
    resource_id="1.1",
    version="2",
    occasion=Occasion.REPLACED,
    recorded=5.5,
    sources=("1.2", "1.3"),
    due=100.0,
)


def commit(ledger: Ledger, *owed: OwedProvenance, study: str = "1.1", subject: str = "") -> None:
    ledger.marks.add([event(study)], settle_after=SETTLE)
    claim = claim_study(ledger, study)
    assert claim is not None
    ledger.outcomes.commit(done(claim, Decision.UPDATE, record=replace(record_of(study), subject=subject), owed=owed))


def test_a_debt_is_kept_with_its_record_over_a_restart(url: str, clock: Clock) -> None:
    """RULES B8: in one transaction; what was said is found word for word."""
    with Ledger.open(url, clock=clock) as ledger:
        commit(ledger, OWED)
    with Ledger.open(url, clock=clock) as ledger:
        (found,) = ledger.trail.of_study("1.1")
        assert found == replace(OWED, due=found.due)
        assert ledger.records.find("1.1") is not None


def test_debts_come_due_in_their_order(ledger: Ledger) -> None:
    """RULES B8: a few at a time, the longest due first."""
    commit(ledger, OWED, replace(OWED, provenance_id="prov-2", due=50.0), replace(OWED, provenance_id="prov-3", due=300.0))
    assert [one.provenance_id for one in ledger.trail.due(9, now=200.0)] == ["prov-2", "prov-1"]
    assert [one.provenance_id for one in ledger.trail.due(1, now=200.0)] == ["prov-2"]


def test_a_debt_that_was_paid_is_gone(ledger: Ledger) -> None:
    """RULES B8."""
    commit(ledger, OWED)
    ledger.trail.settle(OWED)
    assert not ledger.trail.of_study("1.1")


def test_a_newer_debt_of_the_same_content_is_not_settled_by_the_older_one(ledger: Ledger) -> None:
    """MAPPING J.5: the id follows from the content; a study may come back to it meanwhile."""
    commit(ledger, OWED)
    newer = replace(OWED, version="4")
    commit(ledger, newer)
    ledger.trail.settle(OWED)
    ledger.trail.put_off(replace(OWED, attempts=3, due=9.0))
    assert ledger.trail.of_study("1.1") == [newer]


def test_a_debt_that_was_put_off_waits(ledger: Ledger) -> None:
    """RULES C6: a backoff of its own."""
    commit(ledger, OWED)
    ledger.trail.put_off(replace(OWED, attempts=1, due=900.0))
    assert not ledger.trail.due(9, now=899.0)
    assert [one.attempts for one in ledger.trail.due(9, now=900.0)] == [1]


def test_a_debt_that_was_given_up_is_told_in_the_history(ledger: Ledger) -> None:
    """RULES B8: noted, and nothing waits for it."""
    commit(ledger, OWED)
    ledger.trail.give_up(OWED, "replaced: not written, 400")
    line = ledger.overview.history("1.1")[0]
    assert (line.decision, line.reason) == ("Provenance", "replaced: not written, 400")
    assert not ledger.trail.of_study("1.1")


def test_a_clock_that_was_set_back_puts_no_debt_off(url: str, clock: Clock) -> None:
    """RULES E5."""
    with Ledger.open(url, clock=clock) as ledger:
        commit(ledger, replace(OWED, due=clock() + 10 * 86400.0))
    with Ledger.open(url, clock=clock) as ledger:
        assert [one.due for one in ledger.trail.of_study("1.1")] == [clock()]


def test_a_second_process_pays_nothing(url: str, clock: Clock) -> None:
    """RULES E4: a guest reads, and marks."""
    with Ledger.open(url, clock=clock) as ledger, Ledger.open_guest(url, clock=clock) as guest:
        commit(ledger, OWED)
        assert len(guest.trail.of_study("1.1")) == 1
        with pytest.raises(LedgerRefused):
            guest.trail.settle(OWED)


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
        assert not ledger.trail.due(9, now=clock())
