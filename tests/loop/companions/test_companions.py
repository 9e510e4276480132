"""Practitioners, Devices, Procedures and BodyStructures beside a study: when they are written, and what they may cost."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from syncd.errors import ConfigurationError, ServerReset
from syncd.loop.companions.optional import REFUSED
from syncd.loop.companions.target import restore
from syncd.loop.hooks import Hook
from syncd.loop.study.reconcile import reconcile
from syncd.model.words import Decision
from syncd.model.work import MarkKind
from tests.fakes.fhir import FakeFhir
from tests.loop.world import STUDY, World, puts, refused

NewWorld = Callable[..., World]

WANTED: dict[str, Any] = {"practitioner_from_name": "resource", "write_devices": True, "write_procedures": True}
KINDS = ("Device", "Practitioner", "Procedure")
REFERRER = {
    "PersonIdentificationCodeSequence": [
        {"CodeValue": "4711", "CodingSchemeDesignator": "99STAFF", "CodingSchemeUID": "2.25.5", "CodeMeaning": "id"}
    ]
}
TAGS: dict[str, Any] = {
    "ReferringPhysicianName": "Ruiz^Ana",
    "ReferringPhysicianIdentificationSequence": [REFERRER],
    "Manufacturer": "Acme",
    "ManufacturerModelName": "Scan 3",
    "DeviceSerialNumber": "S-17",
    "ReferencedPerformedProcedureStepSequence": [{"ReferencedSOPInstanceUID": "2.25.800"}],
    "PerformedProcedureStepStartDate": "20240102",
    "PerformedProcedureStepEndDate": "20240102",
}


@pytest.fixture
def wanting(new_world: NewWorld) -> World:
    return new_world(**WANTED)


def written(world: World) -> list[str]:
    """Types in the order of their PUTs, after the sentinel and the Endpoint."""
    kinds = [one.path.split("/")[-2] for one in world.fhir.requests if one.method == "PUT"]
    return [kind for kind in kinds if kind != "Endpoint"]


def only(world: World, resource_type: str) -> dict[str, Any]:
    [found] = world.fhir.resources(resource_type)
    return dict(found)


def actors(world: World, study: str = STUDY) -> list[dict[str, Any]]:
    return [one["actor"] for one in world.study(study)["series"][0].get("performer", ())]


def test_by_default_nothing_is_asked_or_written_for_them(world: World) -> None:
    """MAPPING J: off by default; the requests are those of a study that names nobody."""
    world.connect()
    asked = len(world.fhir.requests)
    world.published("1.2.276.7", PatientID="P7")
    plain = [one.path.rpartition("/")[0] for one in world.fhir.requests[asked:]]
    asked = len(world.fhir.requests)
    world.published(**TAGS)
    assert [one.path.rpartition("/")[0] for one in world.fhir.requests[asked:]] == plain
    assert world.study()["referrer"]["identifier"] == {"system": "urn:oid:2.25.5", "value": "4711"}
    assert not any(world.fhir.resources(kind) for kind in KINDS)


def test_each_is_written_once_and_before_the_study(wanting: World) -> None:
    """MAPPING J.6: Patient and companions first, each one PUT; the study refers to them."""
    wanting.published(**TAGS)
    assert written(wanting) == ["Patient", "Device", "Practitioner", "Procedure", "ImagingStudy"]
    study = wanting.study()
    assert study["referrer"] == {"reference": f"Practitioner/{only(wanting, 'Practitioner')['id']}"}
    assert study["procedureReference"] == {"reference": f"Procedure/{only(wanting, 'Procedure')['id']}"}
    assert actors(wanting) == [{"reference": f"Device/{only(wanting, 'Device')['id']}"}]
    assert only(wanting, "Procedure")["subject"] == study["subject"]
    assert {one["meta"]["tag"][0]["code"] for kind in KINDS for one in wanting.fhir.resources(kind)} == {"syncd"}


def test_what_is_unchanged_costs_no_request(wanting: World) -> None:
    """RULES B3: neither for the same study, nor for another one of the same people and machine."""
    wanting.published(**TAGS)
    asked = len(wanting.fhir.requests)
    wanting.mark()
    assert wanting.turn().decision is Decision.SKIP
    assert len(wanting.fhir.requests) == asked
    wanting.published("1.2.276.2", **TAGS | {"ReferencedPerformedProcedureStepSequence": []})
    assert written(wanting)[5:] == ["ImagingStudy"]


def test_only_the_greatest_study_changes_a_shared_one(wanting: World) -> None:
    """RULES B4: studies of several years do not rewrite their scanner's version in turn."""
    for number, year, version in ((2, "2023", "2"), (1, "2020", "1"), (3, "2024", "3")):
        wanting.published(f"1.2.276.{number}", **TAGS | {"StudyDate": f"{year}0101", "SoftwareVersions": version})
    sent = [json.loads(one.body)["version"][0]["value"] for one in wanting.writes("Device")]
    assert sent == ["2", "3"]


def test_a_study_corrects_what_it_said_itself(wanting: World) -> None:
    """RULES B4: also where its own date moved back."""
    orthanc_id = wanting.store(**TAGS | {"StudyDate": "20240102", "SoftwareVersions": "1"})
    wanting.settle()
    wanting.poll()
    wanting.turn()
    wanting.delete(orthanc_id)
    wanting.published(**TAGS | {"StudyDate": "20230102", "SoftwareVersions": "2"})
    assert only(wanting, "Device")["version"] == [{"value": "2"}]


def test_a_dry_run_writes_none(wanting: World) -> None:
    """README.md, resync --dry-run: it decides as a real run would."""
    wanting.store(**TAGS)
    wanting.settle()
    wanting.poll()
    wanting.connect()
    asked = len(wanting.fhir.requests)
    assert reconcile(replace(wanting.task(), dry=True)).outcome.decision is Decision.CREATE
    assert not [one for one in wanting.fhir.requests[asked:] if one.method == "PUT"]
    assert not [one for kind in KINDS for one in wanting.asked(f"/{kind}/")]


def test_a_study_that_still_arrives_has_none(wanting: World) -> None:
    """RULES A6: identifier, subject, started, basedOn, endpoint."""
    wanting.store(**TAGS)
    wanting.poll()
    wanting.turn()
    assert wanting.study()["status"] == "registered"
    assert written(wanting) == ["Patient", "ImagingStudy"]


def test_a_vetoed_study_leaves_none_behind(wanting: World) -> None:
    """Hooks: what must not be published brings no people and machines with it."""
    veto = Hook(name="site", distribution="site 1", value="site:hook", call=lambda snapshot, resource: None)
    wanting.store(**TAGS)
    wanting.settle()
    wanting.poll()
    wanting._context = replace(wanting.connect(), hooks=(veto,))
    assert wanting.turn().decision is Decision.PARK
    assert not any(wanting.fhir.resources(kind) for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_another_writers_is_left_alone_and_the_study_goes_on(new_world: NewWorld, kind: str) -> None:
    """RULES B4, MAPPING J: never overwritten; words, a logical reference or nothing in its place."""
    first = new_world(**WANTED)
    first.published(**TAGS)
    taken = only(first, kind)["id"]
    world = new_world(**WANTED)
    foreign = {"resourceType": kind, "id": taken, "identifier": [{"value": "theirs"}]}
    world.put(foreign)
    outcome = world.published(**TAGS)
    assert only(world, kind)["identifier"] == [{"value": "theirs"}]
    assert set(outcome.ended.noted) & {"J.2", "J.4"} == {"J.4" if kind == "Procedure" else "J.2"}
    study = world.study()
    assert taken not in json.dumps(study)
    assert actors(world) == [{"type": "Device", "display": "Acme Scan 3"}] or kind != "Device"
    assert study["referrer"].get("display") == "Ana Ruiz" or kind != "Practitioner"
    # Remembered: another study of the same people and machine asks nobody.
    asked = len(world.asked(f"/{kind}/"))
    world.published("1.2.276.2", **TAGS)
    assert len(world.asked(f"/{kind}/")) == asked


def test_a_refused_one_is_sent_again_only_when_it_changed_or_somebody_asks(wanting: World) -> None:
    """RULES E2, C6: 422 for a Device is no study's trouble, and not repeated for each study."""
    wanting.connect()
    wanting.fhir.answer_instead(puts("Device"), refused(422))
    wanting.published(**TAGS)
    assert actors(wanting) == [{"type": "Device", "display": "Acme Scan 3"}]
    wanting.published("1.2.276.2", **TAGS)
    assert len(wanting.writes("Device")) == 1
    wanting.published("1.2.276.3", **TAGS | {"SoftwareVersions": "2"})
    assert len(wanting.writes("Device")) == 2
    wanting.fhir.rules.clear()
    wanting.mark(kind=MarkKind.RESYNC)
    assert wanting.turn().decision is Decision.UPDATE
    assert actors(wanting) == [{"reference": f"Device/{only(wanting, 'Device')['id']}"}]


def test_a_forbidden_one_is_asked_for_again_by_the_next_study(wanting: World) -> None:
    """RULES C6: a 403 is a permission, which may be mended any time; the study is published meanwhile."""
    wanting.connect()
    wanting.fhir.answer_instead(puts("Device"), refused(403))
    wanting.published(**TAGS)
    wanting.fhir.rules.clear()
    wanting.published("1.2.276.2", **TAGS)
    assert actors(wanting, "1.2.276.2") == [{"reference": f"Device/{only(wanting, 'Device')['id']}"}]


def test_a_lost_reply_is_not_taken_for_another_writer(wanting: World) -> None:
    """RULES C5: read, found to be ours, and not written twice."""
    wanting.connect()
    wanting.fhir.lose_reply_of(puts("Device"))
    wanting.store(**TAGS)
    wanting.settle()
    wanting.poll()
    with pytest.raises(Exception, match=r"reached|answer"):
        wanting.turn()
    assert wanting.turn().decision is Decision.CREATE
    assert actors(wanting) == [{"reference": f"Device/{only(wanting, 'Device')['id']}"}]
    assert only(wanting, "Device")["meta"]["versionId"] == "1"


def test_one_that_the_server_lost_is_written_again_with_the_study_that_needs_it(wanting: World) -> None:
    """RULES B4: a refused reference is looked for once, uncached."""
    wanting.published(**TAGS)
    lost = only(wanting, "Practitioner")["id"]
    del wanting.fhir.store.versions["Practitioner", lost]
    wanting.store(series=2, **TAGS)
    wanting.settle()
    wanting.mark()
    assert wanting.turn().decision is Decision.UPDATE
    assert only(wanting, "Practitioner")["id"] == lost
    assert len(wanting.writes("Practitioner")) == 2
    assert len(wanting.writes("Device")) == 1


def test_a_wiped_server_holds_them_again(wanting: World) -> None:
    """RULES C6, E3: nothing that was confirmed is believed any more."""
    wanting.published(**TAGS)
    wanting.fhir.wipe()
    wanting.store(series=2, **TAGS)
    wanting.settle()
    wanting.mark()
    with pytest.raises(ServerReset):
        wanting.turn()
    restore(wanting.context)
    assert wanting.turn().decision is Decision.CREATE
    assert all(wanting.fhir.resources(kind) for kind in KINDS)
    assert wanting.study()["referrer"] == {"reference": f"Practitioner/{only(wanting, 'Practitioner')['id']}"}


def test_a_copied_study_does_not_take_the_procedure_of_another_patient(wanting: World) -> None:
    """Clinical risk: an anonymised copy may still name the performed step of its original."""
    wanting.published(**TAGS)
    subject = only(wanting, "Procedure")["subject"]
    wanting.published("1.2.276.2", **TAGS | {"PatientID": "ANON", "StudyDate": "20300101"})
    assert only(wanting, "Procedure")["subject"] == subject
    assert "procedureReference" not in wanting.study("1.2.276.2")


def test_a_patient_corrected_in_the_archive_moves_the_procedure(wanting: World) -> None:
    """RULES B4: the study itself changes what it said."""
    wanting.delete(_published(wanting, PatientID="WRONG"))
    wanting.published(**TAGS | {"PatientID": "RIGHT"})
    assert only(wanting, "Procedure")["subject"] == wanting.study()["subject"]
    assert len(wanting.fhir.resources("Patient")) == 2


def _published(world: World, **tags: Any) -> str:
    orthanc_id = world.store(**TAGS | tags)
    world.settle()
    world.poll()
    world.turn()
    return orthanc_id


def test_switched_off_again_the_study_refers_to_none(new_world: NewWorld) -> None:
    """RULES B3: a setting reaches what is published; what was written stays, and is nobody's loss."""
    world = new_world(**WANTED)
    world.published(**TAGS)
    world.policy = replace(world.policy, practitioner_from_name="display", write_devices=False, write_procedures=False)
    world.connect()
    assert world.turn().decision is Decision.UPDATE
    study = world.study()
    assert "reference" not in study["referrer"] and "procedureReference" not in study
    assert actors(world) == []
    assert all(world.fhir.resources(kind) for kind in KINDS)


def test_a_server_that_cannot_take_them_is_told_at_start(new_world: NewWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """README.md: contradictions are refused, exit 2; a server without Devices would look like one that was reset."""
    with pytest.raises(ConfigurationError, match="BODY_STRUCTURE is set, but FHIR r4 has no place"):
        new_world(body_structure=True).connect()
    world = new_world(write_devices=True)
    site = world.site
    said = site.server.capabilities()
    monkeypatch.setattr(
        "syncd.publish.server.FhirServer.capabilities", lambda self: replace(said, types=said.types - {"Device"})
    )
    with pytest.raises(ConfigurationError, match="does not serve Device"):
        world.connect()
    assert not [one for one in world.fhir.requests if one.method == "PUT"]


def test_in_r5_a_sided_body_site_gets_its_structure(new_world: NewWorld) -> None:
    """MAPPING J.7, J.4: BodyStructure before the study, `partOf` the Procedure."""
    world = new_world(**WANTED, body_structure=True)
    world.fhir = FakeFhir("r5", clock=world.clock)
    world.published(BodyPartExamined="KNEE", Laterality="L", **TAGS)
    assert written(world)[-2:] == ["BodyStructure", "ImagingStudy"]
    study = world.study()
    structure = only(world, "BodyStructure")
    assert study["series"][0]["bodySite"]["reference"] == {"reference": f"BodyStructure/{structure['id']}"}
    assert study["partOf"] == [{"reference": f"Procedure/{only(world, 'Procedure')['id']}"}]
    assert structure["patient"] == study["subject"]


def test_what_could_not_be_written_is_remembered_under_a_version_that_no_server_has(wanting: World) -> None:
    """RULES S2: FHIR ids hold no `!`, so no real version is taken for a refusal."""
    wanting.connect()
    wanting.fhir.answer_instead(puts("Device"), refused(422))
    wanting.published(**TAGS)
    path = wanting.writes("Device")[0].path.rpartition("/")[2]
    companion = wanting.ledger.companions.find("Device", path)
    assert companion is not None and companion.version == REFUSED == "!refused"
