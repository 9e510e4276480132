"""Provenance: what a correction leaves behind, and that nothing ever waits for it (RULES B8, MAPPING J.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from syncd.errors import LedgerUnavailable
from syncd.loop.outbox import provenance
from syncd.loop.outbox.dispatcher import ATTEMPTS, RULE, Dispatcher
from syncd.loop.outbox.kinds import FIRST_DUE
from syncd.loop.study.reconcile import reconcile
from syncd.mapping.resources.provenance import device_id
from syncd.model.outbox import OutboxEntry
from tests.fakes.http import Response
from tests.loop.rejecting import SAFETY, WORKLIST, images, note, settled, uid
from tests.loop.world import OTHER, STUDY, World, deliver_due, puts, refused

NewWorld = Callable[..., World]
Json = dict[str, Any]

ALL = {STUDY: [uid(1), uid(2), uid(3)]}
LIFELESS = Response(status=503)


@pytest.fixture
def corrected(world: World) -> World:
    """A published study whose PatientID was corrected since; what that write owes is not paid yet."""
    world.published()
    correct(world)
    world.turn()
    (owed,) = world.ledger.outbox.of_study(STUDY)
    assert owed.payload["occasion"] == "subject"
    return world


def correct(world: World, patient: str = "P-2") -> None:
    """The archive holds the same study under another PatientID."""
    for one in world.orthanc.handle("POST", "/tools/lookup", body=STUDY.encode()).json:
        if one["Type"] == "Study":
            world.delete(one["ID"])
    world.store(PatientID=patient)
    world.settle()
    world.mark()


def trail(world: World, study: str = STUDY) -> list[Json]:
    """The Provenances of a study."""
    target = f"ImagingStudy/{study}"
    return [one for one in world.fhir.resources("Provenance") if one["target"][0]["reference"] == target]


def code(resource: Json) -> str:
    return str(resource["activity"]["coding"][0]["code"])


def later(world: World) -> None:
    world.clock.advance(FIRST_DUE + 1)


def paid(world: World) -> None:
    """Everything that happened is dealt with, and what it owes paid."""
    settled(world)
    later(world)
    deliver_due(world.context)


def three_images(world: World) -> None:
    images(world, 1, 2, 3)
    paid(world)


def with_scope(world: World, scope: str) -> World:
    world._context = replace(world.context, provenance=scope)
    return world


def test_another_patient_leaves_one_provenance_and_the_old_patient_stays(world: World) -> None:
    """MAPPING I case 51, RULES B8: same ImagingStudy, new subject, one Provenance; P1's Patient remains."""
    world.published()
    correct(world)
    world.work()
    (told,) = trail(world)
    assert code(told) == "UPDATE"
    assert told["entity"][0]["what"]["identifier"]["value"] == f"urn:oid:{STUDY}"
    assert told["agent"][0]["who"]["reference"] == f"Device/{device_id(world.policy)}"
    assert [one["id"] for one in world.fhir.resources("Device")] == [device_id(world.policy)]
    assert len(world.fhir.resources("Patient")) == 2
    assert not world.ledger.outbox.of_study(STUDY)


def test_the_reference_names_the_version(corrected: World) -> None:
    """MAPPING J.5: `_history/<version>` of the confirmed write; a server may answer it without."""
    later(corrected)
    deliver_due(corrected.context)
    (sent,) = corrected.writes("Provenance")
    record = corrected.ledger.records.find(STUDY)
    assert record is not None
    assert f"ImagingStudy/{STUDY}/_history/{record.version}".encode() in sent.body


def test_a_withdrawn_study_leaves_one(world: World) -> None:
    """RULES B8: retracted."""
    three_images(world)
    note(world, SAFETY, ALL)
    paid(world)
    (told,) = trail(world)
    assert (code(told), told["entity"][0]["role"]) == ("DELETE", "removal")


def test_the_study_that_replaces_another_names_it(world: World) -> None:
    """MAPPING I case 39: Provenance for B, entity source A; A's own says that it was withdrawn."""
    three_images(world)
    images(world, 1, study=OTHER)
    note(world, WORKLIST, ALL, study=OTHER)
    paid(world)
    (withdrawn,), (replacing,) = trail(world), trail(world, OTHER)
    assert code(withdrawn) == "DELETE"
    (entity,) = replacing["entity"]
    assert (entity["role"], entity["what"]["identifier"]["value"]) == ("source", f"urn:oid:{STUDY}")


def test_one_that_replaces_says_so_once(world: World) -> None:
    """RULES B8: what changes of it later is no correction."""
    three_images(world)
    images(world, 1, study=OTHER)
    note(world, WORKLIST, ALL, study=OTHER)
    paid(world)
    images(world, 2, study=OTHER)
    paid(world)
    assert len(trail(world, OTHER)) == 1


def test_a_wrong_worklist_entry_of_an_unknown_study_replaces_nothing(world: World) -> None:
    """MAPPING D.2: only if both studies are known."""
    images(world, 1, study=OTHER)
    note(world, WORKLIST, ALL, study=OTHER)
    paid(world)
    assert not trail(world, OTHER)


@pytest.mark.parametrize(("scope", "written"), [("off", 0), ("corrections", 0), ("all", 2)])
def test_the_policy_says_what_leaves_one(world: World, scope: str, written: int) -> None:
    """docs/settings.md, POLICY__PROVENANCE: a first write and an update that corrects nothing."""
    with_scope(world, scope)
    world.published()
    world.store(instance=2)
    world.settle()
    world.mark()
    world.work()
    later(world)
    world.work()
    assert len(trail(world)) == written
    assert len(world.fhir.resources("Device")) == bool(written)


def test_a_no_op_leaves_none(world: World) -> None:
    """RULES B8, MAPPING J.5: never for a no-op, neither unread nor read."""
    with_scope(world, "all")
    world.published()
    later(world)
    world.work()
    for read in (False, True):
        world.mark(read_fhir=read)
        world.work()
    assert len(trail(world)) == 1


def test_a_correction_that_was_off_leaves_none(world: World) -> None:
    """docs/settings.md: `off`."""
    with_scope(world, "off")
    world.published()
    correct(world)
    world.work()
    assert not world.writes("Provenance")


def test_a_lost_reply_owes_the_same_provenance(corrected: World, new_world: NewWorld) -> None:
    """RULES B8, C5: sent, killed before the record; the next pass finds it written, and owes what it would have owed."""
    expected = corrected.ledger.outbox.of_study(STUDY)
    other = new_world()
    other.published()
    correct(other)
    killed = other.task()
    assert reconcile(killed).outcome.record is not None
    other.ledger.claims.release(STUDY)
    other.clock.advance(5.0)
    again = other.turn()
    assert again.reason == "the server already says so"
    found = other.ledger.outbox.of_study(STUDY)
    assert [told(one) for one in found] == [told(one) for one in expected]


def told(owed: OutboxEntry) -> tuple[str, Mapping[str, Any]]:
    return owed.key, owed.payload


def test_killed_after_the_provenance_it_is_the_same_again(corrected: World) -> None:
    """MAPPING J.5: a retry is idempotent; the server keeps its first version."""
    (owed,) = corrected.ledger.outbox.of_study(STUDY)
    for _ in range(2):
        provenance.ProvenanceDelivery(corrected.context).send(owed)
    Dispatcher(corrected.context).deliver([owed])
    (written,) = trail(corrected)
    assert written["meta"]["versionId"] == "1"
    assert not corrected.ledger.outbox.of_study(STUDY)


@pytest.mark.parametrize("status", [400, 403, 413, 422])
def test_what_the_server_refuses_is_given_up_and_counted(corrected: World, status: int) -> None:
    """RULES B8, C6: noted in the history, counted, and the study is as it was."""
    heard = Listener()
    corrected._context = replace(corrected.context, observer=heard)
    corrected.fhir.answer_instead(puts("Provenance"), refused(status))
    later(corrected)
    corrected.work()
    assert not corrected.ledger.outbox.of_study(STUDY)
    assert corrected.ledger.overview.history(STUDY)[0].decision == "Provenance"
    assert heard.rules == [RULE]
    assert corrected.ledger.records.find_parked(STUDY) is None
    assert corrected.ledger.marks.find(STUDY) is None


@pytest.mark.parametrize("missing", [{"Provenance"}, {"Provenance", "Device"}])
def test_a_server_without_provenance_is_no_trouble(corrected: World, missing: set[str]) -> None:
    """RULES B8: 404, type unsupported: given up; nobody takes it for a reset."""
    corrected.fhir.types -= missing
    later(corrected)
    assert deliver_due(corrected.context) == 1
    assert not corrected.ledger.outbox.of_study(STUDY)
    assert not corrected.ledger.marks.page()


def test_without_a_device_words_do(corrected: World) -> None:
    """MAPPING J.5: agent.who is required; a server that keeps no Devices gets words."""
    corrected.fhir.types.discard("Device")
    later(corrected)
    deliver_due(corrected.context)
    (told,) = trail(corrected)
    assert told["agent"][0]["who"] == {"display": "syncd", "type": "Device"}


def test_a_device_of_another_writer_is_left_alone(corrected: World) -> None:
    """RULES B4: what is not ours is never written."""
    theirs = {"resourceType": "Device", "id": device_id(corrected.policy), "status": "active"}
    corrected.put(theirs)
    later(corrected)
    deliver_due(corrected.context)
    (told,) = trail(corrected)
    assert "reference" not in told["agent"][0]["who"]
    assert "meta" not in theirs
    assert corrected.fhir.resources("Device")[0]["meta"]["versionId"] == "1"


def test_a_device_that_was_deleted_is_written_again(corrected: World) -> None:
    """RULES B4: a refused reference is resolved afresh, once."""
    later(corrected)
    deliver_due(corrected.context)
    corrected.remove(f"Provenance/{trail(corrected)[0]['id']}")
    corrected.remove(f"Device/{device_id(corrected.policy)}")
    correct(corrected, "P-3")
    corrected.work()
    assert trail(corrected)[0]["agent"][0]["who"]["reference"] == f"Device/{device_id(corrected.policy)}"


def test_a_study_deleted_on_the_server_ends_the_debt(corrected: World) -> None:
    """RULES B8: there is nothing left to speak of; the reference is refused twice."""
    corrected.remove(f"ImagingStudy/{STUDY}")
    later(corrected)
    deliver_due(corrected.context)
    assert not corrected.ledger.outbox.of_study(STUDY)
    assert len(corrected.writes("Provenance")) == 2


def test_a_server_that_is_away_is_waited_for(corrected: World) -> None:
    """RULES B8, C6: put off with growing pauses, and paid when it is back; nothing else was held up."""
    corrected.fhir.answer_instead(puts("Provenance"), LIFELESS)
    later(corrected)
    assert deliver_due(corrected.context) == 0
    (owed,) = corrected.ledger.outbox.of_study(STUDY)
    assert owed.attempts == 1
    assert deliver_due(corrected.context) == 0, "not due yet"
    corrected.clock.advance(2.0)
    assert deliver_due(corrected.context) == 1
    assert len(trail(corrected)) == 1


def test_after_many_failures_it_is_tried_daily(corrected: World) -> None:
    """RULES C6: as a study that the server fails is."""
    (owed,) = corrected.ledger.outbox.of_study(STUDY)
    corrected.ledger.outbox.put_off(replace(owed, attempts=ATTEMPTS - 1, due=corrected.clock()))
    corrected.fhir.answer_instead(puts("Provenance"), LIFELESS)
    deliver_due(corrected.context)
    (owed,) = corrected.ledger.outbox.of_study(STUDY)
    assert owed.due == corrected.clock() + 86400


def test_a_server_that_lost_everything_gets_it_when_the_study_is_back(corrected: World) -> None:
    """RULES B4, E3: the sentinel is asked before a refused reference is believed."""
    corrected.fhir.wipe()
    later(corrected)
    deliver_due(corrected.context)
    assert len(corrected.ledger.outbox.of_study(STUDY)) == 1


def test_a_failing_provenance_does_not_hold_the_next_study_up(corrected: World) -> None:
    """RULES B8: never parks, never blocks."""
    corrected.fhir.rules.append(lambda request: LIFELESS if puts("Provenance")(request) else None)
    later(corrected)
    corrected.store(OTHER, PatientID="P9")
    corrected.settle()
    corrected.poll()
    corrected.work()
    assert corrected.study(OTHER)["status"] == "available"
    assert len(corrected.ledger.outbox.of_study(STUDY)) == 1


def test_a_defect_keeps_the_debt(corrected: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES B8: whatever happens, neither worker nor debt is lost."""

    def broken(*_: object, **__: object) -> Json:
        raise ValueError

    monkeypatch.setattr(provenance, "provenance", broken)
    later(corrected)
    assert deliver_due(corrected.context) == 0
    assert len(corrected.ledger.outbox.of_study(STUDY)) == 1


def test_what_is_not_fit_to_be_sent_is_given_up(corrected: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES B1: it is checked as everything is."""
    monkeypatch.setattr(provenance, "problems", lambda *_, **__: ("Provenance: broken",))
    later(corrected)
    deliver_due(corrected.context)
    assert not corrected.writes("Provenance")
    assert not corrected.ledger.outbox.of_study(STUDY)


def test_a_ledger_that_cannot_be_written_leaves_the_study_settled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES B8: the debt is committed; who pays it is a later question."""
    world.published()
    correct(world)

    def full(*_: object) -> None:
        raise LedgerUnavailable

    monkeypatch.setattr(world.ledger.outbox, "settle", full)
    outcomes = world.work()
    assert [one.decision for one in outcomes] == ["Update"]
    monkeypatch.undo()
    later(world)
    world.work()
    assert len(trail(world)) == 1
    assert not world.ledger.outbox.of_study(STUDY)


def test_a_dry_run_owes_nothing(world: World) -> None:
    """The decision, and no more."""
    world.published()
    correct(world)
    task = replace(world.task(), dry=True)
    assert reconcile(task).outcome.owed == ()


def test_it_does_not_count_among_the_writes_of_a_study(world: World) -> None:
    """RULES B8."""
    world.published()
    before = len(world.writes())
    correct(world)
    world.work()
    assert len(world.writes()) == before + 1
    record = world.ledger.records.find(STUDY)
    assert record is not None
    assert record.version == world.study()["meta"]["versionId"] == "2"


class Listener:
    """An observer that remembers which rules it heard."""

    def __init__(self) -> None:
        self.rules: list[str] = []

    def count_decision(self, decision: str, seconds: float) -> None:
        return None

    def count_notes(self, rules: Iterable[str], *, safety: Iterable[str] = ()) -> None:
        self.rules += rules
