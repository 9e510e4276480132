"""What the archive does to a study, and what FHIR says then: the cases of MAPPING I.8 that take nothing back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncd.errors import ConfigurationError
from syncd.loop.connect import connect, connect_dry
from syncd.model.words import Decision
from tests.fakes.fhir import FakeFhir
from tests.loop.world import OTHER, STUDY, World

ANONYMOUS = "1.2.276.9"


def stored_again(world: World, *instances: int, **tags: Any) -> None:
    for number in instances:
        world.store(instance=number, **tags)
    world.settle()
    world.poll()


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
    assert "I-62" in outcome.noted
    assert world.study()["description"] == "Thorax"
    world.mark()
    assert world.turn().decision is Decision.SKIP


def test_the_record_counts_the_mappings_notes_too(world: World) -> None:
    """Issue, Values: notes are kept; those that the mapping makes count like those of the snapshot."""
    world.store(PatientID="P1", StudyID="S1", SOPClassUID="1.2.840.10008.5.1.4.1.1.2", TimezoneOffsetFromUTC="+0100")
    world.settle()
    world.poll()
    outcome = world.turn()
    assert outcome.record is not None
    assert outcome.noted == ("B",)
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
    """MAPPING I case 65, H; CONTRACT, POLICY__PROFILE: a contradiction ends with exit 2 before anything is written."""
    world.fhir = FakeFhir(version, clock=world.clock)
    site = replace(world.site, policy=replace(world.policy, profile=profile))
    if fits:
        assert connect(site, world.ledger).policy.profile == profile
        return
    for attempt in (connect, connect_dry):
        with pytest.raises(ConfigurationError, match=f"SYNCD_POLICY__PROFILE is {profile}"):
            attempt(site, world.ledger)
    assert world.ledger.target() is None


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
