"""kill -9 in the middle of writing, and two processes on one ledger: real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.errors import LedgerRefused
from syncd.ledger.db.file import place_of
from syncd.ledger.ledger import Ledger
from syncd.model.ids import OrthancId
from tests.ledger.made import MAIN, NOW, Clock, event, mark, next_due

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def url(request: pytest.FixtureRequest, new_url: Callable[[str], str]) -> str:
    """What is in memory is no matter of several processes."""
    return new_url(request.param)


def start(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ledger.db.crashing", url], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def kill_after(process: subprocess.Popen[str], lines: int) -> list[list[str]]:
    """What it said to have committed before SIGKILL; the last line may be cut."""
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    said += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    return [line.split() for line in said if line.endswith("\n")]


def test_what_was_committed_survives_kill_9_and_the_rest_is_only_repeated(url: str) -> None:
    """RULES A2, C3, E4: cursor, marks and copies never part, nor an intent and the Patient that it goes with; claims of the
    dead owner are void; thrice over one ledger."""
    said: dict[str, set[str]] = {"taken": set(), "intended": set(), "published": set()}
    for lines in (5, 60, 173):
        for word, uid in kill_after(start(url), lines):
            said[word].add(uid)
        with Ledger.open(url, clock=Clock(NOW)) as ledger:
            assert Ledger.owner_alive(url) == os.getpid()
            position = ledger.feed.position(MAIN)
            assert position is not None
            everything = {f"1.{number}" for number in range(1, position.cursor + 1)}
            records = {one.study_uid for one in ledger.records.page(limit=100_000)}
            dirty = {row.study_uid for row in ledger.marks.page(limit=100_000)}
            assert said["taken"] <= everything
            assert said["published"] <= records
            intended = {uid for uid, one in ledger.overview.standing(sorted(everything)).items() if one.intent is not None}
            assert said["intended"] <= intended | records
            assert intended | records <= ledger.companions.find_several("Patient", everything).keys()
            assert not records & intended
            assert records | dirty == everything
            assert not records & dirty
            assert set(position.seen) == set(range(max(1, position.cursor - 20), position.cursor + 1))
            assert (
                len(ledger.records.study_of(MAIN, [OrthancId(f"o{number}") for number in range(1, position.cursor + 1)]))
                == position.cursor
            )
            assert {claim.row.study_uid for claim in ledger.claims.take(100_000, now=NOW)} == dirty
            assert ledger.overview.counts(NOW).dirty == len(dirty)
    assert all(said.values())


def test_a_second_process_is_refused_and_told_who_holds_it(url: str) -> None:
    """RULES E4: one owner for life; a guest may mark, and nothing else."""
    process = start(url)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        assert Ledger.owner_alive(url) == process.pid
        with pytest.raises(LedgerRefused, match=f"held by process {process.pid}"):
            Ledger.open(url)
        with Ledger.open_guest(url, clock=Clock(NOW + 3600)) as guest:
            assert mark(guest, event("9.9")) == 1
            assert guest.marks.find_pending(["9.9"]) == {"9.9"}, (
                "due in an hour by the guest's clock, so the owner leaves it"
            )
            for refused in (
                lambda: guest.claims.take(1, now=NOW),
                lambda: guest.facts.save_installation("x"),
                lambda: guest.claims.release("1"),
                guest.require_ownership,
            ):
                with pytest.raises(LedgerRefused, match="only the ledger's owner"):
                    refused()
            assert next_due(guest) is not None
    finally:
        kill_after(process, 0)
    _until_nobody_owns(url)


def _until_nobody_owns(url: str) -> None:
    """PostgreSQL hears of a death when the connection breaks, which is a moment after it."""
    deadline = time.monotonic() + 10.0
    while Ledger.owner_alive(url) is not None:
        assert time.monotonic() < deadline, "a dead owner still holds the ledger"


def test_a_first_start_that_was_cut_short_is_begun_again(file_url: str) -> None:
    """docs/architecture.md: kill -9 anywhere only repeats work; a half-built ledger never takes the ledger's name."""
    place = place_of(file_url)
    place.new.write_bytes(b"SQLite format 3\0 half")
    place.beside(".new-wal").write_bytes(b"half")
    with Ledger.open(file_url) as ledger:
        assert ledger.overview.counts(NOW).dirty == 0
    assert not place.new.exists()


def test_an_owner_who_lost_the_ledger_to_another_must_not_write(file_url: str) -> None:
    """RULES E4: the epoch is checked in every transaction (here the lock file was removed by hand)."""
    with Ledger.open(file_url, clock=Clock(NOW)) as first:
        mark(first, event("1.1"))
        place_of(file_url).lock.unlink()
        with Ledger.open(file_url, clock=Clock(NOW)) as second:
            with pytest.raises(LedgerRefused, match="taken the ledger over"):
                first.claims.take(1, now=NOW)
            assert len(second.claims.take(1, now=NOW)) == 1
