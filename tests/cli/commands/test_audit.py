"""`syncd audit`: what it says, writes and exits with (README.md)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.cli.commands import audit as command
from syncd.cli.documents import AUDIT
from syncd.ledger.ledger import Claim, Ledger
from syncd.model.ids import ArchiveName
from syncd.model.outcome import Outcome
from syncd.model.overview import Heartbeat
from syncd.model.words import Cause, Decision
from tests.cli.conftest import Place, Syncd
from tests.cli.shapes import paths_of
from tests.ledger.made import done
from tests.loop.world import puts, refused

STUDY, OTHER = "1.2.276.1", "1.2.276.2"
MAIN = ArchiveName("main")


@pytest.fixture
def synchronous(place: Place, syncd: Syncd) -> Place:
    place.store(STUDY)
    place.store(OTHER, PatientID="P2")
    assert syncd("resync").exit_code == 0
    return place


def drift(place: Place) -> None:
    """Somebody else edits STUDY."""
    (resource,) = (one for one in place.fhir.resources("ImagingStudy") if one["id"] == STUDY)
    body = json.dumps({**resource, "description": "other words"}).encode()
    assert place.fhir.handle("PUT", f"/fhir/ImagingStudy/{STUDY}", body=body).status == 200


def test_in_sync_is_exit_0_and_writes_nothing(synchronous: Place, syncd: Syncd) -> None:
    """README.md, `audit`: 0 in sync; read-only."""
    written = len(synchronous.writes)
    for words in ((), ("--deep",), ("--archive", "main")):
        result = syncd("audit", *words)
        assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "In sync.")
        assert "2 in main; 2 ImagingStudies of ours. 2 studies compared" in result.stdout
    assert len(synchronous.writes) == written


def test_a_difference_is_exit_1_until_it_is_repaired(synchronous: Place, syncd: Syncd) -> None:
    """README.md, `audit`: 1 differing; without a daemon `--repair` does the work; one write."""
    drift(synchronous)
    written = len(synchronous.writes)
    shown = syncd("audit")
    assert shown.exit_code == 1
    assert "1 drifted" in shown.stdout and "somebody else changed it (description)" in shown.stdout
    assert "`syncd audit --repair` puts it right" in shown.stdout
    assert len(synchronous.writes) == written
    result = syncd("audit", "--repair")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "In sync.")
    assert "1 differences repaired" in result.stdout
    assert synchronous.writes[written:] == [f"/fhir/ImagingStudy/{STUDY}"]
    assert syncd("audit", "--deep").exit_code == 0


def test_the_document_has_the_shape_that_is_documented(synchronous: Place, syncd: Syncd) -> None:
    """README.md: `--json` gives a stable, documented shape (docs/audit.md)."""
    drift(synchronous)
    with Ledger.open(synchronous.ledger_url) as ledger:
        ledger.retractions.plan([OTHER], archive=MAIN, cause=Cause.GONE)
    document = json.loads(syncd("audit", "--json").stdout)
    assert paths_of(document, {"archives": "<name>", "counts": "<kind>", "retractions": "<archive>"}) == set(AUDIT)
    assert document["differences"] == [
        {
            "study": STUDY,
            "kind": "drifted",
            "detail": "somebody else changed it",
            "resource": STUDY,
            "elements": ["description"],
        }
    ]
    assert document["retractions"]["main"]["studies"] == [OTHER]
    clean = json.loads(syncd("audit", "--repair", "--json").stdout)
    assert (clean["in_sync"], clean["repaired"], clean["differences"]) == (True, 1, [])


def test_a_parked_study_is_exit_1(synchronous: Place, syncd: Syncd) -> None:
    """README.md, `audit`: 1 differing or parked."""
    synchronous.store("not-a-uid")
    syncd("resync")
    result = syncd("audit")
    assert result.exit_code == 1
    assert "1 parked" in result.stdout and "`syncd parked`" in result.stdout


def test_a_new_site_has_no_ledger_afterwards(place: Place, syncd: Syncd) -> None:
    """README.md, `audit`: read-only; what nobody published yet is missing."""
    place.store(STUDY)
    result = syncd("audit", "--json")
    assert result.exit_code == 1
    assert [(one["study"], one["kind"]) for one in json.loads(result.stdout)["differences"]] == [(STUDY, "missing")]
    assert not place.file.exists()
    assert place.writes == []


@pytest.mark.parametrize("server", ["orthanc", "fhir"])
def test_a_server_that_is_away_is_exit_3(synchronous: Place, syncd: Syncd, server: str) -> None:
    """README.md: 3 a server cannot be reached."""
    getattr(synchronous, server).away = True
    result = syncd("audit")
    assert result.exit_code == 3
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("words", "hint"),
    [(("--archive", "other"), "the settings name main"), (("abc",), "only taken with --accept-retractions")],
)
def test_wrong_words_are_exit_2(place: Place, syncd: Syncd, words: tuple[str, ...], hint: str) -> None:
    """README.md: 2 settings."""
    result = syncd("audit", *words)
    assert result.exit_code == 2
    assert hint in result.stderr


# Beside a living daemon


@pytest.fixture
def owner(synchronous: Place) -> Iterator[Ledger]:
    """The ledger as a living daemon holds it."""
    with Ledger.open(synchronous.ledger_url) as ledger:
        facts = {"archives": {"main": {"state": "ok", "reason": ""}}, "target": {"state": "ok", "reason": ""}}
        now = time.time()
        ledger.overview.beat(Heartbeat(pid=1, at=now, started_at=now, version="1", **facts))
        yield ledger


def test_beside_a_daemon_the_repair_marks_and_watches(synchronous: Place, owner: Ledger, syncd: Syncd) -> None:
    """README.md: beside a live daemon `audit --repair` only writes marks and watches the daemon finish."""
    drift(synchronous)
    assert syncd("audit").exit_code == 1
    assert owner.marks.find(STUDY) is None, "nothing is marked without --repair"
    written, worked = len(synchronous.writes), threading.Event()

    def daemon() -> None:
        while not worked.is_set():
            for claim in owner.claims.take(10, now=time.time()):
                resource = synchronous.fhir.store.current(("ImagingStudy", STUDY))
                assert resource is not None and claim.row.read_fhir
                (first,) = synchronous.fhir.store.versions["ImagingStudy", STUDY][:1]
                body = json.dumps(first.resource).encode()
                synchronous.fhir.handle("PUT", f"/fhir/ImagingStudy/{STUDY}", body=body)
                owner.claims.release(claim.row.study_uid)
                owner.outcomes.commit(_dealt_with(claim))
                worked.set()

    thread = threading.Thread(target=daemon)
    thread.start()
    try:
        result = syncd("audit", "--repair", "--json")
    finally:
        worked.set()
        thread.join()
    assert (result.exit_code, json.loads(result.stdout)["repaired"]) == (0, 1)
    assert len(synchronous.writes) == written + 1, "the daemon's"


def _dealt_with(claim: Claim) -> Outcome:
    return done(claim, Decision.UPDATE, reason="repaired")


def test_a_daemon_that_does_not_answer_is_exit_3(synchronous: Place, owner: Ledger, syncd: Syncd) -> None:
    """README.md: 3; what was marked stays marked."""
    drift(synchronous)
    owner.overview.beat(Heartbeat(pid=1, at=time.time() - 60.0, started_at=1.0, version="1"))
    result = syncd("audit", "--repair")
    assert result.exit_code == 3
    assert owner.marks.find_pending([STUDY]) == {STUDY}


# The brake (RULES D3)


@pytest.fixture
def braked(synchronous: Place) -> Place:
    """STUDY is gone from the archive, and waits at the closed brake."""
    (gone,) = (one for one in synchronous.orthanc.index.all("Study") if one.main["StudyInstanceUID"] == STUDY)
    synchronous.orthanc.handle("DELETE", f"/studies/{gone.id}")
    with Ledger.open(synchronous.ledger_url) as ledger:
        ledger.retractions.plan([STUDY], archive=MAIN, cause=Cause.GONE)
    return synchronous


def _statuses(place: Place) -> dict[str, str]:
    return {one["id"]: one["status"] for one in place.fhir.resources("ImagingStudy")}


def test_the_plan_is_shown_and_a_repair_alone_does_not_pass_the_brake(braked: Place, syncd: Syncd) -> None:
    """RULES D3: nothing is taken back without the operator's word."""
    shown = syncd("audit", "--repair")
    assert shown.exit_code == 1
    assert "1 extra" in shown.stdout and "the brake is closed" in shown.stdout
    assert "--accept-retractions" in shown.stdout
    assert _statuses(braked) == {STUDY: "available", OTHER: "available"}


def test_exactly_the_plan_that_was_shown_is_accepted(braked: Place, syncd: Syncd) -> None:
    """RULES D3: by ids and hash, nothing outside it; a plan that changed is refused, exit 2."""
    accepted = json.loads(syncd("audit", "--json").stdout)["retractions"]["main"]["hash"]
    without = syncd("audit", "--accept-retractions")
    assert without.exit_code == 2
    assert accepted in without.stdout and STUDY in without.stdout and "give the hash" in without.stderr
    with Ledger.open(braked.ledger_url) as ledger:
        ledger.retractions.plan([OTHER], archive=MAIN, cause=Cause.GONE)
    other_plan = syncd("audit", "--repair", "--accept-retractions", accepted)
    assert other_plan.exit_code == 2
    assert "nothing was accepted" in other_plan.stderr
    assert _statuses(braked) == {STUDY: "available", OTHER: "available"}
    current = json.loads(syncd("audit", "--json").stdout)["retractions"]["main"]["hash"]
    done = syncd("audit", "--repair", "--accept-retractions", current)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "In sync.")
    assert _statuses(braked) == {STUDY: "cancelled", OTHER: "available"}, "the archive holds OTHER"


@pytest.mark.parametrize(("answer", "status"), [("y", "cancelled"), ("n", "available")])
def test_on_a_terminal_the_operator_is_asked(
    braked: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch, answer: str, status: str
) -> None:
    """README.md, `audit --accept-retractions`: the stored plan that it shows."""
    monkeypatch.setattr(command, "_is_terminal", lambda: True)
    monkeypatch.setattr(command.typer, "confirm", lambda question: answer == "y")
    result = syncd("audit", "--repair", "--accept-retractions")
    assert "1 studies of archive main wait to be taken back" in result.stdout
    assert _statuses(braked)[STUDY] == status
    assert result.exit_code == (0 if answer == "y" else 1)


def test_without_a_closed_brake_there_is_nothing_to_accept(synchronous: Place, syncd: Syncd) -> None:
    """RULES D3."""
    result = syncd("audit", "--accept-retractions")
    assert result.exit_code == 0
    assert "No brake is closed" in result.stderr


def test_what_is_refused_meanwhile_is_told(synchronous: Place, syncd: Syncd, tmp_path: Path) -> None:
    """README.md, `audit --repair`: tells what is left; the outcome is not shown (RULES S1)."""
    drift(synchronous)
    synchronous.fhir.rules.append(lambda request: refused(422, "Synthetic^Sam") if puts()(request) else None)
    result = syncd("audit", "--repair")
    assert result.exit_code == 1
    assert "1 parked" in result.stdout and "refused: 422" in result.stdout
    assert "Synthetic" not in result.output
