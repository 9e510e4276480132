"""Key objects and rejection from the archive to the FHIR server: MAPPING D, cases I.6 37–43, RULES B7."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from syncd.errors import Transient
from syncd.loop.study.reconcile import reconcile
from syncd.model.words import Decision
from tests.fakes.http import Request, Response
from tests.fakes.orthanc_tags import orthanc_id
from tests.loop.rejecting import (
    EXPIRED,
    NOTES,
    QUALITY,
    SAFETY,
    WORKLIST,
    delete,
    due,
    images,
    listed,
    note,
    reread,
    restart,
    rounds,
    says,
    sent,
    settled,
    uid,
    wrote,
)
from tests.loop.world import OTHER, STUDY, World, puts

ALL = {STUDY: [uid(number) for number in (1, 2, 3)]}
FIRST = {STUDY: [uid(1)]}
SWEEP = 900.0


def published(world: World, study: str = STUDY) -> None:
    """Three images, available."""
    images(world, 1, 2, 3, study=study)
    settled(world)
    assert says(world, study) == ("available", 3)


def test_rejected_images_go_and_the_note_is_shown(world: World) -> None:
    """Case I.6 37: series 5 → 3, the KO series is shown, 4 in all, both modalities; available."""
    images(world, 1, 2, 3, 4, 5)
    settled(world)
    note(world, QUALITY, {STUDY: [uid(2), uid(4)]})
    settled(world)
    resource = world.study()
    assert (resource["status"], resource["numberOfSeries"], resource["numberOfInstances"]) == ("available", 2, 4)
    assert [(one["modality"]["code"], one["numberOfInstances"]) for one in resource["series"]] == [("CT", 3), ("KO", 1)]
    assert {one["code"] for one in resource["modality"]} == {"CT", "KO"}
    assert listed(resource) == {uid(1), uid(3), uid(5), uid(1, series=NOTES)}
    record = world.ledger.records.find(STUDY)
    assert record is not None
    assert (record.instances, record.raw["instances"]) == (4, 6)


def test_images_of_poor_quality_may_be_kept(new_world: Callable[..., World]) -> None:
    """Case I.6 37: `rejected_quality: keep` shows all of them."""
    world = new_world(rejected_quality="keep")
    images(world, 1, 2, 3)
    note(world, QUALITY, ALL)
    settled(world)
    assert says(world) == ("available", 4)


def test_everything_unsafe_is_entered_in_error(world: World) -> None:
    """Case I.6 38, F.3: the KO series does not keep it available; identifiers, subject and status are left."""
    published(world)
    before = world.study()
    note(world, SAFETY, ALL)
    settled(world)
    after = world.study()
    assert after["status"] == "entered-in-error"
    assert after.keys() - {"meta"} == {"resourceType", "id", "identifier", "subject", "status"}
    assert (after["identifier"], after["subject"]) == (before["identifier"], before["subject"])
    assert world.ledger.marks.find(STUDY) is None
    assert world.ledger.records.find_parked(STUDY) is None
    assert not wrote([reread(world)]), "said once"


def test_the_wrong_worklist_entry_moves_the_study_to_another(world: World) -> None:
    """Case I.6 39: A entered-in-error, B available under its own UID."""
    published(world)
    note(world, WORKLIST, ALL)
    images(world, 1, 2, 3, study=OTHER)
    settled(world)
    assert (says(world), says(world, OTHER)) == (("entered-in-error", 0), ("available", 3))


def test_the_correction_may_lie_in_the_corrected_study(world: World) -> None:
    """Case I.6 39, RULES B7: B's note names A's images; B itself shows it."""
    published(world)
    images(world, 1, study=OTHER)
    note(world, WORKLIST, ALL, study=OTHER)
    settled(world)
    assert (says(world), says(world, OTHER)) == (("entered-in-error", 0), ("available", 2))


def test_an_expired_retention_hides_images_and_note(world: World) -> None:
    """Case I.6 40, RULES B7: real work took place, so it is no error."""
    published(world)
    note(world, EXPIRED, ALL)
    settled(world)
    assert says(world) == ("cancelled", 0)


def test_carrying_an_expired_retention_out_is_no_second_write(world: World) -> None:
    """Case I.6 40: images, then the note, deleted one by one; identical result."""
    published(world)
    note(world, EXPIRED, ALL)
    settled(world)
    before = len(sent(world))
    for number in (1, 2, 3):
        delete(world, number)
        assert not wrote([reread(world)])
    delete(world, 1, series=NOTES)
    world.mark()
    world.turn()
    assert (says(world), len(sent(world))) == (("cancelled", 0), before)


def test_an_expired_note_deleted_before_its_images_shows_none_of_them(world: World) -> None:
    """MAPPING D.2-4: that is what the grace is for."""
    published(world)
    note(world, EXPIRED, ALL)
    settled(world)
    before = len(sent(world))
    delete(world, 1, series=NOTES)
    assert not wrote([reread(world)])
    for number in (1, 2):
        delete(world, number)
        assert not wrote([reread(world)])
    assert (says(world), len(sent(world))) == (("cancelled", 0), before)


def test_a_note_before_its_images_never_lets_them_be_seen(world: World) -> None:
    """Case I.6 41, MAPPING D.2-8: no resource at all until an accepted instance exists, not even `registered`."""
    note(world, SAFETY, ALL)
    rounds(world)
    images(world, 1, 2)
    rounds(world)
    settled(world)
    assert not world.writes()
    assert world.ledger.marks.find(STUDY) is None
    restart(world)
    images(world, 3)
    settled(world)
    assert not world.writes()
    images(world, 4)
    rounds(world)
    assert says(world) == ("registered", 0)
    settled(world)
    assert [listed(one) for one in sent(world)] == [set(), {uid(4), uid(1, series=NOTES)}]


def test_a_rejected_image_that_is_sent_again_stays_away(world: World) -> None:
    """Case I.6 41, MAPPING D.2-2: until the note is removed from the archive."""
    published(world)
    note(world, QUALITY, FIRST)
    settled(world)
    delete(world, 1)
    reread(world)
    images(world, 1)
    settled(world)
    assert all(uid(1) not in listed(one) for one in sent(world)[2:])
    assert says(world) == ("available", 3)


def test_nothing_but_a_rejection_note_is_never_published(world: World) -> None:
    """MAPPING D.2-8."""
    note(world, SAFETY, {OTHER: [uid(1, OTHER)]})
    (outcome, *_) = settled(world)
    assert (outcome.decision, outcome.done) == (Decision.SKIP, True)
    assert not world.fhir.resources("ImagingStudy")
    assert not world.fhir.resources("Patient"), "nor is its Patient"


@pytest.mark.parametrize(("title", "scheme"), [("113030", "DCM"), ("MADOTEMP001", "99IHE"), ("113000", "DCM")])
def test_other_key_objects_are_listed_and_take_nothing_back(world: World, title: str, scheme: str) -> None:
    """Cases I.6 43 and I.3 22; MAPPING D.2-8: alone they make a study available."""
    note(world, title, ALL, scheme=scheme)
    settled(world)
    assert says(world) == ("available", 1)
    images(world, 1, 2, 3)
    settled(world)
    assert says(world) == ("available", 4)
    titles = [one.get("title") for series in world.study()["series"] for one in series["instance"]]
    assert "A title" in titles


def test_a_note_in_another_study_may_come_long_before(world: World) -> None:
    """RULES B7, MAPPING D.2-1: known from the ledger, also after a restart; no `registered` for what is rejected."""
    note(world, SAFETY, FIRST, study=OTHER)
    settled(world)
    restart(world)
    images(world, 1)
    rounds(world)
    assert not world.writes()
    images(world, 2)
    settled(world)
    assert [listed(one) for one in sent(world)] == [{uid(2)}]


def test_a_note_in_another_study_takes_back_what_was_published(world: World) -> None:
    """RULES B7: its study is marked, and reads nothing of the other one."""
    published(world)
    note(world, SAFETY, FIRST, study=OTHER)
    outcomes = settled(world)
    assert [one.study_uid for one in outcomes if one.decision is Decision.UPDATE] == [STUDY]
    assert says(world) == ("available", 2)


def test_a_note_is_heeded_by_others_before_its_own_study_is_stable(world: World) -> None:
    """RULES B7: what it says is read when it is first looked at."""
    published(world)
    note(world, SAFETY, ALL, study=OTHER)
    rounds(world)
    assert says(world) == ("entered-in-error", 0)


def test_another_patients_note_takes_nothing_back(world: World) -> None:
    """RULES B7: only under the same patient; and a corrected PatientID makes it count."""
    published(world)
    note(world, SAFETY, FIRST, study=OTHER, PatientID="Q")
    settled(world)
    assert says(world) == ("available", 3)
    delete(world, 1, OTHER, series=NOTES, patient="Q")
    note(world, SAFETY, FIRST, study=OTHER)
    settled(world)
    assert says(world) == ("available", 2)


def test_a_note_in_a_study_of_two_patients_takes_back_what_it_names_elsewhere(world: World) -> None:
    """RULES B7, C8: its own study is parked, but images that its patient's note rejects are not shown for that."""
    published(world)
    note(world, SAFETY, FIRST, study=OTHER)
    world.store(OTHER, instance=9, PatientID="ANOTHER")
    outcomes = settled(world)
    assert [one.parked.reason for one in outcomes if one.parked is not None] == ["patient-conflict"]
    assert says(world) == ("available", 2)


@pytest.mark.usefixtures("impatient")
def test_a_note_beside_a_copy_that_nobody_can_read_takes_back_what_it_names_elsewhere(world: World) -> None:
    """RULES B7, B11: whose that copy is nobody knows, so its study is parked; what the note names in others is not shown."""
    published(world)
    note(world, SAFETY, FIRST, study=OTHER)
    world.store(OTHER, instance=9, PatientID="ANOTHER")
    lost = f"/instances/{orthanc_id('ANOTHER', OTHER, f'{OTHER}.1', uid(9, OTHER))}/"
    world.orthanc.rules.append(lambda request: Response(status=500) if request.path.startswith(lost) else None)
    outcomes = settled(world)
    assert {one.parked.reason for one in outcomes if one.parked is not None} == {"server-error"}
    assert says(world) == ("available", 2)


def test_a_rejected_note_has_no_effect(world: World) -> None:
    """MAPPING D.2-4: the images return at once, for the note is still there and was taken back on purpose."""
    published(world)
    note(world, SAFETY, ALL)
    settled(world)
    assert says(world) == ("entered-in-error", 0)
    note(world, QUALITY, {STUDY: [uid(1, series=NOTES)]}, number=2)
    settled(world)
    assert listed(world.study()) == {*ALL[STUDY], uid(2, series=NOTES)}


def test_a_deleted_note_counts_for_a_sweep_interval_and_then_no_more(world: World) -> None:
    """MAPPING D.2-4, RULES B7: the timer is persisted, the row is due by itself, and images return."""
    published(world)
    note(world, QUALITY, FIRST)
    settled(world)
    delete(world, 1, series=NOTES)
    outcome = reread(world)
    missing_since = world.clock()
    assert (outcome.done, outcome.turn.due, says(world)) == (False, missing_since + SWEEP, ("available", 2))
    restart(world)
    world.clock.advance(SWEEP / 2)
    assert not due(world), "nothing to do in between"
    assert reread(world).turn.due == missing_since + SWEEP, "another look does not lengthen it"
    restart(world)
    world.clock.advance(SWEEP / 2)
    (outcome,) = due(world)
    assert (outcome.decision, outcome.done) == (Decision.UPDATE, True)
    assert says(world) == ("available", 3)
    assert world.ledger.marks.find(STUDY) is None
    assert not world.ledger.rejections.find_concerning(STUDY)


def test_a_grace_that_ends_while_two_patients_quarrel_makes_no_haste(world: World) -> None:
    """MAPPING D.2-4, RULES C8: nothing is applied while it is unknown whose study it is; that is asked each minute."""
    published(world)
    note(world, QUALITY, FIRST)
    settled(world)
    delete(world, 1, series=NOTES)
    reread(world)
    world.store(instance=9, PatientID="ANOTHER")
    world.settle()
    world.poll()
    world.clock.advance(SWEEP + 100)
    outcome = reread(world)
    assert outcome.parked is not None and outcome.parked.reason == "patient-conflict"
    assert outcome.turn.due == world.clock() + 60


def test_a_note_that_comes_back_within_the_grace_starts_it_anew(world: World) -> None:
    """MAPPING D.2-4."""
    published(world)
    note(world, QUALITY, FIRST)
    settled(world)
    delete(world, 1, series=NOTES)
    reread(world)
    world.clock.advance(SWEEP - 100)
    note(world, QUALITY, FIRST)
    settled(world)
    assert world.ledger.marks.find(STUDY) is None
    delete(world, 1, series=NOTES)
    assert reread(world).turn.due == world.clock() + SWEEP
    assert uid(1) not in listed(world.study())


def test_a_withdrawn_study_returns_with_its_images(world: World) -> None:
    """MAPPING D.2-4, RULES C4: our own `entered-in-error` is no human's, and is undone when the note is gone."""
    published(world)
    note(world, SAFETY, ALL)
    settled(world)
    delete(world, 1, series=NOTES)
    reread(world)
    world.clock.advance(SWEEP)
    due(world)
    assert says(world) == ("available", 3)


def test_a_withdrawn_study_keeps_its_status_until_it_is_stable(world: World) -> None:
    """RULES B7: what arrives for it is waited for."""
    published(world)
    note(world, SAFETY, ALL)
    settled(world)
    images(world, 4)
    rounds(world)
    assert says(world) == ("entered-in-error", 0)
    settled(world)
    assert says(world) == ("available", 2)


def test_the_note_of_a_study_that_vanished_is_revoked_for_others(world: World) -> None:
    """RULES B7, MAPPING D.2-4: after the grace, though its study is not in the archive any more."""
    published(world)
    note(world, SAFETY, ALL, study=OTHER)
    settled(world)
    assert says(world) == ("entered-in-error", 0)
    delete(world, 1, OTHER, series=NOTES)
    reread(world, OTHER)
    assert says(world) == ("entered-in-error", 0)
    restart(world)
    world.clock.advance(SWEEP)
    due(world)
    assert says(world) == ("available", 3)
    assert world.ledger.marks.find(OTHER) is None


def test_others_are_told_although_the_server_is_away(world: World) -> None:
    """RULES B7: what a note says is committed before its own study is published."""
    published(world)
    images(world, 1, study=OTHER)
    note(world, SAFETY, FIRST, study=OTHER)
    world.settle()
    world.poll()
    world.fhir.rules.append(lambda request: Response(status=503) if puts(resource_id=OTHER)(request) else None)
    with pytest.raises(Transient):
        world.turn(OTHER)
    world.turn(STUDY)
    assert says(world) == ("available", 2)


@pytest.mark.parametrize("where", ["/tools/find", "/Patient"])
def test_a_note_that_comes_while_its_images_are_published_is_not_overtaken(world: World, where: str) -> None:
    """RULES B7, C4: heard of while the archive is read, or after the study was mapped: that is not sent, it begins again."""
    images(world, 1, 2)
    world.poll()
    note(world, SAFETY, FIRST, study=OTHER)
    world.settle()
    world.poll()
    heard = []

    def meanwhile(request: Request) -> Response | None:
        if where in request.path and not heard:
            heard.append(request)
            world.turn(OTHER)
        return None

    world.orthanc.rules.append(meanwhile)
    world.fhir.rules.append(meanwhile)
    world.turn(STUDY)
    assert heard
    assert [listed(one) for one in sent(world)] == [{uid(2)}]


def test_a_lost_ledger_withdraws_what_carries_our_tag(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    """RULES E7, MAPPING D.2-8: published before, though nobody remembers it."""
    published(world)
    world.lose_ledger(tmp_path_factory.mktemp("another"))
    note(world, SAFETY, ALL)
    world.settle()
    world.connect(accept_target=True)
    rounds(world)
    world.sweep()
    due(world)
    assert says(world) == ("entered-in-error", 0)


def test_a_lost_reply_to_a_withdrawal_is_recognised(world: World) -> None:
    """RULES C4, C5: the status that we set ourselves is not taken for another writer's, also when images return."""
    published(world)
    note(world, SAFETY, ALL)
    world.settle()
    world.poll()
    task = world.task()
    assert reconcile(task).outcome.record is not None
    world.ledger.claims.release(STUDY)
    images(world, 4)
    settled(world)
    assert says(world) == ("available", 2)
    assert world.ledger.records.find_parked(STUDY) is None


def test_a_dry_run_remembers_nothing(world: World) -> None:
    """The same decision, and no trace of it."""
    published(world)
    note(world, SAFETY, ALL)
    world.settle()
    world.poll()
    outcome = reconcile(replace(world.task(), dry=True)).outcome
    world.ledger.claims.release(STUDY)
    assert (outcome.decision, outcome.reason) == (Decision.RETRACT, "everything is rejected: changed")
    assert not world.ledger.rejections.find_concerning(STUDY)
    assert says(world) == ("available", 3)
