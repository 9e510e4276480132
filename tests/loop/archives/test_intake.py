"""Following the archive: bootstrap, inventory, feed (RULES A1–A3)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from syncd.errors import Transient
from syncd.feed.follow import LATE_WINDOW, OVERLAP
from syncd.loop.archives import listing as inventory
from syncd.model.ids import OrthancId
from syncd.model.outcome import NextTurn, Silent
from syncd.model.words import ArchiveState, Priority
from syncd.model.work import FeedPosition
from tests.fakes.http import Request, Response
from tests.ledger.made import claim_study, copies_of, counted
from tests.loop.world import MAIN, OTHER, STUDY, World


def _position(world: World) -> FeedPosition:
    position = world.ledger.feed.position(MAIN)
    assert position is not None
    return position


def _dirty(world: World) -> set[str]:
    return {row.study_uid for row in world.ledger.marks.page()}


def _clean(world: World) -> None:
    """Everything pending is dealt with."""
    for row in world.ledger.marks.page():
        world.turn(row.study_uid)


def test_nothing_is_followed_before_the_position_is_committed(world: World) -> None:
    """RULES A1: commit first, then list."""
    world.store()
    polled = world.intake().poll()
    assert (polled.position, polled.marked) == (None, 0)
    assert not _dirty(world)


def test_a_crash_within_the_first_listing_keeps_the_position(world: World) -> None:
    """RULES A1: a restart keeps that mark; what arrived in between is told by the feed."""
    resource = _any(world)
    for _ in range(OVERLAP + 10):
        world.orthanc.index.write("StablePatient", resource, world.clock())
    inventory.begin(world.archive, world.ledger, name=MAIN)
    begun = _position(world)
    assert (begun.state, begun.cursor) == (ArchiveState.BOOTSTRAPPING, begun.high_water - OVERLAP)
    world.store(OTHER)
    inventory.begin(world.archive, world.ledger, name=MAIN)
    assert _position(world) == begun
    world.intake().poll()
    assert OTHER in _dirty(world)
    assert _position(world).state is ArchiveState.BOOTSTRAPPING


def _any(world: World) -> Any:
    world.store()
    return next(iter(world.orthanc.index.resources.values()))


def test_the_inventory_ends_the_bootstrap_and_marks_all(world: World) -> None:
    """RULES A1: new ones at backfill priority."""
    world.store()
    world.store(OTHER)
    assert world.sweep() == 2
    assert _position(world).state is ArchiveState.OK
    assert {row.priority for row in world.ledger.marks.page()} == {Priority.BACKFILL}


def test_what_arrives_while_the_archive_is_listed_is_not_lost(world: World) -> None:
    """RULES A1: the feed is read from before the listing."""
    world.store()

    def arrives(request: Request) -> Response | None:
        if request.path == "/studies":
            world.orthanc.rules.clear()
            answer = world.orthanc.answer(request)
            world.store(OTHER)
            return answer
        return None

    world.orthanc.rules.append(arrives)
    world.sweep()
    world.poll()
    rows = {row.study_uid: row.priority for row in world.ledger.marks.page()}
    assert rows == {STUDY: Priority.FEED, OTHER: Priority.FEED}


def test_a_listing_that_breaks_off_leaves_the_bootstrap_open(world: World) -> None:
    """RULES A1: nothing is judged from half a listing."""
    world.store()
    inventory.begin(world.archive, world.ledger, name=MAIN)
    world.orthanc.rules.append(lambda request: Response(status=500) if request.path == "/studies" else None)
    with pytest.raises(Transient):
        world.sweep()
    assert _position(world).state is ArchiveState.BOOTSTRAPPING


def test_a_second_inventory_marks_nothing(world: World) -> None:
    """RULES A1: only what is new or changed."""
    world.published()
    assert world.sweep() == 0
    assert world.sweep() == 0


def test_the_inventory_sees_what_the_feed_did_not_tell(world: World) -> None:
    """RULES A1: changed (LastUpdate), or stable though only `registered`; a dirty study is left alone."""
    world.published()
    world.store(OTHER)
    world.poll()
    world.turn(OTHER)
    before = world.ledger.marks.find(OTHER)
    world.clock.advance(5)
    world.store(series=2)
    assert world.sweep() == 1
    assert (STUDY in _dirty(world), world.ledger.marks.find(OTHER)) == (True, before)


def test_an_announced_study_that_became_stable_unnoticed_is_found(world: World) -> None:
    """RULES A5: also where its row was lost."""
    world.store()
    world.poll()
    outcome = world.turn()
    assert not outcome.done
    claim = claim_study(world.ledger, STUDY)
    assert claim is not None
    world.ledger.outcomes.commit(replace(outcome, generation=claim.row.generation, ended=Silent(), turn=NextTurn()))
    world.orthanc.restart()
    assert world.sweep() == 1


def test_a_vanished_study_is_marked_and_nothing_else(world: World) -> None:
    """RULES A8: "gone" is a mark, proven by D1."""
    world.published()
    world.sweep()
    world.clock.advance(1)
    (copy,) = copies_of(world.ledger, STUDY)
    world.delete(copy.orthanc_id)
    assert world.sweep() == 1
    assert world.study()["status"] == "available"


def test_what_vanishes_behind_the_listing_asks_for_another_sweep(world: World) -> None:
    """RULES A3: a sweep that becomes wanted while one is under way is made afterwards."""
    world.store()
    world.poll()
    listing = world.archive.study_ids

    def and_then(*_: Any) -> Iterator[OrthancId]:
        yield from listing()
        world.ledger.feed.want_sweep(MAIN)

    world.archive.study_ids = and_then  # type: ignore[method-assign]
    world.sweep()
    assert _position(world).sweep_wanted


def test_a_study_without_uid_is_passed_over(world: World) -> None:
    """RULES A2: it has no key; its neighbours are marked."""
    world.store("")
    world.store(OTHER)
    world.sweep()
    world.poll()
    assert _dirty(world) == {OTHER}


def test_each_change_is_marked_once(world: World) -> None:
    """RULES A3: the overlap is read again, and nothing in it is new."""
    world.store()
    world.poll()
    row = world.ledger.marks.find(STUDY)
    for _ in range(3):
        assert world.poll().marked == 0
    assert world.ledger.marks.find(STUDY) == row


def test_an_empty_poll_writes_nothing(world: World) -> None:
    """RULES A3: H = cursor and nothing owed: one call, no commit."""
    world.published()
    world.poll()
    world.clock.advance(LATE_WINDOW)
    before, asked = _position(world), len(world.orthanc.requests)
    world.poll()
    assert _position(world) == before
    assert len(world.orthanc.requests) == asked + 1


def test_changes_that_say_nothing_to_us_move_the_cursor(world: World) -> None:
    """RULES A2: unknown types only move the cursor."""
    world.poll()
    resource = _any(world)
    world.poll()
    _clean(world)
    world.orthanc.index.write("SomethingNew", resource, world.clock())
    assert world.poll().marked == 0
    assert _position(world).cursor == world.orthanc.index.highest


def test_a_number_that_becomes_visible_late_is_seen(world: World) -> None:
    """RULES A3: with PostgreSQL a lower number may appear after a higher one."""
    world.store()
    late = [entry for entry in world.orthanc.index.log if entry.level == "Instance"]
    world.store(OTHER, PatientID="P2")
    world.orthanc.index.log = [entry for entry in world.orthanc.index.log if entry not in late and "P" in entry.change_type]
    world.poll()
    world.store(OTHER, instance=2, PatientID="P2")
    world.orthanc.index.log.extend(late)
    world.orthanc.index.log.sort(key=lambda entry: entry.seq)
    world.clock.advance(LATE_WINDOW - 1)
    world.orthanc.tick()
    world.orthanc.index.log = [entry for entry in world.orthanc.index.log if "Stable" not in entry.change_type]
    world.poll()
    assert STUDY in _dirty(world), "told by nothing but the late number"


def test_entries_that_vanished_are_asked_of_the_inventory(world: World) -> None:
    """RULES A3: pages end below H: cursor := H, one coalesced sweep."""
    world.poll()
    orthanc_id = world.store()
    world.delete(orthanc_id)
    polled = world.poll()
    assert polled.position is not None
    assert (polled.position.cursor, polled.position.sweep_wanted) == (polled.high_water, True)
    world.sweep()
    assert not _position(world).sweep_wanted


def test_an_emptied_log_is_no_other_archive(world: World) -> None:
    """docs/orthanc.md: `DELETE /changes` empties the log, the counter goes on."""
    world.store()
    world.poll()
    world.orthanc.handle("DELETE", "/changes")
    position = _position(world)
    world.poll()
    assert _position(world).cursor == position.cursor
    world.store(OTHER)
    world.poll()
    assert OTHER in _dirty(world)


def test_a_page_that_is_answered_twice_marks_nothing_twice(world: World) -> None:
    """RULES A3: what was seen is kept with the cursor."""
    world.poll()
    world.store()
    page: list[Response] = []

    def again(request: Request) -> Response | None:
        if request.path == "/changes" and request.query["limit"] != "1":
            page.append(page[0] if page else world.orthanc.answer(request))
            return page[-1]
        return None

    world.orthanc.rules.append(again)
    assert world.poll().marked == 1
    assert world.poll().marked == 0
    assert len(page) == 2


def test_an_entry_that_cannot_be_read_is_told_and_its_neighbours_survive(world: World) -> None:
    """RULES A2: recorded, a sweep is wanted, the next one is taken."""
    world.poll()
    world.store()

    def odd(request: Request) -> Response | None:
        answer = world.orthanc.answer(request)
        if request.path != "/changes" or not answer.json["Changes"]:
            return answer
        page = answer.json
        page["Changes"].insert(0, {"Seq": "?", "ChangeType": None})
        return Response(body=json.dumps(page).encode(), headers=answer.headers)

    world.orthanc.rules.append(odd)
    with capture_logs() as logs:
        world.poll()
    assert [one["entries"] for one in logs if one["event"] == "feed_entries_unreadable"] == [1]
    assert _dirty(world) == {STUDY}
    assert _position(world).sweep_wanted


def test_a_poll_that_breaks_off_loses_nothing(world: World) -> None:
    """RULES A2: marks and cursor in one transaction; what was not committed is read again."""
    world.poll()
    world.store()
    before = _position(world)
    world.orthanc.answer_instead(lambda request: request.path == "/tools/bulk-content", Response(status=500))
    with pytest.raises(Transient):
        world.poll()
    assert _position(world) == before
    world.poll()
    assert _dirty(world) == {STUDY}


def test_feed_marks_pass_before_the_backlog(world: World) -> None:
    """RULES A9: what has just arrived goes before what only the inventory found, though that waits for longer."""
    world.poll()
    world.store()
    world.settle()
    world.orthanc.handle("DELETE", "/changes")
    world.sweep()
    world.clock.advance(1.0)
    world.store(OTHER)
    world.poll()
    claims = world.ledger.claims.take(2, now=world.clock())
    assert [(one.row.study_uid, one.row.priority) for one in claims] == [(OTHER, Priority.FEED), (STUDY, Priority.BACKFILL)]


def test_a_change_in_the_second_of_its_read_is_found_by_the_inventory(world: World) -> None:
    """RULES A8: Orthanc's LastUpdate has a resolution of a second, so one within 2 s of the read counts as unknown."""
    world.store()
    world.orthanc.index.forget_unstable()  # Orthanc was restarted, and calls it stable at once
    world.poll()
    assert world.turn().record is not None
    world.store(instance=2)
    world.orthanc.index.forget_unstable()
    world.orthanc.handle("DELETE", "/changes")
    assert world.sweep() == 1
    assert STUDY in _dirty(world)


def test_an_idle_poll_reads_one_row(world: World) -> None:
    """RULES A3, E8: nothing is new and nothing may still come: what was seen of the overlap is not read again."""
    world.published()
    world.clock.advance(100)
    world.poll()
    world.clock.advance(100)
    intake = world.intake()
    asked = len(world.orthanc.requests)
    with counted(world.ledger) as statements:
        intake.poll()
    assert [" FROM feeds" in " ".join(one.split()) for one in statements] == [True]
    assert len(world.orthanc.requests) == asked + 1
