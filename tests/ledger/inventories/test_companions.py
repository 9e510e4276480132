"""Contract: what we wrote beside the studies is found at once, and goes with the owner's next transaction at the latest."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event, select

from syncd.errors import LedgerRefused, LedgerUnavailable
from syncd.ledger.db import writer as room
from syncd.ledger.db.schema import assigned_ids, companions
from syncd.ledger.ledger import Ledger
from syncd.model.work import Companion, Intent
from tests.ledger.made import Clock, mark
from tests.ledger.made import event as told


def patient(resource_id: str, version: str = "1", **changes: Any) -> Companion:
    return Companion(resource_type="Patient", resource_id=resource_id, version=version, digest="d", **changes)


def on_disk(ledger: Ledger) -> dict[str, str]:
    """Id and version of what the last commit holds."""
    wanted = select(companions.c.resource_id, companions.c.version)
    return ledger._transactions.read(lambda connection: {row[0]: row[1] for row in connection.execute(wanted)})


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written because time went by."""
    monkeypatch.setattr(room, "LONGEST_WAIT", 600.0)


@pytest.mark.usefixtures("unhurried")
def test_what_is_kept_later_is_found_at_once_and_goes_with_the_next_transaction(ledger: Ledger) -> None:
    """RULES C3: the intent's transaction holds the Patient that the study was written under."""
    ledger.companions.save(patient("p", replaced_by="Patient/q"), later=True)
    ledger.companions.keep_assigned("Patient", "p", "77", later=True)
    assert ledger.companions.find("Patient", "p") == patient("p", replaced_by="Patient/q")
    assert (ledger.companions.assigned_id("Patient", "p"), ledger.companions.own_id("Patient", "77")) == ("77", "p")
    assert on_disk(ledger) == {}
    ledger.claims.save_intents([Intent(study_uid="1.1", resource_id="1.1", digest="d", expected_version="0")])
    assert on_disk(ledger) == {"p": "1"}
    assert not ledger._transactions.riders
    assert ledger.companions.find("Patient", "p") == patient("p", replaced_by="Patient/q")
    assert (ledger.companions.assigned_id("Patient", "p"), ledger.companions.own_id("Patient", "77")) == ("77", "p")


@pytest.mark.usefixtures("unhurried")
def test_what_is_kept_now_takes_along_what_waits_and_the_last_word_counts(ledger: Ledger) -> None:
    """RULES B4: of one resource, the version that the server confirmed last."""
    ledger.companions.save(patient("p", "1"), later=True)
    ledger.companions.save(patient("q", "1"), later=True)
    ledger.companions.save(patient("p", "2"), later=True)
    assert ledger.companions.find_several("Patient", ["p", "q", "r"]) == {"p": patient("p", "2"), "q": patient("q")}
    ledger.companions.save(patient("p", "3"))
    assert on_disk(ledger) == {"p": "3", "q": "1"}
    assert ledger.companions.find_several("Patient", ["p", "q", "r"]) == {"p": patient("p", "3"), "q": patient("q")}
    assert ledger.companions.find("Endpoint", "p") is None


@pytest.mark.usefixtures("unhurried")
def test_a_transaction_that_fails_takes_nobody_along(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES E6: alone or with neighbours, what waits is found as before and goes with the next one."""
    ledger.companions.save(patient("p"), later=True)

    def fail(_: object) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        ledger._writer.run(fail)
    assert (on_disk(ledger), ledger.companions.find("Patient", "p")) == ({}, patient("p"))

    def refuse(*_: object) -> None:
        raise LedgerUnavailable("the disk is full")

    monkeypatch.setattr(room, "_write_tallies", refuse)
    with pytest.raises(LedgerUnavailable):
        mark(ledger, told("1.1"))
    monkeypatch.undo()
    assert (on_disk(ledger), ledger.companions.find("Patient", "p")) == ({}, patient("p"))
    mark(ledger, told("1.1"))
    assert on_disk(ledger) == {"p": "1"}


@pytest.mark.usefixtures("unhurried")
def test_what_waits_when_the_ledger_is_closed_is_kept(ledger: Ledger, url: str, clock: Clock) -> None:
    """RULES E6: an orderly end loses nothing."""
    ledger.companions.save(patient("p"), later=True)
    ledger.close()
    with pytest.raises(LedgerUnavailable):
        ledger.companions.save(patient("q"), later=True)
    with Ledger.open(url, clock=clock) as again:
        assert again.companions.find("Patient", "p") == patient("p")


def test_what_waits_is_written_when_nobody_else_writes(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES E6: a quiet hour keeps nothing from the disk."""
    monkeypatch.setattr(room, "LONGEST_WAIT", 0.01)
    written = threading.Event()
    event.listen(ledger._engine, "commit", lambda connection: written.set())
    ledger.companions.save(patient("p"), later=True)
    assert written.wait(30.0)
    mark(ledger, told("1.1"))
    assert on_disk(ledger) == {"p": "1"}


def test_two_threads_never_miss_what_one_of_them_kept(ledger: Ledger) -> None:
    """RULES B4, E6: between memory and disk there is no moment in which it is in neither, nor an older one is found."""
    last = dict.fromkeys(("p", "q"), 0)
    over = threading.Event()

    def keep(resource_id: str) -> None:
        for number in range(1, 101):
            ledger.companions.save(patient(resource_id, str(number)), later=True)
            last[resource_id] = number
            if number % 3 == 0:
                mark(ledger, told(f"1.{number}"))
        over.set()

    def look(resource_id: str) -> None:
        while not over.is_set():
            at_least = last[resource_id]
            found = ledger.companions.find("Patient", resource_id)
            assert at_least == 0 or (found is not None and int(found.version) >= at_least)

    with ThreadPoolExecutor(4) as pool:
        for work in [pool.submit(act, one) for act in (keep, look) for one in last]:
            work.result()
    ledger.companions.save(patient("r"))
    assert on_disk(ledger) == {"p": "100", "q": "100", "r": "1"}


def test_what_no_database_takes_fails_alone(ledger: Ledger) -> None:
    """RULES E6: its error is told to who kept it, and nobody else's transaction."""
    with pytest.raises(Exception):  # noqa: B017 - each driver says it in its own way
        ledger.companions.save(patient("p", "\ud800"), later=True)
    assert mark(ledger, told("1.1")) == 1
    assert ledger.companions.find("Patient", "p") is None


def test_a_guest_keeps_no_companion(ledger: Ledger, url: str, clock: Clock) -> None:
    """RULES E4."""
    with Ledger.open_guest(url, clock=clock) as guest:
        with pytest.raises(LedgerRefused):
            guest.companions.save(patient("p"), later=True)
        assert guest.companions.find("Patient", "p") is None


@pytest.mark.usefixtures("unhurried")
def test_a_server_that_lost_everything_lost_what_waits(ledger: Ledger) -> None:
    """RULES C6: nothing that waits comes back after it was forgotten."""
    ledger.companions.save(patient("p"), later=True)
    ledger.companions.keep_assigned("Patient", "p", "77", later=True)
    ledger.marks.forget_target_state()
    mark(ledger, told("1.1"))
    assert (ledger.companions.find("Patient", "p"), ledger.companions.assigned_id("Patient", "p")) == (None, None)
    rows = ledger._transactions.read(lambda connection: connection.execute(select(assigned_ids)).all())
    assert (on_disk(ledger), rows) == ({}, [])
