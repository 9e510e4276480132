"""A backlog goes in batches: what they share is counted here, and what leaves them (RULES A7, A9, C2, C5, C6, C7)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from syncd.archive.reading import shared_pass
from syncd.loop import steps
from syncd.loop.steps import Step
from syncd.loop.workers import batch
from syncd.loop.workers import pool as room
from syncd.mapping.values.identity import patient_key
from syncd.model.ids import OrthancId
from syncd.model.study.rejection import Rejection
from syncd.model.words import Decision, Priority, TargetState
from syncd.model.work import Intent
from syncd.snapshot.build import build
from tests.fakes.http import ReplyLost, Request, Response
from tests.loop.hands import work_until, workers_of
from tests.loop.rejecting import SAFETY
from tests.loop.world import World, puts, refused

pytestmark = pytest.mark.usefixtures("impatient")

MANY = 40
STUDIES = tuple(f"1.2.276.{100 + number}" for number in range(MANY))


@pytest.fixture
def backlog(world: World) -> World:
    """Forty small studies of forty patients, stable and marked; nothing of them was asked for yet."""
    for number, study in enumerate(STUDIES):
        world.store(study, PatientID=f"P{number}")
    world.settle()
    world.poll()
    world.connect()
    world.orthanc.requests.clear()
    world.fhir.requests.clear()
    return world


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """What is sent to the ledger's database; a COMMIT, too."""
    said: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    def hear_commit(_connection: object) -> None:
        said.append("COMMIT")

    event.listen(Engine, "before_cursor_execute", hear)
    event.listen(Engine, "commit", hear_commit)
    try:
        yield said
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
        event.remove(Engine, "commit", hear_commit)


def _due(world: World) -> int:
    return world.ledger.overview.counts(world.clock()).due


def _published(world: World) -> set[str]:
    return {study for study in STUDIES if world.ledger.records.find(study) is not None}


def test_a_backlog_shares_its_calls(backlog: World) -> None:
    """RULES A7, B4, C2: what one study costs alone, its batch asks for once; each is written by one request."""
    outcomes = backlog.work()
    assert {one.study_uid: one.decision for one in outcomes} == dict.fromkeys(STUDIES, Decision.CREATE)
    assert len(backlog.writes()) == MANY
    archive = [one for one in backlog.orthanc.requests if "/tags" not in one.path and one.path != "/system"]
    assert len(archive) <= 2 * 6, [one.path for one in archive]
    assert len([one for one in backlog.orthanc.requests if "/tags" in one.path]) == MANY
    assert len(backlog.asked("/Patient/_search")) == 2
    assert len(backlog.asked("/ImagingStudy/_search")) == 4
    assert [one for one in backlog.fhir.requests if one.method == "GET" and "/metadata" not in one.path] == []


def test_what_is_read_by_itself_is_looked_up_with_the_others(backlog: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES C2: large studies leave the shared read, and not the search."""
    monkeypatch.setattr(shared_pass, "MOST_INSTANCES", 0)
    backlog.work()
    assert _published(backlog) == set(STUDIES)
    assert len(backlog.asked("/ImagingStudy/_search")) == 4


def test_a_backlog_shares_statements_and_transactions(
    backlog: World, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/decisions/ledger-writes.md: four statements and a fifth of a transaction for each study, its Patient included."""
    monkeypatch.setattr(room, "_IDLE_WAIT", 3600.0)
    backlog.work()
    told = Counter(" ".join(one.split())[:70] for one in statements if not one.startswith("BEGIN"))
    commits = told.pop("COMMIT")
    assert commits <= 0.2 * MANY, commits
    assert told.total() <= 4 * MANY, told.most_common(12)


def test_a_study_that_is_alone_has_calls_of_its_own(world: World) -> None:
    """RULES A9: what arrives waits for nobody to share with."""
    world.store(STUDIES[0])
    world.settle()
    world.poll()
    world.orthanc.requests.clear()
    world.work()
    assert [one for one in world.orthanc.requests if one.path.startswith("/studies/")]
    assert [one for one in world.orthanc.requests if one.path == "/tools/bulk-content"] == []


def test_intents_are_kept_before_the_first_write_and_outcomes_together(backlog: World) -> None:
    """RULES C5: kill -9 in between leaves intents, and nothing that nobody knows of."""
    seen: list[Step] = []
    untold: list[str] = []

    def look(request: Request) -> Response | None:
        study = request.path.rpartition("/")[2]
        if puts()(request) and backlog.ledger.claims.find_intent(study) is None:
            untold.append(study)
        return None

    backlog.fhir.rules.append(look)
    steps.observe(seen.append)
    try:
        backlog.work()
    finally:
        steps.observe(None)
    assert untold == []
    first = seen.index(Step.SENT)
    assert seen.index(Step.INTENT_SAVED) < first
    assert seen.count(Step.INTENT_SAVED) == seen.count(Step.COMMITTED) == 2
    assert seen.count(Step.SENT) == MANY


def _intend_all(world: World) -> None:
    """As kill -9 leaves it between the intents of all and the first write."""
    claims = world.ledger.claims.take(MANY, now=world.clock())
    world.ledger.claims.save_intents(
        [Intent(study_uid=one, resource_id=one, digest="d", expected_version="0") for one in STUDIES]
    )
    world.ledger.claims.release(*(one.row.study_uid for one in claims))


def test_intents_that_a_kill_left_are_looked_up_together(backlog: World) -> None:
    """RULES C5: whether they were sent is asked by one search, not by a GET for each; what was there is written no second
    time."""
    _intend_all(backlog)
    backlog.work()
    assert _published(backlog) == set(STUDIES)
    assert [one for one in backlog.asked("/ImagingStudy/") if one.method == "GET"] == []
    assert len(backlog.asked("/ImagingStudy/_search")) == 4
    assert _versions(backlog) == {"1"}


def test_an_intent_that_a_search_overlooks_is_read_after_the_conflict(backlog: World, tmp_path: Path) -> None:
    """RULES C5, C9: a search may be old; what may only create meets what is there, and it is read then."""
    backlog.work()
    published = backlog.fhir.resources("ImagingStudy")
    backlog.lose_ledger(tmp_path)
    backlog.connect(accept_target=True)
    backlog.poll()
    backlog.sweep()
    _intend_all(backlog)
    empty = json.dumps({"resourceType": "Bundle", "type": "searchset", "total": 0}).encode()
    found_nothing = Response(status=200, headers={"Content-Type": "application/fhir+json"}, body=empty)
    backlog.fhir.rules.append(lambda request: found_nothing if "/ImagingStudy/_search" in request.path else None)
    backlog.work()
    assert _published(backlog) == set(STUDIES)
    assert len(published) == MANY and _versions(backlog) == {"1"}


def test_what_is_not_sent_when_the_server_goes_away_claims_nothing(backlog: World) -> None:
    """RULES C6, C7: an outage in the middle costs nobody an attempt, and no intent stays of what was never sent."""
    tried: list[str] = []

    def away(request: Request) -> Response | None:
        if puts()(request):
            tried.append(request.path.rpartition("/")[2])
            backlog.fhir.away = len(tried) > MANY // 2
        return None

    backlog.fhir.rules.append(away)
    workers = backlog.workers()
    workers.run(until_idle=True)
    assert workers._fhir.state is TargetState.OPEN
    rows = {study: backlog.ledger.marks.find(study) for study in STUDIES}
    assert all(row is None or row.attempts == 0 for row in rows.values())
    intended = {study for study in STUDIES if backlog.ledger.claims.find_intent(study)}
    assert len(intended) <= 2, "one of each thread, whose request found nobody"
    assert 0 < len(_published(backlog)) < MANY
    backlog.fhir.rules.clear()
    backlog.fhir.away = False
    workers._fhir._next_probe = 0.0
    workers.run(until_idle=True)
    workers.stop(grace=1.0)
    assert _published(backlog) == set(STUDIES)
    assert all(one["meta"]["versionId"] == "1" for one in backlog.fhir.resources("ImagingStudy"))


def test_a_conflict_leaves_the_batch_and_begins_again(backlog: World) -> None:
    """RULES C4: the others are kept; who met another writer looks again."""
    one = STUDIES[7]

    def quicker(request: Request) -> Response | None:
        if puts(resource_id=one)(request):
            backlog.fhir.rules.clear()
            backlog.put({"resourceType": "ImagingStudy", "id": one, "status": "available", "subject": {"display": "Else"}})
        return None

    backlog.fhir.rules.append(quicker)
    outcomes = {outcome.study_uid: outcome for outcome in backlog.work()}
    assert outcomes.keys() == set(STUDIES)
    assert outcomes[one].parked is not None and outcomes[one].parked.reason == "foreign-imagingstudy"
    assert _published(backlog) == set(STUDIES) - {one}


def test_a_refused_study_is_parked_and_its_neighbours_are_not(backlog: World) -> None:
    """RULES C6: a 422 is one study's, and sent once."""
    one = STUDIES[3]
    backlog.fhir.rules.append(lambda request: refused(422) if puts(resource_id=one)(request) else None)
    outcomes = {outcome.study_uid: outcome for outcome in backlog.work()}
    assert outcomes[one].parked is not None
    assert _published(backlog) == set(STUDIES) - {one}
    assert len([request for request in backlog.writes() if request.path.endswith(f"/{one}")]) == 1


def test_a_study_that_is_too_large_is_said_without_instances(backlog: World) -> None:
    """RULES C6: 413 is a question back; the answer has an intent of its own."""
    one, asked = STUDIES[5], []

    def too_large(request: Request) -> Response | None:
        if puts(resource_id=one)(request) and not asked:
            asked.append(request)
            return refused(413)
        return None

    backlog.fhir.rules.append(too_large)
    backlog.work()
    assert _published(backlog) == set(STUDIES)
    assert "series" in backlog.study(one) and "instance" not in backlog.study(one)["series"][0]


def test_a_403_is_judged_after_the_others(backlog: World) -> None:
    """RULES C6: the first of a batch is refused and all the others succeed: it is the study's own."""
    first = STUDIES[0]
    backlog.fhir.rules.append(lambda request: refused(403) if puts(resource_id=first)(request) else None)
    workers = workers_of(backlog, concurrency=1)
    work_until(workers, lambda: _due(backlog) == 0)
    workers.stop(grace=1.0)
    parked = backlog.ledger.records.find_parked(first)
    assert parked is not None and parked.reason == "forbidden"
    assert _published(backlog) == set(STUDIES) - {first}


def test_notes_that_change_after_the_mapping_stop_the_write(backlog: World) -> None:
    """RULES B7: what another study's note rejects meanwhile is not shown; the question is asked with the intents."""
    one, told = STUDIES[9], []
    image = f"{one}.1.1"
    (key,) = {
        patient_key(build(raw, reading=backlog.policy.reading), policy=backlog.policy).resource_id
        for raw in backlog.archive.read_studies(backlog.archive.lookup(one)).values()
    }

    def reject(step: Step) -> None:
        if step is Step.DECIDED and not told:
            told.append(step)
            said = Rejection(
                note_uid="1.9.1", source_uid="1.9", target_uid=one, title=SAFETY, patient=key, instances=(image,)
            )
            backlog.ledger.rejections.keep("1.9", [said])

    steps.observe(reject)
    try:
        workers = workers_of(backlog, concurrency=1)
        work_until(workers, lambda: _due(backlog) == 0)
        workers.stop(grace=1.0)
    finally:
        steps.observe(None)
    assert told
    assert _published(backlog) == set(STUDIES) - {one}
    assert not [request for request in backlog.writes() if request.path.endswith(f"/{one}")]
    assert backlog.ledger.claims.find_intent(one) is None


def test_what_arrives_passes_a_batch_under_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES A9: between two studies of a batch of old ones, whatever is urgent has its turn."""
    for study in STUDIES:
        orthanc_id = world.store(study)
        world.mark(study, priority=Priority.BACKFILL, orthanc_id=orthanc_id)
    world.settle()
    world.connect()
    urgent, order = "1.2.276.999", list[str]()
    workers = workers_of(world, concurrency=1, on_outcome=lambda outcome: order.append(outcome.study_uid))

    def arrive(request: Request) -> Response | None:
        if puts()(request):
            world.fhir.rules.clear()
            world.mark(urgent, priority=Priority.FEED, orthanc_id=OrthancId(world.store(urgent)))
            world.settle()
            workers.wake()
            with workers._changed:
                assert workers._changed.wait_for(lambda: workers._urgent, timeout=20.0)
        return None

    world.fhir.rules.append(arrive)
    work_until(workers, lambda: _due(world) == 0)
    workers.stop(grace=1.0)
    assert order[0] == urgent
    assert set(order) == {urgent, *STUDIES}


def test_what_cannot_be_read_together_is_read_by_itself(backlog: World) -> None:
    """RULES A7: an image that came meanwhile leaves its study out of the shared read, and spoils nobody's."""
    one = STUDIES[11]
    backlog.store(one, instance=2, PatientID="P11")
    outcomes = {outcome.study_uid: outcome for outcome in backlog.work()}
    assert _published(backlog) == set(STUDIES)
    assert outcomes[one].record is not None and outcomes[one].record.status == "registered"


# -- transactions ------------------------------------------------------------------------------------------------------


@pytest.fixture
def together(backlog: World) -> World:
    """The backlog of a site that writes small studies together."""
    backlog._context = replace(backlog.context, transactions=True)
    return backlog


def _transactions(world: World) -> list[Request]:
    return [one for one in world.fhir.requests if one.method == "POST" and one.path.rstrip("/") == world.fhir.mount]


def test_small_studies_are_written_together(together: World) -> None:
    """RULES C7: distinct ImagingStudies, each under its condition; Patients before, alone."""
    outcomes = together.work()
    assert {one.study_uid: one.decision for one in outcomes} == dict.fromkeys(STUDIES, Decision.CREATE)
    assert together.writes() == []
    proof, *sent = _transactions(together)
    assert len(sent) == 2
    entries = [entry for one in sent for entry in one.json["entry"]]
    assert {entry["request"]["ifMatch"] for entry in entries} == {'W/"0"'}
    assert {entry["resource"]["id"] for entry in entries} == set(STUDIES)
    assert [entry["resource"]["resourceType"] for entry in proof.json["entry"]] == ["Endpoint"]
    assert _versions(together) == {"1"}
    assert all(together.ledger.claims.find_intent(study) is None for study in STUDIES)


def test_what_grows_is_updated_together(together: World) -> None:
    """RULES C4, C7: the version that was confirmed is each entry's condition."""
    together.work()
    for number, study in enumerate(STUDIES):
        together.store(study, instance=2, PatientID=f"P{number}")
    together.settle()
    together.poll()
    together.fhir.requests.clear()
    together.work()
    assert together.writes() == []
    _, *sent = _transactions(together)
    entries = [entry for one in sent for entry in one.json["entry"]]
    assert {entry["request"]["ifMatch"] for entry in entries} == {'W/"1"'}
    assert _versions(together) == {"2"}


def test_a_refused_transaction_goes_on_singly(together: World) -> None:
    """RULES C7: one bad entry spoils it; nobody sends it again, and only that study is parked."""
    one = STUDIES[3]

    def refuse(request: Request) -> Response | None:
        spoilt = request in _transactions(together) and f'"id":"{one}"' in request.body.decode()
        return refused(422) if spoilt or puts(resource_id=one)(request) else None

    together.fhir.rules.append(refuse)
    outcomes = {outcome.study_uid: outcome for outcome in together.work()}
    assert outcomes[one].parked is not None
    assert _published(together) == set(STUDIES) - {one}
    assert len(_transactions(together)) == 3
    assert len([request for request in together.writes() if request.path.endswith(one)]) == 1


def test_a_conflict_of_one_entry_is_that_study_alone(together: World) -> None:
    """RULES C4, C7: the others are written, each once."""
    one = STUDIES[7]

    def quicker(request: Request) -> Response | None:
        if len(_transactions(together)) > 1:
            together.fhir.rules.clear()
            together.put({"resourceType": "ImagingStudy", "id": one, "status": "available", "subject": {"display": "Else"}})
        return None

    together.fhir.rules.append(quicker)
    outcomes = {outcome.study_uid: outcome for outcome in together.work()}
    assert outcomes[one].parked is not None and outcomes[one].parked.reason == "foreign-imagingstudy"
    assert _published(together) == set(STUDIES) - {one}
    assert _versions(together) == {"1"}


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_lost_reply_to_a_transaction_writes_nothing_twice(together: World, carried_out: bool) -> None:
    """RULES C5, C7: each is read before anything else is sent; what is there already is recorded."""
    lost: list[Request] = []

    def lose(request: Request) -> Response | None:
        if len(_transactions(together)) > 1 and request in _transactions(together) and not lost:
            lost.append(request)
            if carried_out:
                together.fhir.answer(request)
            raise ReplyLost
        return None

    together.fhir.rules.append(lose)
    together.work()
    assert lost
    assert _published(together) == set(STUDIES)
    assert _versions(together) == {"1"}
    assert all(together.ledger.claims.find_intent(study) is None for study in STUDIES)


def test_a_server_that_overlooks_conditions_is_sent_no_transaction(together: World) -> None:
    """RULES C2, C7: what is not proved is not relied upon."""

    def overlook(request: Request) -> Response | None:
        if request.method == "POST" and b'"transaction"' in request.body:
            return together.fhir.answer(replace(request, body=request.body.replace(b'"ifMatch"', b'"overlooked"')))
        return None

    together.fhir.rules.append(overlook)
    together.work()
    assert len(_transactions(together)) == 1
    assert len(together.writes()) == MANY
    assert _published(together) == set(STUDIES)


def test_studies_that_cost_much_are_written_by_themselves(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES C7: a transaction has a budget of instances."""
    monkeypatch.setattr(batch, "MOST_INSTANCES", 3)
    for number, study in enumerate(STUDIES[:12]):
        for instance in range(1, 2 + (number % 6 == 0) * 4):
            world.store(study, instance=instance, PatientID=f"P{number}")
    world.settle()
    world.poll()
    world._context = replace(world.connect(), transactions=True)
    world.work()
    sizes = [len(one.json["entry"]) for one in _transactions(world)[1:]]
    assert {one.path.rpartition("/")[2] for one in world.writes()} >= {STUDIES[0], STUDIES[6]}
    assert max(sizes) <= 3 and sum(sizes) + len(world.writes()) == 12


def _versions(world: World) -> set[str]:
    return {str(one["meta"]["versionId"]) for one in world.fhir.resources("ImagingStudy")}
