"""The sweep: what no feed tells of the archive, on both versions' behaviours (RULES A1, A8; docs/cases.md "Convergence")."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncd.errors import Transient
from syncd.loop.archives import counting as room
from syncd.loop.archives.listing import Asked
from syncd.loop.commands.resync import Choice
from syncd.model.words import Decision, Priority
from syncd.model.work import MarkKind
from tests.fakes.http import Request, Response
from tests.fakes.orthanc_find import Limits
from tests.ledger.made import claim_study, copies_of, done
from tests.loop.world import MAIN, OTHER, STUDY, ShortOrthanc, World

VERSIONS = ("1.10.1", "1.12.7")


@pytest.fixture(params=VERSIONS)
def world(request: pytest.FixtureRequest, new_world: Callable[..., World]) -> World:
    """A site whose archive is of the one or the other version."""
    world = new_world()
    world.orthanc = ShortOrthanc(request.param, clock=world.clock)
    world.archive.close()
    world.archives[MAIN] = world.new_archive()
    return world


def _swept(world: World) -> World:
    """Published, swept once, and a while ago: what every later sweep begins with."""
    world.published()
    world.clock.advance(100)
    world.swept()
    world.clock.advance(100)
    return world


def _first_instance(world: World) -> str:
    return next(one.path for one in world.orthanc.index.all("Instance"))


def test_nothing_new_marks_nothing(world: World) -> None:
    """RULES A8, docs/cases.md "an unchanged study costs no write"."""
    _swept(world)
    assert world.swept() == {}
    assert world.ledger.marks.page() == []


def test_a_deleted_study_is_marked_though_nothing_announced_it(world: World) -> None:
    """RULES A8, D1, docs/cases.md "deleted while syncd runs": a mark of a repair; reconcile proves it."""
    _swept(world)
    world.delete(copies_of(world.ledger, STUDY)[0].orthanc_id)
    assert world.poll().marked == 0
    assert world.swept() == {"gone": 1}
    row = world.ledger.marks.find(STUDY)
    assert row is not None and (row.reason, row.priority, row.read_fhir) == (MarkKind.INVENTORY, Priority.REPAIR, False)
    assert world.turn().decision is Decision.RETRACT
    assert world.study()["status"] == "cancelled"


def test_a_deleted_instance_is_noticed(world: World) -> None:
    """RULES A8: 1.10 does not move LastUpdate, so only counting tells; 1.12 does."""
    world.store(instance=1)
    world.store(instance=2)
    world.settle()
    world.poll()
    world.turn()
    world.clock.advance(100)
    assert world.swept() == {}
    world.clock.advance(100)
    world.orthanc.handle("DELETE", _first_instance(world))
    world.clock.advance(100)
    assert world.swept() == ({"changed": 1, "count": 1} if world.orthanc.modern else {"count": 1})
    outcome = world.turn()
    assert (outcome.decision, world.study()["numberOfInstances"]) == (Decision.UPDATE, 1)
    world.clock.advance(100)
    assert world.swept() == {}


@pytest.fixture
def resent(world: World) -> World:
    """Published; then both instances were sent again with other words, and the study was looked at for their events.
    OverwriteInstances: the study keeps its words in Orthanc's index until it is reconstructed."""
    world.orthanc.index.overwrites = True
    for instance in (1, 2):
        world.store(instance=instance, **OLD)
    world.settle()
    world.poll()
    world.turn()
    world.clock.advance(100)
    world.swept()
    for instance in (1, 2):
        world.store(instance=instance, **NEW)
    world.settle()
    assert world.poll().marked == 1
    world.turn()
    world.clock.advance(100)
    assert (world.study()["description"], _name(world)) == ("Old words", "Old")
    assert world.swept() == {}
    world.clock.advance(100)
    return world


OLD = {"StudyDescription": "Old words", "PatientName": "Old^Name"}
NEW = {"StudyDescription": "New words", "PatientName": "New^Name"}


def _name(world: World) -> str:
    (patient,) = world.fhir.resources("Patient")
    return str(patient["name"][0]["family"])


def _reconstruct(world: World) -> None:
    (copy,) = copies_of(world.ledger, STUDY)
    world.orthanc.handle("POST", f"/studies/{copy.orthanc_id}/reconstruct")


def test_a_reconstructed_study_is_noticed_by_its_words(resent: World) -> None:
    """RULES A8, docs/cases.md "`/reconstruct`, OverwriteInstances": no event and no LastUpdate, but other main tags,
    once."""
    _reconstruct(resent)
    assert resent.poll().marked == 0
    assert resent.swept() == {"changed": 1}
    row = resent.ledger.marks.find(STUDY)
    assert row is not None and (row.reason, row.priority) == (MarkKind.INVENTORY, Priority.REPAIR)
    assert resent.turn().decision is Decision.UPDATE
    assert (resent.study()["description"], _name(resent)) == ("New words", "New")
    resent.clock.advance(100)
    assert resent.swept() == {}
    assert resent.ledger.marks.page() == []


def test_words_that_moved_before_the_first_inventory_are_noticed(world: World) -> None:
    """RULES A8: the digest of a read is there from the first read on, and not only from the first listing."""
    world.published(StudyDescription="Old words")
    (copy,) = copies_of(world.ledger, STUDY)
    for instance in world.orthanc.index.all("Instance"):
        instance.tags["0008,1030"] = "New words"
    world.orthanc.handle("POST", f"/studies/{copy.orthanc_id}/reconstruct")
    assert world.swept() == {"changed": 1}
    world.turn()
    assert world.study()["description"] == "New words"


def test_a_ledger_from_before_the_digests_marks_nothing_at_first(resent: World) -> None:
    """RULES A8: what was not kept is not compared; the listing tells it of what nobody reads, and then it is."""
    resent.ledger._transactions.write(lambda tx: tx.connection.exec_driver_sql("UPDATE copies SET tags_digest = NULL"))
    assert resent.swept() == {}
    _reconstruct(resent)
    assert resent.swept() == {"changed": 1}


def _clean(world: World) -> None:
    """Whatever is pending was dealt with."""
    for row in world.ledger.marks.page():
        claim = claim_study(world.ledger, row.study_uid)
        assert claim is not None
        world.ledger.outcomes.commit(done(claim))


def test_a_share_is_counted_although_the_total_fits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES A8: each study once in 24 h, rolling, whatever `/statistics` says; never one call per study."""
    _swept(world)
    (copy,) = copies_of(world.ledger, STUDY)
    assert copy.instances == 1, "the publication counted it"
    world.ledger.sweep.keep_counts(MAIN, [copy.orthanc_id], {copy.orthanc_id: 2})
    _clean(world)
    world.clock.advance(100)
    monkeypatch.setattr(world.archive, "total_instances", lambda: 1)
    asked = len(world.orthanc.requests)
    assert world.swept(every=1.0) == {"count": 1}
    assert not [one for one in world.orthanc.requests[asked:] if one.path.endswith("/statistics")]


def test_all_are_counted_when_the_total_does_not_fit(world: World) -> None:
    """RULES A8: more studies than a share; the one that lost an instance is found all the same, past the site's limits."""
    world.orthanc.limits = Limits(results=2)
    for number in range(1, 8):
        for instance in (1, 2):
            world.store(f"{STUDY}.{number}", instance=instance, PatientID=f"P{number}")
    world.settle()
    world.poll()
    world.work()
    world.clock.advance(100)
    assert world.swept() == {}
    world.clock.advance(100)
    lost = world.orthanc.index
    victim = lost.all("Instance")[-1]
    study = lost.above(victim, "Study")
    before = study.metadata["LastUpdate"]
    world.orthanc.handle("DELETE", victim.path)
    study.metadata["LastUpdate"] = before
    world.clock.advance(100)
    assert world.swept(every=1.0) == {"count": 1}
    assert [row.study_uid for row in world.ledger.marks.page()] == [study.main["StudyInstanceUID"]]


def test_a_backlog_that_nobody_counted_is_not_counted_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES A8, A9: while an import is under way the total says nothing."""
    monkeypatch.setattr(room, "MOST_UNCOUNTED", 1)
    world.swept()
    for number in range(1, 5):
        world.store(f"{STUDY}.{number}")
    monkeypatch.setattr(world.archive, "total_instances", lambda: pytest.fail("asked for the total"))
    world.clock.advance(1)
    assert world.swept(every=1.0) == {"new": 4}


def test_a_ledger_from_before_the_counts_finds_what_was_lost_meanwhile(world: World) -> None:
    """RULES A8: the record knows how many instances were published, if the study has one copy."""
    world.store(instance=2)
    world.published()
    (copy,) = copies_of(world.ledger, STUDY)
    forget = "UPDATE copies SET instances = -1, counted_at = 0, labels = NULL"
    world.ledger._transactions.write(lambda tx: tx.connection.exec_driver_sql(forget))
    world.orthanc.handle("DELETE", _first_instance(world))
    world.orthanc.index.resources[copy.orthanc_id].metadata["LastUpdate"] = copy.last_update
    world.clock.advance(100)
    world.swept()  # ends the bootstrap
    assert world.swept() == {"count": 1}


def test_a_study_that_a_page_skipped_is_not_gone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES A8: one study is deleted between two pages, so another one is skipped by them; it is asked for by name."""
    monkeypatch.setattr("syncd.archive.rest.listings.STUDIES_PAGE", 2)
    for number in range(1, 7):
        world.store(f"{STUDY}.{number}", PatientID=f"P{number}")
    world.settle()
    world.poll()
    world.work()
    world.clock.advance(100)
    world.swept()
    world.clock.advance(100)
    _at_page(world, 2, lambda: world.delete(world.orthanc.index.all("Study")[0].id))
    assert world.swept() == {}, "the deleted one was listed: the next sweep judges it"
    world.clock.advance(100)
    assert world.swept() == {"gone": 1}


def _at_page(world: World, since: int, happens: Callable[[], None]) -> None:
    def rule(request: Request) -> Response | None:
        if request.path == "/studies" and request.query.get("since") == str(since):
            world.orthanc.rules.remove(rule)
            happens()
        return None

    world.orthanc.rules.append(rule)


def test_what_came_after_the_listing_began_is_not_gone(world: World) -> None:
    """RULES A8: only rows first seen before the listing began are compared."""
    _swept(world)

    def arrives(request: Request) -> Response | None:
        if request.path == "/studies" and "since" not in request.query:
            world.orthanc.rules.remove(arrives)
            answer = world.orthanc.answer(request)
            world.clock.advance(1)
            world.store(OTHER, PatientID="P2")
            world.settle()
            world.poll()
            world.turn(OTHER)
            return answer
        return None

    world.orthanc.rules.append(arrives)
    world.archive.studies_page = lambda since: ()  # type: ignore[method-assign]
    assert world.swept() == {}
    world.archives[MAIN] = world.new_archive()
    world.clock.advance(100)
    assert world.swept() == {}


def test_nothing_is_gone_before_the_first_inventory_is_committed(world: World) -> None:
    """RULES A1: whatever the ledger knows of an archive that is being listed for the first time."""
    world.published()
    world.delete(copies_of(world.ledger, STUDY)[0].orthanc_id)
    world.clock.advance(100)
    assert world.swept() == {}
    assert world.swept() == {"gone": 1}


def test_a_listing_that_breaks_off_judges_nothing(world: World) -> None:
    """RULES A1, A8: half a listing is none; the wish for a sweep stays."""
    _swept(world)
    world.store(OTHER, PatientID="P2")
    world.clock.advance(100)
    world.orthanc.rules.append(
        lambda request: Response(status=500) if request.path == "/studies" and "since" in request.query else None
    )
    with pytest.raises(Transient):
        world.swept()
    assert world.ledger.marks.page() == []
    position = world.ledger.feed.position(MAIN)
    assert position is not None and position.sweep_wanted
    world.orthanc.rules.clear()
    assert world.swept() == {"new": 1}


def test_a_daemon_that_stops_ends_its_sweep(world: World) -> None:
    """docs/cases.md "SIGTERM drains and stops": told at every slice, which may raise."""
    _swept(world)

    def stopping(_listed: int) -> None:
        raise Transient("stopping")

    with pytest.raises(Transient, match="stopping"):
        world.swept(progress=stopping)
    assert world.swept() == {}


def test_what_was_found_is_kept(world: World) -> None:
    """When the archive was last listed, and how many of each kind."""
    _swept(world)
    world.store(OTHER, PatientID="P2")
    began = world.clock()
    world.swept()
    last = world.ledger.sweep.last(MAIN)
    assert last is not None
    assert (last.began_at, last.listed, dict(last.found)) == (
        began,
        2,
        {"new": 1, "changed": 0, "stable": 0, "gone": 0, "count": 0},
    )
    assert list(world.ledger.sweep.windows(MAIN)) == [], "the listing is forgotten"


def test_a_changed_label_marks_its_study(new_world: Callable[..., World]) -> None:
    """RULES A8, docs/orthanc.md: 1.12 writes no change entry and does not move LastUpdate; once, and not again."""
    world = _swept(new_world())
    (copy,) = copies_of(world.ledger, STUDY)
    assert copy.labels == ""
    world.orthanc.handle("PUT", f"/studies/{copy.orthanc_id}/labels/teaching")
    world.orthanc.handle("PUT", f"/studies/{copy.orthanc_id}/labels/research")
    assert world.swept() == {"changed": 1}
    assert world.turn().decision is Decision.SKIP
    assert copies_of(world.ledger, STUDY)[0].labels == "research\\teaching"
    world.clock.advance(100)
    assert world.swept() == {}


@pytest.mark.parametrize(("choice", "marked"), [(Choice(), 1), (Choice(studies=frozenset({OTHER})), 0)])
def test_a_resync_sees_what_is_gone_if_it_is_chosen(world: World, choice: Choice, marked: int) -> None:
    """README.md: exit 0 only if in sync, by the archive's inventory."""
    _swept(world)
    world.delete(copies_of(world.ledger, STUDY)[0].orthanc_id)
    assert world.looked_through(Asked(chosen=choice)).marked == marked
