"""Rendering again with eyes open: what would change is told before, and it can be held (RULES B9; RULES B3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncd.cli.commands.rerender import sample_in_words
from syncd.errors import Unreachable
from syncd.loop.commands.foresight import Foresight, foreseen
from syncd.loop.connect import connect, connect_dry
from syncd.loop.context import Context
from syncd.model.words import Decision, Priority
from tests.loop.world import World

STUDIES = [f"1.2.276.{number}" for number in range(1, 5)]


def published(world: World, **tags: Any) -> None:
    for number, study in enumerate(STUDIES):
        world.published(study, PatientID=f"P{number}", **(tags if number % 2 else {}))


def other_settings(world: World, **changes: Any) -> Context:
    """As `check` sees the site after its settings changed: nothing is attached, written or marked."""
    world.policy = replace(world.policy, archive=replace(world.policy.archive, **changes))
    return replace(connect_dry(world.site, world.ledger), clock=world.clock)


def test_the_sample_tells_how_many_change_and_where(world: World) -> None:
    """RULES B9: rendered both ways, by the very functions that would send them; differing elements with counts."""
    published(world, AccessionNumber="A1")
    context, before = other_settings(world, accession_system="http://acc.test"), len(world.writes())
    seen = foreseen(context)
    assert (seen.outdated, seen.looked_at, seen.changing, seen.expected_changes) == (4, 4, 2, 2)
    assert dict(seen.elements) == {"basedOn": 2, "identifier": 2} and not +seen.others
    assert sample_in_words(seen) == "all looked at: 2 would change in FHIR: basedOn (2), identifier (2)"
    assert (len(world.writes()), world.ledger.overview.counts(world.clock()).dirty) == (before, 0)
    world.connect()
    assert [world.turn(study).decision for study in STUDIES] == [Decision.SKIP, Decision.UPDATE] * 2, "as was told"


def test_no_more_than_the_sample_is_looked_at(world: World) -> None:
    """RULES B9: a sample, whatever the number; then all are estimated by it."""
    published(world, AccessionNumber="A1")
    asked = len(world.orthanc.requests)
    seen = foreseen(other_settings(world, accession_system="http://acc.test"), size=2)
    assert (seen.outdated, seen.looked_at) == (4, 2)
    assert sample_in_words(Foresight(outdated=1000, looked_at=50, changing=10, elements=seen.elements)).startswith(
        "50 of them looked at: 10 would change in FHIR, about 200 of all"
    )
    assert len(world.orthanc.requests) - asked < 20


def test_what_becomes_of_the_rest_is_told_apart(world: World) -> None:
    """RULES C6: one that is gone or cannot be published is no change of the mapping."""
    published(world)
    world.sweep()
    world.delete(next(one.id for one in world.orthanc.index.all("Study") if one.main["StudyInstanceUID"] == STUDIES[0]))
    world.put({**world.study(STUDIES[1]), "status": "entered-in-error"})
    seen = foreseen(other_settings(world, study_id_system="http://unused.test"))
    assert (seen.looked_at, seen.changing) == (4, 0)
    assert dict(+seen.others) == {"retract": 1, "park": 1}
    assert sample_in_words(seen) == "all looked at: none would change in FHIR; 1 would be parked; 1 would be taken back"


def test_a_server_that_is_away_ends_it(world: World) -> None:
    """RULES C6: that is no study's matter."""
    published(world)
    context = other_settings(world, accession_system="http://acc.test")
    world.fhir.away = True
    with pytest.raises(Unreachable):
        foreseen(context)


def test_held_studies_stay_as_they_are_until_they_change(world: World) -> None:
    """POLICY__RERENDER=hold: not marked, counted; what is new or changed is published under the new mapping."""
    published(world, AccessionNumber="A1")
    world.policy = replace(world.policy, archive=replace(world.policy.archive, accession_system="http://acc.test"))
    context = replace(connect(replace(world.site, rerender="hold"), world.ledger), clock=world.clock)
    world._context = context
    counts = world.ledger.overview.counts(world.clock())
    assert (counts.dirty, counts.outdated, counts.held) == (0, 4, True)
    world.store(STUDIES[1], instance=2, PatientID="P1", AccessionNumber="A1")
    world.settle()
    world.poll()
    assert world.turn(STUDIES[1]).decision is Decision.UPDATE
    assert world.study(STUDIES[1])["basedOn"][0]["identifier"]["system"] == "http://acc.test"
    assert "system" not in world.study(STUDIES[3])["basedOn"][0]["identifier"]
    assert world.ledger.overview.counts(world.clock()).outdated == 3
    world.connect()
    counts = world.ledger.overview.counts(world.clock())
    assert (counts.dirty, counts.backfill, counts.held) == (3, 3, False), "let go"


def test_what_was_begun_can_be_held(world: World) -> None:
    """POLICY__RERENDER=hold after an upgrade that began: the rest is not rendered."""
    published(world, AccessionNumber="A1")
    world.policy = replace(world.policy, archive=replace(world.policy.archive, accession_system="http://acc.test"))
    world.connect()
    assert world.turn(STUDIES[1]).decision is Decision.UPDATE
    connect(replace(world.site, rerender="hold"), world.ledger)
    assert (world.ledger.overview.counts(world.clock()).dirty, world.ledger.overview.counts(world.clock()).outdated) == (
        0,
        3,
    )


def test_rendering_again_is_old_work(world: World) -> None:
    """RULES A9, B3: at backfill priority, so at its rate and in its hours."""
    published(world)
    world.policy = replace(world.policy, archive=replace(world.policy.archive, accession_system="http://acc.test"))
    world.connect()
    assert {row.priority for row in world.ledger.marks.page()} == {Priority.BACKFILL}
    assert world.ledger.claims.take(9, now=world.clock(), most_backfill=0) == []
