"""What follows a write survives kill -9, too: the Provenance that it owes, and the studies that move with their Patient.

Each story is played until the n-th lasting change of its last part, for every n there is; then another process goes on.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncd.loop.fhir.turned_up import DAY, look_around
from tests.crash.mortal import Killed, Mortal, empty_ledger
from tests.loop.world import OTHER, STUDY, SYSTEM, puts, refused

pytestmark = pytest.mark.machine
"""Minutes of stories in memory: a part of the run of their own."""

Part = Callable[[Mortal], None]


def _two_studies(world: Mortal) -> None:
    for study in (STUDY, OTHER):
        world.store(study)
    world.settle()
    world.live()


def _another_patient(world: Mortal) -> None:
    """The archive holds the first study under another PatientID."""
    for one in world.orthanc.handle("POST", "/tools/lookup", body=STUDY.encode()).json:
        if one["Type"] == "Study":
            world.delete(one["ID"])
    world.store(STUDY, PatientID="P-2")
    world.settle()


def _theirs(world: Mortal) -> None:
    identifier = [{"system": SYSTEM, "value": "P"}]
    world.put({"resourceType": "Patient", "id": "his-1", "identifier": identifier})


def _deaths(folder: Path, *, before: Part) -> Iterator[Mortal]:
    """A world for each lasting change that may be the last; ends when one is not reached any more."""
    empty = empty_ledger(folder)
    for last in itertools.count(1):
        own = folder / str(last)
        own.mkdir()
        world = Mortal(own, empty_ledger=empty)
        try:
            _two_studies(world)
            before(world)
            world.dies_after = last
            yield world
        finally:
            world.ledger.close()
            world.archive.close()
            shutil.rmtree(own)
        if world.dies_after is not None:
            return


def _goes_on(world: Mortal, act: Part) -> None:
    """`act` until death, then another process to the end; where nothing died, `dies_after` is still set."""
    try:
        act(world)
    except Killed:
        world.restart()
        act(world)
    left, world.dies_after = world.dies_after, None
    _ending(world)
    world.dies_after = left


def _ending(world: Mortal) -> None:
    for _ in range(2):
        world.settle()
        world.mark(STUDY)
        world.mark(OTHER)
        world.work_here()
    assert not world.ledger.marks.page()
    assert not world.ledger.records.page_parked()
    assert not world.ledger.outbox.of_study(STUDY)
    assert not world.ledger.outbox.of_study(OTHER)


def test_a_provenance_that_is_owed_is_written_once(tmp_path: Path) -> None:
    """RULES B8: killed anywhere between the archive's change and the last commit: one, in its first version."""
    lives = 0
    for world in _deaths(tmp_path, before=_another_patient):
        _goes_on(world, Mortal.live)
        (told,) = world.fhir.resources("Provenance")
        assert told["target"][0]["reference"] == f"ImagingStudy/{STUDY}"
        assert (told["meta"]["versionId"], world.study()["meta"]["versionId"]) == ("1", "2")
        lives += 1
    assert lives > 6


def test_studies_move_with_their_patient(tmp_path: Path) -> None:
    """RULES B4: killed anywhere between the round's marks and the last commit: both moved, ours gave way once."""

    def act(world: Mortal) -> None:
        if world._context is None:
            world.connect()
        world.clock.advance(DAY)
        look_around(world.context, every=60.0)
        world.work_here()

    lives = 0
    for world in _deaths(tmp_path, before=_theirs):
        _goes_on(world, act)
        assert {world.study(one)["subject"]["reference"] for one in (STUDY, OTHER)} == {"Patient/his-1"}
        (ours,) = (one for one in world.fhir.resources("Patient") if one["id"] != "his-1")
        assert (ours["active"], ours["meta"]["versionId"]) == (False, "2")
        assert [world.study(one)["meta"]["versionId"] for one in (STUDY, OTHER)] == ["2", "2"]
        assert len(world.fhir.resources("Provenance")) == 2
        lives += 1
    assert lives > 10


@pytest.mark.parametrize("status", [400, 500])
def test_a_refused_provenance_leaves_the_study_as_it_is(tmp_path: Path, status: int) -> None:
    """RULES B8: killed between study and Provenance, and refused by the next process: the study never waits."""
    world = Mortal(tmp_path)
    _two_studies(world)
    _another_patient(world)
    world.dies_at = "PUT Device"
    with pytest.raises(Killed):
        world.live()
    world.restart()
    world.fhir.rules.insert(0, lambda request: refused(status) if puts("Provenance")(request) else None)
    world.settle()
    world.live()
    assert not world.ledger.marks.page() and not world.ledger.records.page_parked()
    assert len(world.ledger.outbox.of_study(STUDY)) == (0 if status == 400 else 1)
    world.ledger.close()
    world.archive.close()
