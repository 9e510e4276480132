"""Contract: how many published studies another mapping or other settings rendered, and holding them (RULES B3)."""

from __future__ import annotations

import pytest

from syncd.ledger.ledger import Ledger
from syncd.model.words import Decision, Priority
from syncd.model.work import Intent
from tests.ledger.db.test_migrations import of_version
from tests.ledger.made import NOW, done, event, mark, only, publish, record, resync

RECORD = (
    'INSERT INTO records (study_uid, resource_id, version, last_updated, digest, fingerprint, status, raw, "foreign", '
    "owned, subject, series, instances, study_date, modalities, summary, notes, published_at, archive, adopted, "
    "retracted, retracted_at) VALUES ('{uid}', '{uid}', '1', '', 'd', '{fingerprint}', 'available', "
    "'{{}}', '{{}}', '{{}}', '', 1, 1, '', '', false, 0, 1, 'main', false, '', 0)"
)


def outdated(ledger: Ledger) -> tuple[int, bool]:
    counts = ledger.overview.counts(NOW)
    return counts.outdated, counts.held


def test_the_number_moves_with_every_publication(ledger: Ledger) -> None:
    """RULES B3, E8: counted by transaction; before the first start nothing is outdated."""
    publish(ledger, "1.1", "1.2", "1.3", fingerprint="old")
    assert outdated(ledger) == (0, False)
    ledger.rendering.begin("new", held=False)
    assert outdated(ledger) == (3, False) and ledger.records.count_outdated("new") == 3
    mark(ledger, resync("1.2"))
    ledger.outcomes.commit(done(only(ledger), record=record("1.2", fingerprint="new")))
    assert outdated(ledger) == (2, False) and ledger.records.count_outdated("new") == 2
    ledger.rendering.begin("old", held=True)
    assert outdated(ledger) == (1, True)


def test_holding_takes_back_marks_that_were_made_for_nothing_else(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """POLICY__RERENDER: begun, and held; what changed, was asked for or is under way goes on."""
    monkeypatch.setattr("syncd.ledger.studies.rendering._UNMARKED_AT_ONCE", 2)
    uids = [f"1.{number}" for number in range(8)]
    publish(ledger, *uids, fingerprint="old")
    assert ledger.marks.add_outdated("new") == 8
    mark(ledger, event("1.0"), resync("1.1"))
    ledger.claims.save_intent(Intent(study_uid="1.2", resource_id="1.2", digest="d", expected_version="1"))
    ledger.rendering.begin("new", held=True)
    assert {row.study_uid for row in ledger.marks.page()} == {"1.0", "1.1", "1.2"}
    assert (ledger.overview.counts(NOW).dirty, ledger.overview.counts(NOW).outdated) == (3, 8)
    ledger.rendering.begin("new", held=False)
    assert ledger.marks.add_outdated("new") == 5, "let go again"


def test_studies_rendered_again_are_old_ones(ledger: Ledger) -> None:
    """RULES A9, B3: at backfill priority, so at the backfill's rate and hours."""
    publish(ledger, "1.1", fingerprint="old")
    ledger.marks.add_outdated("new")
    assert ledger.claims.take(9, now=NOW, most_backfill=0) == []
    (claim,) = ledger.claims.take(9, now=NOW, most_backfill=1)
    assert (claim.row.priority, claim.row.reason) == (Priority.BACKFILL, "rerender")


@pytest.mark.parametrize(("number", "size"), [(3, 5), (5, 5), (7, 5), (100, 5), (0, 5)])
def test_the_sample_is_spread_over_all_of_them(ledger: Ledger, number: int, size: int) -> None:
    """RULES B3: not the first ones, which are of one maker."""
    publish(ledger, *(f"1.{uid:03}" for uid in range(number)), fingerprint="old")
    publish(ledger, "1.050.1", fingerprint="new")
    found = ledger.rendering.sample("new", size=size)
    assert len(found) == min(number, size)
    places = [int(uid.split(".")[1]) for uid in found]
    assert places == sorted(
        {place * number // min(number, size) + bool(place * number % min(number, size)) for place in range(len(found))}
    )


def test_an_older_ledger_is_counted_when_it_is_brought_up_to_date(url: str) -> None:
    """RULES E8: by the migration, once."""
    rows = [RECORD.format(uid=f"1.{number}", fingerprint="old" if number else "new") for number in range(3)]
    of_version("0007", url, rows)
    with Ledger.open(url, clock=lambda: NOW) as ledger:
        ledger.rendering.begin("new", held=False)
        assert outdated(ledger) == (2, False)
        assert [one.fingerprint for one in ledger.records.page()] == ["new", "old", "old"]
        assert ledger.safety.page() == []
        mark(ledger, resync("1.1"))
        ledger.outcomes.commit(done(only(ledger), Decision.UPDATE, record=record("1.1", fingerprint="new")))
        assert outdated(ledger) == (1, False)
