"""An archive that is away, paused or not in the settings: its studies wait, nobody else's do (RULES A4, C6, C8, D1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from syncd.errors import ConfigurationError, TornRead, Transient
from syncd.loop import removed_archive
from syncd.loop.same_archive import FEWEST
from syncd.loop.study.read import look
from syncd.loop.study.reconcile import reconcile
from syncd.mapping.policy import ArchivePolicy
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.overview import Heartbeat
from syncd.model.words import Decision, TargetState
from syncd.model.work import Mark, MarkKind
from tests.ledger.made import copies_of
from tests.loop.world import ENDPOINT, MAIN, OTHER, SECOND, SETTLE, STUDY, SYSTEM, World

pytestmark = pytest.mark.usefixtures("impatient")

SECOND_ENDPOINT = "second-wado-rs"
THIRD = "1.2.276.3"


@pytest.fixture
def both(world: World) -> World:
    return world.with_second()


def _asked(world: World, name: ArchiveName) -> int:
    return len(world.fake(name).requests)


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


def _rows(world: World, *studies: str) -> list[Any]:
    return [world.ledger.marks.find(uid) for uid in studies]


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
        workers._archives[SECOND].trip(TargetState.PAUSED, "another archive")
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
    states = {name: position.state.value for name in both.archives if (position := both.ledger.feed.position(name))}
    assert states == {MAIN: "bootstrapping", SECOND: "paused"}


def test_a_copy_that_becomes_known_in_an_archive_that_is_away_goes_back(apart: World) -> None:
    """RULES C6, C8: a trouble of that archive: the claim is given back, no attempt is counted."""
    task = replace(apart.task(THIRD), away=frozenset({SECOND}))
    with pytest.raises(Transient) as raised:
        reconcile(task)
    assert raised.value.server == SECOND
    with apart.working() as workers:
        workers._archives[SECOND].trip(TargetState.OPEN, "away")
        assert workers._turn.take(task) is False
    row = apart.ledger.marks.find(THIRD)
    assert row is not None and row.attempts == 0


@pytest.mark.parametrize("known", [True, False], ids=["known to be away", "found to be away"])
def test_what_vanished_waits_for_an_archive_that_cannot_be_asked(apart: World, known: bool) -> None:
    """RULES D1: the study is not gone before each archive has said so; it waits, and pays no attempt."""
    (copy,) = copies_of(apart.ledger, STUDY)
    apart.delete(copy.orthanc_id)
    apart.second.away = not known
    task = replace(apart.task(STUDY), away=frozenset({SECOND} if known else ()))
    with pytest.raises(TornRead, match="archive second cannot be asked"):
        look(task)
    outcome = reconcile(task).outcome
    assert (outcome.decision, outcome.done, outcome.turn.due) == (Decision.WAIT, False, apart.clock() + SETTLE)
    assert (outcome.turn.attempts, outcome.copies.gone) == (0, ())


def test_a_study_waits_as_long_as_its_own_archive_says(both: World) -> None:
    """docs/settings.md, `SETTLE_AFTER` is each archive's own."""
    slow = replace(both.source(SECOND), settle_after=300.0)
    context = replace(both.connect(), archives={MAIN: both.source(), SECOND: slow})
    both.store()
    both.store(OTHER, PatientID="P2", at=SECOND)
    both.poll_all()
    turns = {study: reconcile(replace(both.task(study), context=context)).outcome.turn for study in (STUDY, OTHER)}
    waits = {study: (turn.due or 0.0) - both.clock() for study, turn in turns.items()}
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
    assert removed_archive.removed_archives(orphaned.ledger, orphaned.archives) == (SECOND,)
    assert orphaned.ledger.archives.forget(SECOND) == 2
    assert removed_archive.removed_archives(orphaned.ledger, orphaned.archives) == ()
    orphaned.connect()
    assert [one.study_uid for one in orphaned.work() if one.decision is Decision.UPDATE] == [THIRD]
    assert [one["uid"] for one in orphaned.study(THIRD)["series"]] == [f"{THIRD}.1"]
    states = {one["id"]: (one["status"], one["meta"]["versionId"]) for one in orphaned.fhir.resources("Endpoint")}
    assert (states[ENDPOINT][0], states[SECOND_ENDPOINT]) == ("active", ("off", "2"))
    assert orphaned.ledger.archives.to_switch_off() == ()
    written = len(orphaned.writes("Endpoint"))
    orphaned.connect()
    assert len(orphaned.writes("Endpoint")) == written


def test_a_forgotten_archive_may_come_back(orphaned: World) -> None:
    """RULES C8: its Endpoints are active again, and it is listed from the start."""
    orphaned.ledger.archives.forget(SECOND)
    orphaned.connect()
    orphaned.with_second()
    orphaned.connect()
    (endpoint,) = (one for one in orphaned.fhir.resources("Endpoint") if one["id"] == SECOND_ENDPOINT)
    assert endpoint["status"] == "active"
    assert orphaned.ledger.feed.position(SECOND) is None
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
    world.ledger.marks.add([there], settle_after=0)
    assert world.ledger.archives.forget(SECOND) == 1
    world.connect()
    (endpoint,) = (one for one in world.fhir.resources("Endpoint") if one["id"] == SECOND_ENDPOINT)
    assert endpoint["status"] == "active"
    assert world.ledger.archives.to_switch_off() == ()


def _followed_by_the_daemon(world: World) -> None:
    facts = {"state": "ok", "reason": "", "behind_changes": 0, "behind_seconds": 0.0}
    world.ledger.overview.beat(Heartbeat(pid=1, at=world.clock(), started_at=0.0, version="1", archives={SECOND: facts}))


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
        removed_archive.require_forgettable(orphaned.ledger, name, configured=orphaned.archives, now=orphaned.clock())


# -- starting ----------------------------------------------------------------------------------------------------------


def _nameless(world: World) -> World:
    """The second archive's public address is the one that it says itself."""
    world.policy = replace(world.policy, further=(ArchivePolicy(name=SECOND, patient_id_system=SYSTEM),))
    world._context = None
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
    both.ledger.marks.add([Mark(study_uid=STUDY, kind=MarkKind.RESYNC, archive=MAIN)], settle_after=0.0)
    assert both.turn().decision is Decision.CREATE
    assert [one.archive for one in copies_of(both.ledger, STUDY)] == [SECOND]
