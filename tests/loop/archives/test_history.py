"""The first import, and what it leaves outside (docs/settings.md, `HISTORY`)."""

from __future__ import annotations

import pytest

from syncd.ledger.ledger import Ledger
from syncd.loop.archives import listing
from syncd.loop.archives.listing import Asked
from syncd.loop.commands.resync import Choice, rehearse, resync
from syncd.model.words import ArchiveState, Decision, Priority
from syncd.selection.history import parse_history
from syncd.selection.site import Selection
from tests.loop.world import MAIN, OTHER, SECOND, STUDY, World

OLD, NEW = {"StudyDate": "20151231"}, {"StudyDate": "20200101", "PatientID": "P2"}


def _history(world: World, text: str) -> None:
    world.selection = Selection(history=parse_history(text))
    world._context = None


def _first_start(world: World, text: str) -> None:
    """An archive that holds an old study and a new one; listed, and its feed read up to the end."""
    world.store(STUDY, **OLD)
    world.store(OTHER, **NEW)
    world.settle()
    _history(world, text)
    world.connect()
    world.poll()
    world.sweep()
    world.poll()


def _state(world: World, study: str) -> str:
    entry = world.ledger.selection.find(study)
    return entry.state if entry else ""


def _waiting(world: World) -> set[str]:
    return {row.study_uid for row in world.ledger.marks.page()}


def test_studies_before_the_date_are_left_outside_without_being_work(world: World) -> None:
    """docs/settings.md, `since:DATE`, state `outside-history`; the feed's overlap tells of them and is no reason."""
    _first_start(world, "since:2020-01-01")
    assert (_waiting(world), _state(world, STUDY), _state(world, OTHER)) == ({OTHER}, "outside-history", "")
    assert [outcome.decision for outcome in world.work()] == [Decision.CREATE]
    assert world.ledger.overview.counts(world.clock()).unselected == {"outside-history": 1}
    position = world.ledger.feed.position(MAIN)
    assert position is not None
    assert position.state is ArchiveState.OK


def test_with_none_only_what_comes_later_is_published(world: World) -> None:
    """docs/settings.md, `none`."""
    _first_start(world, "none")
    assert _waiting(world) == set()
    world.store("1.2.276.3", PatientID="P3", StudyDate="19990101")
    world.settle()
    world.poll()
    assert {one.study_uid: one.decision for one in world.work()} == {"1.2.276.3": Decision.CREATE}


def test_all_is_taken_by_default(world: World) -> None:
    """docs/settings.md, default `all`."""
    _first_start(world, "all")
    assert _waiting(world) == {STUDY, OTHER}


@pytest.mark.parametrize("told", ["event", "inventory"])
def test_a_late_instance_brings_an_old_study_in(world: World, told: str) -> None:
    """Whether the feed tells of it or, its log lost, the inventory does."""
    _first_start(world, "none")
    world.clock.advance(60)
    world.store(STUDY, instance=2, **OLD)
    world.settle()
    if told == "event":
        world.poll()
    else:
        world.orthanc.handle("DELETE", "/changes")
        assert world.sweep() == 1
    assert {one.study_uid: one.decision for one in world.work()} == {STUDY: Decision.CREATE}
    assert (_state(world, STUDY), world.ledger.overview.counts(world.clock()).unselected) == ("", {"outside-history": 1})


def test_other_words_bring_an_old_study_in(world: World) -> None:
    """RULES A8: somebody corrected it since, as a moved LastUpdate would tell."""
    _first_start(world, "none")
    world.clock.advance(60)
    old = next(one for one in world.orthanc.index.all("Study") if one.main["StudyInstanceUID"] == STUDY)
    for instance in world.orthanc.index.below(old, "Instance"):
        instance.tags["0008,1030"] = "Corrected words"
    world.orthanc.handle("POST", f"{old.path}/reconstruct")
    assert world.sweep() == 1
    assert {one.study_uid: one.decision for one in world.work()} == {STUDY: Decision.CREATE}


def test_a_later_inventory_leaves_them_where_they_are(world: World) -> None:
    """RULES A8: known, unchanged."""
    _first_start(world, "none")
    world.clock.advance(1000)
    assert world.sweep() == 0


def test_an_old_study_that_only_a_later_inventory_finds_is_published(world: World) -> None:
    """It is about the first import: what came later and was not told is a lost event (RULES A8)."""
    _first_start(world, "none")
    world.store("1.2.276.3", PatientID="P3", **OLD)
    world.orthanc.handle("DELETE", "/changes")
    world.settle()
    assert world.sweep() == 1
    assert [outcome.decision for outcome in world.work()] == [Decision.CREATE]


def test_looking_at_everything_again_does_not_bring_them_in(world: World) -> None:
    """README.md, `resync --full`: everything is looked at; what is outside stays, and that is in sync."""
    _first_start(world, "since:2020-01-01")
    world.clock.advance(1000)
    report = world.resynced(full=True)
    assert report.in_sync
    assert report.decisions == {Decision.CREATE: 1, Decision.SKIP: 1}
    assert _state(world, STUDY) == "outside-history"


def test_a_study_that_is_named_is_inside(world: World) -> None:
    """README.md, `resync --study`: somebody wants it."""
    _first_start(world, "none")
    choice = Choice(studies=frozenset({STUDY}))
    report = resync(world.site, world.ledger, choice=choice, accept_target=False, progress=lambda report: None)
    assert report.decisions == {Decision.CREATE: 1}
    assert world.ledger.overview.counts(world.clock()).unselected == {"outside-history": 1}


def test_the_first_start_may_be_a_resync(world: World) -> None:
    """README.md, `resync`, before any daemon."""
    world.store(STUDY, **OLD)
    world.store(OTHER, **NEW)
    world.settle()
    world.clock.advance(1000)
    _history(world, "since:2020-01-01")
    told = {study: (decision, reason) for study, decision, reason in rehearse(world.site, world.ledger, choice=Choice())}
    assert told[STUDY] == (Decision.SKIP, "outside the history (since:20200101)")
    report = resync(world.site, world.ledger, choice=Choice(), accept_target=False, progress=lambda report: None)
    assert report.decisions == {Decision.CREATE: 1}
    assert _state(world, STUDY) == "outside-history"


@pytest.mark.parametrize(("wider", "brought_in"), [("all", {STUDY, OTHER}), ("since:2020-01-01", {OTHER})])
def test_a_wider_history_brings_in_what_it_takes(world: World, wider: str, brought_in: set[str]) -> None:
    """At backfill priority, the newest first; the rest stays outside, under the new word."""
    _first_start(world, "none")
    _history(world, wider)
    world.connect()
    assert {row.priority for row in world.ledger.marks.page()} == {Priority.BACKFILL}
    world.sweep()
    done = world.work()
    assert {one.study_uid for one in done if one.decision is Decision.CREATE} == brought_in
    entry = world.ledger.selection.find(STUDY)
    assert (entry.rule if entry else "") == ("" if STUDY in brought_in else wider.replace("-", ""))


def test_a_narrower_history_takes_nothing_from_what_an_event_named(world: World) -> None:
    """docs/settings.md, `HISTORY`: it is about what waits for the first import; what is published, or was sent, stays."""
    _first_start(world, "all")
    assert {row.priority for row in world.ledger.marks.page()} == {Priority.FEED}
    world.turn(OTHER)
    _history(world, "none")
    world.connect()
    world.sweep()
    assert (_waiting(world), world.ledger.overview.counts(world.clock()).unselected) == ({STUDY}, {})


def test_old_work_goes_when_the_history_gets_narrower(world: World) -> None:
    """RULES A9: rows at backfill priority that nobody works on."""
    world.store(STUDY, **OLD)
    world.store(OTHER, **NEW)
    world.settle()
    world.orthanc.handle("DELETE", "/changes")
    world.connect()
    world.poll()
    assert world.sweep() == 2
    _history(world, "since:2020-01-01")
    world.connect()
    world.sweep()
    assert (_waiting(world), _state(world, STUDY)) == ({OTHER}, "outside-history")
    assert world.ledger.overview.counts(world.clock()).dirty == 1


def test_an_archive_indexed_anew_is_no_first_import(world: World) -> None:
    """RULES A4: its numbers begin anew, so old ones pass nothing over; what came meanwhile is published."""
    _first_start(world, "none")
    world.ledger.selection.move_import(MAIN, until=10**6)
    world.orthanc.wipe()
    world.store("1.2.276.3", PatientID="P3", **OLD)
    world.settle()
    world.clock.advance(1000)
    world.poll()
    world.sweep()
    world.poll()
    assert world.ledger.selection.first_import(MAIN).until == 0
    assert "1.2.276.3" in {one.study_uid for one in world.work() if one.decision is Decision.CREATE}


def test_another_archive_that_was_accepted_is_a_first_import(world: World) -> None:
    """RULES A4, `archive accept`: its past is history too."""
    _first_start(world, "none")
    world.ledger.archives.accept(MAIN)
    world.store("1.2.276.3", PatientID="P3", **OLD)
    world.orthanc.handle("DELETE", "/changes")
    world.settle()
    world.clock.advance(1000)
    world.sweep()
    assert (_waiting(world), _state(world, "1.2.276.3")) == (set(), "outside-history")


def test_a_second_process_marks_no_old_study_before_the_first_listing(world: World) -> None:
    """RULES A1: only the owner notes; nobody brings them in."""
    world.store(STUDY, **OLD)
    world.settle()
    _history(world, "none")
    world.connect()
    world.poll()
    guest = Ledger.open_guest(world.ledger_url, clock=world.clock)
    try:
        marked = listing.mark_listed(world.source(), guest, asked=Asked(), of=world.selection.history).marked
    finally:
        guest.close()
    assert marked == 0


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [("all", "none", ""), ("none", "all", ""), ("none", "none", "outside-history")],
)
def test_of_several_archives_one_that_takes_a_study_is_enough(world: World, first: str, second: str, state: str) -> None:
    """RULES C8: what the first archive takes is work, and the second one's listing does not undo it."""
    world.with_second()
    world.store(STUDY, **OLD)
    world.store(STUDY, at=SECOND, **OLD)
    world.settle()
    world.orthanc.handle("DELETE", "/changes")
    world.second.handle("DELETE", "/changes")
    world.clock.advance(60)
    for name, text in ((MAIN, first), (SECOND, second)):
        world.selections[name] = Selection(history=parse_history(text))
    world.connect()
    for name in (MAIN, SECOND):
        world.poll(name)
        world.sweep(name)
    assert [one.decision for one in world.work()] == ([] if state else [Decision.CREATE])
    assert _state(world, STUDY) == state


def test_a_wider_history_of_any_archive_brings_its_study_in(world: World) -> None:
    """RULES C8: also where the study is counted as another archive's."""
    world.with_second()
    world.store(STUDY, **OLD)
    world.store(STUDY, at=SECOND, **OLD)
    world.settle()
    world.clock.advance(60)
    world.selections |= {name: Selection(history=parse_history("none")) for name in (MAIN, SECOND)}
    world.connect()
    for name in (MAIN, SECOND):
        world.poll(name)
        world.sweep(name)
    entry = world.ledger.selection.find(STUDY)
    assert entry is not None and entry.archive == SECOND
    world.selections[MAIN] = Selection()
    world.connect()
    assert {one.study_uid: one.decision for one in world.work()} == {STUDY: Decision.CREATE}
