"""Writes that meet somebody else's: conflicts, the first write, lost replies (RULES C2–C5, E7)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import Transient
from syncd.loop.study.reconcile import CONFLICTS
from syncd.model.words import Decision
from syncd.model.work import MarkKind
from tests.fakes.http import Request, Response
from tests.loop.world import STUDY, World, puts

NOTE = [{"text": "seen by the tumour board"}]


def _foreign(**elements: Any) -> dict[str, Any]:
    """Another program's ImagingStudy of the same study."""
    return {
        "resourceType": "ImagingStudy",
        "id": STUDY,
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}],
        "status": "available",
        "subject": {"display": "somebody"},
        **elements,
    }


def _before_each_put(world: World, act: Callable[[], None], *, times: int = 1) -> None:
    """Somebody acts between our decision and our write."""
    left = [times]

    def rule(request: Request) -> Response | None:
        if left[0] and puts()(request):
            left[0] -= 1
            act()
        return None

    world.fhir.rules.append(rule)


def _ready(world: World) -> None:
    world.store()
    world.settle()
    world.poll()


def test_a_conflict_starts_again_and_keeps_what_the_other_wrote(world: World) -> None:
    """RULES C4: the desired resource is thrown away, the server read afresh, foreign parts survive."""
    world.published()
    world.store(series=2)
    world.settle()
    world.mark()

    def annotate() -> None:
        world.fhir.rules.clear()
        world.put({**world.study(), "note": NOTE})

    _before_each_put(world, annotate)
    outcome = world.turn()
    assert outcome.decision is Decision.UPDATE
    assert (world.study()["note"], world.study()["numberOfSeries"]) == (NOTE, 2)
    assert outcome.record is not None and outcome.record.foreign == {"note": NOTE}


def test_a_conflict_restarts_from_the_archive(world: World) -> None:
    """RULES C4: what the archive says after the conflict is what is written, never the older snapshot."""
    world.published()
    world.store(series=2)
    world.settle()
    world.mark()

    def both_move_on() -> None:
        world.fhir.rules.clear()
        world.put({**world.study(), "note": NOTE})
        world.store(series=3)
        world.orthanc.index.forget_unstable()

    _before_each_put(world, both_move_on)
    world.turn()
    assert world.study()["numberOfSeries"] == 3


def test_foreign_parts_survive_later_updates_without_a_read(world: World) -> None:
    """RULES C3: the record keeps the foreign part."""
    world.published()
    world.put({**world.study(), "note": NOTE})
    world.store(series=2)
    world.settle()
    world.mark()
    world.turn()
    world.store(series=3)
    world.settle()
    world.mark()
    before = len(world.fhir.requests)
    world.turn()
    assert [one.method for one in world.fhir.requests[before:]] == ["PUT"]
    assert (world.study()["note"], world.study()["numberOfSeries"]) == (NOTE, 3)


def test_somebody_who_writes_again_and_again_makes_it_transient(world: World) -> None:
    """RULES C4: at most five restarts, then it waits like any other trouble."""
    world.published()
    world.store(series=2)
    world.settle()
    world.mark()
    numbers = iter(range(100))
    _before_each_put(world, lambda: _annotated(world, next(numbers)), times=CONFLICTS * 2)
    with pytest.raises(Transient):
        world.turn()
    assert world.study()["numberOfSeries"] == 1


def _annotated(world: World, number: int) -> None:
    rules, world.fhir.rules = world.fhir.rules, []
    world.put({**world.study(), "note": [{"text": str(number)}]})
    world.fhir.rules = rules


def test_the_first_write_is_never_unconditional(world: World) -> None:
    """RULES C2: create-only, by the form that was proved."""
    world.published()
    (request,) = world.writes()
    assert request.headers["if-match"] == 'W/"0"'


def test_a_foreign_resource_is_parked_and_left_alone(world: World) -> None:
    """RULES C2: never written over; looked at again once it changed."""
    world.put(_foreign())
    _ready(world)
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "foreign-imagingstudy"
    world.mark()
    assert world.turn().decision is Decision.PARK
    assert len(world.writes()) == 1  # theirs
    world.remove(f"ImagingStudy/{STUDY}")
    world.mark()
    assert world.turn().decision is Decision.CREATE
    assert world.ledger.records.find_parked(STUDY) is None


def test_a_foreign_resource_under_another_id_is_found_by_its_identifier(world: World) -> None:
    """RULES C2, C9: `_id` and `identifier` are looked up before the first write."""
    world.put(_foreign(id="theirs"))
    _ready(world)
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "foreign-imagingstudy"


def test_a_foreign_resource_that_appears_before_our_first_write_is_left_alone(world: World) -> None:
    """RULES C2: our intent makes values ours (C3), never another writer's whole resource."""
    _ready(world)

    def theirs_first() -> None:
        world.fhir.rules.clear()
        world.put(_foreign(description="theirs"))

    _before_each_put(world, theirs_first)
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "foreign-imagingstudy"
    assert world.study()["description"] == "theirs"


def test_another_installations_resource_is_left_alone(world: World) -> None:
    """RULES C2: owned-elsewhere."""
    world.put(_foreign(meta={"tag": [{"system": "urn:syncd:installation", "code": "siteb"}]}))
    _ready(world)
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "owned-elsewhere"


def test_over_a_tombstone_the_version_of_the_tombstone_is_named(world: World) -> None:
    """RULES C2: HAPI takes create-only over a deleted id for a conflict."""
    world.put(_foreign())
    world.remove(f"ImagingStudy/{STUDY}")
    _ready(world)
    outcome = world.turn()
    assert (outcome.decision, outcome.reason) == (Decision.CREATE, "over a tombstone")
    assert world.writes()[-1].headers["if-match"] == 'W/"2"'


def test_a_resource_deleted_behind_our_back_is_there_again(world: World) -> None:
    """RULES C6: 410 means absent; the update that meets it starts again and re-creates."""
    world.published()
    world.remove(f"ImagingStudy/{STUDY}")
    world.store(series=2)
    world.settle()
    world.mark()
    outcome = world.turn()
    assert (outcome.decision, outcome.reason) == (Decision.CREATE, "deleted on the server")
    assert world.study()["numberOfSeries"] == 2


def test_what_a_human_withdrew_stays_withdrawn(world: World) -> None:
    """RULES C4: found by a verifying read or by a conflict, parked, and not undone by later marks."""
    world.published()
    world.put({**world.study(), "status": "entered-in-error"})
    world.store(series=2)
    world.settle()
    world.mark()
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "withdrawn-by-other"
    world.mark(kind=MarkKind.VERIFY, read_fhir=True)
    assert world.turn().decision is Decision.PARK
    assert world.study()["status"] == "entered-in-error"


@pytest.mark.parametrize("known", [False, True], ids=["first write", "update"])
def test_a_lost_reply_is_recognised_without_a_second_write(world: World, known: bool) -> None:
    """RULES C5: read before anything else is sent; equal to the intent → recorded."""
    if known:
        world.published()
        world.store(series=2)
        world.settle()
        world.mark()
    else:
        _ready(world)
    world.connect()
    world.fhir.lose_reply_of(puts())
    with pytest.raises(Transient):
        world.turn()
    sent = len(world.writes())
    outcome = world.turn()
    assert (outcome.decision, outcome.reason) == (Decision.SKIP, "the server already says so")
    assert len(world.writes()) == sent
    assert world.ledger.claims.find_intent(STUDY) is None
    record = world.ledger.records.find(STUDY)
    assert record is not None and record.version == world.study()["meta"]["versionId"]
    assert record.foreign == {}


def test_what_was_sent_before_a_crash_does_not_become_foreign(world: World) -> None:
    """RULES C3: recorded ∪ intended is ours, also when the archive went on meanwhile."""
    orthanc_id = world.store(AccessionNumber="A1")
    world.settle()
    world.poll()
    world.connect()
    world.fhir.lose_reply_of(puts())
    with pytest.raises(Transient):
        world.turn()
    world.delete(orthanc_id)
    world.store(AccessionNumber="A2")
    world.settle()
    world.mark()
    outcome = world.turn()
    assert outcome.record is not None and outcome.record.foreign == {}
    assert [one["value"] for one in world.study()["identifier"]] == [f"urn:oid:{STUDY}", "A2"]


def test_a_lost_reply_to_a_resource_under_another_id_is_looked_for_there(world: World, tmp_path: Path) -> None:
    """RULES C5, E7: the intent says which resource was written; no second one is created beside it."""
    world.published()
    ours = {**world.study(), "id": "assigned-by-server"}
    world.remove(f"ImagingStudy/{STUDY}")
    world.put(ours)
    world.lose_ledger(tmp_path)
    world.connect(accept_target=True)
    world.store(series=2)
    world.settle()
    world.mark()
    world.sweep()
    world.fhir.lose_reply_of(puts())
    with pytest.raises(Transient):
        world.turn()
    world.turn()
    (resource,) = world.fhir.resources("ImagingStudy")
    assert (resource["id"], resource["numberOfSeries"]) == ("assigned-by-server", 2)
