"""Whatever the room `snapshot` may give, what comes out can be sent (RULES B1), and always the same (RULES B3)."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings

from syncd.mapping.check.check import problems
from syncd.mapping.dialects.registry import VERSIONS, dialect
from syncd.mapping.notes.notes import notes
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.resources.endpoints import endpoints
from syncd.mapping.resources.imagingstudy import available_study, registered_study
from syncd.mapping.resources.patient import patient, subject
from syncd.mapping.values.identity import patient_key
from syncd.model.snapshot import StudySnapshot
from tests.mapping.studies import beside, policies, snapshots

pytestmark = pytest.mark.machine

# Studies are large values to draw; the machine's speed says nothing about the claim.
patiently = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
in_each_version = settings(patiently, max_examples=100)


@pytest.mark.parametrize("version", VERSIONS)
@in_each_version
@given(snapshots, policies)
def test_every_resource_of_every_study_can_be_sent(version: str, snapshot: StudySnapshot, policy: MappingPolicy) -> None:
    """RULES B1, A6, MAPPING A.4: ImagingStudy in both states, Patient, Endpoints, literal and logical subjects; R6's
    invariants are part of the check."""
    key = patient_key(snapshot, policy=policy)
    made = [patient(snapshot, key=key, policy=policy, fhir_version=version), *endpoints(policy, fhir_version=version)]
    for literal in (None, f"Patient/{key.resource_id}"):
        who = subject(key, snapshot, literal=literal, fhir_version=version)
        made.append(available_study(snapshot, subject=who, policy=policy, dialect=version))
        if dialect(version).writes_registered:
            made.append(registered_study(snapshot, subject=who, policy=policy, dialect=version))
        found, referring = beside(snapshot, policy, version, who=who)
        made += [*found, referring]
    assert [problems(one, fhir_version=version) for one in made] == [()] * len(made)


@pytest.mark.parametrize("version", VERSIONS)
@in_each_version
@given(snapshots, policies)
def test_no_version_loses_an_instance_of_another(version: str, snapshot: StudySnapshot, policy: MappingPolicy) -> None:
    """MAPPING A.2: what one version lists and counts, all do."""
    who = {"reference": "Patient/p"}
    said, r4 = (available_study(snapshot, subject=who, policy=policy, dialect=one) for one in (version, "r4"))
    assert [said[count] for count in ("numberOfSeries", "numberOfInstances")] == [
        r4[count] for count in ("numberOfSeries", "numberOfInstances")
    ]
    listed = [[len(one.get("instance", ())) for one in resource["series"]] for resource in (said, r4)]
    assert listed[0] == listed[1]


@patiently
@given(snapshots, policies)
def test_counts_are_those_of_what_is_listed(snapshot: StudySnapshot, policy: MappingPolicy) -> None:
    """MAPPING A.2, G: what is left out is not counted, and noted; nothing else is missing."""
    who = {"display": "somebody"}
    resource = available_study(snapshot, subject=who, policy=policy)
    counts = [one["numberOfInstances"] for one in resource["series"]]
    assert resource["numberOfSeries"] == len(counts)
    assert resource["numberOfInstances"] == sum(counts) <= snapshot.number_of_instances
    left_out = [note for note in notes(snapshot, policy=policy) if note.tag == "0008,0018"]
    assert bool(left_out) == (sum(counts) < snapshot.number_of_instances)
    if "extension" not in resource:
        assert counts == [len(one["instance"]) for one in resource["series"]]


@patiently
@given(snapshots, policies)
def test_mapping_is_a_function(snapshot: StudySnapshot, policy: MappingPolicy) -> None:
    """RULES B3: equal studies give equal bytes, and UTF-8 can carry them."""
    who = subject(patient_key(snapshot, policy=policy), snapshot, literal=None)
    first, second = (json.dumps(available_study(snapshot, subject=who, policy=policy), ensure_ascii=False) for _ in range(2))
    assert first.encode() == second.encode()
    assert notes(snapshot, policy=policy) == notes(snapshot, policy=policy)
