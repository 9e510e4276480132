"""Writes that meet somebody else's: conflicts, lost replies, refusals (RULES C2–C6, E1, E2, E7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import ServerReset, Transient
from syncd.loop.reconcile import CONFLICTS, reconcile
from syncd.loop.target import restore
from syncd.model.words import Decision
from syncd.model.work import MarkKind
from tests.fakes.http import ReplyLost, Request, Response
from tests.loop.world import STUDY, World, puts, refused

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


# -- conflicts ---------------------------------------------------------------------------------------------------


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


# -- the first write ---------------------------------------------------------------------------------------------


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
    assert world.ledger.parked(STUDY) is None


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

    world.task()
    world.ledger.release(STUDY)
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


# -- lost replies ------------------------------------------------------------------------------------------------


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
    world.rooms  # noqa: B018 - the sentinel is written before replies get lost
    world.fhir.lose_reply_of(puts())
    with pytest.raises(Transient):
        world.turn()
    sent = len(world.writes())
    outcome = world.turn()
    assert (outcome.decision, outcome.reason) == (Decision.SKIP, "the server already says so")
    assert len(world.writes()) == sent
    assert world.ledger.intent(STUDY) is None
    record = world.ledger.record(STUDY)
    assert record is not None and record.version == world.study()["meta"]["versionId"]
    assert record.foreign == {}


def test_what_was_sent_before_a_crash_does_not_become_foreign(world: World) -> None:
    """RULES C3: recorded ∪ intended is ours, also when the archive went on meanwhile."""
    _ready(world)
    world.rooms  # noqa: B018 - as above
    world.fhir.lose_reply_of(puts())
    with pytest.raises(Transient):
        world.turn()
    world.store(series=2, AccessionNumber="A2")
    world.settle()
    world.mark()
    outcome = world.turn()
    assert outcome.record is not None and outcome.record.foreign == {}


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


# -- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "reason"), [(400, "refused"), (422, "refused"), (403, "forbidden")])
def test_a_refused_study_is_parked_and_not_sent_again(world: World, status: int, reason: str) -> None:
    """RULES C6, E2: a mark re-evaluates, and sends only what changed."""
    _ready(world)
    world.rooms  # noqa: B018 - as above
    world.fhir.rules.append(lambda request: refused(status, "secret of a patient") if puts()(request) else None)
    outcome = world.turn()
    assert outcome.parked is not None
    assert (outcome.parked.reason, outcome.done) == (reason, True)
    assert "secret" not in outcome.reason + outcome.parked.detail
    assert "secret" in str(outcome.parked.outcome)
    world.mark()
    assert world.turn().decision is Decision.PARK
    assert len(world.writes()) == 1
    world.store(series=2)
    world.settle()
    world.mark()
    world.turn()
    assert len(world.writes()) == 2
    world.fhir.rules.clear()
    world.ledger.allow_retry(STUDY)
    world.mark()
    assert world.turn().decision is Decision.CREATE
    assert world.ledger.parked(STUDY) is None


def test_what_is_refused_while_it_arrives_is_looked_at_again(world: World) -> None:
    """RULES A5: what is wrong now may be complete in a minute."""
    world.store()
    world.poll()
    world.rooms  # noqa: B018 - as above
    world.fhir.answer_instead(puts(), refused(422))
    outcome = world.turn()
    assert outcome.parked is not None and not outcome.done
    world.settle()
    assert world.turn().done
    assert world.study()["status"] == "available"


def test_too_large_becomes_a_summary(world: World) -> None:
    """RULES C6: 413 → summary form; later changes go there directly."""
    _ready(world)
    world.rooms  # noqa: B018 - as above
    world.fhir.answer_instead(puts(), Response(status=413))
    outcome = world.turn()
    assert outcome.record is not None and outcome.record.summary
    assert "instance" not in world.study()["series"][0]
    assert world.study()["numberOfInstances"] == 1
    world.store(series=2)
    world.settle()
    world.mark()
    sent = len(world.writes())
    world.turn()
    assert len(world.writes()) == sent + 1


def test_too_large_even_as_a_summary_is_parked_and_not_sent_again(world: World) -> None:
    """RULES C6, E2: again 413 → parked; a mark does not send the large form once more."""
    _ready(world)
    world.rooms  # noqa: B018 - as above
    world.fhir.rules.append(lambda request: Response(status=413) if puts()(request) else None)
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "too-large"
    assert len(world.writes()) == 2
    world.mark()
    assert world.turn().decision is Decision.PARK
    assert len(world.writes()) == 2


def test_a_refused_reference_is_resolved_again_once(world: World) -> None:
    """RULES B4: the Patient went meanwhile; it is written again, and the study with it."""
    world.published()
    subject = world.study()["subject"]["reference"]
    world.store(series=2)
    world.settle()
    world.mark()
    del world.fhir.store.versions["Patient", subject.removeprefix("Patient/")]
    outcome = world.turn()
    assert outcome.decision is Decision.UPDATE
    assert [one["id"] for one in world.fhir.resources("Patient")] == [subject.removeprefix("Patient/")]


def test_a_lost_endpoint_is_restored_with_the_references(world: World) -> None:
    """RULES B4: all references of the resource are resolved again."""
    world.published()
    del world.fhir.store.versions["Endpoint", "main-wado-rs"]
    world.store(series=2)
    world.settle()
    world.mark()
    assert world.turn().decision is Decision.UPDATE
    assert "main-wado-rs" in [one["id"] for one in world.fhir.resources("Endpoint")]


def test_a_reference_refused_twice_is_parked(world: World) -> None:
    """RULES B4: one retry, then parked `reference-refused`."""
    _ready(world)
    world.rooms  # noqa: B018 - as above
    text = "Resource Endpoint/main-wado-rs not found, specified in path: ImagingStudy.endpoint"
    world.fhir.rules.append(lambda request: refused(400, text) if puts()(request) else None)
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "reference-refused"
    assert len(world.writes()) == 2


def test_a_refused_reference_on_a_reset_server_is_a_reset(world: World) -> None:
    """RULES B4, C6: the sentinel is asked for first; the study is not to blame."""
    _ready(world)
    world.rooms  # noqa: B018 - as above
    world.fhir.wipe()
    with pytest.raises(ServerReset):
        world.turn()


# -- resets ------------------------------------------------------------------------------------------------------


def test_after_a_reset_everything_is_back(world: World) -> None:
    """RULES C6, E3: an update answered 201 → sentinel, Endpoints, Patients and every study are there again."""
    world.published()
    world.published("1.2.276.2", PatientID="P2")
    world.fhir.wipe()
    world.put(_foreign(id="unrelated", identifier=[]))
    world.store(series=2)
    world.settle()
    world.mark()
    world.rooms.ledger.forget_target_state()
    restore(world.rooms)
    world.turn()
    world.turn("1.2.276.2")
    kept = {one["id"] for one in world.fhir.resources("ImagingStudy")}
    assert kept == {"unrelated", STUDY, "1.2.276.2"}
    target = world.ledger.target()
    assert target is not None
    assert {one["id"] for one in world.fhir.resources("Endpoint")} == {"main-wado-rs", target.sentinel_id}
    assert len(world.fhir.resources("Patient")) == 2


def test_an_update_that_created_is_a_reset(world: World) -> None:
    """RULES C6: HAPI answers an update of what it lost with 201, version 1."""
    world.published()
    del world.fhir.store.versions["ImagingStudy", STUDY]
    world.store(series=2)
    world.settle()
    world.mark()
    with pytest.raises(ServerReset):
        world.turn()


# -- marks -------------------------------------------------------------------------------------------------------


def test_a_mark_that_comes_meanwhile_keeps_the_study_dirty(world: World) -> None:
    """RULES E1: the generation taken before the first call is compared in the transaction of the record."""
    _ready(world)
    task = world.task()
    outcome = reconcile(task)
    world.mark()
    assert world.ledger.commit(outcome)
    row = world.ledger.dirty_row(STUDY)
    assert row is not None and row.generation > outcome.generation


def test_a_lost_ledger_rewrites_nothing_that_is_equal(world: World, tmp_path: Path) -> None:
    """RULES E7: our tag tells what is ours; equal resources are not rewritten."""
    world.published()
    sent = len(world.writes())
    world.lose_ledger(tmp_path)
    world.connect(accept_target=True)
    world.sweep()
    outcome = world.turn()
    assert (outcome.decision, outcome.reason) == (Decision.SKIP, "the server already says so")
    assert len(world.writes()) == sent


def test_a_verifying_mark_reads_the_server_and_repairs(world: World) -> None:
    """RULES C5: such a reconcile compares with a fresh GET, never with the ledger's digest."""
    world.published()
    world.put({**world.study(), "numberOfInstances": 7})
    world.mark()
    assert world.turn().reason == "unchanged"
    world.mark(kind=MarkKind.VERIFY, read_fhir=True)
    assert world.turn().decision is Decision.UPDATE
    assert world.study()["numberOfInstances"] == 1


def test_a_dry_look_writes_nothing_anywhere(world: World) -> None:
    """CONTRACT.md, resync --dry-run: the very decision, and nothing sent or remembered."""
    _ready(world)
    task = world.task()
    before = len(world.fhir.requests)
    outcome = reconcile(replace(task, dry=True))
    assert outcome.decision is Decision.CREATE
    assert {one.method for one in world.fhir.requests[before:]} <= {"GET", "POST"}
    assert all(one.path.endswith("_search") for one in world.fhir.requests[before:] if one.method == "POST")
    assert world.ledger.intent(STUDY) is None


def test_a_reply_may_be_lost_before_anything_was_done(world: World) -> None:
    """RULES C5: the server was read, it has nothing: the write is sent."""
    _ready(world)
    world.rooms  # noqa: B018 - as above

    def rule(request: Request) -> Response | None:
        if puts()(request):
            world.fhir.rules.clear()
            raise ReplyLost
        return None

    world.fhir.rules.append(rule)
    with pytest.raises(Transient):
        world.turn()
    assert world.turn().decision is Decision.CREATE
