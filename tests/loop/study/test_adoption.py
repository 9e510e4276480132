"""An ImagingStudy that somebody else wrote first (RULES C1, C2, POLICY__ADOPT)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from syncd.errors import Transient
from syncd.loop.study.reconcile import reconcile
from syncd.model.words import Decision
from syncd.model.work import MarkKind
from tests.fakes.http import ReplyLost, Request, Response
from tests.loop.world import STUDY, SYSTEM, World, puts

RIS = "ris-7"


def _announce(world: World, **elements: Any) -> dict[str, Any]:
    """A RIS announces the study, for a Patient of its own."""
    world.put({"resourceType": "Patient", "id": "his-1", "identifier": [{"system": SYSTEM, "value": "P1"}]})
    theirs = {
        "resourceType": "ImagingStudy",
        "id": RIS,
        "identifier": [
            {"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"},
            {"system": "urn:ris", "value": "7"},
        ],
        "status": "registered",
        "subject": {"reference": "Patient/his-1"},
        "note": [{"text": "urgent"}],
        **elements,
    }
    world.put(theirs)
    return theirs


def _ready(world: World) -> None:
    world.store(PatientID="P1")
    world.settle()
    world.poll()
    world.connect()


def _verify(world: World) -> None:
    world.mark(kind=MarkKind.VERIFY, read_fhir=True)


def test_an_announced_study_is_filled_under_its_own_id(world: World) -> None:
    """RULES C1, C2: it keeps its id and its elements, takes our tag, and stays the only one."""
    _ready(world)
    _announce(world)
    outcome = world.turn()
    assert outcome.record is not None
    assert (outcome.decision, outcome.record.resource_id, outcome.record.adopted) == (Decision.UPDATE, RIS, True)
    (held,) = world.fhir.resources("ImagingStudy")
    assert (held["id"], held["status"], held["note"]) == (RIS, "available", [{"text": "urgent"}])
    assert {"system": "urn:ris", "value": "7"} in held["identifier"]
    assert {one["code"] for one in held["meta"]["tag"]} == {"syncd"}
    world.store(series=2, PatientID="P1")
    world.settle()
    world.mark()
    assert world.turn().decision is Decision.UPDATE
    (held,) = world.fhir.resources("ImagingStudy")
    assert (held["id"], held["numberOfSeries"], held["note"]) == (RIS, 2, [{"text": "urgent"}])


def test_one_at_our_own_id_is_remembered_as_adopted(world: World) -> None:
    """RULES C2: adopted resources are never deleted, and the id alone does not tell them from ours."""
    _ready(world)
    _announce(world, id=STUDY)
    outcome = world.turn()
    assert outcome.record is not None and outcome.record.adopted is True
    world.mark()
    unchanged = world.turn()
    assert unchanged.record is not None and unchanged.record.adopted is True


def test_an_adoption_whose_reply_was_lost_is_still_one(world: World) -> None:
    """RULES C5: the intent tells it."""
    _ready(world)
    _announce(world, id=STUDY)

    def lost(request: Request) -> Response | None:
        if puts()(request):
            world.fhir.rules.clear()
            world.fhir.answer(request)
            raise ReplyLost
        return None

    world.fhir.rules.append(lost)
    with pytest.raises(Transient):
        world.turn()
    outcome = world.turn()
    assert outcome.decision is Decision.SKIP
    assert outcome.record is not None and outcome.record.adopted is True


def test_what_we_made_ourselves_is_not_adopted(world: World) -> None:
    """RULES C2."""
    outcome = world.published()
    assert outcome.record is not None and outcome.record.adopted is False


def test_a_described_study_is_left_alone_until_the_site_says_otherwise(world: World) -> None:
    """RULES C2, E2: parked `foreign-imagingstudy`; another policy is a new judgement, without any change of theirs."""
    _ready(world)
    _announce(world, status="available")
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "foreign-imagingstudy"
    assert len(world.fhir.resources("ImagingStudy")) == 1
    world.mark()
    assert world.turn().decision is Decision.PARK
    world._context = replace(world.context, adopt="always")
    world.mark()
    assert world.turn().decision is Decision.UPDATE
    assert world.ledger.records.find_parked(STUDY) is None
    assert world.study(RIS)["status"] == "available"


def test_never_is_never(world: World) -> None:
    """RULES C2: POLICY__ADOPT=never."""
    _ready(world)
    _announce(world)
    world._context = replace(world.context, adopt="never")
    assert world.turn().decision is Decision.PARK


@pytest.mark.parametrize("gone", ["deleted", "absent"])
def test_an_adopted_resource_that_is_gone_comes_back(world: World, gone: str) -> None:
    """RULES C1, C6: over its tombstone where there is one; else under our id, for theirs is not ours to give."""
    _ready(world)
    _announce(world)
    world.turn()
    if gone == "deleted":
        world.remove(f"ImagingStudy/{RIS}")
    else:
        del world.fhir.store.versions["ImagingStudy", RIS]
    _verify(world)
    outcome = world.turn()
    assert outcome.decision is Decision.CREATE
    assert [one["id"] for one in world.fhir.resources("ImagingStudy")] == [RIS if gone == "deleted" else STUDY]


def test_what_another_wrote_while_ours_was_gone_is_not_doubled(world: World) -> None:
    """RULES C2, C6: absent → looked up again before it is created anew."""
    world.published(PatientID="P1")
    del world.fhir.store.versions["ImagingStudy", STUDY]
    _announce(world, status="available")
    _verify(world)
    outcome = world.turn()
    assert outcome.parked is not None and outcome.parked.reason == "foreign-imagingstudy"
    assert [one["id"] for one in world.fhir.resources("ImagingStudy")] == [RIS]


def test_a_crash_before_the_first_write_does_not_skip_the_lookup(world: World) -> None:
    """RULES C2, C5: an intent that was never carried out is no memory of a resource."""
    _ready(world)

    def unsent(request: Request) -> Response | None:
        if puts()(request):
            world.fhir.rules.clear()
            raise ReplyLost
        return None

    world.fhir.rules.append(unsent)
    with pytest.raises(Transient):
        world.turn()
    _announce(world, status="available")
    assert world.turn().decision is Decision.PARK
    assert [one["id"] for one in world.fhir.resources("ImagingStudy")] == [RIS]


def test_a_hit_that_names_another_study_is_not_touched(world: World) -> None:
    """RULES C9: a hit is a hint, confirmed by GET: it must still say that it is this study."""
    _ready(world)
    _announce(world)
    other = _announce(world, identifier=[{"system": "urn:dicom:uid", "value": "urn:oid:1.2.276.99"}])
    hinted = replace(world.task(), hits=frozenset({RIS}))  # as a search said that was a minute old
    assert reconcile(hinted).outcome.decision is Decision.CREATE
    assert world.study(RIS)["identifier"] == other["identifier"]


def test_the_setting_changes_nothing_that_is_published(new_world: Callable[..., World]) -> None:
    """RULES B3: whose resource may become ours is not part of what is said in it."""
    world = new_world()
    before = world.connect().fingerprint
    assert replace(world.context, adopt="always").fingerprint == before
