"""What the archive does to a study, and what FHIR says then: the cases of MAPPING I.8."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncd.errors import ConfigurationError
from syncd.loop.connect import connect, connect_dry
from syncd.loop.same_archive import FEWEST
from syncd.model.words import ArchiveState, Decision
from tests.fakes.fhir import FakeFhir
from tests.ledger.made import copies_of
from tests.loop.retracting import shown, status
from tests.loop.world import MAIN, OTHER, STUDY, World

ANONYMOUS = "1.2.276.9"
SPLIT_OFF = "1.2.277.10"
MERGED = "1.2.277.11"


def stored_again(world: World, *instances: int, **tags: Any) -> None:
    for number in instances:
        world.store(instance=number, **tags)
    world.settle()
    world.poll()


def series_of(world: World, study: str) -> list[str]:
    return [one["uid"] for one in world.study(study).get("series", [])]


def test_case_52_a_split_leaves_one_series_fewer_and_a_study_of_its_own(world: World) -> None:
    """MAPPING I case 52; docs/cases.md: told by no event, found by the sweep; neither resource names the other."""
    world.store(series=2)
    shown(world)
    assert series_of(world, STUDY) == [f"{STUDY}.1", f"{STUDY}.2"]
    (leaving,) = (one for one in world.orthanc.index.all("Instance") if one.tags["0020,000e"] == f"{STUDY}.2")
    world.clock.advance(60)
    world.orthanc.handle("DELETE", f"/series/{leaving.parent}")
    world.store(SPLIT_OFF)
    world.settle()
    world.sweep()
    assert [world.turn(one).decision for one in (STUDY, SPLIT_OFF)] == [Decision.UPDATE, Decision.CREATE]
    assert (series_of(world, STUDY), series_of(world, SPLIT_OFF)) == ([f"{STUDY}.1"], [f"{SPLIT_OFF}.1"])
    assert (status(world), status(world, SPLIT_OFF)) == ("available", "available")
    assert SPLIT_OFF not in repr(world.study()) and STUDY not in repr(world.study(SPLIT_OFF))


def test_case_53_a_merge_withdraws_the_source_and_the_target_grows(world: World) -> None:
    """MAPPING I case 53; docs/cases.md: the source is deleted for the archive; the target has a series of a new UID."""
    shown(world, STUDY, MERGED)
    (source,) = copies_of(world.ledger, STUDY)
    world.clock.advance(60)
    world.delete(source.orthanc_id)
    world.store(MERGED, series=2)
    world.settle()
    world.sweep()
    assert [world.turn(one).decision for one in (STUDY, MERGED)] == [Decision.RETRACT, Decision.UPDATE]
    assert (status(world), series_of(world, STUDY)) == ("cancelled", [])
    assert (status(world, MERGED), series_of(world, MERGED)) == ("available", [f"{MERGED}.1", f"{MERGED}.2"])


def test_case_56_a_deleted_study_is_found_by_the_sweep_and_withdrawn_once(world: World) -> None:
    """MAPPING I case 56: cancelled, without series and counts; further sweeps find nothing to do."""
    shown(world)
    (copy,) = copies_of(world.ledger, STUDY)
    world.delete(copy.orthanc_id)
    world.clock.advance(60)
    world.sweep()
    assert world.turn().decision is Decision.RETRACT
    said = world.study()
    assert said["status"] == "cancelled" and not said.keys() & {"series", "numberOfSeries", "numberOfInstances", "modality"}
    before = len(world.writes())
    assert (world.sweep(), world.work(), len(world.writes())) == (0, [], before)


def test_a_study_that_made_room_for_another_is_withdrawn(world: World) -> None:
    """docs/cases.md: recycled by the archive's own limit while another one is stored; the newcomer is published."""
    shown(world)
    (copy,) = copies_of(world.ledger, STUDY)
    world.clock.advance(60)
    world.store(OTHER)
    world.delete(copy.orthanc_id)
    world.settle()
    world.poll()
    world.sweep()
    assert {one.study_uid: one.decision for one in world.work()} == {STUDY: Decision.RETRACT, OTHER: Decision.CREATE}
    assert (status(world), status(world, OTHER)) == ("cancelled", "available")


def test_case_57_a_wiped_archive_takes_nothing_back(world: World) -> None:
    """MAPPING I case 57, RULES A4: the published studies are all gone at once, so it is another archive: it is paused."""
    studies = [f"1.2.276.{number}" for number in range(100, 100 + FEWEST)]
    shown(world, *studies)
    before = len(world.writes())
    world.orthanc.wipe()
    world.poll()
    position = world.ledger.feed.position(MAIN)
    assert position is not None and position.state is ArchiveState.PAUSED
    assert (world.work(), len(world.writes())) == ([], before)
    assert {status(world, one) for one in studies} == {"available"}


def test_case_54_an_anonymized_copy_is_a_study_of_its_own(world: World) -> None:
    """MAPPING I case 54: another ImagingStudy under the new UID, no link to the original (PHI)."""
    world.published(PatientID="P1", AccessionNumber="A1")
    world.published(ANONYMOUS, PatientID="ANON", PatientName="Anon")
    text = repr(world.study(ANONYMOUS))
    assert world.study()["subject"] != world.study(ANONYMOUS)["subject"]
    assert STUDY not in text and "A1" not in text and "P1" not in text


def test_case_55_an_instance_deleted_unannounced_is_found_by_the_sweep(world: World) -> None:
    """MAPPING I case 55: no change entry; one PUT with one instance less."""
    stored_again(world, 1, 2)
    world.turn()
    before = len(world.writes())
    instance = world.orthanc.index.all("Instance")[0].id
    world.clock.advance(60)
    world.orthanc.handle("DELETE", f"/instances/{instance}")
    world.settle()
    world.sweep()
    assert world.turn().decision is Decision.UPDATE
    assert (world.study()["numberOfInstances"], len(world.writes())) == (1, before + 1)


def test_case_59_the_same_instance_again_costs_no_write(world: World) -> None:
    """MAPPING I case 59: rebuilt, equal essence, no PUT."""
    world.published()
    before = len(world.writes())
    stored_again(world, 1)
    world.mark()
    assert world.turn().decision is Decision.SKIP
    assert len(world.writes()) == before


def test_case_61_images_after_the_study_was_stable_are_a_second_version(world: World) -> None:
    """MAPPING I case 61: the same id, more instances, status available, version 2."""
    world.published()
    world.clock.advance(300)
    stored_again(world, 2)
    assert world.turn().decision is Decision.UPDATE
    said = world.study()
    assert (said["status"], said["numberOfInstances"], said["meta"]["versionId"]) == ("available", 2, "2")


def test_case_62_a_contradiction_within_the_study_does_not_alternate(world: World) -> None:
    """MAPPING I case 62: the archive's value stands, noted; building it again changes nothing."""
    world.store(series=1, StudyDescription="Thorax")
    world.store(series=2, StudyDescription="Abdomen")
    world.settle()
    world.poll()
    outcome = world.turn()
    assert "I-62" in outcome.ended.noted
    assert world.study()["description"] == "Thorax"
    world.mark()
    assert world.turn().decision is Decision.SKIP


def test_the_record_counts_the_mappings_notes_too(world: World) -> None:
    """Notes are kept; those that the mapping makes count like those of the snapshot."""
    world.store(PatientID="P1", StudyID="S1", SOPClassUID="1.2.840.10008.5.1.4.1.1.2", TimezoneOffsetFromUTC="+0100")
    world.settle()
    world.poll()
    outcome = world.turn()
    assert outcome.record is not None
    assert outcome.ended.noted == ("B",)
    assert outcome.record.notes == 1


@pytest.mark.parametrize(
    ("profile", "version", "fits"),
    [
        ("mado", "r4", True),
        ("mado", "r5", False),
        ("eu", "r5", True),
        ("eu", "r4b", False),
        ("eu", "r4", True),
    ],
)
def test_case_65_a_profile_is_refused_on_a_server_of_another_version(
    world: World, profile: str, version: str, fits: bool
) -> None:
    """MAPPING I case 65, H; docs/settings.md, POLICY__PROFILE: a contradiction ends with exit 2 before anything is
    written."""
    world.fhir = FakeFhir(version, clock=world.clock)
    site = replace(world.site, policy=replace(world.policy, profile=profile))
    if fits:
        assert connect(site, world.ledger).policy.profile == profile
        return
    for attempt in (connect, connect_dry):
        with pytest.raises(ConfigurationError, match=f"SYNCD_POLICY__PROFILE is {profile}"):
            attempt(site, world.ledger)
    assert world.ledger.facts.target() is None


def test_a_profile_taken_back_leaves_the_resource(world: World) -> None:
    """RULES C3, B3: what we claimed goes when we claim it no more; another's claim stays."""
    foreign = "http://example.org/StructureDefinition/theirs"
    plain = world.policy
    for profile in ("mado", ""):
        world.policy = replace(plain, profile=profile)
        world.connect()
        if profile:
            world.published(OTHER)
            claimed = world.study(OTHER)
            assert claimed["meta"]["profile"] == ["https://profiles.ihe.net/RAD/MADO/StructureDefinition/MadoImagingStudy"]
            world.put({**claimed, "meta": {**claimed["meta"], "profile": [*claimed["meta"]["profile"], foreign]}})
    world.mark(OTHER, read_fhir=True)
    assert world.turn(OTHER).decision is Decision.UPDATE
    said = world.study(OTHER)
    assert said["meta"]["profile"] == [foreign]
    assert "endpoint" not in said["series"][0]
    assert "type" not in said["identifier"][0]
