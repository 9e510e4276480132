"""kill -9 after every single change that lasts, in every phase of a site's life, once and twice: on the fakes.

What the site looks like in the end is compared with the same story told without a death.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import Unreachable
from tests.crash.mortal import Killed, Mortal, empty_ledger
from tests.fakes.http import Request, Response
from tests.loop.world import MAIN

OLDER, NEWER, ARRIVING = "1.2.276.11", "1.2.276.12", "1.2.276.13"

ENDS_GONE = frozenset({"a study is taken back", "a study is deleted"})
"""There the world waits until syncd has looked: what vanishes unseen leaves nothing, which is another ending."""

Event = Callable[[Mortal], None]


def _found(world: Mortal) -> None:
    """Two studies of one patient lie there; the newer one speaks for the patient."""
    world.store(OLDER, PatientID="shared", StudyDate="20230101", AccessionNumber="A-1")
    world.store(NEWER, PatientID="shared", StudyDate="20240101", PatientSex="F", modality="MR")
    world.settle()


def _arrives(world: Mortal) -> None:
    world.store(ARRIVING, PatientID="other", AccessionNumber="A-2")
    world.store(ARRIVING, PatientID="other", AccessionNumber="A-2", instance=2)


def _arrives_at_once(world: Mortal) -> None:
    """Stable before syncd sees it, so `available` is the first that is said of it."""
    _arrives(world)
    world.settle()


def _settles(world: Mortal) -> None:
    world.settle()


def _late(world: Mortal) -> None:
    world.store(ARRIVING, PatientID="other", AccessionNumber="A-2", instance=3)


def _lost(world: Mortal) -> None:
    for study in world.orthanc.handle("POST", "/tools/lookup", body=ARRIVING.encode()).json:
        world.delete(study["ID"]) if study["Type"] == "Study" else None


def _corrected(accession: str) -> Event:
    """The study is deleted and sent again with another accession number, under the same Orthanc id."""

    def correct(world: Mortal) -> None:
        _lost(world)
        world.store(ARRIVING, PatientID="other", AccessionNumber=accession)
        world.settle()

    return correct


def _wiped(world: Mortal) -> None:
    world.fhir.wipe()


def _goes(world: Mortal) -> None:
    _lost(world)
    world.gone.add(ARRIVING)


def _returns(world: Mortal) -> None:
    world.gone.discard(ARRIVING)
    _arrives_at_once(world)


def _deleting(world: Mortal) -> None:
    """The site wants what is gone to be deleted."""
    world.on_delete = "delete"
    _arrives_at_once(world)


BACKLOG = tuple(f"1.2.276.{number}" for number in range(21, 28))
"""More than there are threads, and so done in batches."""


def _backlog(world: Mortal) -> None:
    """Seven studies of four people, stable before syncd sees them."""
    for number, study in enumerate(BACKLOG):
        world.store(study, PatientID=f"backlog-{number % 4}", StudyDate=f"2024010{number + 1}")
    world.settle()


def _grows(world: Mortal) -> None:
    for number, study in enumerate(BACKLOG):
        world.store(study, PatientID=f"backlog-{number % 4}", StudyDate=f"2024010{number + 1}", instance=2)
    world.settle()


def _goes_away_soon(world: Mortal) -> None:
    """The FHIR server is away from the third study on that is written."""
    puts = itertools.count(1)

    def go(request: Request) -> Response | None:
        if request.method == "PUT" and "/ImagingStudy/" in request.path:
            world.fhir.away = next(puts) > 2
        return None

    world.fhir.rules.insert(0, go)
    _backlog(world)


def _comes_back(world: Mortal) -> None:
    world.fhir.rules.pop(0)
    world.fhir.away = False


STORIES: dict[str, tuple[Event, ...]] = {
    "a backlog": (_backlog, _grows),
    "a backlog meets an outage": (_goes_away_soon, _comes_back),
    "a study arrives": (_found, _arrives, _settles, _late, _settles),
    "a study grows": (_arrives_at_once, _late, _settles),
    "a study is taken back": (_arrives_at_once, _goes),
    "a study returns": (_arrives_at_once, _goes, _returns),
    "a study is deleted": (_deleting, _goes),
    "a deleted study returns": (_deleting, _goes, _returns),
    "a study is corrected": (_arrives, _corrected("A-3"), _corrected("A-4")),
    "the FHIR server is reset": (_found, _arrives, _wiped, _settles),
}


def told(world: Mortal, story: Iterable[Event], *, deaths: Iterable[int] = (), meanwhile: bool = False) -> None:
    """Each event, and then what syncd makes of it; after each death another process goes on.

    `deaths`: after how many lasting changes each process dies. `meanwhile`: the world's next event does not wait for it.
    """
    events, ends = iter(story), iter(deaths)
    world.dies_after = next(ends, None)
    for event in events:
        event(world)
        while True:
            try:
                world.live()
                break
            except Unreachable:  # a start waits for it, and the world goes on
                break
            except Killed:
                missed = next(events, None) if meanwhile else None
                if missed:
                    missed(world)
                world.restart()
                world.dies_after = next(ends, None)


def ending(world: Mortal) -> dict[str, Any]:
    """What the FHIR server says in the end, but for versions and times, which a death may change."""
    world.restart()
    world.settle()
    world.live()
    kinds = ("ImagingStudy", "Patient", "Endpoint")
    found = [one for kind in kinds for one in world.fhir.resources(kind)]
    said = {f"{one['resourceType']}/{one['id']}": {**one, "meta": _lasting(one["meta"])} for one in found}
    target = world.ledger.facts.target()
    assert target is not None
    said["sentinel"] = said.pop(f"Endpoint/{target.sentinel_id}")["status"]
    return said


def clean(world: Mortal) -> None:
    """The ledger remembers all of it, owes nothing, and holds nothing of ours for somebody else's."""
    assert not world.ledger.marks.page()
    assert not world.ledger.records.page_parked()
    budget = world.ledger.retractions.brake(MAIN)
    assert budget.published == sum(not one.retracted for one in world.ledger.records.page())
    taken_back = 0
    for record in world.ledger.records.page():
        assert world.ledger.claims.find_intent(record.study_uid) is None
        assert record.foreign == {}
        there = {one["id"]: one["meta"]["versionId"] for one in world.fhir.resources("ImagingStudy")}
        assert (record.study_uid in there) is (record.retracted != "deleted")
        history = world.fhir.handle("GET", f"/fhir/ImagingStudy/{record.study_uid}/_history").json["entry"]
        assert record.version == there.get(record.study_uid, str(len(history)))
        versions = [entry["resource"] for entry in reversed(history) if "resource" in entry]
        statuses = [one["status"] for one in versions]
        assert "registered" not in statuses[1:], "never back from available to registered"
        taken_back += statuses.count("cancelled")
        for before, after in itertools.pairwise({**one, "meta": None} for one in versions):
            assert before != after, "written again without a change"
    # Who died between the intent and the write pays, although nothing was sent in the end.
    assert budget.planned == 0
    assert taken_back <= budget.spent <= 1, "paid once, whatever died"


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder that no disk stands behind, where there is one: only processes die here, and fsync costs minutes."""
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=shared if os.access(shared, os.W_OK) else None))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.machine
@pytest.mark.parametrize("name", STORIES)
def test_a_death_after_any_change_leaves_enough_to_go_on(name: str, memory: Path) -> None:
    """RULES A1, A2, A6, B4, C3, C5, E3: the end of the story is the same.

    After each change, a second death comes somewhere soon after; the world goes on while nobody looks every other time.
    """
    told_with(
        memory,
        STORIES[name],
        deaths=lambda first: [((first, first * 7 % 31 + 1), bool(first % 2) and name not in ENDS_GONE)],
    )


def test_what_a_killed_process_sent_stays_ours_after_a_second_death(memory: Path) -> None:
    """RULES C3: sent, never recorded, and the next intent was never sent: the first one's values are not somebody else's."""
    worlds = _worlds(memory)
    world = next(worlds)
    _arrives_at_once(world)
    for change in ("PUT ImagingStudy", "ledger Claims.save_intents"):
        world.dies_at = change
        with pytest.raises(Killed):
            world.live()
        world.restart()
        _corrected("A-3")(world)
    world.live()
    clean(world)
    assert [one["value"] for one in world.study(ARRIVING)["identifier"]] == [f"urn:oid:{ARRIVING}", "A-3"]


def test_cursor_and_marks_move_together_whatever_dies(memory: Path) -> None:
    """RULES A2: what the feed told is marked as soon as the cursor has passed it, after each change a poll makes."""
    worlds = _worlds(memory)
    for number in itertools.count(1):
        world = next(worlds)
        world.live()
        before = world.ledger.feed.position(MAIN)
        _arrives(world)
        world.dies_after = number
        try:
            world.poll()
        except Killed:
            world.restart()
        moved, marked = world.ledger.feed.position(MAIN) != before, world.ledger.marks.find(ARRIVING) is not None
        assert moved is marked, f"after {number} changes"
        if world.dies_after:  # it lived, and has made fewer changes than that
            break
    assert moved


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", STORIES)
def test_any_two_deaths_leave_enough_to_go_on(name: str, memory: Path) -> None:
    """The same, exhaustively: a second death after 41 changes or more is none."""
    told_with(
        memory,
        STORIES[name],
        deaths=lambda first: [
            ((first, second), goes_on) for second in range(1, 42) for goes_on in {False, name not in ENDS_GONE}
        ],
    )


Fate = tuple[tuple[int, ...], bool]


def told_with(folder: Path, story: Iterable[Event], *, deaths: Callable[[int], list[Fate]]) -> None:
    """The story without a death, and with each of `deaths` of each change, end alike."""
    worlds = _worlds(folder)
    unharmed = next(worlds)
    told(unharmed, story)
    changes = len(unharmed.changes)
    expected = ending(unharmed)
    clean(unharmed)
    for lives, meanwhile in itertools.chain.from_iterable(map(deaths, range(1, changes + 1))):
        world = next(worlds)
        told(world, story, deaths=lives, meanwhile=meanwhile)
        assert ending(world) == expected, (lives, meanwhile, world.changes)
        clean(world)


def _lasting(meta: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in meta.items() if name not in ("versionId", "lastUpdated")}
    return {**kept, "source": meta["source"].partition("#")[0]}  # HAPI adds the number of the request


def _worlds(folder: Path) -> Iterator[Mortal]:
    empty = empty_ledger(folder)
    for number in itertools.count():
        own = folder / str(number)
        own.mkdir()
        world = Mortal(own, empty_ledger=empty)
        try:
            yield world
        finally:
            world.ledger.close()
            world.archive.close()
            shutil.rmtree(own)
