"""Several archives at once: one ImagingStudy of all copies, and nobody's outage is another's (RULES A4, C6, C8, D1)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from syncd.errors import ConfigurationError, TornRead, Transient
from syncd.loop import removed
from syncd.loop.identity import FEWEST
from syncd.loop.look import look
from syncd.loop.reconcile import reconcile
from syncd.mapping.policy import ArchivePolicy
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.words import Decision, TargetState
from syncd.model.work import Heartbeat, Mark, MarkKind, Outcome
from tests.loop.world import ENDPOINT, MAIN, OTHER, SECOND, SETTLE, STUDY, SYSTEM, World

pytestmark = pytest.mark.usefixtures("impatient")

SECOND_ENDPOINT = "second-wado-rs"
KEEP = {"Keep": ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"], "Force": True, "KeepSource": False}


@pytest.fixture
def both(world: World) -> World:
    return world.with_second()


def _endpoints(element: dict[str, Any]) -> list[str]:
    return [one["reference"].removeprefix("Endpoint/") for one in element.get("endpoint", ())]


def _published(world: World, study: str = STUDY) -> Outcome:
    """Everything stored so far is stable, marked and published."""
    world.settle()
    world.poll_all()
    outcome = world.turn(study)
    assert outcome.record is not None, outcome
    return outcome


def _asked(world: World, name: ArchiveName) -> int:
    return len(world.fake(name).requests)


# -- one study of all copies -------------------------------------------------------------------------------------------


def test_copies_in_two_archives_are_one_study(both: World) -> None:
    """RULES C8, MAPPING E: each series whole from the copy with most of it; what lives elsewhere names that archive."""
    for instance in (1, 2):
        both.store(series=1, instance=instance)
    both.store(series=2)
    both.store(series=1, at=SECOND)
    both.store(series=3, at=SECOND)
    both.store(series=3, instance=2, at=SECOND)
    outcome = _published(both)
    resource = both.study()
    assert (resource["numberOfSeries"], resource["numberOfInstances"]) == (3, 5)
    assert _endpoints(resource) == [ENDPOINT]
    assert {one["uid"]: _endpoints(one) for one in resource["series"]} == {
        f"{STUDY}.1": [],
        f"{STUDY}.2": [],
        f"{STUDY}.3": [SECOND_ENDPOINT],
    }
    assert {copy.archive for copy in both.ledger.copies(STUDY)} == {MAIN, SECOND}
    assert "C8" in outcome.noted
    assert {one["id"] for one in both.fhir.resources("Endpoint")} >= {ENDPOINT, SECOND_ENDPOINT}


def test_an_unchanged_study_of_two_archives_costs_no_write(both: World) -> None:
    """DESIGN 1.3: the order in which the archives are read makes no difference."""
    both.store(series=1)
    both.store(series=2, at=SECOND)
    _published(both)
    both.mark()
    assert both.turn().decision is Decision.SKIP
    both.mark(read_fhir=True)
    assert both.turn().decision is Decision.SKIP
    assert len(both.writes()) == 1


def test_issuers_may_make_one_patient_of_two_numbers(world: World) -> None:
    """RULES C8: the same patient = equal (system, value) after issuer mapping."""
    world.with_second(patient_id_system="", issuers={"HOSP": SYSTEM})
    world.store(PatientID="P")
    world.store(PatientID="P", IssuerOfPatientID="HOSP", series=2, at=SECOND)
    _published(world)
    assert world.study()["numberOfSeries"] == 2


@pytest.mark.parametrize(
    ("here", "there", "second"),
    [
        ({"PatientID": "P"}, {"PatientID": "Q"}, {}),
        ({"PatientID": "P"}, {"PatientID": "P"}, {"patient_id_system": "http://other.test"}),
        ({"PatientID": "P"}, {"PatientID": "P"}, {"patient_id_system": ""}),
        ({"PatientID": ""}, {"PatientID": ""}, {}),
    ],
    ids=["another number", "another system", "no system", "no number at all"],
)
def test_copies_that_nobody_can_tell_to_be_one_patients_are_set_aside(
    world: World, here: dict[str, str], there: dict[str, str], second: dict[str, str]
) -> None:
    """RULES C8: parked `patient-conflict`, asked again each minute; one copy gone, it is published."""
    world.with_second(**second)
    world.store(**here)
    copy = world.store(**there, at=SECOND)
    world.settle()
    world.poll_all()
    outcome = world.turn()
    assert outcome.parked is not None
    assert (outcome.parked.reason, outcome.done, outcome.due) == ("patient-conflict", False, world.clock() + 60)
    assert not world.writes()
    world.delete(copy, at=SECOND)
    assert world.turn().decision is Decision.CREATE
    assert world.ledger.parked(STUDY) is None


def test_a_conflict_is_seen_while_the_study_still_arrives(both: World) -> None:
    """RULES A6, C8: nothing is announced for a patient that it may not be."""
    both.store(PatientID="P")
    both.store(PatientID="Q", at=SECOND)
    both.poll_all()
    outcome = both.turn()
    assert outcome.parked is not None and outcome.parked.reason == "patient-conflict"
    assert not both.writes()


def test_what_is_announced_leads_to_the_archive_with_most_of_it(both: World) -> None:
    """RULES A6, MAPPING E; while one copy still arrives, the study does."""
    both.store()
    both.settle()
    both.store(at=SECOND)
    both.store(series=2, at=SECOND)
    both.poll_all()
    outcome = both.turn()
    assert (both.study()["status"], outcome.done) == ("registered", False)
    assert _endpoints(both.study()) == [SECOND_ENDPOINT]


def test_an_endpoint_of_ours_never_becomes_another_writers(both: World, tmp_path: Any) -> None:
    """RULES C3, E7: also of a series that has moved home since, and with the ledger lost."""
    both.store(series=1)
    copy = both.store(series=2, at=SECOND)
    _published(both)
    both.store(series=2)
    both.delete(copy, at=SECOND)
    (tmp_path / "other").mkdir()
    both.lose_ledger(tmp_path / "other")
    both.connect(accept_target=True)
    both.settle()
    for name in both.archives:
        both.sweep(name)
    assert both.turn().decision is Decision.UPDATE
    assert "second" not in json.dumps(both.study())


def test_the_first_publication_asks_every_archive(both: World) -> None:
    """RULES C8: the inventory of the archive that comes last need not be waited for; one that is away is not."""
    both.store(series=1)
    both.store(OTHER, PatientID="P2")
    both.store(series=2, at=SECOND)
    both.settle()
    both.poll(MAIN)
    assert both.turn().decision is Decision.CREATE
    assert both.study()["numberOfSeries"] == 2
    assert {copy.archive for copy in both.ledger.copies(STUDY)} == {MAIN, SECOND}
    both.second.away = True
    assert both.turn(OTHER).decision is Decision.CREATE


# -- studies that move -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [True, False], ids=["the feed told", "only the lookup tells"])
def test_a_study_that_moved_converges(both: World, told: bool) -> None:
    """RULES D1: deleted in one archive, stored in the other: one ImagingStudy, the same subject, the other's Endpoint."""
    copy = both.store()
    _published(both)
    subject = both.study()["subject"]
    both.store(at=SECOND)
    both.delete(copy)
    both.settle()
    if told:
        both.poll_all()
    both.mark()
    outcome = both.turn()
    assert (outcome.decision, outcome.done) == (Decision.UPDATE, True)
    (kept,) = both.ledger.copies(STUDY)
    assert kept.archive == SECOND
    (resource,) = both.fhir.resources("ImagingStudy")
    assert (resource["status"], resource["subject"], _endpoints(resource)) == ("available", subject, [SECOND_ENDPOINT])


def test_a_copy_that_is_gone_takes_its_series_along(both: World) -> None:
    """RULES D1: gone in one archive = that copy gone; the study lives on in the other."""
    both.store(series=1)
    copy = both.store(series=2, at=SECOND)
    _published(both)
    both.delete(copy, at=SECOND)
    both.mark()
    assert both.turn().decision is Decision.UPDATE
    assert [one["uid"] for one in both.study()["series"]] == [f"{STUDY}.1"]
    assert [one.archive for one in both.ledger.copies(STUDY)] == [MAIN]


def test_gone_is_only_what_no_archive_holds(both: World) -> None:
    """RULES D1: each archive is asked, and answers in the same pass."""
    copy = both.store()
    _published(both)
    both.delete(copy)
    both.mark()
    before = {name: _asked(both, name) for name in both.archives}
    seen = look(both.task())
    assert (seen.headers, [one.orthanc_id for one in seen.gone]) == ((), [copy])
    for name, count in before.items():
        asked = [request.path for request in both.fake(name).requests[count:]]
        assert [path for path in asked if path in ("/tools/lookup", "/system")] == ["/tools/lookup", "/system"]


def _modify(world: World, orthanc_id: str, *, at: ArchiveName, **asked: Any) -> dict[str, Any]:
    answer = world.fake(at).handle("POST", f"/studies/{orthanc_id}/modify", body=json.dumps(asked).encode())
    assert answer.status == 200, answer.body
    world.fake(at).index.forget_unstable()
    return dict(answer.json)


def test_a_patient_id_corrected_in_one_archive_conflicts_until_it_is_in_the_other(world: World) -> None:
    """RULES C8, D1: the subject follows once both agree; one ImagingStudy all along."""
    world.second.__init__("1.12.7", clock=world.clock, name="second")  # type: ignore[misc]
    both = world.with_second()
    copies = {MAIN: both.store(PatientID="P1"), SECOND: both.store(PatientID="P1", series=2, at=SECOND)}
    _published(both)
    before = both.study()["subject"]
    _modify(both, copies[MAIN], at=MAIN, Replace={"PatientID": "P2"}, **KEEP)
    both.mark()
    outcome = both.turn()
    assert outcome.parked is not None and outcome.parked.reason == "patient-conflict"
    assert both.study()["subject"] == before, "the last good publication stays"
    _modify(both, copies[SECOND], at=SECOND, Replace={"PatientID": "P2"}, **KEEP)
    assert both.turn().decision is Decision.UPDATE
    (resource,) = both.fhir.resources("ImagingStudy")
    assert resource["subject"] != before
    assert (resource["numberOfSeries"], both.ledger.parked(STUDY)) == (2, None)


def test_an_anonymised_copy_in_the_other_archive_is_a_study_of_its_own(both: World) -> None:
    """RULES C1, C8: a new StudyInstanceUID and another patient; the first study is not touched."""
    copy = both.store(PatientID="P1")
    _published(both)
    made = _modify(both, copy, at=MAIN, Replace={"PatientID": "ANON", "PatientName": "Anon"}, Force=True)
    another = both.archive.study(made["ID"]).study_uid
    both.store(another, PatientID="ANON", at=SECOND)
    both.settle()
    both.poll_all()
    for row in both.ledger.dirty_rows():
        both.turn(row.study_uid)
    subjects = {one["id"]: one["subject"]["reference"] for one in both.fhir.resources("ImagingStudy")}
    assert len(subjects) == len(set(subjects.values())) == 2
    assert len(both.ledger.copies(another)) == 2


def test_a_study_that_is_split_across_archives_and_merged_again_converges(both: World) -> None:
    """RULES C8, D1: a series moves away and comes back; one ImagingStudy each, with all that is there."""
    whole = both.store(series=1)
    both.store(series=2)
    _published(both)
    both.delete(whole)
    both.store(series=1)
    both.store(series=2, at=SECOND)
    _published(both)
    assert {one["uid"]: _endpoints(one) for one in both.study()["series"]} == {
        f"{STUDY}.1": [],
        f"{STUDY}.2": [SECOND_ENDPOINT],
    }
    (there,) = (copy for copy in both.ledger.copies(STUDY) if copy.archive == SECOND)
    both.store(series=2)
    both.delete(there.orthanc_id, at=SECOND)
    _published(both)
    assert [_endpoints(one) for one in both.study()["series"]] == [[], []]
    assert len(both.fhir.resources("ImagingStudy")) == 1


# -- one archive away --------------------------------------------------------------------------------------------------


@pytest.fixture
def apart(both: World) -> World:
    """STUDY lies in MAIN, OTHER in SECOND, THIRD in both; all are stable and due."""
    both.store(STUDY)
    both.store(OTHER, PatientID="P2", at=SECOND)
    both.store(THIRD, PatientID="P3")
    both.store(THIRD, PatientID="P3", series=2, at=SECOND)
    both.settle()
    both.poll_all()
    both.connect()
    return both


THIRD = "1.2.276.3"


def _rows(world: World, *studies: str) -> list[Any]:
    return [world.ledger.dirty_row(uid) for uid in studies]


def test_one_archive_away_holds_up_nobody_else(apart: World) -> None:
    """RULES C6, C8: what it holds waits, whole, and no row of it is touched; back again, everything is done."""
    apart.second.away = True
    before = _rows(apart, OTHER, THIRD)
    with apart.working() as workers:
        workers.run(until_idle=True)
        assert {name: workers._archives[name].state for name in (MAIN, SECOND)} == {
            MAIN: TargetState.OK,
            SECOND: TargetState.OPEN,
        }
        assert [one["id"] for one in apart.fhir.resources("ImagingStudy")] == [STUDY]
        assert _rows(apart, OTHER, THIRD) == before
        apart.second.away = False
        workers._archives[SECOND].hurry()
        workers.run(until_idle=True)
    assert {one["id"] for one in apart.fhir.resources("ImagingStudy")} == {STUDY, OTHER, THIRD}
    assert apart.study(THIRD)["numberOfSeries"] == 2


def test_a_published_study_is_never_published_with_fewer_series_for_an_outage(apart: World) -> None:
    """RULES C8: also when the archive that answers has something new to say."""
    apart.work()
    apart.second.away = True
    apart.store(THIRD, PatientID="P3", series=5)
    apart.settle()
    apart.poll(MAIN)
    apart.work()
    assert [one["uid"] for one in apart.study(THIRD)["series"]] == [f"{THIRD}.1", f"{THIRD}.2"]
    apart.second.away = False
    apart.work()
    assert apart.study(THIRD)["numberOfSeries"] == 3


def test_a_paused_archive_holds_up_nobody_else(apart: World) -> None:
    """RULES A4, C8: what an exchanged archive holds is neither read nor published; the other one goes on."""
    with apart.working() as workers:
        workers._archives[SECOND].close(TargetState.PAUSED, "another archive")
        before = _asked(apart, SECOND)
        workers.run(until_idle=True)
    assert [one["id"] for one in apart.fhir.resources("ImagingStudy")] == [STUDY]
    assert _asked(apart, SECOND) == before


def test_an_exchanged_archive_pauses_itself_alone(both: World) -> None:
    """RULES A4: each archive is recognised by its own content."""
    for number in range(FEWEST):
        both.store(f"1.2.3.{number}", PatientID=f"A{number}")
        both.store(f"1.2.4.{number}", PatientID=f"B{number}", at=SECOND)
    both.settle()
    both.poll_all()
    both.work()
    both.second.wipe()
    both.store("1.3.6.1", at=SECOND)
    both.poll_all()
    states = {name: position.state.value for name in both.archives if (position := both.ledger.feed_position(name))}
    assert states == {MAIN: "bootstrapping", SECOND: "paused"}


def test_a_copy_that_becomes_known_in_an_archive_that_is_away_goes_back(apart: World) -> None:
    """RULES C6, C8: a trouble of that archive: the claim is given back, no attempt is counted."""
    task = replace(apart.task(THIRD), closed=frozenset({SECOND}))
    with pytest.raises(Transient) as raised:
        reconcile(task)
    assert raised.value.server == SECOND
    with apart.working() as workers:
        workers._archives[SECOND].close(TargetState.OPEN, "away")
        assert workers._turn.take(task) is False
    row = apart.ledger.dirty_row(THIRD)
    assert row is not None and row.attempts == 0


@pytest.mark.parametrize("closed", [True, False], ids=["known to be away", "found to be away"])
def test_what_vanished_waits_for_an_archive_that_cannot_be_asked(apart: World, closed: bool) -> None:
    """RULES D1: the study is not gone before each archive has said so; it waits, and pays no attempt."""
    (copy,) = apart.ledger.copies(STUDY)
    apart.delete(copy.orthanc_id)
    apart.second.away = not closed
    task = replace(apart.task(STUDY), closed=frozenset({SECOND} if closed else ()))
    with pytest.raises(TornRead, match="archive second cannot be asked"):
        look(task)
    outcome = reconcile(task)
    assert (outcome.decision, outcome.done, outcome.due) == (Decision.WAIT, False, apart.clock() + SETTLE)
    assert (outcome.attempts, outcome.gone_copies) == (0, ())


def test_a_study_waits_as_long_as_its_own_archive_says(both: World) -> None:
    """CONTRACT `SETTLE_AFTER` is each archive's own."""
    slow = replace(both.source(SECOND), settle_after=300.0)
    rooms = replace(both.connect(), archives={MAIN: both.source(), SECOND: slow})
    both.store()
    both.store(OTHER, PatientID="P2", at=SECOND)
    both.poll_all()
    waits = {study: reconcile(replace(both.task(study), rooms=rooms)).due - both.clock() for study in (STUDY, OTHER)}
    assert waits == {STUDY: SETTLE, OTHER: 300.0}


# -- an archive that is taken out of the settings ----------------------------------------------------------------------


@pytest.fixture
def orphaned(apart: World) -> World:
    """SECOND held studies that were published, and is not configured any more."""
    apart.work()
    return apart.without(SECOND)


def test_what_a_removed_archive_holds_waits(orphaned: World) -> None:
    """RULES C8: never published with fewer series, nor taken back, until the operator says so; the others go on."""
    before = {one["id"]: one for one in orphaned.fhir.resources("ImagingStudy")}
    orphaned.connect()
    for study in (STUDY, OTHER, THIRD):
        orphaned.mark(study)
    orphaned.store(STUDY, series=4)
    orphaned.settle()
    orphaned.poll()
    orphaned.work()
    after = {one["id"]: one for one in orphaned.fhir.resources("ImagingStudy")}
    assert after[STUDY]["numberOfSeries"] == 2
    assert (after[OTHER], after[THIRD]) == (before[OTHER], before[THIRD])
    assert all(row is not None and row.attempts == 0 for row in _rows(orphaned, OTHER, THIRD))
    with pytest.raises(TornRead, match="the settings do not name"):
        look(orphaned.task(THIRD))


def test_a_forgotten_archive_frees_its_studies_and_its_endpoints_are_off(orphaned: World) -> None:
    """RULES C8, MAPPING E: copies dropped, studies looked at again, Endpoints `off`; once."""
    assert removed.removed(orphaned.ledger, orphaned.archives) == (SECOND,)
    assert orphaned.ledger.forget_archive(SECOND) == 2
    assert removed.removed(orphaned.ledger, orphaned.archives) == ()
    orphaned.connect()
    assert [one.study_uid for one in orphaned.work() if one.decision is Decision.UPDATE] == [THIRD]
    assert [one["uid"] for one in orphaned.study(THIRD)["series"]] == [f"{THIRD}.1"]
    states = {one["id"]: (one["status"], one["meta"]["versionId"]) for one in orphaned.fhir.resources("Endpoint")}
    assert (states[ENDPOINT][0], states[SECOND_ENDPOINT]) == ("active", ("off", "2"))
    assert orphaned.ledger.forgotten_archives() == ()
    written = len(orphaned.writes("Endpoint"))
    orphaned.connect()
    assert len(orphaned.writes("Endpoint")) == written


def test_a_forgotten_archive_may_come_back(orphaned: World) -> None:
    """RULES C8: its Endpoints are active again, and it is listed from the start."""
    orphaned.ledger.forget_archive(SECOND)
    orphaned.connect()
    orphaned.with_second()
    orphaned.connect()
    (endpoint,) = (one for one in orphaned.fhir.resources("Endpoint") if one["id"] == SECOND_ENDPOINT)
    assert endpoint["status"] == "active"
    assert orphaned.ledger.feed_position(SECOND) is None
    orphaned.sweep(SECOND)
    orphaned.work()
    assert orphaned.study(THIRD)["numberOfSeries"] == 2


def test_an_endpoint_of_another_writer_is_left_on(world: World) -> None:
    """RULES B5: at the id that was the forgotten archive's, but not ours."""
    theirs = {
        "resourceType": "Endpoint",
        "id": SECOND_ENDPOINT,
        "status": "active",
        "connectionType": {"code": "dicom-wado-rs"},
        "payloadType": [{"text": "x"}],
        "address": "https://theirs.test",
    }
    world.put(theirs)
    world.mark(orthanc_id=OrthancId("a"))
    there = Mark(study_uid=STUDY, kind=MarkKind.RESYNC, archive=SECOND, orthanc_id=OrthancId("b"))
    world.ledger.mark([there], settle_after=0)
    assert world.ledger.forget_archive(SECOND) == 1
    world.connect()
    (endpoint,) = (one for one in world.fhir.resources("Endpoint") if one["id"] == SECOND_ENDPOINT)
    assert endpoint["status"] == "active"
    assert world.ledger.forgotten_archives() == ()


def _followed_by_the_daemon(world: World) -> None:
    facts = {"state": "ok", "reason": "", "behind_changes": 0, "behind_seconds": 0.0}
    world.ledger.beat(Heartbeat(pid=1, at=world.clock(), started_at=0.0, version="1", archives={SECOND: facts}))


@pytest.mark.parametrize(
    ("name", "before", "words"),
    [
        (MAIN, lambda world: None, "still configured"),
        (ArchiveName("other"), lambda world: None, "knows no archive"),
        (SECOND, _followed_by_the_daemon, "still follows"),
    ],
    ids=["configured", "unknown", "followed by the daemon"],
)
def test_what_is_in_use_is_not_forgotten(
    orphaned: World, name: ArchiveName, before: Callable[[World], None], words: str
) -> None:
    """RULES C8: the operator is told what stands in the way."""
    before(orphaned)
    with pytest.raises(ConfigurationError, match=words):
        removed.require_forgettable(orphaned.ledger, name, configured=orphaned.archives, now=orphaned.clock())


# -- starting ----------------------------------------------------------------------------------------------------------


def _nameless(world: World) -> World:
    """The second archive's public address is the one that it says itself."""
    world.policy = replace(world.policy, further=(ArchivePolicy(name=SECOND, patient_id_system=SYSTEM),))
    world._rooms = None
    return world


def test_an_archive_that_is_away_at_start_says_what_it_said_before(both: World) -> None:
    """RULES C8: the address of its Endpoint, and so the fingerprint, stay what they were."""
    before = _nameless(both).connect()
    both.second.away = True
    assert both.connect().fingerprint == before.fingerprint
    assert before.policy.of(SECOND).dicomweb_url == f"{both.second.url}/dicom-web"


def test_an_archive_of_which_nothing_is_known_is_waited_for(both: World) -> None:
    """MAPPING E: no Endpoint can be made up; a configured address needs no answer."""
    both.second.away = True
    assert both.connect().policy.of(SECOND).dicomweb_url == "https://second.test/dicom-web"
    with pytest.raises(Transient):
        _nameless(both).connect()


def test_without_any_archive_nothing_is_started(both: World) -> None:
    """RULES C8: one is enough, none is not."""
    both.orthanc.away = both.second.away = True
    with pytest.raises(Transient):
        both.connect()
    assert not both.writes("Endpoint")


def test_a_mark_of_an_unknown_study_asks_every_archive(both: World) -> None:
    """RULES D1: `syncd resync --study` may name what the ledger never met."""
    both.store(at=SECOND)
    both.settle()
    both.ledger.mark([Mark(study_uid=STUDY, kind=MarkKind.RESYNC, archive=MAIN)], settle_after=0.0)
    assert both.turn().decision is Decision.CREATE
    assert [one.archive for one in both.ledger.copies(STUDY)] == [SECOND]
