"""Remembered answers are asked again within a FHIR inventory (RULES B12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from syncd.loop.commands.explain import explain
from syncd.loop.commands.resync import Choice, resync
from syncd.loop.fhir import inventory as verify
from syncd.mapping.policy import ArchivePolicy
from syncd.model.words import Decision
from tests.loop.world import MAIN, OTHER, STUDY, SYSTEM, World, refused

NewWorld = Callable[..., World]
Json = dict[str, Any]

DAY = 86400.0
ORDERS = "http://hospital.test/acc"
THIRD = "1.2.276.3"


def theirs(resource_id: str = "his-1", **elements: Any) -> Json:
    """The hospital's own Patient with the same identifier."""
    return {"resourceType": "Patient", "id": resource_id, "identifier": [{"system": SYSTEM, "value": "P"}], **elements}


def merged_into(other: str) -> Json:
    """What a Patient says that was merged into another one (FHIR R4 8.1.5)."""
    return {"active": False, "link": [{"other": {"reference": f"Patient/{other}"}, "type": "replaced-by"}]}


def order(resource_id: str = "order-1", **elements: Any) -> Json:
    said = {"status": "active", "intent": "order", "subject": {"display": "somebody"}}
    identifier = [{"system": ORDERS, "value": "A-1"}]
    return {"resourceType": "ServiceRequest", "id": resource_id, "identifier": identifier, **said, **elements}


def inventory(world: World) -> int:
    """A FHIR inventory, and whatever follows from it; returns how many studies it marked for what they refer to."""
    world.clock.advance(100)
    world.ledger.verification.want("a test")
    finished = None
    while finished is None:
        finished = verify.tick(world.context, interval=DAY)
    world.work()
    assert not world.ledger.marks.page()
    return finished.found["outdated"]


def subject(world: World, study: str = STUDY) -> str:
    return str(world.study(study)["subject"].get("reference", ""))


def basis(world: World, study: str = STUDY) -> str:
    (one,) = world.study(study)["basedOn"]
    return str(one.get("reference", ""))


@pytest.fixture
def merged(world: World) -> World:
    """Two studies were published under A, which was then merged into B."""
    world.put(theirs("a"))
    world.published(STUDY)
    world.published(OTHER)
    world.put(theirs("b", identifier=[{"system": "http://else.test", "value": "B"}]))
    world.put(theirs("a", **merged_into("b")))
    return world


@pytest.fixture
def ordered(new_world: NewWorld) -> World:
    """A study that names its order."""
    world = new_world(service_request="match")
    named = ArchivePolicy(
        name=MAIN, dicomweb_url="https://pacs.test/dicom-web", patient_id_system=SYSTEM, accession_system=ORDERS
    )
    world.policy = replace(world.policy, archive=named)
    world.put(order())
    world.published(AccessionNumber="A-1")
    assert basis(world) == "ServiceRequest/order-1"
    return world


def test_old_studies_follow_a_merged_patient(merged: World) -> None:
    """FHIR R4 Patient.link replaced-by: "must no longer be used"; once, and then nothing is marked any more."""
    assert inventory(merged) == 2
    assert subject(merged) == subject(merged, OTHER) == "Patient/b"
    writes = len(merged.writes())
    assert inventory(merged) == 0
    assert len(merged.writes()) == writes


@pytest.mark.parametrize(
    "now",
    [{"active": False}, {"identifier": [{"system": SYSTEM, "value": "ANOTHER"}]}, None],
    ids=["inactive", "another identifier", "gone"],
)
def test_a_patient_that_is_none_any_more_is_left(world: World, now: Mapping[str, Any] | None) -> None:
    """RULES B12: inactive and gone ones, and one that carries the study's identifier no more; ours takes its place."""
    world.put(theirs())
    world.published()
    if now is None:
        del world.fhir.store.versions["Patient", "his-1"]
    else:
        world.put(theirs(**now))
    assert inventory(world) == 1
    assert subject(world).startswith("Patient/pat-")
    assert inventory(world) == 0


def test_a_patient_reached_by_a_link_need_not_carry_the_identifier(merged: World) -> None:
    """RULES B4, B12: it was led to by one that does; it is not asked for every day."""
    inventory(merged)
    record = merged.ledger.records.find(STUDY)
    assert record is not None and "named" not in record.raw
    assert inventory(merged) == 0


def test_links_are_followed_when_the_first_one_is_gone(merged: World) -> None:
    """RULES B12: A was merged into B and deleted, B into C; neither B nor C carries the identifier of the images."""
    inventory(merged)
    merged.remove("Patient/a")
    for study in (STUDY, OTHER):
        merged.mark(study, read_fhir=True)
        assert merged.turn(study).decision is Decision.SKIP
    other_number = [{"system": "http://else.test", "value": "B"}]
    merged.put(theirs("c", identifier=other_number))
    merged.put(theirs("b", identifier=other_number, **merged_into("c")))
    assert inventory(merged) == 2
    assert subject(merged) == subject(merged, OTHER) == "Patient/c"
    assert inventory(merged) == 0


def test_our_patient_that_somebody_merged_is_left(world: World) -> None:
    """RULES B4: the site merged ours into its own."""
    world.published()
    (ours,) = world.fhir.resources("Patient")
    world.put(theirs("b"))
    world.put({**ours, **merged_into("b")})
    assert inventory(world) == 1
    assert subject(world) == "Patient/b"


def test_our_patient_that_is_gone_is_written_again(world: World) -> None:
    """RULES B12: ours are asked for as well."""
    world.published()
    (ours,) = world.fhir.resources("Patient")
    del world.fhir.store.versions["Patient", ours["id"]]
    assert inventory(world) == 1
    assert [one["id"] for one in world.fhir.resources("Patient")] == [ours["id"]]


def test_new_images_ask_for_the_patient_that_is_remembered(merged: World) -> None:
    """RULES B12: whoever looks, finds; no inventory is waited for."""
    merged.connect()  # a restart: nothing is remembered of it in memory
    merged.store(STUDY, series=2)
    merged.settle()
    merged.poll()
    merged.work()
    assert subject(merged) == "Patient/b"


def test_resync_of_a_study_asks_again(merged: World) -> None:
    """README.md, `resync --study`: who names a study wants to know."""
    merged.settle()
    report = resync(
        merged.site, merged.ledger, choice=Choice(studies=frozenset({STUDY})), accept_target=False, progress=lambda _: None
    )
    assert report.decisions[Decision.UPDATE] == 1
    assert (subject(merged), subject(merged, OTHER)) == ("Patient/b", "Patient/a")


def test_explain_says_what_would_be_done(merged: World) -> None:
    """README.md, `explain`: the decision now."""
    told = explain(merged.site, merged.ledger, STUDY)
    assert told.rehearsed is not None and told.rehearsed.outcome.decision is Decision.UPDATE
    assert told.comparison.differing == ("subject",)
    assert not told.in_sync


def test_an_ambiguous_patient_is_asked_for_again(world: World) -> None:
    """RULES E2, B12: parked is not deaf, also where only the FHIR server changed."""
    world.put(theirs("a"))
    world.put(theirs("b"))
    world.store()
    world.settle()
    world.poll()
    assert world.turn().decision is Decision.PARK
    world.put(theirs("a", **merged_into("b")))
    inventory(world)
    assert subject(world) == "Patient/b"


@pytest.mark.parametrize(
    "now",
    [{"status": "revoked"}, {"status": "entered-in-error"}, {"identifier": [{"system": ORDERS, "value": "A-2"}]}, None],
    ids=["revoked", "entered in error", "another identifier", "gone"],
)
def test_an_order_that_stands_no_more_is_words_again(ordered: World, now: Mapping[str, Any] | None) -> None:
    """RULES B12, MAPPING J.3."""
    if now is None:
        del ordered.fhir.store.versions["ServiceRequest", "order-1"]
    else:
        ordered.put(order(**now))
    assert inventory(ordered) == 1
    assert basis(ordered) == ""
    writes = len(ordered.writes())
    assert inventory(ordered) == 0
    assert len(ordered.writes()) == writes


def test_an_order_that_another_replaces_is_followed(ordered: World) -> None:
    """FHIR R4 ServiceRequest.replaces: the request that takes its place, under the same number."""
    ordered.put(order("order-2", replaces=[{"reference": "ServiceRequest/order-1"}]))
    assert inventory(ordered) == 1
    assert basis(ordered) == "ServiceRequest/order-2"
    assert inventory(ordered) == 0


def test_an_order_that_became_one_of_two_is_nobodys(ordered: World) -> None:
    """MAPPING J.3: several orders under one identifier."""
    ordered.put(order("order-2"))
    assert inventory(ordered) == 1
    assert basis(ordered) == ""


@pytest.mark.parametrize("kind", ["Device", "Practitioner"])
def test_a_companion_that_is_gone_is_written_again(new_world: NewWorld, kind: str) -> None:
    """RULES B12: what else a study refers to."""
    world = new_world(write_devices=True, practitioner_from_name="resource")
    machine = {"Manufacturer": "Acme", "ManufacturerModelName": "One", "DeviceSerialNumber": "7", "StationName": "CT1"}
    who = {"CodeValue": "4711", "CodingSchemeDesignator": "99STAFF", "CodingSchemeUID": "2.25.5", "CodeMeaning": "id"}
    world.published(
        **machine,
        ReferringPhysicianName="Ruiz^Ana",
        ReferringPhysicianIdentificationSequence=[{"PersonIdentificationCodeSequence": [who]}],
    )
    (written,) = world.fhir.resources(kind)
    del world.fhir.store.versions[kind, written["id"]]
    assert inventory(world) == 1
    assert [one["id"] for one in world.fhir.resources(kind)] == [written["id"]]
    assert inventory(world) == 0


def test_what_may_not_be_listed_is_taken_as_it_is(new_world: NewWorld) -> None:
    """RULES C6: a permission that only this question needs pauses nothing."""
    world = new_world(write_devices=True)
    world.published(Manufacturer="Acme", ManufacturerModelName="One", DeviceSerialNumber="7", StationName="CT1")
    world.fhir.rules.append(lambda request: refused(403) if "/Device/_search" in request.path else None)
    assert inventory(world) == 0


def test_many_studies_of_one_patient_cost_one_question(world: World) -> None:
    """RULES E8: each subject once, many in one search; nothing is read where all is well."""
    world.put(theirs())
    for number in range(1, 5):
        world.published(f"1.2.276.{number}")
    asked = len(world.asked("/Patient"))
    assert inventory(world) == 0
    assert len(world.asked("/Patient")) == asked + 1
