"""Contract: the feed's position moves with its marks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncd.ledger.ledger import Ledger
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.words import ArchiveState
from tests.ledger.made import MAIN, NOW, SETTLE, Clock, change, copy, event, position


def intake(ledger: Ledger, cursor: int, *uids: str, seen: tuple[int, ...] = ()) -> int:
    marks = [event(uid) for uid in uids]
    copies = [copy(uid, f"o-{uid}") for uid in uids]
    return ledger.feed.commit_intake(position(cursor, seen=seen), marks=marks, copies=copies, settle_after=SETTLE)


def test_there_is_no_position_before_the_first_bootstrap(ledger: Ledger) -> None:
    """RULES A1."""
    assert ledger.feed.position(MAIN) is None


def test_the_bootstrap_mark_is_kept_over_a_restart(ledger: Ledger, url: str, clock: Clock) -> None:
    """RULES A1: committed before the listing."""
    ledger.feed.begin_bootstrap(MAIN, cursor=4000, high_water=5000)
    ledger.close()
    with Ledger.open(url, clock=clock) as again:
        found = again.feed.position(MAIN)
    assert found == replace(position(4000, state=ArchiveState.BOOTSTRAPPING), high_water=5000)


def test_cursor_marks_copies_and_what_was_seen_move_together(ledger: Ledger) -> None:
    """RULES A2, A3."""
    ledger.feed.begin_bootstrap(MAIN, cursor=0, high_water=0)
    ledger.feed.finish_bootstrap(MAIN)
    assert intake(ledger, 7, "1.1", "1.1", "1.2", seen=(5, 6, 7)) == 2
    assert ledger.feed.position(MAIN) == position(7, seen=(5, 6, 7))
    assert ledger.marks.find_pending(["1.1", "1.2", "1.3"]) == {"1.1", "1.2"}
    assert ledger.records.study_of(MAIN, [OrthancId("o-1.1"), OrthancId("o-1.9")]) == {"o-1.1": "1.1"}


def test_an_intake_that_fails_moves_nothing(ledger: Ledger) -> None:
    """RULES A2: one transaction; here a value that the ledger cannot keep comes after good marks."""
    ledger.feed.begin_bootstrap(MAIN, cursor=1, high_water=1)
    before = ledger.feed.position(MAIN)
    unfit = event("1.2", read_fhir=object())
    with pytest.raises(Exception, match=r"object|refused a statement"):
        ledger.feed.commit_intake(position(9, seen=(9,)), marks=[event("1.1"), unfit], copies=[], settle_after=SETTLE)
    assert ledger.feed.position(MAIN) == before
    assert ledger.overview.counts(NOW).dirty == 0
    assert intake(ledger, 9, "1.1") == 1


def test_what_was_seen_is_kept_exactly(ledger: Ledger) -> None:
    """RULES A3, A4: old numbers go, new ones come, and other content under a number replaces it."""
    intake(ledger, 3, seen=(1, 2, 3))
    other = replace(position(4, seen=(2, 3, 4)))
    other = replace(other, seen={**other.seen, 3: (change(3, "StableStudy"), NOW + 1)})
    ledger.feed.commit_intake(other, marks=[], copies=[], settle_after=SETTLE)
    assert ledger.feed.position(MAIN) == other


def test_what_follows_from_the_position_before_is_all_that_is_written(ledger: Ledger) -> None:
    """RULES A3: a page adds numbers, late ones too, and passes others; unless the ledger had another overlap."""
    intake(ledger, 5, seen=(1, 3, 4, 5))
    before = ledger.feed.position(MAIN)
    assert before is not None
    after = replace(position(7), seen={**{seq: before.seen[seq] for seq in (3, 4, 5)}, **position(7, seen=(2, 6, 7)).seen})
    after = replace(after, seen=dict(sorted(after.seen.items())))
    ledger.feed.commit_intake(after, before=before, marks=[], copies=[], settle_after=SETTLE)
    assert ledger.feed.position(MAIN) == after
    ledger.feed.begin_bootstrap(MAIN, cursor=0, high_water=7)
    ledger.feed.commit_intake(after, before=after, marks=[], copies=[], settle_after=SETTLE)
    kept = ledger.feed.position(MAIN)
    assert kept is not None
    assert kept.seen == after.seen


def test_archives_do_not_mix(ledger: Ledger) -> None:
    """RULES C8."""
    intake(ledger, 3, seen=(1, 2, 3))
    elsewhere = replace(position(9, seen=(2, 9)), archive=ArchiveName("other"))
    ledger.feed.commit_intake(elsewhere, marks=[], copies=[], settle_after=SETTLE)
    assert ledger.feed.position(MAIN) == position(3, seen=(1, 2, 3))
    assert ledger.feed.position(ArchiveName("other")) == elsewhere


def test_a_pause_is_not_lifted_by_an_intake_or_an_inventory_under_way(ledger: Ledger) -> None:
    """RULES A4."""
    ledger.feed.begin_bootstrap(MAIN, cursor=0, high_water=0)
    ledger.feed.set_state(MAIN, ArchiveState.PAUSED, "another archive")
    intake(ledger, 5, "1.1")
    ledger.feed.finish_bootstrap(MAIN)
    found = ledger.feed.position(MAIN)
    assert found is not None
    assert (found.state, found.reason, found.cursor) == (ArchiveState.PAUSED, "another archive", 5)


def test_a_wanted_sweep_stays_wanted_until_it_is_done(ledger: Ledger) -> None:
    """RULES A3: an intake that knew nothing of it does not take it back."""
    intake(ledger, 1)
    ledger.feed.want_sweep(MAIN)
    intake(ledger, 2)
    found = ledger.feed.position(MAIN)
    assert found is not None
    assert found.sweep_wanted
    ledger.feed.finish_sweep(MAIN)
    found = ledger.feed.position(MAIN)
    assert found is not None
    assert not found.sweep_wanted


def test_a_new_bootstrap_forgets_what_was_seen(ledger: Ledger) -> None:
    """RULES A4: the same archive, indexed anew, numbers its changes from the beginning."""
    intake(ledger, 9000, "1.1", seen=(8999, 9000))
    ledger.feed.begin_bootstrap(MAIN, cursor=0, high_water=40)
    found = ledger.feed.position(MAIN)
    assert found is not None
    assert (found.state, found.cursor, dict(found.seen)) == (ArchiveState.BOOTSTRAPPING, 0, {})
    assert ledger.marks.find_pending(["1.1"]) == {"1.1"}
