"""Contract: studies that wait for an archive, and an archive that is forgotten (RULES C6, C8)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncd.ledger.inventories import archives as room
from syncd.ledger.ledger import Ledger
from syncd.ledger.studies.due import WORTH, Passed
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.words import Priority
from syncd.model.work import Mark
from tests.ledger.made import MAIN, NOW, SETTLE, Clock, claim_study, copies_of, done, event, mark, only, position, resync

SECOND = ArchiveName("second")
BOTH = frozenset({MAIN, SECOND})


def _in(study_uid: str, *archives: ArchiveName) -> list[Mark]:
    """A mark of the study by each archive that holds a copy."""
    return [replace(resync(study_uid), archive=one, orthanc_id=OrthancId(f"{one}-{study_uid}")) for one in archives]


@pytest.fixture
def held(ledger: Ledger) -> Ledger:
    """1.1 lies in main, 1.2 in second, 1.3 in both, 1.4 nowhere that is known."""
    mark(ledger, *_in("1.1", MAIN), *_in("1.2", SECOND), *_in("1.3", MAIN, SECOND), event("1.4"))
    return ledger


def _claimed(ledger: Ledger, within: frozenset[ArchiveName], *, now: float = NOW) -> list[str]:
    uids = [claim.row.study_uid for claim in ledger.claims.take(10, now=now, within=within)]
    ledger.claims.release(*uids)
    return sorted(uids)


@pytest.mark.parametrize(
    ("within", "expected"),
    [
        (BOTH, ["1.1", "1.2", "1.3", "1.4"]),
        ({MAIN}, ["1.1", "1.4"]),
        ({SECOND}, ["1.2", "1.4"]),
        ({ArchiveName("third")}, ["1.4"]),
    ],
)
def test_a_study_is_handed_out_only_where_all_of_its_copies_can_be_read(
    held: Ledger, within: set[ArchiveName], expected: list[str]
) -> None:
    """RULES C8; nothing of the others' rows is touched (C6)."""
    before = held.marks.page()
    assert _claimed(held, frozenset(within)) == expected
    assert held.marks.page() == before
    assert held.progress.count_unsettled(held.progress.newest_generation(), now=NOW, within=frozenset(within)) == len(
        expected
    )


def test_what_becomes_due_behind_many_that_wait_is_found_at_once(held: Ledger, clock: Clock) -> None:
    """RULES A9, C8: and what was passed over is looked at again as soon as its archive answers."""
    mark(held, *(one for number in range(200) for one in _in(f"2.{number}", SECOND)))
    main = frozenset({MAIN})
    assert _claimed(held, main) == ["1.1", "1.4"]
    clock.now += 1
    mark(held, *_in("1.9", MAIN))
    assert "1.9" in _claimed(held, main, now=clock.now)
    assert len(held.claims.take(300, now=clock.now, within=BOTH)) == 205


def test_waiting_rows_are_not_looked_at_all_the_time(held: Ledger) -> None:
    """RULES E8: at most a twentieth of the time goes into looking at what waits."""
    ticks = iter([0.0, 2.0, 3.0, 3.0, 50.0, 51.0])
    passed = Passed(monotonic=lambda: next(ticks))
    held.claims._passed = passed
    main = frozenset({MAIN})
    mark(held, *(one for number in range(3) for one in _in(f"0.{number}", SECOND)))
    claims = held.claims.take(1, now=NOW, within=main)
    assert [claim.row.study_uid for claim in claims] == ["1.4"]
    assert passed._until == {0: WORTH * 2.0}


def test_old_studies_of_an_archive_that_is_away_are_passed_newest_first(ledger: Ledger, clock: Clock) -> None:
    """RULES A9, C8: behind the newer ones that wait, those that can be read come in their order, and none twice."""
    days = {"3.1": ("20240105", SECOND), "3.2": ("20240104", MAIN), "3.3": ("20240103", SECOND), "3.4": ("20240102", MAIN)}
    for uid, (day, archive) in days.items():
        old = [replace(one, priority=Priority.BACKFILL, study_date=day) for one in _in(uid, archive)]
        mark(ledger, *old)
    main = frozenset({MAIN})
    assert [claim.row.study_uid for claim in ledger.claims.take(1, now=NOW, within=main)] == ["3.2"]
    assert [claim.row.study_uid for claim in ledger.claims.take(9, now=NOW, within=main, most_backfill=0)] == []
    assert [claim.row.study_uid for claim in ledger.claims.take(9, now=NOW, within=main)] == ["3.4"]
    assert [claim.row.study_uid for claim in ledger.claims.take(9, now=NOW, within=BOTH)] == ["3.1", "3.3"]


def test_an_old_study_before_those_that_were_passed_waits_for_the_next_look(ledger: Ledger) -> None:
    """RULES A9, E8: by its date it stands before them; it is found when they are looked at again."""
    ticks = iter([0.0, 1.0, 2.0, 21.0, 21.5])
    ledger.claims._passed = Passed(monotonic=lambda: next(ticks))
    main = frozenset({MAIN})
    mark(ledger, *(replace(one, priority=Priority.BACKFILL, study_date="20240102") for one in _in("3.1", SECOND)))
    assert ledger.claims.take(9, now=NOW, within=main) == []
    mark(ledger, *(replace(one, priority=Priority.BACKFILL, study_date="20240103") for one in _in("3.2", MAIN)))
    assert ledger.claims.take(9, now=NOW, within=main) == []
    assert [claim.row.study_uid for claim in ledger.claims.take(9, now=NOW, within=main)] == ["3.2"]


def test_a_study_is_freed_by_the_copy_that_is_gone(held: Ledger) -> None:
    """RULES D1."""
    claim = claim_study(held, "1.3")
    assert claim is not None
    (gone,) = (one for one in claim.copies if one.archive == SECOND)
    held.outcomes.commit(done(claim, gone=(gone,)))
    mark(held, resync("1.3"))
    assert "1.3" in _claimed(held, frozenset({MAIN}))


def test_one_that_backs_off_counts_only_where_it_can_be_read(ledger: Ledger) -> None:
    """RULES C6: a one-shot run does not wait for a study whose archive is away."""
    mark(ledger, *_in("1.2", SECOND))
    ledger.outcomes.commit(done(only(ledger), due=NOW + 1, attempts=1, not_before=NOW + 1))
    assert ledger.progress.count_backing_off(most_attempts=3, within=BOTH) == 1
    assert ledger.progress.count_backing_off(most_attempts=3, within=frozenset({MAIN})) == 0


def test_a_forgotten_archive_leaves_its_studies_marked(
    held: Ledger, monkeypatch: pytest.MonkeyPatch, url: str, clock: Clock
) -> None:
    """RULES C8: in slices, by a second process too; asked again, there is nothing left to do."""
    monkeypatch.setattr(room, "MARKED_AT_ONCE", 1)
    held.feed.commit_intake(replace(position(5, seen=(5,)), archive=SECOND), marks=[], copies=[], settle_after=SETTLE)
    for uid in ("1.2", "1.3"):
        claim = claim_study(held, uid)
        assert claim is not None
        held.outcomes.commit(done(claim))
    assert held.archives.names() == BOTH
    with Ledger.open_guest(url, clock=clock) as guest:
        assert guest.archives.forget(SECOND) == 2
        assert guest.archives.forget(SECOND) == 0
    assert held.archives.names() == {MAIN}
    assert held.feed.position(SECOND) is None
    assert held.marks.find_pending(["1.2", "1.3"]) == {"1.2", "1.3"}
    assert [one.archive for one in copies_of(held, "1.3")] == [MAIN]
    assert held.archives.to_switch_off() == (SECOND,)
    held.archives.drop_forgotten(SECOND)
    assert held.archives.to_switch_off() == ()


def test_where_an_archive_said_that_its_images_are_is_kept(ledger: Ledger) -> None:
    """RULES C8: until it is forgotten."""
    assert ledger.archives.dicomweb_roots() == {}
    ledger.archives.save_dicomweb_roots({MAIN: "/dicom-web/", SECOND: "/web/"})
    ledger.archives.forget(SECOND)
    assert ledger.archives.dicomweb_roots() == {MAIN: "/dicom-web/"}
