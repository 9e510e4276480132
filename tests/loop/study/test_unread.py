"""What one unreadable file, one unreadable study and one unreadable archive cost: RULES B7, B11, C6."""

from __future__ import annotations

import json
from typing import Any

import pytest

from syncd.errors import TornRead
from syncd.loop.study.conclusion import DAILY, LATER, SOON
from syncd.loop.workers.failures import IN_A_ROW
from syncd.model.study.rejection import QUALITY, SAFETY
from syncd.model.words import Decision, TargetState
from syncd.model.work import ATTEMPTS, MarkKind
from tests.fakes.http import Request, Response
from tests.fakes.orthanc_tags import orthanc_id
from tests.loop.hands import work_until
from tests.loop.rejecting import NOTES, note, uid
from tests.loop.world import MAIN, OTHER, STUDY, World

pytestmark = pytest.mark.usefixtures("impatient")


def _lose(world: World, *instance_ids: str, status: int = 500) -> None:
    """The index has them, their files are gone."""

    def rule(request: Request) -> Response | None:
        lost = any(request.path.startswith(f"/instances/{one}/") for one in instance_ids)
        return Response(status=status) if lost else None

    world.orthanc.rules.append(rule)


def _instances(world: World, study: str) -> list[str]:
    shown = json.loads(world.orthanc.handle("GET", f"/studies/{study}/instances").body)
    return sorted(one["ID"] for one in shown)


def _rejected_in(resource: dict[str, Any]) -> int:
    return int(resource["numberOfInstances"])


def _ready(world: World, study: str = STUDY, **tags: Any) -> str:
    stored = world.store(study, **tags)
    world.settle()
    world.poll()
    return stored


def _neighbour(world: World) -> None:
    world.published(OTHER, PatientID="P2")


def test_a_study_whose_only_file_is_lost_is_published_from_the_index(world: World) -> None:
    """RULES B11: its words and its patient's name, but no number of which nobody knows who issued it; all of it noted."""
    _neighbour(world)
    stored = _ready(world, PatientID="P1", AccessionNumber="A1", StudyDescription="Thorax", Laterality="L")
    _lose(world, *_instances(world, stored))
    outcome = world.turn()
    resource = world.study()
    assert outcome.decision is Decision.CREATE
    assert (resource["description"], resource["numberOfInstances"]) == ("Thorax", 1)
    assert "P1" not in json.dumps(resource) and "A1" not in json.dumps(resource)
    assert "laterality" not in resource["series"][0]


def test_what_was_lost_is_looked_at_again_and_said_when_it_is_back(world: World) -> None:
    """RULES B11: nothing tells of a restored file; it is asked for soon, then daily."""
    _neighbour(world)
    stored = _ready(world, PatientID="P1")
    _lose(world, *_instances(world, stored))
    began = world.clock()
    assert (world.turn().done, _due_in(world)) == (False, SOON)
    world.clock.advance(10 * DAILY)
    world.turn()
    assert _due_in(world) == DAILY
    assert world.clock() - began > DAILY
    world.orthanc.rules.clear()
    assert world.turn().decision is Decision.UPDATE
    assert world.ledger.marks.find(STUDY) is None
    assert "P1" in json.dumps(world.fhir.resources("Patient"))


def test_a_slow_archive_is_given_more_time_than_a_spoilt_network(world: World) -> None:
    """RULES B11: what came too late cost the archive much, and an early look would cost it that again."""
    _neighbour(world)
    (instance,) = _instances(world, _ready(world, PatientID="P1"))

    def late(request: Request) -> Response | None:
        if request.path.startswith(f"/instances/{instance}/"):
            raise TimeoutError("late")
        return None

    world.orthanc.rules.append(late)
    assert (world.turn().done, _due_in(world)) == (False, LATER)


def test_what_was_published_is_not_said_anew_with_nothing_to_read(world: World) -> None:
    """RULES B11: its patient is known to FHIR, and no longer to the archive; it is parked and stays as it was."""
    _neighbour(world)
    world.published(PatientID="P1")
    before = world.study()
    stored = _ready(world, series=2, PatientID="P1")
    _lose(world, *_instances(world, stored))
    world.mark()
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "server-error"
    assert "no file" in outcome.parked.detail
    assert world.study() == before


def test_a_rejection_note_that_cannot_be_read_rejects_what_it_rejected(world: World) -> None:
    """RULES B7: it is there, and the ledger knows what it said; no grace ends that."""
    _neighbour(world)
    world.store(instance=1, PatientID="P1")
    world.store(instance=2, PatientID="P1")
    note(world, QUALITY, {STUDY: [uid(2)]}, PatientID="P1")
    world.settle()
    world.poll()
    world.turn()
    shown = _rejected_in(world.study())
    _lose(world, _note_id())
    for _ in range(2):
        world.clock.advance(100 * DAILY)
        world.mark()
        world.turn()
        assert _rejected_in(world.study()) == shown
    assert all(one.first_missing_at == 0.0 for one in world.ledger.rejections.find_concerning(STUDY))


def test_a_rejection_note_never_read_costs_nobody_the_study(world: World) -> None:
    """RULES B11: what it rejects is unknown; the images are shown as before it came, and a safety note says so."""
    _neighbour(world)
    world.store(instance=1, PatientID="P1")
    note(world, SAFETY, {STUDY: [uid(1)]}, PatientID="P1")
    world.settle()
    world.poll()
    _lose(world, _note_id())
    task = world.task()
    world.ledger.claims.release(STUDY)
    raw = task.context.archives[MAIN].archive.read_study(task.claim.copies[0].orthanc_id)
    assert [why.may_pass for why in raw.unread.values()] == [True]
    assert world.turn().decision is Decision.CREATE


# -- whose fault -------------------------------------------------------------------------------------------------------


def _unreadable(world: World, *studies: str) -> None:
    """Their instances cannot be listed: nothing of them can be published."""

    def rule(request: Request) -> Response | None:
        named = request.path == "/tools/find" and any(one.encode() in request.body for one in studies)
        return Response(status=500) if named else None

    world.orthanc.rules.append(rule)


def test_studies_that_cannot_be_read_cost_the_archive_nothing_while_it_serves_others(world: World) -> None:
    """RULES C6: more than five of them, nothing is written meanwhile, and each is parked after 20 tries with its
    reason; until then `status` names it."""
    _neighbour(world)
    studies = [f"1.2.276.{number}" for number in range(10, 11 + IN_A_ROW)]
    _unreadable(world, *studies, *[_ready(world, one, PatientID=one) for one in studies])
    with world.working() as workers:
        for attempt in range(ATTEMPTS):
            work_until(workers, lambda: world.ledger.overview.counts(world.clock()).due == 0 and not workers.in_flight)
            assert workers._archives[MAIN].state is TargetState.OK
            named = {one.study_uid: one for one in world.ledger.overview.find_failing()}
            if attempt < ATTEMPTS - 1:
                assert set(named) == set(studies)
                assert all("HTTP 500" in one.reason for one in named.values())
            world.clock.advance(301)
    assert {one.study_uid: one.reason for one in world.ledger.records.page_parked()} == dict.fromkeys(
        studies, "server-error"
    )
    assert all("HTTP 500" in one.detail for one in world.ledger.records.page_parked())
    assert world.ledger.overview.find_failing() == []


def test_an_archive_that_serves_nobody_is_closed_at_the_first_study(world: World) -> None:
    """RULES C6: its /system answers, and nothing else; no study pays."""
    _neighbour(world)
    _ready(world, PatientID="P1")
    world.orthanc.rules.append(lambda request: Response(status=500) if request.path == "/tools/find" else None)
    with world.working() as workers:
        work_until(workers, lambda: not workers._archives[MAIN].is_closed)
        assert "no other study" in workers._archives[MAIN].reason
    row = world.ledger.marks.find(STUDY)
    assert row is not None and row.attempts == 0


def test_a_study_that_is_never_read_consistently_is_named_and_parked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES A7, C6: nothing arrives, and yet its reads never fit."""
    _ready(world, PatientID="P1")

    def torn(*_: object) -> None:
        raise TornRead("its series and its instances do not fit")

    monkeypatch.setattr(world.archive, "read_study", torn)
    for attempt in range(1, ATTEMPTS):
        assert world.turn().decision is Decision.WAIT
        (named,) = world.ledger.overview.find_failing()
        assert (named.study_uid, named.attempts) == (STUDY, attempt)
        assert "do not fit" in named.reason
        world.settle()
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "server-error"
    assert "do not fit" in outcome.parked.detail


def test_a_one_shot_run_does_not_wait_for_a_torn_study(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """README.md, resync: it ends, and says that work is left."""
    _ready(world, PatientID="P1")

    def torn(*_: object) -> None:
        raise TornRead

    monkeypatch.setattr(world.archive, "read_study", torn)
    assert [one.decision for one in world.work()] == [Decision.WAIT]


def test_a_study_that_changes_while_it_arrives_pays_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES A5, A7: it is torn because it is alive."""
    _ready(world, PatientID="P1")

    def torn(*_: object) -> None:
        raise TornRead

    monkeypatch.setattr(world.archive, "read_study", torn)
    world.mark(kind=MarkKind.EVENT)
    assert world.turn().turn.attempts == 0


def _note_id() -> str:
    return orthanc_id("P1", STUDY, f"{STUDY}.{NOTES}", uid(1, series=NOTES))


def _due_in(world: World) -> float:
    row = world.ledger.marks.find(STUDY)
    assert row is not None
    return row.due - world.clock()
