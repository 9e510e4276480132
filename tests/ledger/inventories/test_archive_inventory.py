"""An archive's listing against the copies: anti-joins that hold for a million studies (RULES A8, E8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Select, Update

from syncd.ledger.db.schema import copies, swept
from syncd.ledger.inventories import archive_inventory as room
from syncd.ledger.inventories import comparison, counting
from syncd.ledger.ledger import Ledger
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.inventories import Difference, Inventory
from syncd.model.study.raw import StudyListing
from syncd.model.work import Copy
from tests.ledger.made import MAIN, NOW, SETTLE, Clock, claim_study, copies_of, copy, done, event, mark, publish, record

ELSEWHERE = ArchiveName("other")


def listing(uid: str, **changes: Any) -> StudyListing:
    told: dict[str, Any] = {"is_stable": True, "last_update": "t1", **changes}
    return StudyListing(orthanc_id=OrthancId(f"o-{uid}"), study_uid=uid, **told)


def staged(ledger: Ledger, *listings: StudyListing) -> float:
    """A whole listing, taken later than everything before; returns when it began."""
    began = ledger.sweep.begin(MAIN)
    ledger.sweep.stage(MAIN, [one.orthanc_id for one in listings])
    ledger.sweep.detail(MAIN, listings)
    return began


def differing(ledger: Ledger) -> dict[str, Difference]:
    return {
        one.study_uid: why for window in ledger.sweep.windows(MAIN) for one, why in ledger.sweep.find_differing(MAIN, window)
    }


def gone(ledger: Ledger, began: float) -> list[str]:
    windows = ledger.sweep.copy_windows(MAIN)
    return [one.study_uid for window in windows for one in ledger.sweep.find_gone(MAIN, window, began=began)]


def known(ledger: Ledger, uid: str, **changes: Any) -> None:
    """Published, and read at t1."""
    publish(ledger, uid, status=changes.pop("status", "available"))
    row = {"last_update": "t1", "instances": 3, "labels": "", "tags_digest": "d1", **changes}
    mark(ledger, event(uid))
    claim = claim_study(ledger, uid)
    assert claim is not None
    ledger.outcomes.commit(done(claim, found=(replace(copy(uid, f"o-{uid}"), **row),)))


@pytest.mark.parametrize(
    ("seen", "listed", "difference"),
    [
        ({}, {}, None),
        ({}, {"last_update": "t2"}, Difference.CHANGED),
        ({"last_update": ""}, {}, Difference.CHANGED),
        ({}, {"labels": "a"}, Difference.CHANGED),
        ({"labels": "a"}, {"labels": "a"}, None),
        ({}, {"labels": None}, None),
        ({"labels": None}, {"labels": "a"}, None),
        ({}, {"tags_digest": "d1"}, None),
        ({}, {"tags_digest": "d2"}, Difference.CHANGED),
        ({"last_update": "t2"}, {"last_update": "t2", "tags_digest": "d2"}, Difference.CHANGED),
        ({"tags_digest": None}, {"tags_digest": "d2"}, None),
        ({"status": "registered"}, {}, Difference.STABLE),
        ({"status": "registered"}, {"is_stable": False}, None),
    ],
    ids=[
        "the same",
        "LastUpdate moved",
        "LastUpdate unknown",
        "labels moved",
        "the same labels",
        "an archive without labels",
        "labels not kept yet",
        "the same words",
        "other words",
        "other words within the second",
        "words not kept yet",
        "registered, stable",
        "registered, arriving",
    ],
)
def test_what_differs(ledger: Ledger, seen: dict[str, Any], listed: dict[str, Any], difference: Difference | None) -> None:
    """RULES A8: LastUpdate, labels, main tags, stability; an unknown LastUpdate is read again."""
    known(ledger, "1.1", **seen)
    staged(ledger, listing("1.1", **listed))
    assert differing(ledger).get("1.1") == difference


def test_new_ones_are_told_and_dirty_ones_left_alone(ledger: Ledger) -> None:
    """RULES A8, C8, E6: what waits already will be looked at anyway; but nobody has told of a copy that is not known."""
    mark(ledger, event("1.2", orthanc_id=listing("1.2").orthanc_id), event("1.3"))
    staged(ledger, listing("1.1"), listing("1.2"), listing("1.3"))
    assert differing(ledger) == {"1.1": Difference.NEW, "1.3": Difference.NEW}


def test_gone_is_what_was_known_before_and_is_not_listed(ledger: Ledger, clock: Clock) -> None:
    """RULES A8: not what was first seen after the listing began, nor what has another archive."""
    known(ledger, "1.1")
    known(ledger, "1.2")
    ledger.marks.add([], copies=[Copy(archive=ELSEWHERE, orthanc_id=OrthancId("o"), study_uid="1.9")], settle_after=SETTLE)
    clock.now += 1
    began = staged(ledger, listing("1.1"))
    clock.now += 1
    known(ledger, "1.3")
    assert gone(ledger, began) == ["1.2"]


def test_a_copy_keeps_when_it_was_first_seen(ledger: Ledger, clock: Clock) -> None:
    """RULES A8: later looks do not make it young."""
    known(ledger, "1.1")
    clock.now += 1
    began = ledger.sweep.begin(MAIN)
    known(ledger, "1.1", last_update="t2")
    assert gone(ledger, began) == ["1.1"]


def test_what_nobody_reads_gets_its_digest_from_the_listing(ledger: Ledger) -> None:
    """RULES A8: of a ledger from before they were kept; not in place of one that was read, and not of what waits to be."""
    known(ledger, "1.1", tags_digest=None)
    known(ledger, "1.2")
    known(ledger, "1.3", tags_digest=None)
    mark(ledger, event("1.3"))
    ledger.marks.add([], copies=[Copy(archive=ELSEWHERE, orthanc_id=OrthancId("o"), study_uid="1.9")], settle_after=SETTLE)
    staged(ledger, *(listing(uid, labels="", tags_digest="d2") for uid in ("1.1", "1.2", "1.3")))
    assert differing(ledger) == {"1.2": Difference.CHANGED}
    assert sum(ledger.sweep.keep_digests(MAIN, window) for window in ledger.sweep.copy_windows(MAIN, untold=True)) == 1
    assert {uid: copies_of(ledger, uid)[0].tags_digest for uid in ("1.1", "1.2", "1.3", "1.9")} == {
        "1.1": "d2",
        "1.2": "d1",
        "1.3": None,
        "1.9": None,
    }
    staged(ledger, listing("1.1", labels="", tags_digest="d3"))
    assert differing(ledger) == {"1.1": Difference.CHANGED}, "from here on it is compared"


def test_a_listing_that_tells_no_words_takes_none_away(ledger: Ledger) -> None:
    """RULES A8: nor does a mark that names a copy."""
    known(ledger, "1.1")
    mark(ledger, event("1.1", orthanc_id=OrthancId("o-1.1")))
    staged(ledger, listing("1.1"))
    assert list(ledger.sweep.copy_windows(MAIN, untold=True)) == []
    assert [ledger.sweep.keep_digests(MAIN, window) for window in ledger.sweep.windows(MAIN)] == [0]
    assert copies_of(ledger, "1.1")[0].tags_digest == "d1"


def test_windows_pass_over_everything_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES E8: keyset slices; each study in one of them."""
    monkeypatch.setattr(room, "WINDOW", 3)
    staged(ledger, *(listing(f"1.{number}") for number in range(10, 20)))
    assert len(list(ledger.sweep.windows(MAIN))) == 4
    assert sorted(differing(ledger)) == [f"1.{number}" for number in range(10, 20)]
    ledger.sweep.finish(MAIN, Inventory(began_at=NOW, ended_at=NOW, listed=10))
    assert list(ledger.sweep.windows(MAIN)) == []


def test_details_tell_how_much_they_told(ledger: Ledger) -> None:
    """RULES A8: a page of studies newer than the listing tells nothing of it, so the paging ends."""
    ledger.sweep.stage(MAIN, [OrthancId("o-1.1"), OrthancId("o-1.2")])
    assert ledger.sweep.detail(MAIN, [listing("1.1"), listing("1.3")]) == 1
    assert ledger.sweep.detail(MAIN, [listing("1.1"), listing("1.3")]) == 0
    (window,) = ledger.sweep.windows(MAIN)
    assert ledger.sweep.find_undetailed(MAIN, window) == ["o-1.2"]


def test_counts_come_round_and_a_moved_one_marks(ledger: Ledger, clock: Clock) -> None:
    """RULES A8: longest ago first, in the mark's own transaction; the new number is kept, so it is told once."""
    for uid in ("1.1", "1.2"):
        known(ledger, uid)
        clock.now += 1
    staged(ledger, listing("1.1"), listing("1.2"))
    assert ledger.sweep.known_instances(MAIN) == (6, 0)
    asked = ledger.sweep.to_count(MAIN, counted_before=clock.now, most=1)
    assert asked == {"o-1.1": "1.1"}
    assert ledger.sweep.keep_counts(MAIN, list(asked), {OrthancId("o-1.1"): 2}) == 1
    row = ledger.marks.find("1.1")
    assert row is not None and row.reason == "inventory"
    assert ledger.sweep.to_count(MAIN, counted_before=clock.now, most=1) == {"o-1.2": "1.2"}
    assert ledger.sweep.keep_counts(MAIN, [OrthancId("o-1.1")], {OrthancId("o-1.1"): 2}) == 0


def test_what_cannot_be_counted_is_not_asked_for_ever(ledger: Ledger, clock: Clock) -> None:
    """RULES E8: a study that the archive does not answer for counts as asked."""
    known(ledger, "1.1")
    staged(ledger, listing("1.1"))
    clock.now += 1
    assert ledger.sweep.keep_counts(MAIN, [OrthancId("o-1.1")], {}) == 0
    assert ledger.sweep.to_count(MAIN, counted_before=clock.now, most=9) == {}


PLANS: list[tuple[str, Select[Any] | Update]] = [
    ("differing", room._within(comparison.select_differing(), swept, MAIN, ("a", "b"))),
    ("in question", room._within(comparison.select_in_question().params(fingerprint="f"), swept, MAIN, ("a", "b"))),
    ("counted before", counting._BEFORE.params(archive=MAIN, ids=["a", "b"])),
    ("copies without digest", room._part(copies, MAIN, "a", copies.c.tags_digest.is_(None))),
    ("digests not told", room._inside(comparison.untold_digests(), copies, MAIN, ("a", "b"))),
    ("gone", room._within(comparison.select_gone(), copies, MAIN, ("a", "b"))),
    ("least recently counted", comparison.least_recently_counted().where(copies.c.archive == MAIN).limit(9)),
]


@pytest.mark.parametrize(("name", "wanted"), PLANS, ids=[name for name, _ in PLANS])
def test_no_comparison_reads_a_whole_table_or_sorts(file_ledger: Ledger, name: str, wanted: Select[Any] | Update) -> None:
    """RULES E8: what a million rows cost is told by the plan: searches by index only, in the index's own order. Asked of
    SQLite, which plans by the schema alone; PostgreSQL's plan depends on what its tables hold."""
    assert_by_index(file_ledger, wanted)


def assert_by_index(ledger: Ledger, wanted: Select[Any] | Update) -> None:
    with ledger._readers.connect() as connection:
        text = str(wanted.compile(connection, compile_kwargs={"literal_binds": True}))
        plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    assert plan and not [line for line in plan if line.startswith("SCAN") or "TEMP B-TREE" in line], plan


def test_a_record_is_no_count_where_a_study_has_two_copies(ledger: Ledger) -> None:
    """RULES C8: the record's number is that of all copies."""
    known(ledger, "1.1", instances=-1)
    ledger.marks.add([], copies=[copy("1.1", "o-second")], settle_after=SETTLE)
    assert record("1.1").raw["instances"] == 3
    assert ledger.sweep.keep_counts(MAIN, [OrthancId("o-1.1")], {OrthancId("o-1.1"): 1}) == 0
