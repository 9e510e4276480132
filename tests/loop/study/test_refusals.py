"""What the server refuses, loses or forgets, and marks that come meanwhile (RULES B4, C5, C6, E1, E2, E7)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import ServerReset, Transient
from syncd.loop.companions.target import restore
from syncd.loop.study.reconcile import reconcile
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


def _ready(world: World) -> None:
    world.store()
    world.settle()
    world.poll()


@pytest.mark.parametrize(("status", "reason"), [(400, "refused"), (422, "refused"), (403, "forbidden")])
def test_a_refused_study_is_parked_and_not_sent_again(world: World, status: int, reason: str) -> None:
    """RULES C6, E2: a mark re-evaluates, and sends only what changed."""
    _ready(world)
    world.connect()
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
    world.ledger.parking.allow_retry(STUDY)
    world.mark()
    assert world.turn().decision is Decision.CREATE
    assert world.ledger.records.find_parked(STUDY) is None


def test_what_is_refused_while_it_arrives_is_looked_at_again(world: World) -> None:
    """RULES A5: what is wrong now may be complete in a minute."""
    world.store()
    world.poll()
    world.connect()
    world.fhir.answer_instead(puts(), refused(422))
    outcome = world.turn()
    assert outcome.parked is not None and not outcome.done
    world.settle()
    assert world.turn().done
    assert world.study()["status"] == "available"


def test_too_large_becomes_a_summary(world: World) -> None:
    """RULES C6: 413 → summary form; later changes go there directly."""
    _ready(world)
    world.connect()
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
    world.connect()
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
    world.connect()
    text = "Resource Endpoint/main-wado-rs not found, specified in path: ImagingStudy.endpoint"
    world.fhir.rules.append(lambda request: refused(400, text) if puts()(request) else None)
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "reference-refused"
    assert len(world.writes()) == 2


def test_a_refused_reference_on_a_reset_server_is_a_reset(world: World) -> None:
    """RULES B4, C6: the sentinel is asked for first; the study is not to blame."""
    _ready(world)
    world.connect()
    world.fhir.wipe()
    with pytest.raises(ServerReset):
        world.turn()


def test_after_a_reset_everything_is_back(world: World) -> None:
    """RULES C6, E3: an update answered 201 → sentinel, Endpoints, Patients and every study are there again."""
    world.published()
    world.published("1.2.276.2", PatientID="P2")
    world.fhir.wipe()
    world.put(_foreign(id="unrelated", identifier=[]))
    world.store(series=2)
    world.settle()
    world.mark()
    world.context.ledger.marks.forget_target_state()
    restore(world.context)
    world.turn()
    world.turn("1.2.276.2")
    kept = {one["id"] for one in world.fhir.resources("ImagingStudy")}
    assert kept == {"unrelated", STUDY, "1.2.276.2"}
    target = world.ledger.facts.target()
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


def test_a_mark_that_comes_meanwhile_keeps_the_study_dirty(world: World) -> None:
    """RULES E1: the generation taken before the first call is compared in the transaction of the record."""
    _ready(world)
    task = world.task()
    outcome = reconcile(task).outcome
    world.mark()
    assert world.ledger.outcomes.commit(outcome)
    row = world.ledger.marks.find(STUDY)
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
    """README.md, resync --dry-run: the very decision, and nothing sent or remembered."""
    _ready(world)
    task = world.task()
    before = len(world.fhir.requests)
    outcome = reconcile(replace(task, dry=True)).outcome
    assert outcome.decision is Decision.CREATE
    assert {one.method for one in world.fhir.requests[before:]} <= {"GET", "POST"}
    assert all(one.path.endswith("_search") for one in world.fhir.requests[before:] if one.method == "POST")
    assert world.ledger.claims.find_intent(STUDY) is None


def test_a_reply_may_be_lost_before_anything_was_done(world: World) -> None:
    """RULES C5: the server was read, it has nothing: the write is sent."""
    _ready(world)
    world.connect()

    def rule(request: Request) -> Response | None:
        if puts()(request):
            world.fhir.rules.clear()
            raise ReplyLost
        return None

    world.fhir.rules.append(rule)
    with pytest.raises(Transient):
        world.turn()
    assert world.turn().decision is Decision.CREATE
