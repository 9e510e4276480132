"""One shot beside a living daemon, and what its report calls in sync (README.md, resync)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from syncd.errors import Unreachable
from syncd.ledger.ledger import Ledger
from syncd.loop.commands import resync as room
from syncd.loop.commands.resync import Choice, Report, resync, watch
from syncd.model.overview import Heartbeat
from syncd.model.words import Decision
from tests.fakes.http import Request, Response
from tests.loop.world import OTHER, STUDY, World, puts


@pytest.fixture
def guest(world: World) -> Iterator[Ledger]:
    """The ledger as a second process sees it."""
    world.connect()
    with Ledger.open_guest(world.ledger_url, clock=world.clock) as ledger:
        yield ledger


@pytest.fixture
def while_watching(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """What the daemon does each time the watcher sleeps."""
    monkeypatch.setattr(room.time, "time", world.clock)

    def install(act: Callable[[], Any]) -> None:
        monkeypatch.setattr(room.time, "sleep", lambda seconds: act())

    return install


def _beat(world: World, **target: str) -> None:
    now = world.clock()
    facts = {"state": "ok", "reason": "", **target}
    world.ledger.overview.beat(Heartbeat(pid=1, at=now, started_at=now, version="1", target=facts))


def _nothing(report: Report) -> None:
    return None


def test_the_watcher_marks_and_the_daemon_works(
    world: World, guest: Ledger, while_watching: Callable[[Callable[[], Any]], None]
) -> None:
    """README.md: beside a live daemon only marks are written, and the daemon is watched while it works."""
    world.store()
    world.store("not-a-uid")
    world.settle()
    _beat(world)
    while_watching(lambda: [world.turn(row.study_uid) for row in world.ledger.marks.page()])
    report = watch(world.site, guest, choice=Choice(), progress=_nothing)
    assert (report.listed, report.marked, report.left) == (2, 2, 0)
    assert report.parked == {"not-a-uid": "uid-not-oid"}
    assert world.study()["status"] == "available"


@pytest.mark.parametrize(
    ("target", "age", "words"),
    [({"reason": "the FHIR server is away"}, 0.0, "is away"), ({}, room.SILENCE + 1, "does not answer")],
    ids=["it waits", "it is dead"],
)
def test_a_daemon_that_gets_nowhere_is_not_watched_for_ever(
    world: World,
    guest: Ledger,
    while_watching: Callable[[Callable[[], Any]], None],
    target: dict[str, str],
    age: float,
    words: str,
) -> None:
    """README.md: exit 3; what was marked stays marked."""
    world.store()
    world.settle()
    _beat(world, **target)
    world.clock.advance(age)
    while_watching(lambda: None)
    with pytest.raises(Unreachable, match=words):
        watch(world.site, guest, choice=Choice(), progress=_nothing)
    assert world.ledger.marks.find(STUDY) is not None


def test_a_server_that_goes_away_meanwhile_ends_the_shot(world: World) -> None:
    """README.md: 3 a server cannot be reached; what was done is kept."""
    for number in range(1, 4):
        world.store(f"1.2.276.{number}", PatientID=f"P{number}")
    world.settle()

    def leave(request: Request) -> Response | None:
        world.fhir.away = puts()(request) and bool(world.writes())
        return None

    world.fhir.rules.append(leave)
    with pytest.raises(Unreachable, match="studies left"):
        resync(world.site, world.ledger, choice=Choice(), accept_target=False, progress=lambda report: None)
    counts = world.ledger.overview.counts(world.clock())
    assert sum(counts.published.values()) + counts.dirty == 3
    assert counts.dirty >= 1


def test_a_choice_is_by_study_and_date(world: World) -> None:
    """README.md: `--study STUDY…`, `--since DATE`."""
    world.store(StudyDate="20240101")
    world.store(OTHER, StudyDate="20231231")
    listings = {one.study_uid: one for one in world.archive.inventory()}

    def chosen(choice: Choice) -> set[str]:
        return {uid for uid, one in listings.items() if choice(one)}

    assert chosen(Choice()) == {STUDY, OTHER}
    assert chosen(Choice(since="20240101")) == {STUDY}
    assert chosen(Choice(studies=frozenset({OTHER}))) == {OTHER}
    assert chosen(Choice(studies=frozenset({listings[STUDY].orthanc_id}))) == {STUDY}
    assert chosen(Choice(studies=frozenset({OTHER}), since="20240101")) == set()


@pytest.mark.parametrize(
    ("report", "in_sync"),
    [
        (Report(), True),
        (Report(listed=3, marked=3), True),
        (Report(parked={"1": "refused"}), False),
        (Report(waiting={"1": "still arriving"}), False),
        (Report(left=1), False),
    ],
)
def test_nothing_is_rounded_off(report: Report, in_sync: bool) -> None:
    """README.md: exit 0 only if in sync."""
    assert report.in_sync is in_sync


def test_a_rehearsal_goes_on_behind_a_study_that_cannot_be_judged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """README.md, --dry-run: every decision, also of those that wait."""
    world.connect()
    world.store(modality="KO")
    world.store(OTHER, PatientID="P2")
    rows = {uid: decision for uid, decision, _ in room.rehearse(world.site, world.ledger, choice=Choice())}
    assert rows == {STUDY: Decision.WAIT, OTHER: Decision.CREATE}
