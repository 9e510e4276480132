"""Any byte salad in any mapped tag gives a valid resource or a named note, never an exception, never a lost instance.

From the archive's answer to the resource, in 1,000 studies on the neutral mapping and 100 per FHIR version and profile;
`make test-long` draws ten times as many.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.mapping_page.table import ROWS
from syncd.errors import StudyError
from syncd.mapping.check.check import problems
from syncd.mapping.check.invariants_r6 import broken_invariants
from syncd.mapping.dialects.registry import VERSIONS
from syncd.mapping.notes.notes import notes
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.profiles.guides import GUIDES
from syncd.mapping.resources.endpoints import endpoints
from syncd.mapping.resources.imagingstudy import available_study, whole
from syncd.mapping.resources.patient import patient, subject
from syncd.mapping.values.identity import patient_key
from syncd.model.snapshot import StudySnapshot
from syncd.model.study.raw import RawStudy
from syncd.model.study.reading import Reading
from syncd.model.words import NOTE_RULES
from syncd.snapshot.build import build
from syncd.snapshot.instances.instances import is_encodable
from syncd.snapshot.values.text import clean, is_broken
from tests.mapping.profile_studies import broken_for_eu
from tests.mapping.studies import POLICY, policies, snapshots
from tests.snapshot import salad

pytestmark = pytest.mark.machine

NEUTRAL, PER_DIALECT, LONG = 1000, 100, 10
"""Examples: on the neutral mapping, per dialect, and how many times as many in `make test-long`."""

SITE = replace(POLICY, bad_uid="verbatim")
DIALECTS = [(version, "") for version in VERSIONS] + [(version, profile) for profile, version in sorted(GUIDES)]
"""Every version, and every profile in the versions in which it is written."""

patient_with = settings(deadline=None, suppress_health_check=list(HealthCheck))
readings = st.builds(Reading, repair_utf8=st.booleans(), title_from_image_type=st.booleans())

Claim = Callable[..., None]


def drawn(claim: Claim, *, examples: int, **strategies: st.SearchStrategy[Any]) -> None:
    """Hold the claim against so many drawn studies."""
    settings(patient_with, max_examples=examples)(given(**strategies)(claim))()


def nothing_is_lost(raw: RawStudy, reading: Reading) -> None:
    """The neutral mapping: every instance that can be named is said, every other noted; or the study has a reason."""
    snapshot = build(raw, reading=reading)
    noted = [*snapshot.notes, *notes(snapshot, policy=SITE)]
    assert {one.rule for one in noted} <= set(NOTE_RULES)
    series = {one.orthanc_id: _uid(one.tags["0020,000e"]) for one in raw.series}
    named = {(series[one.series_id], _uid(one.tags["0008,0018"])) for one in raw.instances}
    expected = {(one, uid) for one, uid in named if is_encodable(one) and is_encodable(uid)}
    try:
        said = whole(snapshot, subject={}, policy=SITE)
    except StudyError as error:
        if error.reason == "unmappable":
            assert not expected
            assert not named or "A.2 unencodable" in {one.rule for one in noted}
        else:
            assert (error.reason, snapshot.study_uid) == ("uid-not-oid", "")
            assert "RULES C1" in {one.rule for one in noted}
        return
    assert {(one.facts.uid, each.uid) for one in said.series for each in one.facts.instances} == expected
    assert bool(named - expected) <= ("A.2 unencodable" in {one.rule for one in noted})


def _uid(value: object) -> str:
    """What can be believed of one: broken text cannot (RULES B11)."""
    return "" if isinstance(value, str) and is_broken(value) else clean(value)


def the_resource_is_valid(raw: RawStudy, reading: Reading, version: str, profile: str) -> None:
    """In a version, with a profile: what may be sent is fit to be sent, and has what the neutral mapping says."""
    policy = replace(SITE, profile=profile)
    snapshot = build(raw, reading=reading)
    key = patient_key(snapshot, policy=policy)
    who = subject(key, snapshot, literal=None, fhir_version=version)
    made = [patient(snapshot, key=key, policy=policy, fhir_version=version), *endpoints(policy, fhir_version=version)]
    assert {one.rule for one in notes(snapshot, policy=policy, fhir_version=version)} <= set(NOTE_RULES)
    try:
        said = whole(snapshot, subject=who, policy=policy)
    except StudyError:
        pass
    else:
        resource = available_study(snapshot, subject=who, policy=policy, dialect=version)
        made.append(resource)
        assert [len(one["instance"]) for one in resource["series"]] == [len(one.facts.instances) for one in said.series]
        assert profile != "eu" or not list(broken_for_eu(resource, version))
    assert [problems(one, fhir_version=version) for one in made] == [()] * len(made)


def the_order_does_not_matter(raw: RawStudy, chance: Any, reading: Reading) -> None:
    """Equal studies give equal bytes and notes, however the archive lists them."""
    texts = {mapped_text(build(one, reading=reading)) for one in (raw, raw, salad.shuffled(raw, chance))}
    assert len(texts) == 1


def mapped_text(snapshot: StudySnapshot) -> str:
    told = notes(snapshot, policy=SITE)
    try:
        resource = available_study(snapshot, subject={"display": "somebody"}, policy=SITE)
    except StudyError as error:
        return f"{error}{told}"
    return json.dumps(resource, ensure_ascii=False) + repr(told)


def the_invariants_hold(snapshot: StudySnapshot, policy: MappingPolicy) -> None:
    """MAPPING A.4: the eight of R6, on whatever the room `snapshot` may give."""
    assert broken_invariants(available_study(snapshot, subject={"display": "somebody"}, policy=policy, dialect="r6")) == []


def test_any_byte_salad_in_any_mapped_tag_gives_a_resource_or_a_named_note_and_loses_no_instance() -> None:
    """1,000 studies on the neutral mapping; never an exception."""
    drawn(nothing_is_lost, examples=NEUTRAL, raw=salad.studies(), reading=readings)


@pytest.mark.parametrize(("version", "profile"), DIALECTS)
def test_any_byte_salad_gives_a_valid_resource_in_each_version_and_profile(version: str, profile: str) -> None:
    """RULES B1: 100 studies per dialect."""
    fixed = {"version": st.just(version), "profile": st.just(profile)}
    drawn(the_resource_is_valid, examples=PER_DIALECT, raw=salad.studies(), reading=readings, **fixed)


def test_mapping_is_deterministic_and_insensitive_to_the_order_in_which_the_archive_lists_things() -> None:
    """RULES B3."""
    chance = st.randoms(use_true_random=False)
    drawn(the_order_does_not_matter, examples=NEUTRAL, raw=salad.studies(), chance=chance, reading=readings)


def test_the_invariants_of_r6_hold_for_every_generated_study() -> None:
    """MAPPING A.4, ist-1 to ist-8."""
    drawn(the_invariants_hold, examples=PER_DIALECT, snapshot=snapshots, policy=policies)


def test_every_mapped_tag_may_hold_anything() -> None:
    """Any mapped tag: those of the mapping's table are among those that are drawn."""
    drawn_tags = {
        *salad.STUDY_TAGS.split(),
        *salad.SERIES_TAGS.split(),
        *salad.ITEM_TAGS.split(),
        *salad.INSTANCE_TAGS.split(),
        *salad.DOCUMENT_TAGS.split(),
        "0020,000d",
        "0020,000e",
        "0008,0018",
    }
    assert {tag.lower() for row in ROWS for tag in row.tags} <= drawn_tags


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_times_as_many_studies_lose_nothing_and_keep_their_order() -> None:
    """More of them in `make test-long`."""
    drawn(nothing_is_lost, examples=LONG * NEUTRAL, raw=salad.studies(), reading=readings)
    chance = st.randoms(use_true_random=False)
    drawn(the_order_does_not_matter, examples=LONG * NEUTRAL, raw=salad.studies(), chance=chance, reading=readings)
    drawn(the_invariants_hold, examples=LONG * PER_DIALECT, snapshot=snapshots, policy=policies)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("version", "profile"), DIALECTS)
def test_ten_times_as_many_studies_are_valid_in_each_version_and_profile(version: str, profile: str) -> None:
    """More of them in `make test-long`."""
    fixed = {"version": st.just(version), "profile": st.just(profile)}
    drawn(the_resource_is_valid, examples=LONG * PER_DIALECT, raw=salad.studies(), reading=readings, **fixed)
