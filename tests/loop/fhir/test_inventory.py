"""The FHIR inventory: what others did to our resources is found, marked, and repaired after a GET (RULES C6, C9, E3, E7)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import Transient
from syncd.loop.fhir import inventory as verify
from syncd.model.inventories import FindingKind
from syncd.model.outcome import Outcome
from syncd.model.words import Decision, ParkedReason, Priority
from syncd.model.work import MarkKind
from tests.fakes.http import Request, Response
from tests.ledger.made import claim_study, done
from tests.loop.world import ENDPOINT, OTHER, STUDY, World, refused

DAY = 86400.0


def walked(world: World) -> Mapping[str, int]:
    """A whole FHIR inventory, now, or the rest of one; what it found, by kind, zeros left out."""
    if world.ledger.verification.walk() is None:
        world.ledger.verification.want("a test")
    inventory = None
    while inventory is None:
        inventory = verify.tick(world.context, interval=DAY)
    return {kind: number for kind, number in inventory.found.items() if number}


@pytest.fixture
def world(world: World) -> World:
    """Two studies, published a while ago."""
    world.published()
    world.published(OTHER, PatientID="P2")
    world.clock.advance(100)
    return world


def _edited(world: World, study: str = STUDY, **changes: Any) -> dict[str, Any]:
    resource = {**world.study(study), **changes}
    world.put(resource)
    return resource


def test_nothing_wrong_is_nothing_marked(world: World) -> None:
    """RULES C9, E3: equal versions and times, however the server spells a time; no write and no read by id."""
    asked = len(world.fhir.requests)
    assert walked(world) == {}
    assert world.ledger.marks.page() == []
    assert not [one for one in world.fhir.requests[asked:] if one.path.startswith("/fhir/ImagingStudy/1.")]
    searches = [one for one in world.fhir.requests[asked:] if "_search" in one.path or "_getpages" in one.query]
    assert searches and all("no-cache" in one.headers["cache-control"] for one in searches)
    last = world.ledger.verification.last()
    assert last is not None and last.listed == 2


def test_a_deleted_resource_comes_back(world: World) -> None:
    """docs/cases.md "deleted on the FHIR side is found and repaired": a mark that reads FHIR, at the priority of repairs."""
    world.remove(f"ImagingStudy/{STUDY}")
    assert walked(world) == {"missing": 1}
    row = world.ledger.marks.find(STUDY)
    assert row is not None
    assert (row.reason, row.priority, row.read_fhir) == (MarkKind.VERIFY, Priority.REPAIR, True)
    assert (world.turn().decision, world.study()["status"]) == (Decision.CREATE, "available")
    assert world.ledger.marks.find(OTHER) is None
    world.clock.advance(100)
    assert walked(world) == {}


def test_an_edited_resource_is_put_right_and_keeps_what_is_foreign(world: World) -> None:
    """docs/cases.md "edited … found and repaired; foreign elements survive every update"."""
    note = [{"text": "seen by the tumour board"}]
    _edited(world, description="Somebody's words", note=note)
    assert walked(world) == {"drifted": 1}
    assert world.turn().decision is Decision.UPDATE
    assert (world.study().get("description"), world.study()["note"]) == (None, note)


def test_a_foreign_addition_alone_costs_no_write(world: World) -> None:
    """RULES C3, B3: the version moved and nothing of ours did; the record takes the version, and it is quiet again."""
    _edited(world, note=[{"text": "foreign"}])
    before = len(world.writes())
    assert walked(world) == {"drifted": 1}
    assert (world.turn().decision, len(world.writes())) == (Decision.SKIP, before)
    world.clock.advance(100)
    assert walked(world) == {}


def test_what_we_write_meanwhile_is_not_compared(world: World) -> None:
    """RULES C9: the listing is older than the write; neither drift nor a restored backup."""
    world.ledger.verification.want("a test")
    while (walk := world.ledger.verification.walk()) is None or walk.phase == verify.Phase.TAGGED:
        assert verify.tick(world.context, interval=DAY, slices=1) is None
    world.clock.advance(1)
    world.store(series=2)
    world.settle()
    world.poll()
    assert world.turn().decision is Decision.UPDATE
    assert walked(world) == {}
    assert world.ledger.marks.page() == []


def test_a_restored_backup_is_verified_whole(world: World) -> None:
    """RULES E3: a version below the ledger's is no drift: all is read again, Patients and Endpoints are not believed."""
    backup = world.fhir.backup()
    world.store(series=2)
    world.settle()
    world.poll()
    world.turn()
    world.clock.advance(100)
    world.fhir.restore(backup)
    assert walked(world) == {"drifted": 1, "lower": 1}
    rows = {row.study_uid: row.read_fhir for row in world.ledger.marks.page()}
    assert rows == {STUDY: True, OTHER: True}
    assert world.ledger.companions.find("Endpoint", ENDPOINT) is not None, "written or found again at once"
    decisions = {uid: world.turn(uid).decision for uid in (STUDY, OTHER)}
    assert decisions == {STUDY: Decision.UPDATE, OTHER: Decision.SKIP}
    assert len(world.study()["series"]) == 2


def test_a_wiped_server_gets_everything_back(world: World) -> None:
    """docs/cases.md "FHIR server wiped": the sentinel is asked before the listing; all studies, Patients and Endpoints
    return."""
    world.fhir.wipe()
    walked(world)
    assert {one.decision for one in world.work()} == {Decision.CREATE}
    assert {one["id"] for one in world.fhir.resources("ImagingStudy")} == {STUDY, OTHER}
    assert ENDPOINT in {one["id"] for one in world.fhir.resources("Endpoint")}
    assert len(world.fhir.resources("Patient")) == 2
    world.clock.advance(100)
    assert walked(world) == {}


def _copied(world: World, *, tag: str | None) -> str:
    """Somebody posts a copy of our resource under an id of the server's; returns the id."""
    copy = {name: value for name, value in world.study().items() if name not in ("id", "meta")}
    if tag is not None:
        copy["meta"] = {"tag": [{"system": "urn:syncd:installation", "code": tag}]}
    answer = world.fhir.handle("POST", "/fhir/ImagingStudy", body=json.dumps(copy).encode())
    assert answer.status == 201, answer.body
    return str(answer.json["id"])


@pytest.mark.parametrize(
    ("tag", "kinds"),
    [
        (None, {FindingKind.FOREIGN, FindingKind.DUPLICATE}),
        ("syncd", {FindingKind.DUPLICATE}),
        ("another", {FindingKind.ELSEWHERE, FindingKind.DUPLICATE}),
    ],
    ids=["without a tag", "with our tag", "with another's tag"],
)
def test_a_duplicate_is_reported_and_not_made_worse(world: World, tag: str | None, kinds: set[FindingKind]) -> None:
    """docs/cases.md "duplicated on the FHIR side": told by its kind, nothing written; forgotten when it is gone."""
    copy = _copied(world, tag=tag)
    before = len(world.writes())
    assert walked(world) == {kind.value: 1 for kind in kinds}
    world.mark(read_fhir=True)
    assert world.turn().decision is Decision.SKIP
    assert len(world.writes()) == before
    world.remove(f"ImagingStudy/{copy}")
    world.clock.advance(100)
    assert walked(world) == {}


def test_somebody_elses_study_that_is_none_of_ours_is_not_listed(world: World) -> None:
    """RULES E8: only our tag and our studies are asked for."""
    foreign = {**world.study(), "id": "x-1", "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3.4"}]}
    del foreign["meta"]
    world.put(foreign)
    assert walked(world) == {}


def test_what_a_lost_ledger_published_is_found_again(world: World, tmp_path: Path) -> None:
    """RULES E7, docs/cases.md "Ledger lost": marked, recognised by its tag, and not written again."""
    world.lose_ledger(tmp_path)
    world.connect(accept_target=True)
    assert world.ledger.verification.why_wanted()
    before = len(world.writes())
    assert walked(world) == {"unknown": 2}
    world.settle()
    outcomes = world.work()
    assert {one.decision for one in outcomes} == {Decision.SKIP}
    assert len(world.writes()) == before
    assert world.ledger.records.find(STUDY) is not None
    world.clock.advance(100)
    assert walked(world) == {}


def test_a_study_is_published_when_the_foreign_resource_is_gone(world: World) -> None:
    """RULES C2, E2: parked is not deaf, also where only the FHIR server changed."""
    uid = "1.2.276.3"
    theirs = {
        "resourceType": "ImagingStudy",
        "id": "theirs",
        "status": "available",
        "subject": {"display": "x"},
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}],
        "numberOfSeries": 1,
        "series": [{"uid": "1.9", "modality": {"code": "CT"}}],
    }
    world.put(theirs)
    world.store(uid, PatientID="P3")
    world.settle()
    world.poll()
    assert ParkedReason.FOREIGN_IMAGINGSTUDY in world.turn(uid).reason
    world.clock.advance(100)
    assert walked(world) == {"foreign": 1}
    assert world.ledger.marks.find(uid) is None, "it still stands in the way"
    world.remove("ImagingStudy/theirs")
    world.clock.advance(100)
    walked(world)
    assert world.turn(uid).decision is Decision.CREATE


def _missing_while_reconciling(world: World) -> Outcome:
    world.remove(f"ImagingStudy/{STUDY}")
    world.mark(kind=MarkKind.RESYNC, read_fhir=True)
    return world.turn()


def test_one_missing_study_starts_an_inventory_at_once(world: World) -> None:
    """RULES C6: 404 or 410 on one of ours: re-created, and the others are looked for; without that, a day is waited for."""
    assert verify.tick(world.context, interval=DAY) is None
    assert world.ledger.verification.walk() is None
    world.remove(f"ImagingStudy/{OTHER}")
    assert _missing_while_reconciling(world).decision is Decision.CREATE
    verify.tick(world.context, interval=DAY)
    assert world.ledger.verification.walk() is not None
    assert walked(world) == {"missing": 1}
    assert world.turn(OTHER).decision is Decision.CREATE
    assert not world.ledger.verification.why_wanted(), "what an inventory marked asks for no other one"


def test_a_version_that_fell_back_starts_one_too(world: World) -> None:
    """RULES E3: met by a reconcile that had to read."""
    backup = world.fhir.backup()
    world.store(series=2)
    world.settle()
    world.poll()
    world.turn()
    world.fhir.restore(backup)
    world.mark(kind=MarkKind.RESYNC, read_fhir=True)
    world.turn()
    assert "below" in world.ledger.verification.why_wanted()


def test_it_is_time_every_interval(world: World) -> None:
    """docs/settings.md, VERIFY_INTERVAL: counted from the first start, then from the end of the last one."""
    for _ in range(2):
        assert verify.tick(world.context, interval=DAY) is None
        assert world.ledger.verification.walk() is None
        world.clock.advance(DAY)
        while verify.tick(world.context, interval=DAY) is None:
            assert world.ledger.verification.walk() is not None


def test_a_restart_goes_on_where_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES E8: after every slice another process; each page is read once, and the outcome is the same."""
    monkeypatch.setattr("syncd.publish.server.PAGE", "1")
    world.remove(f"ImagingStudy/{STUDY}")
    for number in range(3, 6):
        world.published(f"1.2.276.{number}", PatientID=f"P{number}")
    world.clock.advance(100)
    world.ledger.verification.want("a test")
    asked, inventory = len(world.fhir.requests), None
    while inventory is None:
        world.ledger.close()
        world.ledger = type(world.ledger).open(world.ledger_url, clock=world.clock)
        world._context = replace(world.context, ledger=world.ledger)
        inventory = verify.tick(world.context, interval=DAY, slices=1)
    assert (inventory.found["missing"], inventory.listed) == (1, 4)
    pages = [one for one in world.fhir.requests[asked:] if "_getpages" in one.query]
    assert len(pages) == len({str(one.query) for one in pages}) > 0
    assert [row.study_uid for row in world.ledger.marks.page()] == [STUDY]


def test_a_listing_that_the_server_forgot_is_begun_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES C9: a page that is gone (410, 404) is no absence of studies."""
    monkeypatch.setattr("syncd.publish.server.PAGE", "1")
    world.ledger.verification.want("a test")
    verify.tick(world.context, interval=DAY, slices=1)
    world.fhir._searches.forget()
    with pytest.raises(Transient, match="begun anew"):
        verify.tick(world.context, interval=DAY, slices=1)
    walk = world.ledger.verification.walk()
    assert walk is not None and (walk.phase, walk.after, walk.listed) == (verify.Phase.TAGGED, "", 0)
    assert walked(world) == {}


@pytest.mark.parametrize("answer", [refused(500), refused(429), Response(status=503)], ids=["500", "429", "503"])
def test_a_server_that_fails_marks_nothing(world: World, answer: Response) -> None:
    """RULES C6: what cannot be listed is not missing; the walk goes on later."""
    world.ledger.verification.want("a test")

    def rule(request: Request) -> Response | None:
        return answer if "_search" in request.path else None

    world.fhir.rules.append(rule)
    for _ in range(3):
        with pytest.raises(Transient):
            verify.tick(world.context, interval=DAY)
    assert world.ledger.marks.page() == []
    world.fhir.rules.remove(rule)
    assert walked(world) == {}


def test_a_daemon_that_stops_ends_the_tick(world: World) -> None:
    """RULES E8: not one request more; the walk is still there."""
    world.ledger.verification.want("a test")
    verify.tick(world.context, interval=DAY, slices=1)
    asked = len(world.fhir.requests)
    assert verify.tick(world.context, interval=DAY, go_on=lambda: False) is None
    assert len(world.fhir.requests) == asked
    assert world.ledger.verification.walk() is not None


def test_a_tick_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES E8, A9: a few requests, whatever there is to list."""
    monkeypatch.setattr("syncd.publish.server.PAGE", "1")
    for number in range(3, 9):
        world.published(f"1.2.276.{number}", PatientID=f"P{number}")
    world.ledger.verification.want("a test")
    verify.tick(world.context, interval=DAY, slices=1)
    asked = len(world.fhir.requests)
    assert verify.tick(world.context, interval=DAY) is None
    assert len(world.fhir.requests) - asked == verify.SLICES


def test_an_adopted_id_is_known_by_its_record(world: World) -> None:
    """RULES C1, E7: a resource that kept its own id is neither a stranger nor missing."""
    record = world.ledger.records.find(STUDY)
    assert record is not None
    other = {**world.study(), "id": "theirs-1"}
    del world.fhir.store.versions["ImagingStudy", STUDY]
    world.put(other)
    meta = world.study("theirs-1")["meta"]
    adopted = replace(record, resource_id="theirs-1", version=meta["versionId"], last_updated=meta["lastUpdated"])
    world.mark()
    claim = claim_study(world.ledger, STUDY)
    assert claim is not None
    world.ledger.outcomes.commit(done(claim, record=adopted))
    assert walked(world) == {}
