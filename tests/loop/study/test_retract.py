"""A study that vanished from the archive is taken back, once it is proven gone (RULES D1, D2; MAPPING F.3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from syncd.errors import ServerReset, Transient
from syncd.ledger.ledger import Ledger
from syncd.loop.connect import connect
from syncd.loop.steps import Step, observe
from syncd.loop.study.reconcile import reconcile
from syncd.model.words import Decision
from syncd.model.work import MarkKind
from tests.fakes.http import Request, Response
from tests.ledger.made import copies_of, done
from tests.loop.rejecting import SAFETY, images, note, settled
from tests.loop.retracting import back, deciding, deletions, once, shown, status, tombstone, vanish
from tests.loop.world import MAIN, STUDY, SYSTEM, World, puts, refused

FOREIGN = {"system": "http://his.test", "value": "7"}
PATIENT = {"system": SYSTEM, "value": "P1"}


def reopened(world: World) -> World:
    """syncd was down and starts again."""
    world.ledger.close()
    world.ledger = Ledger.open(world.ledger_url, clock=world.clock)
    world._context = None
    return world


def theirs(world: World, **elements: Any) -> None:
    """Another program writes into the resource."""
    world.put({**world.study(), **elements})


def test_a_study_that_is_gone_is_cancelled(world: World) -> None:
    """Case I.8 56, F.3: identifiers, subject and status are left; a tombstone is kept, and the copy is forgotten."""
    shown(world, AccessionNumber="A-1", StudyDescription="Thorax")
    before = world.study()
    outcome = vanish(world).turn()
    after = world.study()
    assert (outcome.decision, outcome.reason, outcome.done) == (Decision.RETRACT, "gone", True)
    assert after.keys() - {"meta"} == {"resourceType", "id", "identifier", "subject", "status"}
    assert (after["identifier"], after["subject"]) == (before["identifier"], before["subject"])
    assert after["meta"]["tag"] == before["meta"]["tag"]
    assert (after["status"], tombstone(world)) == ("cancelled", ("cancelled", "withdrawn"))
    assert (copies_of(world.ledger, STUDY), world.ledger.marks.find(STUDY)) == ((), None)
    assert world.ledger.overview.counts(world.clock()).published == {"cancelled": 1}


@pytest.mark.parametrize("down", [False, True], ids=["running", "down"])
def test_a_second_look_sends_nothing(world: World, down: bool) -> None:
    """Case I.8 56: next sweeps: no-op; also after a restart, and when FHIR itself is read."""
    vanish(shown(world)).turn()
    if down:
        reopened(world)
    sent = len(world.writes())
    for read_fhir in (False, True):
        world.mark(read_fhir=read_fhir)
        assert world.turn().decision is Decision.SKIP
    assert len(world.writes()) == sent


def test_a_study_deleted_while_syncd_is_down(world: World) -> None:
    """docs/cases.md, Convergence: the same, for it is the archive's state that counts."""
    shown(world)
    (copy,) = copies_of(world.ledger, STUDY)
    reopened(world).delete(copy.orthanc_id)
    world.mark()
    assert (world.turn().decision, status(world)) == (Decision.RETRACT, "cancelled")


@pytest.mark.parametrize(
    ("version", "how", "said"),
    [
        ("r4", "cancelled", "cancelled"),
        ("r5", "cancelled", "cancelled"),
        ("r6", "cancelled", "inactive"),
        ("r4", "entered-in-error", "entered-in-error"),
        ("r6", "entered-in-error", "entered-in-error"),
        ("r4", "keep", "available"),
    ],
)
def test_the_word_for_it_is_the_sites_and_the_versions(world: World, version: str, how: str, said: str) -> None:
    """docs/settings.md, POLICY__ON_DELETE: `cancelled`, in R6 `inactive`; `entered-in-error`; `keep`."""
    deciding(shown(world), how)
    world._context = replace(world.context, fhir_version=version)
    if version == "r6":  # the fake server speaks R4, which has no `inactive`
        world.fhir.rules.append(lambda one: _as_cancelled(world, one) if puts()(one) else None)
    assert vanish(world).turn().done
    assert tombstone(world)[0] == said
    assert json.loads(world.writes()[-1].body)["status"] == said


def _as_cancelled(world: World, request: Request) -> Response:
    return world.fhir.answer(replace(request, body=request.body.replace(b'"inactive"', b'"cancelled"')))


def test_keep_leaves_everything_as_it_is(world: World) -> None:
    """docs/settings.md, POLICY__ON_DELETE `keep`: nothing is sent, and nothing is owed; it returns without a write."""
    deciding(shown(world), "keep")
    outcome = vanish(world).turn()
    assert (outcome.decision, outcome.done, len(world.writes())) == (Decision.SKIP, True, 1)
    assert tombstone(world) == ("available", "kept")
    assert back(world).decision is Decision.SKIP
    assert (tombstone(world), len(world.writes())) == (("available", ""), 1)


def test_what_was_kept_goes_when_the_site_changes_its_mind(world: World) -> None:
    """docs/settings.md, POLICY__ON_DELETE: at the next look."""
    deciding(shown(world), "keep")
    vanish(world).turn()
    deciding(world, "cancelled").mark()
    assert (world.turn().decision, status(world)) == (Decision.RETRACT, "cancelled")


def test_a_404_alone_takes_nothing_back(world: World) -> None:
    """RULES D1: deleted between the change and the read, under another Orthanc id by now, or a proxy's word."""
    shown(world)
    world.orthanc.rules.append(lambda one: Response(status=404) if one.path.startswith("/studies/") else None)
    world.mark()
    outcome = world.turn()
    assert (outcome.decision, outcome.done) == (Decision.WAIT, False)
    assert (status(world), len(world.writes())) == ("available", 1)


@pytest.mark.parametrize("path", ["/tools/lookup", "/system"])
def test_an_archive_that_does_not_answer_proves_nothing(world: World, path: str) -> None:
    """RULES D1: 200 without our id, and `/system` in the same pass."""
    vanish(shown(world))
    world.orthanc.rules.append(lambda one: Response(status=503) if one.path == path else None)
    with pytest.raises(Transient):
        world.turn()
    assert status(world) == "available"


def test_a_study_recycled_and_sent_again_meanwhile_is_not_taken_back(world: World) -> None:
    """RULES D2: the lookup is asked again immediately before the write."""
    vanish(shown(world))
    met = once(world, "/tools/lookup", lambda: world.store(), nth=3)
    outcome = world.turn()
    assert len(met) == 3
    assert (outcome.decision, outcome.done, status(world)) == (Decision.WAIT, False, "available")
    world.settle()
    assert world.turn().decision is Decision.SKIP
    assert len(world.writes()) == 1
    assert world.ledger.retractions.brake(MAIN).spent == 0, "nothing was taken back, and nothing is paid"


def test_a_mark_that_comes_meanwhile_stops_it(world: World) -> None:
    """RULES D2, E1: mark and lookup are asked again; the study keeps its mark and has another turn."""
    vanish(shown(world))
    once(world, "/tools/lookup", lambda: world.mark(kind=MarkKind.EVENT), nth=2)
    outcome = world.turn()
    assert (outcome.decision, status(world)) == (Decision.WAIT, "available")
    assert world.turn().decision is Decision.RETRACT
    assert world.ledger.retractions.brake(MAIN).spent == 1, "paid once"


def test_nothing_is_gone_before_the_archive_was_listed(world: World) -> None:
    """RULES A1: not until `bootstrapped` is committed."""
    world.published()
    outcome = vanish(world).turn()
    assert (outcome.decision, outcome.done, status(world)) == (Decision.WAIT, False, "available")
    world.sweep()
    assert world.turn().decision is Decision.RETRACT


def test_what_others_wrote_survives(world: World) -> None:
    """RULES C3, D2: foreign elements, identifiers and endpoints; ours go. They are foreign still when it returns."""
    shown(world, StudyDescription="Thorax")
    world.put({"resourceType": "Endpoint", "id": "viewer", **_endpoint()})
    before = world.study()
    theirs(
        world,
        identifier=[*before["identifier"], FOREIGN],
        endpoint=[*before["endpoint"], {"reference": "Endpoint/viewer"}],
        note=[{"text": "seen by the tumour board"}],
    )
    vanish(world).turn()
    after = world.study()
    assert (after["status"], after["note"]) == ("cancelled", [{"text": "seen by the tumour board"}])
    assert after["endpoint"] == [{"reference": "Endpoint/viewer"}]
    assert FOREIGN in after["identifier"]
    assert "description" not in after
    assert back(world, StudyDescription="Thorax").decision is Decision.UPDATE
    again = world.study()
    assert (again["status"], again["note"]) == ("available", after["note"])
    assert {"reference": "Endpoint/viewer"} in again["endpoint"] and FOREIGN in again["identifier"]


def _endpoint() -> dict[str, Any]:
    connection = {"system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type", "code": "dicom-wado-rs"}
    return {
        "status": "active",
        "connectionType": connection,
        "payloadType": [{"text": "any"}],
        "address": "https://viewer.test",
    }


@pytest.mark.parametrize("word", ["entered-in-error", "cancelled"])
def test_another_writers_word_stands(world: World, word: str) -> None:
    """RULES C4: withdrawn by somebody else already: not touched; and not undone when the study returns."""
    shown(world)
    theirs(world, status=word)
    before = world.study()
    outcome = vanish(world).turn()
    assert (outcome.decision, world.study()) == (Decision.SKIP, before)
    assert tombstone(world) == (word, "theirs")
    outcome = back(world)
    assert outcome.parked is not None and outcome.parked.reason == "withdrawn-by-other"
    assert world.study() == before


def test_a_parked_study_that_goes_is_parked_no_more(world: World) -> None:
    """RULES E2: proven gone → un-parks into Retract."""
    shown(world)
    world.fhir.rules.append(lambda one: refused(422, "no") if puts()(one) and b'"available"' in one.body else None)
    world.store(series=2)
    world.settle()
    world.poll()
    assert world.turn().parked is not None
    assert vanish(world).turn().decision is Decision.RETRACT
    assert (world.ledger.records.find_parked(STUDY), status(world)) == (None, "cancelled")


def test_a_refused_retraction_is_parked_and_not_repeated(world: World) -> None:
    """RULES E2, C6: it would be refused again; `resync --study` sends it once more."""
    shown(world)
    world.fhir.rules.append(lambda one: refused(422, "no") if puts()(one) and b'"cancelled"' in one.body else None)
    for _ in range(2):
        outcome = vanish(world).turn()
        assert outcome.parked is not None and outcome.parked.reason == "refused"
    assert len(world.writes()) == 2, "published, and tried once"
    world.fhir.rules.clear()
    world.ledger.parking.allow_retry(STUDY)
    assert vanish(world).turn().decision is Decision.RETRACT
    assert world.ledger.retractions.brake(MAIN).spent == 1


def test_a_conflict_begins_again_and_keeps_the_humans_part(world: World) -> None:
    """RULES C4: another writer between our read and our write."""
    vanish(shown(world))
    met = once(
        world,
        "/system",
        lambda: theirs(world, note=[{"text": "n"}]),
        nth=3,  # before the write, after the read
    )
    assert world.turn().decision is Decision.RETRACT
    assert len(met) > 3, "asked again from the beginning"
    assert (world.study()["status"], world.study()["note"]) == ("cancelled", [{"text": "n"}])
    assert world.ledger.retractions.brake(MAIN).spent == 1


def test_a_lost_reply_is_recognised(world: World) -> None:
    """RULES C5: sent, never recorded: the next pass reads, sends nothing, and nothing of ours became foreign."""
    shown(world, StudyDescription="Thorax")
    vanish(world)
    task = world.task()
    assert reconcile(task).outcome.record is not None
    world.ledger.claims.release(STUDY)
    sent = len(world.writes())
    outcome = world.turn()
    assert (outcome.decision, len(world.writes()), tombstone(world)[1]) == (Decision.SKIP, sent, "withdrawn")
    record = world.ledger.records.find(STUDY)
    assert record is not None and record.foreign == {}
    assert world.ledger.claims.find_intent(STUDY) is None
    assert (world.ledger.retractions.brake(MAIN).spent, world.ledger.retractions.brake(MAIN).published) == (1, 0)


def test_delete_withdraws_first_and_deletes_at_once(world: World) -> None:
    """RULES D2: PUT under If-Match, then DELETE; a tombstone whose version is known."""
    deciding(shown(world), "delete")
    outcome = vanish(world).turn()
    assert (outcome.decision, outcome.reason) == (Decision.RETRACT, "gone; deleted")
    assert (status(world), tombstone(world)) == ("", ("cancelled", "deleted"))
    methods = [one.method for one in world.asked(f"/ImagingStudy/{STUDY}")]
    assert methods[-4:] == ["GET", "PUT", "DELETE", "GET"]
    assert world.writes()[-1].headers["if-match"] == 'W/"1"'
    record = world.ledger.records.find(STUDY)
    assert record is not None and record.version == "3"


def test_what_was_deleted_returns_over_its_tombstone(world: World) -> None:
    """RULES C2, D2, F.3: the same id, and what others had written comes back with it."""
    deciding(shown(world), "delete")
    theirs(world, note=[{"text": "n"}])
    vanish(world).turn()
    outcome = back(world)
    assert (outcome.decision, outcome.reason) == (Decision.CREATE, "back in the archive")
    assert (world.study()["status"], world.study()["note"]) == ("available", [{"text": "n"}])
    assert (tombstone(world), world.ledger.retractions.brake(MAIN).published) == (("available", ""), 1)


class _Killed(BaseException):
    """kill -9."""


@pytest.mark.parametrize("returns", ["at once", "after a look"])
def test_what_others_wrote_outlives_a_kill_behind_the_deletion(world: World, returns: str) -> None:
    """RULES C3, D2: between the DELETE and its record only the ledger knows what the resource held."""

    def die(step: Step) -> None:
        if step is Step.DELETED:
            raise _Killed

    deciding(shown(world), "delete")
    theirs(world, note=[{"text": "n"}])
    vanish(world)
    observe(die)
    try:
        with pytest.raises(_Killed):
            world.turn()
    finally:
        observe(None)
    world.ledger.claims.release(STUDY)
    if returns == "after a look":
        world.turn()
    assert back(world).decision is Decision.CREATE
    assert (world.study()["status"], world.study()["note"]) == ("available", [{"text": "n"}])


def test_what_something_refers_to_stays_cancelled(world: World) -> None:
    """RULES D2: 409 because of references → it stays `cancelled`, noted; and it is not tried again and again."""
    deciding(shown(world), "delete")
    derived = {"status": "final", "code": {"text": "x"}, "derivedFrom": [{"reference": f"ImagingStudy/{STUDY}"}]}
    world.put({"resourceType": "Observation", "id": "o", **derived})
    outcome = vanish(world).turn()
    assert (outcome.decision, status(world), tombstone(world)[1]) == (Decision.RETRACT, "cancelled", "withdrawn")
    assert "refers to it" in world.ledger.overview.history(STUDY)[0].reason
    world.mark()
    assert world.turn().decision is Decision.SKIP
    world.mark(kind=MarkKind.VERIFY, read_fhir=True)  # a FHIR inventory that listed it before it was withdrawn
    assert world.turn().decision is Decision.SKIP
    assert (len(deletions(world)), world.ledger.retractions.brake(MAIN).spent) == (1, 1)


def test_what_was_somebody_elses_is_never_deleted(world: World) -> None:
    """RULES C2: adopted: withdrawn only."""
    deciding(shown(world), "delete")
    record = world.ledger.records.find(STUDY)
    assert record is not None
    world.mark()
    world.ledger.outcomes.commit(done(world.task().claim, record=replace(record, adopted=True)))
    outcome = vanish(world).turn()
    assert (status(world), deletions(world), tombstone(world)) == ("cancelled", [], ("cancelled", "withdrawn"))
    assert "not ours at first" in outcome.reason
    record = world.ledger.records.find(STUDY)
    assert record is not None and record.adopted


def test_what_kept_another_id_counts_as_adopted(world: World) -> None:
    """RULES E7: ours by tag under an id that we would not have given: withdrawn, never deleted."""
    shown(world)
    mine = world.study()
    world.remove(f"ImagingStudy/{STUDY}")
    world.put({**mine, "id": "kept"})
    world.mark(read_fhir=True)
    world.ledger.marks.forget_target_state()
    deciding(world, "delete")
    record = world.ledger.records.find(STUDY)
    assert record is not None
    world.ledger.outcomes.commit(done(world.task().claim, record=replace(record, resource_id="kept")))
    vanish(world).turn()
    assert (status(world, "kept"), deletions(world)[1:]) == ("cancelled", [])


def test_a_returned_study_keeps_its_status_until_it_is_stable(world: World) -> None:
    """RULES B7, MAPPING F.3: `registered` is not written over it; then `available`, the same id."""
    vanish(shown(world)).turn()
    world.store()
    world.poll()
    assert (world.turn().decision, status(world)) == (Decision.WAIT, "cancelled")
    world.settle()
    world.turn()
    assert (status(world), tombstone(world)) == ("available", ("available", ""))
    assert [one["id"] for one in world.fhir.resources("ImagingStudy")] == [STUDY]


def test_a_study_gone_and_rejected_is_withdrawn_once(world: World) -> None:
    """Case I.6 40: the status of the rejection stays, and is no second write."""
    images(world, 1, 2)
    settled(world)
    world.sweep()
    note(world, SAFETY, {STUDY: [f"{STUDY}.1.1", f"{STUDY}.1.2"]})
    settled(world)
    assert (status(world), tombstone(world)[1]) == ("entered-in-error", "withdrawn")
    sent = len(world.writes())
    assert vanish(world).turn().decision is Decision.SKIP
    assert (status(world), len(world.writes())) == ("entered-in-error", sent)


def test_nothing_that_the_ledger_does_not_own_is_taken_back(world: World) -> None:
    """RULES D2: with an intent only, the server is read first; another writer's resource stays."""
    world.context  # noqa: B018
    orthanc_id = world.store()
    world.settle()
    world.poll()
    world.sweep()
    world.fhir.rules.append(lambda one: Response(status=503) if puts()(one) else None)
    with pytest.raises(Transient):
        world.turn()
    world.fhir.rules.clear()
    assert world.ledger.claims.find_intent(STUDY) is not None
    world.put({"resourceType": "ImagingStudy", "id": STUDY, "status": "available", "subject": {"display": "theirs"}})
    world.delete(orthanc_id)
    outcome = world.turn()
    assert (outcome.decision, outcome.done, status(world)) == (Decision.SKIP, True, "available")
    assert world.ledger.claims.find_intent(STUDY) is None


def test_what_only_an_intent_remembers_is_taken_back(world: World) -> None:
    """RULES D2, C5: sent, never recorded, and gone before the next look: our tag says whose it is."""
    orthanc_id = world.store()
    world.settle()
    world.poll()
    world.sweep()
    task = world.task()
    assert reconcile(task).outcome.record is not None
    world.ledger.claims.release(STUDY)
    world.delete(orthanc_id)
    assert (world.turn().decision, status(world)) == (Decision.RETRACT, "cancelled")
    assert tombstone(world) == ("cancelled", "withdrawn")


def test_a_lost_ledger_takes_back_by_our_tag(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    """RULES E7: it can no longer be rendered: status-only, through the brake."""
    shown(world)
    (copy,) = copies_of(world.ledger, STUDY)
    world.delete(copy.orthanc_id)
    world.lose_ledger(tmp_path_factory.mktemp("another"))
    world.connect(accept_target=True)
    world.sweep()
    world.mark(read_fhir=True)
    assert (world.turn().decision, status(world)) == (Decision.RETRACT, "cancelled")
    assert world.ledger.retractions.brake(MAIN).spent == 1


def test_what_nobody_remembers_and_nobody_asks_for_is_left(world: World) -> None:
    """RULES D2: gone before it was published."""
    orthanc_id = world.store()
    world.poll()
    world.delete(orthanc_id)
    outcome = world.turn()
    assert (outcome.decision, outcome.done, world.fhir.resources("ImagingStudy")) == (Decision.SKIP, True, [])


@pytest.mark.parametrize("left", [True, False], ids=["deleted by another", "server reset"])
def test_what_is_on_neither_side_is_not_written(world: World, left: bool) -> None:
    """RULES C6: absent there, gone here: nothing to say; unless the server lost more than that."""
    vanish(shown(world))
    if left:
        world.remove(f"ImagingStudy/{STUDY}")
        assert (world.turn().decision, tombstone(world)) == (Decision.SKIP, ("cancelled", "deleted"))
        assert back(world).decision is Decision.CREATE
        assert status(world) == "available"
    else:
        world.fhir.wipe()
        with pytest.raises(ServerReset):
            world.turn()
        assert tombstone(world) == ("available", "")


def test_a_dry_run_takes_nothing_back(world: World) -> None:
    """The same decision, and no trace of it."""
    vanish(shown(world))
    outcome = reconcile(replace(world.task(), dry=True)).outcome
    assert (outcome.decision, outcome.reason, status(world)) == (Decision.RETRACT, "gone", "available")
    assert (world.ledger.retractions.brake(MAIN).spent, world.ledger.claims.find_intent(STUDY)) == (0, None)


def test_a_series_and_an_instance_deleted_are_no_retraction(world: World) -> None:
    """docs/cases.md, Convergence; MAPPING F.3: at least one left: available, with less."""
    for series, instance in ((1, 1), (1, 2), (2, 1)):
        world.store(series=series, instance=instance)
    world.settle()
    world.poll()
    world.turn()
    world.sweep()
    (orthanc_id,) = (copy.orthanc_id for copy in copies_of(world.ledger, STUDY))
    for path, left in (("instances", (2, 2)), ("series", (1, 1))):
        (first, *_) = world.orthanc.handle("GET", f"/studies/{orthanc_id}/{path}").json
        assert world.orthanc.handle("DELETE", f"/{path}/{first['ID']}").status == 200
        world.mark()
        world.turn()
        resource = world.study()
        assert (resource["status"], resource["numberOfSeries"], resource["numberOfInstances"]) == ("available", *left)
    assert world.ledger.retractions.brake(MAIN).spent == 0


def test_the_settings_word_reaches_the_rooms(new_world: Callable[..., World]) -> None:
    """docs/settings.md: a setting exists only once it works: from the site to the reconcile."""
    world = new_world()
    context = connect(replace(world.site, on_delete="keep"), world.ledger)
    assert context.on_delete == "keep"


def test_what_was_adopted_under_our_own_id_is_withdrawn_and_not_deleted(world: World) -> None:
    """RULES C2, D2: the id does not tell that it was another writer's once; the record does."""
    world.store(PatientID="P1")
    subject = {"reference": f"Patient/{world.post({'resourceType': 'Patient', 'identifier': [PATIENT]})}"}
    study = {"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}
    world.put(
        {"resourceType": "ImagingStudy", "id": STUDY, "identifier": [study], "status": "registered", "subject": subject}
    )
    shown(deciding(world, "delete"), PatientID="P1")
    outcome = vanish(world).turn()
    assert (outcome.decision, outcome.reason) == (Decision.RETRACT, "gone; withdrawn, not deleted: it was not ours at first")
    assert (status(world), tombstone(world), deletions(world)) == ("cancelled", ("cancelled", "withdrawn"), [])
