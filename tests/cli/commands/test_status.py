"""`syncd status` as a health check (README.md)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from syncd.ledger.ledger import Ledger
from syncd.ledger.studies import outbox
from syncd.loop.same_archive import EXCHANGED
from syncd.model.ids import ArchiveName
from syncd.model.outbox import OutboxEntry
from syncd.model.overview import Heartbeat
from syncd.model.words import Decision, Priority
from syncd.model.work import Mark, MarkKind
from syncd.web.status import SHAPE
from tests.cli.conftest import Place, Syncd
from tests.ledger.made import claim_study, done

STUDY = "1.2.276.1"
OTHER = "1.2.276.2"
MAIN = ArchiveName("main")


@pytest.fixture
def owner(place: Place) -> Iterator[Ledger]:
    """The ledger as a living daemon holds it."""
    with Ledger.open(place.ledger_url) as ledger:
        yield ledger


INVENTORY = {"at": 1_700_000_000.0, "listed": 3, "found": {"gone": 1, "new": 0}}


def _beat(ledger: Ledger, *, age: float = 0.0, **changes: Any) -> None:
    facts: dict[str, Any] = {
        "archives": {
            "main": {"state": "ok", "reason": "", "behind_changes": 0, "behind_seconds": 0.0, "inventory": INVENTORY}
        },
        "target": {"state": "ok", "reason": "", "inventory": INVENTORY},
        **changes,
    }
    now = time.time() - age
    ledger.overview.beat(Heartbeat(pid=4711, at=now, started_at=now, version="1", web="http://127.0.0.1:8053", **facts))


def test_status_without_a_daemon_is_exit_3(place: Place, syncd: Syncd) -> None:
    """README.md, status: 3 = no heartbeat; the studies are shown all the same."""
    place.store(STUDY)
    syncd("resync")
    result = syncd("status")
    assert result.exit_code == 3
    assert "not running" in result.stdout
    assert "1 available" in result.stdout


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"age": 29.0}, 0),
        ({"age": 31.0}, 3),
        ({"target": {"state": "open", "reason": "away"}}, 3),
        ({"archives": {"main": {"state": "bootstrapping", "reason": ""}}}, 0),
        ({"archives": {"main": {"state": "ok", "reason": "no connection"}}}, 3),
        ({"archives": {"main": {"state": "paused", "reason": EXCHANGED}}}, 1),
        ({"target": {"state": "paused", "reason": "refused"}}, 1),
        ({"target": {"state": "ok", "reason": "further pages that nobody serves"}}, 3),
        ({"archives": {"main": {"state": "ok", "reason": "", "brake": "open"}}}, 0),
        ({"archives": {"main": {"state": "ok", "reason": "", "brake": "closed", "brake_reason": "too many"}}}, 1),
        ({"target": {"state": "open", "reason": "away"}, "archives": {"main": {"state": "paused", "reason": "x"}}}, 3),
    ],
)
def test_status_is_a_health_check(place: Place, owner: Ledger, syncd: Syncd, changes: dict[str, Any], code: int) -> None:
    """README.md, status: 0 alive and reachable, 1 paused, 3 unreachable or no heartbeat."""
    _beat(owner, **changes)
    assert syncd("status").exit_code == code


def test_status_shows_what_keeps_us_from_working(place: Place, owner: Ledger, syncd: Syncd) -> None:
    """README.md, status: the overview in words."""
    _beat(owner, target={"state": "open", "reason": "the FHIR server is away"})
    lines = syncd("status").stdout
    assert "compared 2023-11-14T22:13:20+00:00 (1 gone)" in " ".join(lines.split())
    assert "alive, pid 4711" in lines
    assert "the FHIR server is away" in lines


def test_status_shows_a_closed_brake(place: Place, owner: Ledger, syncd: Syncd) -> None:
    """RULES D3: `status` says so, and how many studies wait."""
    told = {"brake": "closed", "brake_reason": "the brake is closed: 12 studies wait", "retractions_waiting": 12}
    _beat(owner, archives={"main": {"state": "ok", "reason": "", **told}})
    lines = syncd("status").stdout
    assert "closed, 12 studies wait" in lines
    assert "the brake is closed: 12 studies wait" in lines


def test_status_as_json_has_the_documented_shape(place: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/status.md: `--json` gives a stable, documented shape (docs/status.md)."""
    place.store("not-a-uid")
    place.store(STUDY)
    place.store("1.2.276.3", Modality="SR")
    monkeypatch.setenv("SYNCD_ARCHIVES__MAIN__EXCLUDE", "modality=SR")
    syncd("resync")
    with Ledger.open(place.ledger_url) as ledger:
        _beat(ledger)
        entry = OutboxEntry(kind="Provenance", sink="fhir", study_uid=STUDY, key="prov-1")
        ledger._transactions.own(lambda tx: outbox.keep(tx, [entry]))
        document = json.loads(syncd("status", "--json").stdout)
    for path in SHAPE:
        found: Any = document
        for name in path.split("."):
            found = next(iter(found.values())) if name.startswith("<") else found[name]
    assert document["ready"] is True
    assert document["studies"]["published"] == {"available": 1}
    assert document["studies"]["parked"] == {"uid-not-oid": 1}
    assert document["studies"]["unselected"] == {"excluded": 1}
    assert [one["study"] for one in document["parked_studies"]] == ["not-a-uid"]


def test_status_names_what_fails_and_why(place: Place, syncd: Syncd) -> None:
    """RULES C6: no study fails again and again without being named, with what the last try met."""
    with Ledger.open(place.ledger_url) as ledger:
        for study, attempts in ((STUDY, 2), (OTHER, 0)):
            ledger.marks.add([Mark(study_uid=study, kind=MarkKind.RESYNC, archive=MAIN)], settle_after=30.0)
            claim = claim_study(ledger, study)
            assert claim is not None
            failed = done(claim, Decision.WAIT, reason="try 2 failed: HTTP 500", due=time.time() + 300, attempts=attempts)
            ledger.outcomes.commit(failed)
        _beat(ledger)
        (named,) = json.loads(syncd("status", "--json").stdout)["failing_studies"]
        assert (named["study"], named["attempts"], named["reason"]) == (STUDY, 2, "try 2 failed: HTTP 500")
        shown = syncd("status")
    assert shown.exit_code == 0
    assert f"{STUDY} (2 counted): try 2 failed" in " ".join(shown.stdout.split())


def test_status_without_a_ledger_says_what_to_do(place: Place, syncd: Syncd) -> None:
    """README.md: 4; nothing is created by looking."""
    result = syncd("status")
    assert result.exit_code == 4
    assert "syncd run" in result.stderr
    assert not place.file.exists()


def test_status_shows_what_is_not_selected_and_why_old_studies_wait(
    place: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """README.md, words `excluded`; RULES A9: a backfill that waits for its hour is no trouble."""
    monkeypatch.setenv("SYNCD_ARCHIVES__MAIN__EXCLUDE", "PatientID=TEST*")
    place.store(STUDY, PatientID="TEST1")
    syncd("resync")
    with Ledger.open(place.ledger_url) as ledger:
        old = Mark(study_uid="1.2.9", kind=MarkKind.INVENTORY, archive=ArchiveName("main"), priority=Priority.BACKFILL)
        ledger.marks.add([old], settle_after=1.0)
        _beat(ledger, backfill="old studies wait until 20:00 (SYNCD_POLICY__BACKFILL_WINDOW is 20:00-06:00)")
        result = syncd("status")
    assert "1 excluded" in result.stdout
    assert "1 studies, old studies wait until 20:00" in result.stdout
    assert result.exit_code == 0
    assert "TEST1" not in result.stdout
