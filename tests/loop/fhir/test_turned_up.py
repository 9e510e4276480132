"""Patients and orders that turn up after the study: subjects move, references become literal (RULES B4, MAPPING J.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from syncd.errors import Transient
from syncd.loop.fhir.turned_up import DAY, FEWEST, look_around
from syncd.mapping.policy import ArchivePolicy
from syncd.model.words import Decision
from tests.fakes.http import Response
from tests.ledger.made import done
from tests.loop.world import MAIN, OTHER, STUDY, SYSTEM, World, puts, refused

NewWorld = Callable[..., World]
Json = dict[str, Any]

ORDERS = "http://hospital.test/acc"
THIRD = "1.2.276.3"


def theirs(resource_id: str = "his-1", **elements: Any) -> Json:
    """The hospital's own Patient with the same identifier."""
    return {"resourceType": "Patient", "id": resource_id, "identifier": [{"system": SYSTEM, "value": "P"}], **elements}


def order(resource_id: str = "order-1", *, status: str = "active", value: str = "A-1") -> Json:
    return {
        "resourceType": "ServiceRequest",
        "id": resource_id,
        "status": status,
        "intent": "order",
        "subject": {"display": "somebody"},
        "identifier": [{"system": ORDERS, "value": value}],
    }


def subject(world: World, study: str = STUDY) -> str:
    return str(world.study(study)["subject"].get("reference", ""))


def ours(world: World) -> Json:
    (found,) = (one for one in world.fhir.resources("Patient") if one["id"].startswith("pat-"))
    return found


def tomorrow(world: World) -> int:
    """The next day's look around, and whatever follows from it; returns how many studies it marked."""
    world.clock.advance(DAY)
    marked = look_around(world.context, every=60.0)
    world.work()
    return marked


@pytest.fixture
def two(world: World) -> World:
    """Two studies of one patient under our Patient."""
    world.published(STUDY)
    world.published(OTHER)
    assert subject(world) == subject(world, OTHER) == f"Patient/{ours(world)['id']}"
    return world


@pytest.fixture
def new_orders(new_world: NewWorld) -> Callable[[], World]:
    def create() -> World:
        world = new_world(service_request="match")
        archive = ArchivePolicy(
            name=MAIN, dicomweb_url="https://pacs.test/dicom-web", patient_id_system=SYSTEM, accession_system=ORDERS
        )
        world.policy = replace(world.policy, archive=archive)
        return world

    return create


# Patients


def test_all_studies_move_to_a_patient_that_turns_up_and_ours_gives_way(two: World) -> None:
    """RULES B4: subjects move to it, and ours gets `active=false` and `link replaced-by`."""
    two.put(theirs())
    assert tomorrow(two) == 2
    assert subject(two) == subject(two, OTHER) == "Patient/his-1"
    replaced = ours(two)
    assert replaced["active"] is False
    assert replaced["link"] == [{"other": {"reference": "Patient/his-1"}, "type": "replaced-by"}]
    assert replaced["identifier"][0]["value"] == "P"
    assert len(two.writes("Patient")) == 3  # ours twice, theirs once


@pytest.mark.parametrize("read_fhir", [True, False])
def test_a_study_that_is_looked_at_afresh_moves_the_others_too(two: World, read_fhir: bool) -> None:
    """RULES B4: every verify and repair mark looks; a new study of the patient does, too."""
    two.put(theirs())
    if read_fhir:
        two.mark(read_fhir=True)
    else:
        two.store(THIRD)
        two.settle()
        two.poll()
    two.work()
    assert subject(two) == subject(two, OTHER) == "Patient/his-1"
    assert ours(two)["active"] is False


def test_ours_is_never_active_again_while_the_other_stands(two: World) -> None:
    """RULES B4: a greater study, which would speak for our Patient, does not."""
    two.put(theirs())
    tomorrow(two)
    version = ours(two)["meta"]["versionId"]
    two.published(THIRD, StudyDate="20250101", PatientName="Newer^Name")
    two.mark(read_fhir=True)
    two.work()
    assert subject(two, THIRD) == "Patient/his-1"
    assert (ours(two)["active"], ours(two)["meta"]["versionId"]) == (False, version)


def test_a_study_that_has_not_moved_yet_does_not_wake_our_patient(two: World) -> None:
    """RULES B4: it is looked at for another reason, before its turn to move; its memory says ours."""
    two.put(theirs())
    two.mark(STUDY, read_fhir=True)
    two.turn(STUDY)
    two.ledger.outcomes.commit(done(two.task(OTHER).claim, reason="the mark is lost"))
    two.store(OTHER, instance=2, PatientName="Other^Name")
    two.settle()
    two.mark(OTHER)
    two.work()
    assert subject(two, OTHER) == "Patient/his-1"
    assert ours(two)["active"] is False


def test_studies_left_behind_are_found_by_the_round(two: World) -> None:
    """RULES B4: a mark that was lost costs a day, no more."""
    two.put(theirs())
    two.mark(STUDY, read_fhir=True)
    two.turn(STUDY)
    two.ledger.outcomes.commit(done(two.task(OTHER).claim, reason="the mark is lost"))
    assert tomorrow(two) == 1
    assert subject(two, OTHER) == "Patient/his-1"


def test_ours_speaks_again_when_the_other_is_gone(two: World) -> None:
    """RULES B4: without a foreign Patient there is only ours."""
    two.put(theirs())
    tomorrow(two)
    two.put(theirs(active=False))
    for study in (STUDY, OTHER):
        two.mark(study, read_fhir=True)
    two.work()
    assert subject(two) == subject(two, OTHER) == f"Patient/{ours(two)['id']}"
    assert ours(two).get("active") is None and "link" not in ours(two)


def test_killed_before_it_was_remembered_nothing_is_written_twice(two: World) -> None:
    """RULES B4: the server says already that ours gave way."""
    two.put(theirs())
    before = two.ledger.companions.find("Patient", ours(two)["id"])
    assert before is not None
    tomorrow(two)
    two.ledger.companions.save(before)
    two.mark(read_fhir=True)
    two.work()
    assert len(two.writes("Patient")) == 3
    known = two.ledger.companions.find("Patient", ours(two)["id"])
    assert known is not None and known.replaced_by == "Patient/his-1"


def test_a_server_that_refuses_the_change_does_not_keep_the_studies(two: World) -> None:
    """RULES B4: the studies move; an active Patient too many remains."""
    two.put(theirs())
    two.fhir.rules.append(lambda request: refused(422) if puts("Patient", "pat-")(request) else None)
    tomorrow(two)
    assert subject(two) == subject(two, OTHER) == "Patient/his-1"
    assert not two.ledger.records.page_parked()
    assert ours(two).get("active") is None


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([theirs("a"), theirs("b")], id="two"),
        pytest.param([theirs(active=False)], id="inactive"),
        pytest.param([theirs(identifier=[{"system": "http://else.test", "value": "P"}])], id="other-system"),
    ],
)
def test_what_is_no_exact_match_moves_nothing(two: World, others: list[Json]) -> None:
    """RULES B4: exactly one, active, by system and value."""
    for other in others:
        two.put(other)
    assert tomorrow(two) == 0
    assert ours(two).get("active") is None


def test_a_logical_subject_becomes_literal(new_world: NewWorld) -> None:
    """RULES B4, POLICY__PATIENT `match`: no correction, so no Provenance."""
    world = new_world(patient="match")
    world.published(STUDY)
    world.published(OTHER)
    assert not subject(world)
    world.put(theirs())
    searched = len(world.asked("/Patient/_search"))
    world.clock.advance(DAY)
    assert look_around(world.context, every=60.0) == 2
    assert len(world.asked("/Patient/_search")) == searched + 1, "asked once for both"
    world.work()
    assert subject(world) == subject(world, OTHER) == "Patient/his-1"
    assert not world.writes("Provenance")


def test_a_moved_subject_leaves_a_provenance(two: World) -> None:
    """RULES B8: the subject is another resource now."""
    two.put(theirs())
    tomorrow(two)
    assert len(two.fhir.resources("Provenance")) == 2


def test_nobody_is_asked_where_subjects_are_logical_by_policy(new_world: NewWorld) -> None:
    """docs/settings.md, POLICY__PATIENT `logical`."""
    world = new_world(patient="logical")
    world.published()
    world.put(theirs())
    asked = len(world.asked("/Patient"))
    assert tomorrow(world) == 0
    assert len(world.asked("/Patient")) == asked


# The rounds


def test_each_patient_is_asked_for_once_a_day(two: World) -> None:
    """RULES B4, E8: bounded; the next round begins when the day is over."""
    tomorrow(two)
    asked = len(two.asked("/Patient"))
    for _ in range(3):
        two.clock.advance(DAY / 4)
        assert look_around(two.context, every=60.0) == 0
    assert len(two.asked("/Patient")) == asked
    two.clock.advance(DAY / 4)
    look_around(two.context, every=60.0)
    assert len(two.asked("/Patient")) > asked


def test_a_large_round_goes_on_where_it_was(world: World) -> None:
    """RULES E8: slices; a restart begins none anew."""
    for number in range(FEWEST + 2):
        world.published(f"1.2.276.{number + 1}", PatientID=f"P{number}")
    world.clock.advance(DAY)
    look_around(world.context, every=60.0)
    first = len(world.asked("/Patient/_search"))
    look_around(world.context, every=60.0)
    look_around(world.context, every=60.0)
    assert len(world.asked("/Patient/_search")) == first + 2
    assert world.ledger.rounds.position("patients").over


def test_a_server_that_is_away_has_the_slice_again(two: World) -> None:
    """RULES C6: nothing is skipped for an outage."""
    two.put(theirs())
    two.clock.advance(DAY)
    two.fhir.answer_instead(lambda request: "_search" in request.path, Response(status=503))
    with pytest.raises(Transient):
        look_around(two.context, every=60.0)
    assert look_around(two.context, every=60.0) == 2


def test_an_identifier_that_the_server_does_not_search_is_passed_over(two: World) -> None:
    """RULES C6: one patient's trouble is not the round's."""
    two.clock.advance(DAY)
    two.fhir.answer_instead(lambda request: "_search" in request.path, refused(400))
    assert look_around(two.context, every=60.0) == 0
    assert two.ledger.rounds.position("patients").over


# Orders


def based_on(world: World, study: str = STUDY) -> Json:
    (one,) = world.study(study)["basedOn"]
    return dict(one)


def test_by_default_no_order_is_looked_for(world: World) -> None:
    """docs/settings.md, POLICY__SERVICE_REQUEST `logical`."""
    world.put(order())
    world.published(AccessionNumber="A-1")
    assert not world.asked("/ServiceRequest/_search")
    assert "reference" not in based_on(world)


def test_an_order_is_named_beside_its_identifier(new_orders: Callable[[], World]) -> None:
    """MAPPING J.3: exactly one: a literal reference; searched by POST, uncached, confirmed by GET (B4, C9)."""
    world = new_orders()
    world.put(order())
    world.published(AccessionNumber="A-1")
    assert based_on(world)["reference"] == "ServiceRequest/order-1"
    assert based_on(world)["identifier"]["value"] == "A-1"
    (search,) = world.asked("/ServiceRequest/_search")
    assert (search.method, search.headers["cache-control"]) == ("POST", "no-cache")
    assert [one.method for one in world.asked("/ServiceRequest/order-1")] == ["PUT", "GET"]


def test_several_orders_stay_words_with_a_note(new_orders: Callable[[], World]) -> None:
    """MAPPING J.3: nobody knows which; the rule is counted."""
    world = new_orders()
    world.put(order("a"))
    world.put(order("b"))
    outcome = world.published(AccessionNumber="A-1")
    assert "reference" not in based_on(world)
    assert "J.3" in outcome.ended.noted


def test_an_order_entered_in_error_is_none(new_orders: Callable[[], World]) -> None:
    """MAPPING J.3: it never was; the one beside it is the order."""
    world = new_orders()
    world.put(order("wrong", status="entered-in-error"))
    world.put(order("right"))
    world.published(AccessionNumber="A-1")
    assert based_on(world)["reference"] == "ServiceRequest/right"


def test_without_a_system_nothing_is_searched(new_world: NewWorld) -> None:
    """RULES B4, C9: an accession alone is everybody's."""
    world = new_world(service_request="match")
    world.published(AccessionNumber="A-1")
    assert not world.asked("/ServiceRequest")


def test_every_order_of_a_study_is_searched(new_orders: Callable[[], World]) -> None:
    """RULES B9, MAPPING J.3: those of its requests, too; each identifier by itself."""
    world = new_orders()
    world.put(order("second") | {"identifier": [{"system": ORDERS, "value": "A-2"}]})
    world.published(AccessionNumber="A-1", RequestAttributesSequence=[{"AccessionNumber": one} for one in ("A-1", "A-2")])
    found = world.study()["basedOn"]
    assert [one["identifier"]["value"] for one in found] == ["A-1", "A-2"]
    assert [one.get("reference") for one in found] == [None, "ServiceRequest/second"]
    assert len(world.asked("/ServiceRequest/_search")) == 2


@pytest.mark.parametrize("there", [True, False])
def test_what_was_found_is_not_searched_again(new_orders: Callable[[], World], there: bool) -> None:
    """MAPPING J.3: an unchanged study asks nothing; nor does one whose order is not there, until it is read afresh."""
    world = new_orders()
    if there:
        world.put(order())
    world.published(AccessionNumber="A-1")
    world.store(instance=2, AccessionNumber="A-1")
    world.settle()
    world.mark()
    assert world.turn().decision is Decision.UPDATE
    assert len(world.asked("/ServiceRequest/_search")) == 1
    assert ("reference" in based_on(world)) is there


def test_an_order_that_turns_up_is_named(new_orders: Callable[[], World]) -> None:
    """RULES B4: logical becomes literal, once; what is named is not asked for again."""
    world = new_orders()
    world.published(AccessionNumber="A-1")
    world.put(order())
    assert tomorrow(world) == 1
    assert based_on(world)["reference"] == "ServiceRequest/order-1"
    asked = len(world.asked("/ServiceRequest"))
    assert tomorrow(world) == 0
    assert len(world.asked("/ServiceRequest")) == asked
    assert not world.writes("Provenance")


def test_an_order_that_was_deleted_is_words_again(new_orders: Callable[[], World]) -> None:
    """RULES B4: a refused reference is resolved afresh."""
    world = new_orders()
    world.put(order())
    world.published(AccessionNumber="A-1")
    del world.fhir.store.versions["ServiceRequest", "order-1"]
    world.store(instance=2, AccessionNumber="A-1")
    world.settle()
    world.mark()
    assert world.turn().decision is Decision.UPDATE
    assert "reference" not in based_on(world)


def test_the_accession_is_not_kept_beside_the_order(new_orders: Callable[[], World]) -> None:
    """RULES S1: what is remembered of an order is a digest and the server's id."""
    world = new_orders()
    world.put(order())
    record = world.published(AccessionNumber="A-1").record
    assert record is not None
    assert list(record.raw["orders"].values()) == ["order-1"]
    assert "A-1" not in "".join(record.raw["orders"])
