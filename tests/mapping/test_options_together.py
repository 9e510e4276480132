"""Options that meet in one element: a machine is one performer, whoever asks for it, and a guide holds beside companions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncd.mapping.check.check import problems
from syncd.mapping.notes.notes import notes
from syncd.mapping.policy import ArchivePolicy, MappingPolicy
from syncd.mapping.profiles.guides import GUIDES
from syncd.mapping.resources.endpoints import endpoints
from syncd.mapping.resources.imagingstudy import withdrawn_study
from syncd.mapping.resources.patient import patient
from syncd.mapping.resources.retracted import remains
from syncd.mapping.values.identity import patient_key
from syncd.mapping.values.orders import order_keys, with_orders
from syncd.model.ids import ArchiveName
from syncd.model.snapshot import Code, Equipment, Institution, IssuedId, KeyObject, PatientFacts
from tests.mapping.companions import ALL, of_type, referring
from tests.mapping.profile_studies import broken_for_eu, broken_for_mado
from tests.mapping.studies import (
    COLLEAGUE,
    KEY_OBJECTS,
    POLICY,
    SCANNER,
    full_study,
    golden_study,
    mapped,
    person,
    series,
    study,
)

HOUSE = Institution(name="Hospital")
WEST = ArchiveName("west")


def performers(resource: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Function, empty where none is said, and actor of the first series' performers."""
    listed = resource["series"][0].get("performer", ())
    return [(one["function"]["coding"][0]["code"] if "function" in one else "", one["actor"]) for one in listed]


@pytest.mark.parametrize(
    ("version", "profile", "place"),
    [("r4", "", []), ("r5", "", []), ("r6", "", ["LOC"]), ("r4", "eu", ["LOC"]), ("r5", "eu", ["LOC"])],
)
def test_a_machine_is_one_performer_whoever_asks_for_it(version: str, profile: str, place: list[str]) -> None:
    """MAPPING A.2, J.2, H: R6, a profile and WRITE_DEVICES name the same Device once, before the place."""
    snapshot = study(series=(series(equipment=SCANNER, institution=HOUSE),))
    policy = replace(ALL, body_structure=False, profile=profile)
    [device] = of_type("Device", version, snapshot, policy)
    found = performers(referring(version, snapshot, policy))
    assert [name for name, _ in found] == ["DEV", *place]
    assert found[0][1] == {"reference": f"Device/{device['id']}"}


@pytest.mark.parametrize(("version", "profile"), [("r4", ""), ("r6", ""), ("r5", "eu")])
def test_a_machine_without_a_device_is_a_logical_reference_everywhere(version: str, profile: str) -> None:
    """MAPPING J.2, A.2: by its UID, and in words."""
    policy = replace(POLICY, write_devices=True, profile=profile)
    made = mapped(study(series=(series(equipment=SCANNER),)), policy, dialect=version)
    identifier = {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{SCANNER.uid}"}
    assert performers(made) == [("DEV", {"type": "Device", "identifier": identifier, "display": "Acme Scan 3"})]


@pytest.mark.parametrize("version", ["r4", "r5"])
def test_a_practitioner_stands_beside_the_slice_of_eu(version: str) -> None:
    """MAPPING H, J.2: EU wants no mere Practitioner as PRF; another physician in words is the slice, and it is noted."""
    known, other = person("Ruiz", identifiers=(COLLEAGUE,)), person("Oh")
    snapshot = study(series=(series(performing_physicians=(known, other)),))
    policy = replace(ALL, body_structure=False, profile="eu")
    [said] = of_type("Practitioner", version, snapshot, policy)
    resource = referring(version, snapshot, policy)
    assert performers(resource) == [("", {"reference": f"Practitioner/{said['id']}"}), ("PRF", {"display": "Oh"})]
    assert list(broken_for_eu(resource, version)) == []
    told = [one.done for one in notes(snapshot, policy=policy, fhir_version=version) if one.tag == "0008,1050"]
    assert told == ["performing physician without a function: the guide wants no mere Practitioner"]
    alone = study(series=(series(performing_physicians=(known,)),))
    told = [one.done for one in notes(alone, policy=policy, fhir_version=version) if one.tag == "0008,1050"]
    assert "missing: series.performer PRF" in told


@pytest.mark.parametrize(("version", "rule"), [("r6", "A.1 R6"), ("dstu2", "M")])
def test_a_procedure_that_is_written_is_not_told_as_left_out(version: str, rule: str) -> None:
    """MAPPING A.1, M, J.4: the code stands in the Procedure; words (0032,1060) and a site without Procedures are told."""
    coded = replace(full_study(), procedure_codes=(Code(value="24627-2", scheme="LN", meaning="CT Chest"),))
    in_words = replace(coded, procedure_codes=(), procedure_texts=("chest",))
    for snapshot, policy, expected in ((coded, ALL, False), (coded, POLICY, True), (in_words, ALL, True)):
        found = [one for one in notes(snapshot, policy=policy, fhir_version=version) if one.tag == "0008,1032"]
        assert ([one.rule for one in found] == [rule]) is expected


def two_archives(oid_of_west: str = "") -> MappingPolicy:
    """MADO's site with two archives; only the first one's OID is sure."""
    west = ArchivePolicy(
        name=WEST,
        dicomweb_url="https://west.test/dicom-web",
        viewer_url="https://west.test/view",
        retrieve_location_uid=oid_of_west,
        other_patient_ids_system="http://west.test/other",
    )
    return replace(POLICY, profile="mado", archive=replace(POLICY.archive, retrieve_location_uid="2.25.4"), further=(west,))


def test_mado_names_the_wado_endpoint_of_the_archive_that_holds_the_series() -> None:
    """MAPPING H, E: of each series, and no viewer; each archive's Endpoint has its own OID."""
    coded = {"procedure_codes": (Code(value="24627-2", scheme="LN", meaning="CT Chest"),)}
    snapshot = study(series=(series(), series(uid="2.25.12", elsewhere=WEST)), **coded)
    policy = two_archives("2.25.5")
    resource = mapped(snapshot, policy)
    home, away = (one["endpoint"] for one in resource["series"])
    assert home == [{"reference": f"Endpoint/{POLICY.archive.name}-wado-rs"}]
    assert away == [{"reference": "Endpoint/west-wado-rs"}]
    assert list(broken_for_mado(resource)) == []
    assert problems(resource) == ()
    claimed = [one["extension"][0]["valueString"] for one in endpoints(policy) if "extension" in one]
    assert claimed == ["2.25.4", "2.25.5"]


@pytest.mark.parametrize(("elsewhere", "told"), [("", False), (WEST, True)])
def test_mado_misses_the_oid_of_an_archive_that_holds_a_series(elsewhere: str, told: bool) -> None:
    """MAPPING H: an archive that does not hold the study has no say."""
    snapshot = study(series=(series(), series(uid="2.25.12", elsewhere=ArchiveName(elsewhere))))
    found = [one.done for one in notes(snapshot, policy=two_archives()) if "RETRIEVE_LOCATION_UID" in one.done]
    assert bool(found) is told


def test_other_patient_ids_are_under_the_system_of_the_archive_that_speaks() -> None:
    """MAPPING B: each archive's own setting."""
    facts = PatientFacts(ids=(IssuedId(value="P1"),), retired_ids=("OLD",))
    policy = two_archives()
    for name, expected in ((WEST, ["http://west.test/other"]), (POLICY.archive.name, [])):
        snapshot = study(archive=name, patient=facts)
        made = patient(snapshot, key=patient_key(snapshot, policy=policy), policy=policy)
        assert [one["system"] for one in made["identifier"] if one["value"] == "OLD"] == expected
        assert ("B (0010,1000)" in [one.rule for one in notes(snapshot, policy=policy)]) is not bool(expected)


def test_a_manifest_that_is_not_listed_brings_no_companion() -> None:
    """MAPPING D.2, J: no Device that nothing refers to."""
    ct, ko = golden_study().series
    software = Equipment(manufacturer="Archive Ltd", model="Manifests", serial="1")
    title = Code(value="113030", scheme="DCM", meaning="Manifest")
    manifest = KeyObject(instance_uid=ko.instances[0].uid, title=title)
    snapshot = replace(golden_study(), series=(ct, replace(ko, equipment=software)), key_objects=(manifest,))
    assert ko.instances[0].sop_class == KEY_OBJECTS
    assert len(of_type("Device", "r4", snapshot)) == 1
    assert of_type("Device", "r4", snapshot, replace(ALL, list_manifest=False)) == []


@pytest.mark.parametrize(("profile", "version"), sorted(GUIDES))
def test_a_study_that_is_gone_claims_what_one_of_which_nothing_is_left_claims(profile: str, version: str) -> None:
    """MAPPING F.3, H: EU's claim and types stay, MADO's claim goes, whether or not the archive still holds the study."""
    policy, who = replace(ALL, body_structure=False, profile=profile), {"reference": "Patient/p-1"}
    shown = mapped(full_study(), policy, dialect=version)
    left = withdrawn_study(full_study(), subject=who, policy=policy, status="cancelled", dialect=version)
    found = remains(
        {**shown, "subject": who}, status="cancelled", identifiers=shown["identifier"], policy=policy, dialect=version
    )
    assert found == left
    assert ("profile" in found["meta"]) is (profile == "eu")


@pytest.mark.parametrize("version", ["r4", "r5"])
def test_orders_that_the_server_holds_stay_in_the_slices_of_eu(version: str) -> None:
    """MAPPING J.3, H: found by their identifier, also the accession that had to give up its type."""
    both = (IssuedId(value="A1"), IssuedId(value="A2"))
    policy = replace(
        POLICY, profile="eu", service_request="match", archive=replace(POLICY.archive, accession_system="http://h.test/acsn")
    )
    resource = mapped(study(accessions=both), policy, dialect=version)
    keys = order_keys(resource)
    assert [key.value for key in keys] == ["A1", "A2"]
    found = with_orders(resource, {key: f"order-{key.value}" for key in keys})
    assert [one["reference"] for one in found["basedOn"]] == ["ServiceRequest/order-A1", "ServiceRequest/order-A2"]
    assert list(broken_for_eu(found, version)) == []
