"""Include, exclude, and what was published before (docs/settings.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from syncd.errors import ConfigurationError
from syncd.loop.archives.follower import Follower
from syncd.loop.study import selection as room
from syncd.loop.study.selection import count_concerned
from syncd.model.words import Decision, Priority
from syncd.model.work import MarkKind
from syncd.selection.rules import rules
from syncd.selection.site import Selection
from tests.ledger.made import copies_of
from tests.loop.retracting import deciding, deletions, once, shown, status, tombstone, vanish
from tests.loop.world import MAIN, OTHER, SECOND, STUDY, World, puts, refused


def _exclude(world: World, *texts: str, **changes: str) -> None:
    world.selection = Selection(rules=rules(exclude=texts), **changes)
    world._context = None


def _include(world: World, *texts: str) -> None:
    world.selection = Selection(rules=rules(include=texts))
    world._context = None


def _arrived(world: World) -> None:
    world.settle()
    world.poll()


def test_an_excluded_study_writes_nothing_and_is_kept_in_mind(world: World) -> None:
    """docs/settings.md, `EXCLUDE`; state `excluded`, by the rule's text."""
    _exclude(world, "modality=SR", "PatientID=TEST*")
    world.store(PatientID="Test-1")
    _arrived(world)
    world.connect()
    before = len(world.writes("Patient")) + len(world.writes())
    outcome = world.turn()
    assert (outcome.decision, outcome.reason, outcome.done) == (Decision.SKIP, "excluded by PatientID=TEST*", True)
    assert len(world.writes("Patient")) + len(world.writes()) == before == 0
    entry = world.ledger.selection.find(STUDY)
    assert entry is not None
    assert (entry.state, entry.rule, entry.study_date, entry.archive) == ("excluded", "PatientID=TEST*", "20240102", MAIN)
    counts = world.ledger.overview.counts(world.clock())
    assert (counts.dirty, counts.unselected, counts.published) == (0, {"excluded": 1}, {})


def test_an_excluded_study_is_not_new_to_the_next_inventory(world: World) -> None:
    """RULES A8: it is known, though it has no record."""
    _exclude(world, "modality=CT")
    world.store()
    _arrived(world)
    world.sweep()
    world.turn()
    assert world.sweep() == 0


def test_a_study_is_excluded_by_one_of_its_series(world: World) -> None:
    """Any value is enough."""
    _exclude(world, "modality=SR")
    world.store(modality="CT")
    world.store(series=2, modality="SR", instance=2)
    _arrived(world)
    assert world.turn().reason == "excluded by modality=SR"


def test_only_what_is_included_is_published(world: World) -> None:
    """docs/settings.md, `INCLUDE`."""
    _include(world, "modality=MR", "station=CT-2")
    world.store(modality="CT")
    world.store(OTHER, modality="CT", StationName="ct-2", PatientID="P2")
    _arrived(world)
    assert {one.study_uid: one.decision for one in world.work()} == {STUDY: Decision.SKIP, OTHER: Decision.CREATE}


@pytest.mark.parametrize("version", ["1.10.1", "1.12.7"])
def test_the_calling_aet_is_that_of_any_instance(new_world: Callable[..., World], version: str) -> None:
    """docs/settings.md, key `aet`: Orthanc's metadata RemoteAET."""
    world = new_world()
    world.orthanc.version, world.orthanc.modern = version, version != "1.10.1"
    _exclude(world, "aet=research*")
    world.store()
    world.store(instance=2)
    world.store(OTHER, PatientID="P2")
    _sent_by(world, f"{STUDY}.1.2", "RESEARCH1")
    _sent_by(world, f"{OTHER}.1.1", "CT1")
    _arrived(world)
    assert {one.study_uid: one.decision for one in world.work()} == {STUDY: Decision.SKIP, OTHER: Decision.CREATE}


def _sent_by(world: World, sop_instance_uid: str, aet: str) -> None:
    (found,) = [one for one in world.orthanc.index.resources.values() if one.main.get("SOPInstanceUID") == sop_instance_uid]
    found.metadata["RemoteAET"] = aet


def test_a_study_that_arrives_is_judged_by_what_is_there_and_does_not_flash(world: World) -> None:
    """RULES A6: no `registered` of what is excluded so far; judged again when it is stable."""
    _exclude(world, "aet=RESEARCH", "modality=SR")
    world.store()
    _sent_by(world, f"{STUDY}.1.1", "RESEARCH")
    world.poll()
    outcome = world.turn()
    assert (outcome.decision, outcome.reason) == (Decision.WAIT, "still arriving, and excluded by aet=RESEARCH so far")
    assert not world.writes()
    assert world.ledger.marks.find(STUDY) is not None
    world.settle()
    assert world.turn().reason == "excluded by aet=RESEARCH"


def test_what_is_included_only_later_is_published_when_it_is(world: World) -> None:
    """The series that tells comes last."""
    _include(world, "modality=SR")
    world.store()
    world.poll()
    assert world.turn().reason == "still arriving, and included by no rule so far"
    world.store(series=2, modality="SR", instance=2)
    _arrived(world)
    assert world.turn().decision is Decision.CREATE


def test_a_series_that_excludes_a_published_study_leaves_it_up_to_date(world: World) -> None:
    """docs/settings.md, `ON_DESELECT=keep`: it stays, and nothing in it is stale."""
    _exclude(world, "modality=SR")
    world.published()
    world.store(series=2, modality="SR", instance=2)
    _arrived(world)
    outcome = world.turn()
    assert (outcome.decision, world.study()["numberOfSeries"]) == (Decision.UPDATE, 2)
    assert outcome.reason.endswith("excluded by modality=SR, but published before: it stays")
    assert world.ledger.overview.counts(world.clock()).unselected == {}


def test_other_rules_reach_what_is_published_at_backfill_priority(world: World) -> None:
    """RULES A9, B3: marked once, told before."""
    world.published()
    _exclude(world, "modality=CT")
    assert count_concerned(world.ledger, name=MAIN, selection=world.selection) == 1
    world.connect()
    row = world.ledger.marks.find(STUDY)
    assert row is not None
    assert (row.priority, row.study_date) == (Priority.BACKFILL, "20240102")
    assert count_concerned(world.ledger, name=MAIN, selection=world.selection) == 0
    generation = world.ledger.progress.newest_generation()
    world.connect()
    assert world.ledger.progress.newest_generation() == generation
    assert world.turn().decision is Decision.SKIP


def test_other_rules_reach_what_was_excluded(world: World) -> None:
    """Nothing else would look at it again."""
    _exclude(world, "modality=CT")
    world.store()
    _arrived(world)
    world.turn()
    _exclude(world, "modality=MR")
    world.connect()
    assert world.turn().decision is Decision.CREATE
    assert world.ledger.selection.find(STUDY) is None
    assert world.ledger.overview.counts(world.clock()).unselected == {}


def test_other_rules_reach_what_is_parked(world: World) -> None:
    """A study that the server refused is excluded now, and nobody needs to look at it any more."""
    world.store()
    _arrived(world)
    world.connect()
    world.fhir.rules.append(lambda request: refused(422) if puts()(request) else None)
    assert world.turn().decision is Decision.PARK
    _exclude(world, "modality=CT")
    world.connect()
    assert world.turn().reason == "excluded by modality=CT"
    assert world.ledger.records.find_parked(STUDY) is None
    assert world.ledger.overview.counts(world.clock()).parked == {}


def test_a_label_excludes_and_includes_again(world: World) -> None:
    """docs/settings.md, key `label`: no event tells of it, so every look reads it."""
    _exclude(world, "label=private")
    study = world.store()
    _arrived(world)
    world.orthanc.handle("PUT", f"/studies/{study}/labels/private")
    assert world.turn().reason == "excluded by label=private"
    world.orthanc.handle("DELETE", f"/studies/{study}/labels/private")
    world.mark(kind=MarkKind.INVENTORY)
    assert world.turn().decision is Decision.CREATE


def test_labels_of_an_archive_that_has_none_are_refused(world: World) -> None:
    """docs/settings.md, key `label`: 1.12 only; an exclusion that can never hold would publish what it names."""
    world.orthanc.version, world.orthanc.modern = "1.10.1", False
    _exclude(world, "label=private")
    with pytest.raises(ConfigurationError, match="keeps none"):
        world.connect()


def test_an_excluded_study_that_is_deleted_is_counted_no_more(world: World) -> None:
    """RULES E8: the numbers are moved by the transaction that moves the row."""
    _exclude(world, "modality=CT")
    study = world.store()
    _arrived(world)
    world.turn()
    world.delete(study)
    world.mark(kind=MarkKind.INVENTORY)
    world.turn()
    assert world.ledger.overview.counts(world.clock()).unselected == {}
    assert world.ledger.selection.find(STUDY) is None


def test_a_rejection_note_in_an_excluded_study_still_counts(world: World) -> None:
    """RULES B7: what it says of others is remembered before it is left out."""
    _exclude(world, "modality=KO")
    world.store(modality="KO")
    _arrived(world)
    assert world.turn().reason == "excluded by modality=KO"


@pytest.mark.parametrize(
    ("how", "said", "kept"),
    [
        ("entered-in-error", "entered-in-error", ("entered-in-error", "withdrawn")),
        ("delete", "", ("cancelled", "deleted")),
    ],
)
def test_what_is_not_selected_any_more_is_taken_back(world: World, how: str, said: str, kept: tuple[str, str]) -> None:
    """docs/settings.md, `ON_DESELECT`, RULES D3: through the brake, which counts it; and it is excluded from then on."""
    shown(world)
    _exclude(world, "modality=CT", on_deselect=how)
    world.connect()
    outcome = world.turn()
    assert (outcome.decision, outcome.done) == (Decision.RETRACT, True)
    assert outcome.reason.startswith("deselected")
    assert (status(world), tombstone(world), world.ledger.retractions.brake(MAIN).spent) == (said, kept, 1)
    assert world.ledger.overview.counts(world.clock()).unselected == {"excluded": 1}
    world.mark()
    assert world.turn().decision is Decision.SKIP
    assert world.ledger.overview.counts(world.clock()).unselected == {"excluded": 1}


def test_a_label_takes_back_and_brings_in_again(world: World) -> None:
    """RULES A8: no event tells of a label; the inventory does."""
    shown(world)
    (copy,) = copies_of(world.ledger, STUDY)
    _exclude(world, "label=private", on_deselect="entered-in-error")
    world.connect()
    world.turn()
    world.orthanc.handle("PUT", f"/studies/{copy.orthanc_id}/labels/private")
    assert world.swept() == {"changed": 1}
    assert (world.turn().decision, status(world)) == (Decision.RETRACT, "entered-in-error")
    world.orthanc.handle("DELETE", f"/studies/{copy.orthanc_id}/labels/private")
    assert world.swept() == {"changed": 1}
    world.turn()
    assert (status(world), world.ledger.overview.counts(world.clock()).unselected) == ("available", {})


def test_the_cause_is_gone_when_the_archive_changed_meanwhile(world: World) -> None:
    """RULES D2: mark and cause are asked again immediately before."""
    shown(world)
    (copy,) = copies_of(world.ledger, STUDY)
    label = f"/studies/{copy.orthanc_id}/labels/private"
    world.orthanc.handle("PUT", label)
    _exclude(world, "label=private", on_deselect="delete")
    world.connect()
    met = once(world, f"/ImagingStudy/{STUDY}", lambda: world.orthanc.handle("DELETE", label), server="fhir")
    assert world.turn().decision is Decision.WAIT
    assert met and (status(world), deletions(world)) == ("available", [])
    assert world.ledger.overview.counts(world.clock()).unselected == {}


def test_a_rule_too_wide_is_stopped_by_the_brake(world: World) -> None:
    """RULES D3: ten in a day; the others wait for the operator, and stay as they were."""
    studies = [f"1.2.276.{number}" for number in range(100, 113)]
    shown(world, *studies)
    _exclude(world, "modality=CT", on_deselect="delete")
    world.connect()
    done = [world.turn(study).decision for study in studies]
    assert done == [Decision.RETRACT] * 10 + [Decision.WAIT] * 3
    assert {status(world, study) for study in studies[10:]} == {"available"}
    assert world.ledger.retractions.show_plan(MAIN)[0] == tuple(studies[10:])
    assert world.ledger.overview.counts(world.clock()).unselected == {"excluded": 10}
    _exclude(world, "modality=MR", on_deselect="delete")
    world.connect()
    assert world.turn(studies[10]).done
    assert world.ledger.retractions.show_plan(MAIN)[0] == tuple(studies[11:])


@pytest.mark.parametrize("cause", ["deselected", "gone"])
def test_what_was_taken_back_is_not_shown_anew_to_be_kept(world: World, cause: str) -> None:
    """docs/settings.md, `keep`: what is published stays; a withdrawn study is not published."""
    shown(world)
    if cause == "gone":
        vanish(world).turn()
        world.store()
        _exclude(world, "modality=CT")
        _arrived(world)
    else:
        _exclude(world, "modality=CT", on_deselect="entered-in-error")
        world.connect()
        world.turn()
        _exclude(world, "modality=CT")
    said, sent = status(world), len(world.writes())
    world.connect()
    outcome = world.turn()
    assert (outcome.decision, outcome.reason) == (Decision.SKIP, "excluded by modality=CT")
    assert (status(world), len(world.writes())) == (said, sent)


def test_what_was_kept_when_it_was_gone_is_taken_back_when_it_is_not_selected(world: World) -> None:
    """docs/settings.md, `ON_DELETE` and `ON_DESELECT` each speak for their own cause."""
    deciding(shown(world), "keep")
    vanish(world).turn()
    assert tombstone(world)[1] == "kept"
    world.on_delete = "keep"
    world.store()
    _exclude(world, "modality=CT", on_deselect="delete")
    _arrived(world)
    world.turn()
    assert (status(world), tombstone(world)[1]) == ("", "deleted")


def test_each_archive_is_asked_by_its_own_rules(world: World) -> None:
    """RULES C8: a study that one of them selects is published whole."""
    world.with_second()
    world.store()
    world.store(at=SECOND)
    world.store(OTHER, PatientID="P2")
    _exclude(world, "modality=CT")
    world.settle()
    world.poll_all()
    world.connect()
    assert (world.turn().decision, world.turn(OTHER).decision) == (Decision.CREATE, Decision.SKIP)
    assert world.ledger.overview.counts(world.clock()).unselected == {"excluded": 1}


def test_rules_of_any_archive_that_holds_it_reach_an_excluded_study(world: World) -> None:
    """It is counted as one archive's, and may be let in by the other's."""
    world.with_second()
    world.store()
    world.store(at=SECOND)
    world.selections |= {name: Selection(rules=rules(exclude=["modality=CT"])) for name in (MAIN, SECOND)}
    world.settle()
    world.poll_all()
    world.connect()
    assert world.turn().decision is Decision.SKIP
    entry = world.ledger.selection.find(STUDY)
    assert entry is not None
    world.selections[SECOND if entry.archive == MAIN else MAIN] = Selection()
    world.connect()
    assert world.turn().decision is Decision.CREATE


def test_an_archive_that_was_away_at_the_start_must_answer_the_rules_too(world: World) -> None:
    """docs/settings.md, key `label`: what is not followed yet publishes nothing."""
    world.with_second()
    selection = Selection(rules=rules(exclude=["label=private"]))
    one = Follower(world.source(SECOND), world.ledger, selection=selection, clock=world.clock)
    with pytest.raises(ConfigurationError, match=r"SECOND__INCLUDE or __EXCLUDE .* keeps none"):
        one.poll()
    assert one.breaker.blames()
    assert world.ledger.feed.position(SECOND) is None


def test_a_lost_reply_is_not_forgotten_for_an_exclusion(world: World) -> None:
    """RULES C5, E7: what is on the server and ours counts as published, though the ledger has no record of it."""
    world.published()
    resource = world.study()
    _exclude(world, "modality=CT")
    world.connect()
    task = replace(world.task(), hits=frozenset({STUDY}))
    task = replace(task, claim=replace(task.claim, record=None))
    outcome = room.judge(task, [world.archive.read_study(task.claim.copies[0].orthanc_id)])
    assert outcome is not None
    headers = [world.archive.study(task.claim.copies[0].orthanc_id)]
    kept = room.leave_out(task, headers, outcome, identity=resource["id"], study_date="")
    assert kept is None
