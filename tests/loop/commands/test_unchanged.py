"""A resync reads what can have changed, and nothing else (docs/decisions/resync-by-inventory.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, update

from syncd.ledger.db.rows import to_row
from syncd.ledger.db.schema import copies, intents, parked, records, unselected
from syncd.ledger.ledger import Ledger
from syncd.loop.archives import listing
from syncd.loop.archives.listing import Asked
from syncd.loop.commands.resync import Choice, rehearse
from syncd.model.words import Decision, StudyState, Tombstone
from syncd.model.work import Intent, ParkedStudy
from syncd.selection.rules import rules
from syncd.selection.site import Selection
from tests.ledger.made import copies_of, counted, record
from tests.loop.world import MAIN, OTHER, SECOND, STUDY, ShortOrthanc, World

VERSIONS = ("1.10.1", "1.12.7")


def made(new_world: Callable[..., World], version: str) -> World:
    world = new_world()
    world.orthanc = ShortOrthanc(version, clock=world.clock)
    world.archive.close()
    world.archives[MAIN] = world.new_archive()
    return world


@pytest.fixture(params=VERSIONS)
def world(request: pytest.FixtureRequest, new_world: Callable[..., World]) -> World:
    """One study, published by a resync, and a while ago."""
    return published(new_world, request.param)


@pytest.fixture
def old(new_world: Callable[..., World]) -> World:
    """The same in 1.10.1, which is asked for more."""
    return published(new_world, "1.10.1")


def published(new_world: Callable[..., World], version: str) -> World:
    world = made(new_world, version)
    world.store()
    world.settle()
    assert world.resynced().decisions == {Decision.CREATE: 1}
    world.clock.advance(100)
    return world


def asked(world: World) -> Asked:
    return Asked(fingerprint=world.context.fingerprint)


def reads(world: World) -> list[str]:
    """Requests to the archive that are about one study."""
    return [one.path for one in world.orthanc.requests if one.path.count("/") > 1 and one.path.startswith("/studies/")]


def test_an_unchanged_study_is_not_read(world: World) -> None:
    """README.md, `resync`: in sync, and neither server was asked for the study; `--full` reads it as ever."""
    world.orthanc.requests.clear()
    world.fhir.requests.clear()
    report = world.resynced()
    assert (report.in_sync, report.listed, report.unchanged, report.marked, report.decisions) == (True, 1, 1, 0, {})
    assert reads(world) == []
    assert world.asked("/ImagingStudy") == []
    full = world.resynced(full=True)
    assert (full.in_sync, full.unchanged, full.marked, full.decisions) == (True, 0, 1, {Decision.SKIP: 1})
    assert reads(world) != []


def _set(world: World, statement: Any) -> None:
    world.ledger._transactions.write(lambda tx: tx.connection.execute(statement))


def _parks(world: World, **changes: Any) -> None:
    entry = ParkedStudy(study_uid=STUDY, reason="refused", parked_at=world.clock(), **changes)
    _set(world, insert(parked).values(to_row(entry)))


def _intends(world: World) -> None:
    intent = Intent(study_uid=STUDY, resource_id=STUDY, digest="d", expected_version="1")
    _set(world, insert(intents).values(to_row(intent)))


def _is_left_out(world: World, state: StudyState) -> None:
    row = {"study_uid": STUDY, "archive": MAIN, "state": state.value, "rule": "r", "study_date": "", "since": 1.0}
    _set(world, insert(unselected).values(row))


IN_QUESTION: dict[str, Callable[[World], Any]] = {
    "another fingerprint": lambda world: _set(world, update(records).values(fingerprint="another")),
    "parked": _parks,
    "dropped": lambda world: _parks(world, dropped=True),
    "intended": _intends,
    "registered": lambda world: _set(world, update(records).values(status="registered")),
    "taken back": lambda world: _set(world, update(records).values(retracted=Tombstone.WITHDRAWN.value)),
    "kept though gone": lambda world: _set(world, update(records).values(retracted=Tombstone.KEPT.value)),
    "waiting": lambda world: world.mark(),
    "never published": lambda world: _set(world, records.delete()),
    "another LastUpdate": lambda world: _set(world, update(copies).values(last_update="20200101T000000")),
    "LastUpdate unknown": lambda world: _set(world, update(copies).values(last_update="")),
    "other words": lambda world: _set(world, update(copies).values(tags_digest="00000000")),
    "words unknown": lambda world: _set(world, update(copies).values(tags_digest=None)),
    "another copy": lambda world: _set(world, copies.delete()),
    "still arriving": lambda world: world.orthanc.index.unstable.update(
        {one.id: world.clock() for one in world.orthanc.index.all("Study")}
    ),
}
SETTLED: dict[str, Callable[[World], Any]] = {
    "as it was": lambda world: None,
    "left out": lambda world: (_set(world, records.delete()), _is_left_out(world, StudyState.EXCLUDED)),
    "outside the history": lambda world: (_set(world, records.delete()), _is_left_out(world, StudyState.OUTSIDE_HISTORY)),
    "taken back because it is left out": lambda world: (
        _set(world, update(records).values(retracted=Tombstone.WITHDRAWN.value)),
        _is_left_out(world, StudyState.EXCLUDED),
    ),
    "labels unknown": lambda world: _set(world, update(copies).values(labels=None)),
    "count unknown, and as published": lambda world: _set(world, update(copies).values(instances=-1)),
}
CASES = [(name, act, 1) for name, act in IN_QUESTION.items()] + [(name, act, 0) for name, act in SETTLED.items()]


@pytest.mark.parametrize(("act", "marked"), [(act, marked) for _, act, marked in CASES], ids=[name for name, *_ in CASES])
@pytest.mark.parametrize("owner", [True, False], ids=["owner", "second process"])
def test_what_is_not_known_unchanged_and_settled_is_looked_at(
    old: World, act: Callable[[World], Any], marked: int, owner: bool
) -> None:
    """docs/decisions/resync-by-inventory.md: the same question, asked by the ledger's owner or beside it."""
    act(old)
    if owner:
        looked = old.looked_through(asked(old))
    else:
        with Ledger.open_guest(old.ledger_url, clock=old.clock) as guest:
            looked = listing.mark_listed(old.source(), guest, asked=asked(old))
    assert (looked.marked, looked.unchanged) == (marked, 1 - marked)
    assert [row.study_uid for row in old.ledger.marks.page()] == [STUDY] * marked


@pytest.mark.parametrize("owner", [True, False], ids=["owner", "second process"])
def test_a_deleted_instance_is_counted(new_world: Callable[..., World], owner: bool) -> None:
    """RULES A8: 1.10 moves no LastUpdate; and a total that fits is no proof, for another study got an instance."""
    world = made(new_world, "1.10.1")
    for study in (STUDY, OTHER):
        for instance in (1, 2):
            world.store(study, instance=instance, PatientID=study)
    world.settle()
    world.resynced()
    world.clock.advance(100)
    world.orthanc.handle("DELETE", world.orthanc.index.all("Instance")[0].path)
    world.store(OTHER, instance=3, PatientID=OTHER)
    world.clock.advance(100)
    if owner:
        looked = world.looked_through(asked(world))
    else:
        with Ledger.open_guest(world.ledger_url, clock=world.clock) as guest:
            looked = listing.mark_listed(world.source(), guest, asked=asked(world))
    assert (looked.marked, looked.unchanged) == (2, 0)
    assert {row.study_uid for row in world.ledger.marks.page()} == {STUDY, OTHER}


def test_a_copy_that_was_never_counted_is_read_if_its_record_cannot_tell(
    new_world: Callable[..., World],
) -> None:
    """RULES C8, A8: the record's number is that of both copies; once, for the look counts."""
    world = made(new_world, "1.10.1").with_second()
    world.store()
    world.store(at=SECOND, series=2)
    world.settle()
    world.resynced()
    world.clock.advance(100)
    _set(world, update(copies).values(instances=-1, counted_at=0.0))
    report = world.resynced()
    assert (report.in_sync, report.decisions) == (True, {Decision.SKIP: 1})
    world.clock.advance(100)
    assert world.resynced().decisions == {}
    assert {one.instances for one in copies_of(world.ledger, STUDY)} == {1}


def test_other_rules_are_judged(world: World) -> None:
    """RULES of selection: marked before the listing; a rehearsal, which may mark nothing, judges all of that archive."""
    world.selection = Selection(rules=rules(exclude=["modality=CT"]), on_deselect="entered-in-error")
    world._context = None
    assert [decision for _, decision, _ in rehearse(world.site, world.ledger, choice=Choice())] == [Decision.RETRACT]
    assert world.resynced().decisions == {Decision.RETRACT: 1}
    world.clock.advance(100)
    report = world.resynced()
    assert (report.in_sync, report.unchanged, report.decisions) == (True, 1, {})


def test_a_server_that_was_reset_has_all_of_it_looked_at(world: World) -> None:
    """RULES C6, E3: the sentinel says so, whatever the archive says."""
    world.fhir.store.versions.clear()
    world._context = None
    report = world.resynced()
    assert (report.in_sync, report.unchanged, report.decisions) == (True, 0, {Decision.CREATE: 1})


def test_who_names_a_study_wants_it_looked_at(world: World) -> None:
    """README.md, `resync --study`: FHIR included."""
    world.fhir.requests.clear()
    report = world.resynced(studies=frozenset({STUDY}))
    assert report.decisions == {Decision.SKIP: 1}
    assert world.asked(f"/ImagingStudy/{STUDY}") != []


def test_a_date_only_narrows(world: World) -> None:
    """README.md, `resync --since`."""
    for since, unchanged in (("20240101", 1), ("20250101", 0)):
        report = world.resynced(since=since)
        assert (report.listed, report.unchanged, report.marked) == (1, unchanged, 0)
    assert world.resynced(since="20240101", full=True).decisions == {Decision.SKIP: 1}


def test_a_rehearsal_reads_no_more_than_the_run_would(world: World) -> None:
    """README.md, `resync --dry-run`: every study is told; nothing of an unchanged one is asked."""
    world.store(OTHER, PatientID="P2")
    world.settle()
    world.orthanc.requests.clear()
    rows = {uid: (decision, reason) for uid, decision, reason in rehearse(world.site, world.ledger, choice=Choice())}
    assert rows == {STUDY: (Decision.SKIP, "unchanged"), OTHER: (Decision.CREATE, "new")}
    (known,) = (one.id for one in world.orthanc.index.all("Study") if one.main["StudyInstanceUID"] == STUDY)
    assert not [path for path in reads(world) if known in path]


MANY, PAGE = 240, 60


@pytest.fixture(params=VERSIONS)
def many(request: pytest.FixtureRequest, new_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> World:
    """An archive of several pages, all published long ago."""
    monkeypatch.setattr("syncd.archive.rest.listings.STUDIES_PAGE", PAGE)
    monkeypatch.setattr("syncd.archive.orthanc.BULK", PAGE)
    monkeypatch.setattr("syncd.loop.archives.staged.NAMED_AT_ONCE", PAGE)
    monkeypatch.setattr("syncd.ledger.inventories.archive_inventory.WINDOW", PAGE)
    world = made(new_world, request.param)
    for number in range(MANY):
        world.store(f"{STUDY}.{number}", PatientID=f"P{number}")
    world.settle()
    world.orthanc.handle("DELETE", "/changes")
    fill(world)
    world.resynced()
    world.clock.advance(1000)
    return world


def fill(world: World) -> None:
    """Every study of the archive is published, and nothing is pending."""
    fingerprint = world.context.fingerprint
    found = list(world.archive.inventory())
    held = [
        {
            "archive": MAIN,
            "orthanc_id": one.orthanc_id,
            "study_uid": one.study_uid,
            "last_update": one.last_update,
            "first_seen": 1.0,
            "instances": 1,
            "counted_at": 1.0,
            "labels": one.labels,
            "tags_digest": one.tags_digest,
        }
        for one in found
    ]
    told = [to_row(record(one.study_uid, fingerprint=fingerprint, archive=MAIN)) for one in found]

    def change(tx: Any) -> None:
        tx.connection.execute(insert(copies), held)
        tx.connection.execute(insert(records), told)
        tx.count("published", word="available", by=len(told))

    world.ledger._transactions.write(change)


def test_an_unchanged_archive_costs_pages_and_no_study(many: World) -> None:
    """RULES A8, E8: calls and statements go by pages, and the FHIR server is asked for itself only."""
    many.orthanc.requests.clear()
    many.fhir.requests.clear()
    with counted(many.ledger) as statements:
        report = many.resynced()
    assert (report.in_sync, report.listed, report.unchanged, report.marked) == (True, MANY, MANY, 0)
    pages = MANY // PAGE
    listed = [one.path for one in many.orthanc.requests]
    assert listed.count("/studies") == 1 + pages + 1, "the ids, and pages until an empty one"
    assert listed.count("/tools/bulk-content") == (1 + pages if many.orthanc.version == "1.10.1" else 1), (
        "a sample proves that it is the same archive; the counts"
    )
    assert len(listed) <= 2 * pages + 15
    assert many.writes() == []
    assert len(many.fhir.requests) <= 10
    assert len(statements) <= 20 * pages + 70
