"""Contract: what is known of studies, companions and the target, and the overview."""

from __future__ import annotations

from syncd.ledger.ledger import Ledger
from syncd.ledger.owner.overview import HISTORY_AGE
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.overview import Heartbeat
from syncd.model.words import Decision
from syncd.model.work import Companion, Target
from tests.ledger.made import (
    MAIN,
    NOW,
    SETTLE,
    claim_study,
    copy,
    done,
    event,
    mark,
    only,
    parked,
    publish,
    raw_tuples,
    record,
    seen_copies,
    waits,
)


def test_pages_reach_every_record_once(ledger: Ledger) -> None:
    """RULES E6, E8: keyset pages."""
    publish(ledger, *(f"1.{number:03}" for number in range(25)))
    reached: list[str] = []
    while page := ledger.records.page(after=reached[-1] if reached else "", limit=10):
        reached += [one.study_uid for one in page]
    assert reached == [f"1.{number:03}" for number in range(25)]


def test_raw_tuples_are_of_published_studies_of_that_archive(ledger: Ledger) -> None:
    """RULES A8."""
    publish(ledger, "1.1", raw={"main": ["t1", 3]})
    mark(ledger, event("1.2"))
    assert raw_tuples(ledger, MAIN, ["1.1", "1.2", "1.3"]) == {"1.1": {"main": ["t1", 3]}}
    assert raw_tuples(ledger, ArchiveName("other"), ["1.1"]) == {}


def test_seen_copies_tell_last_update_and_status(ledger: Ledger) -> None:
    """RULES A1, A8: an inventory compares with the last read of each copy."""
    ledger.marks.add([event("1.1"), event("1.2")], copies=[copy("1.1", "a", "t1"), copy("1.2", "b")], settle_after=SETTLE)
    claim = claim_study(ledger, "1.1")
    assert claim is not None
    ledger.outcomes.commit(waits(claim, due=NOW, record=record("1.1", status="registered")))
    assert seen_copies(ledger, MAIN, map(OrthancId, "abc")) == {"a": ("t1", "registered"), "b": ("", "")}


def test_the_sample_is_of_published_copies_and_spread(ledger: Ledger) -> None:
    """RULES A4: twenty, or all where there are fewer."""
    ids = [f"{number * 0x28F5C28:08x}" for number in range(100)]
    copies = [copy(f"1.{one}", one) for one in ids]
    ledger.marks.add([event(one.study_uid) for one in copies], copies=copies, settle_after=SETTLE)
    for claim in ledger.claims.take(100, now=NOW):
        if claim.row.study_uid != f"1.{ids[0]}":
            ledger.outcomes.commit(done(claim, record=record(claim.row.study_uid)))
    sample = ledger.records.sample_copies(MAIN, 20)
    positions = [ids.index(one.orthanc_id) for one in sample]
    assert len(set(positions)) == 20
    assert 0 not in positions
    assert max(later - earlier for earlier, later in zip([0, *positions], [*positions, 100], strict=True)) < 12
    assert len(ledger.records.sample_copies(MAIN, 1000)) == 99
    assert ledger.records.sample_copies(ArchiveName("other"), 20) == []


def test_a_lost_target_makes_everything_known_of_it_doubtful(ledger: Ledger) -> None:
    """RULES C6, E3: records are verified, refusals are asked again, companions are gone."""
    publish(ledger, "1.1", "1.2")
    mark(ledger, event("1.3"))
    ledger.outcomes.commit(done(only(ledger), Decision.PARK, parked=parked("1.3", target_version="7")))
    ledger.companions.save(Companion(resource_type="Patient", resource_id="pat-1", version="1", digest="d"))
    assert ledger.marks.forget_target_state() == 3
    assert ledger.companions.find("Patient", "pat-1") is None
    assert ledger.records.page_parked() == [parked("1.3", digest="", target_version="")]
    assert all(claim.row.read_fhir for claim in ledger.claims.take(10, now=NOW))


def test_single_values_are_kept_as_they_are(ledger: Ledger) -> None:
    """RULES B4, E3."""
    assert (ledger.facts.target(), ledger.facts.installation(), ledger.overview.heartbeat()) == (None, None, None)
    target = Target(url="http://127.0.0.1/fhir", sentinel_id="s", fhir_version="r4", create_form="if-match-0")
    ledger.facts.save_target(target)
    ledger.facts.save_installation("site-1")
    patient = Companion(resource_type="Patient", resource_id="pat-1", version="1", digest="d", source_key="20260301")
    ledger.companions.save(patient)
    heartbeat = Heartbeat(pid=1, at=NOW, started_at=NOW, version="0.1", archives={"main": {"state": "ok"}})
    ledger.overview.beat(heartbeat)
    assert (ledger.facts.target(), ledger.facts.installation(), ledger.overview.heartbeat()) == (target, "site-1", heartbeat)
    assert ledger.companions.find("Patient", "pat-1") == patient
    assert ledger.companions.find("Endpoint", "pat-1") is None


def test_history_older_than_ninety_days_goes_with_the_heartbeat(ledger: Ledger) -> None:
    """RULES E8."""
    publish(ledger, "1.1")
    ledger.overview.beat(Heartbeat(pid=1, at=NOW + HISTORY_AGE, started_at=NOW, version="0.1"))
    assert len(ledger.overview.history("1.1")) == 1
    ledger.overview.beat(Heartbeat(pid=1, at=NOW + HISTORY_AGE + 1, started_at=NOW, version="0.1"))
    assert ledger.overview.history("1.1") == []


def test_an_empty_ledger_counts_nothing(ledger: Ledger) -> None:
    """RULES E8."""
    counts = ledger.overview.counts(NOW)
    assert (counts.dirty, counts.due, counts.oldest_mark, counts.published, counts.parked) == (0, 0, 0.0, {}, {})
