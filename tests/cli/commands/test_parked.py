"""`syncd parked`: what is set aside, why, and once more (README.md, RULES E2)."""

from __future__ import annotations

import json
import threading
import time

import pytest

from syncd.cli.documents import PARKED
from syncd.ledger.ledger import Ledger
from syncd.model.overview import Heartbeat
from syncd.model.words import Decision
from tests.cli.conftest import Place, Syncd
from tests.cli.shapes import paths_of
from tests.ledger.made import done as ended
from tests.loop.world import puts, refused

STUDY, OTHER = "1.2.276.1", "1.2.276.2"
TEXT = "Quagmire^Zebulon is not acceptable"


@pytest.fixture
def parked(place: Place, syncd: Syncd) -> Place:
    """STUDY was refused by the server, with a text; another has no UID."""
    place.store(STUDY, StudyDate="20240102")
    place.store("not-a-uid", PatientID="P2")
    place.fhir.rules.append(lambda request: refused(422, TEXT) if puts()(request) else None)
    assert syncd("resync").exit_code == 1
    return place


def _sent(place: Place) -> int:
    return sum("/ImagingStudy/" in path for path in place.writes)


def test_nothing_is_parked(place: Place, syncd: Syncd) -> None:
    """README.md, `parked`: exit 0."""
    place.store(STUDY)
    syncd("resync")
    result = syncd("parked")
    assert (result.exit_code, result.stdout) == (0, "No study is parked.\n")
    assert json.loads(syncd("parked", "--json").stdout) == []


def test_the_list_names_study_reason_and_detail(parked: Place, syncd: Syncd) -> None:
    """README.md, `parked list`; RULES S1: the server's text is not in it."""
    for words in ((), ("list",)):
        result = syncd("parked", *words)
        assert result.exit_code == 1
        assert "2 parked" in result.stdout and "uid-not-oid" in result.stdout
        row = next(line for line in result.stdout.splitlines() if line.startswith(STUDY))
        assert row.split()[1] == "refused" and "422" in row and "main" in row
        assert "Quagmire" not in result.output
    only = syncd("parked", "list", "--reason", "refused").stdout
    assert STUDY in only and "not-a-uid" not in only


def test_the_document_has_the_shape_that_is_documented(parked: Place, syncd: Syncd) -> None:
    """README.md: a stable, documented shape (docs/audit.md)."""
    rows = json.loads(syncd("parked", "--reason", "refused", "--json").stdout)
    assert paths_of(rows) == set(PARKED)
    assert (rows[0]["study"], rows[0]["reason"], rows[0]["archive"]) == (STUDY, "refused", "main")


def test_show_tells_what_the_server_said(parked: Place, syncd: Syncd) -> None:
    """RULES S1: the OperationOutcome is shown here, on request, and nowhere else."""
    result = syncd("parked", "show", STUDY)
    assert result.exit_code == 1
    assert TEXT in result.stdout and "refused" in result.stdout
    assert TEXT not in syncd("parked", "--json").output
    (orthanc_id,) = (one.id for one in parked.orthanc.index.all("Study") if one.main["StudyInstanceUID"] == STUDY)
    assert TEXT in syncd("parked", "show", orthanc_id).stdout
    nothing = syncd("parked", "show", OTHER)
    assert (nothing.exit_code, nothing.stdout) == (0, f"{OTHER} is not parked\n")


def test_retry_sends_once(parked: Place, syncd: Syncd) -> None:
    """RULES E2: once although nothing changed, and no second time; then it is published when the server takes it."""
    assert _sent(parked) == 1
    again = syncd("parked", "retry", STUDY)
    assert again.exit_code == 1
    assert "0 of 1 are dealt with" in again.stdout and f"{STUDY}  refused" in again.stdout
    assert "Quagmire" not in again.output
    assert _sent(parked) == 2
    syncd("resync")
    assert _sent(parked) == 2
    parked.fhir.rules.clear()
    done = syncd("parked", "retry", STUDY)
    assert (done.exit_code, done.stdout) == (0, "1 of 1 are dealt with\n")
    assert [one["id"] for one in parked.fhir.resources("ImagingStudy")] == [STUDY]


def test_retry_of_all_and_of_a_reason(parked: Place, syncd: Syncd) -> None:
    """README.md, `parked retry`."""
    parked.fhir.rules.clear()
    chosen = syncd("parked", "retry", "--reason", "refused")
    assert (chosen.exit_code, chosen.stdout) == (0, "1 of 1 are dealt with\n")
    rest = syncd("parked", "retry", "--all")
    assert rest.exit_code == 1
    assert "0 of 1 are dealt with" in rest.stdout
    nothing = syncd("parked", "retry", STUDY)
    assert (nothing.exit_code, nothing.stdout) == (0, f"{STUDY} is not parked\n0 of 0 are dealt with\n")


def test_beside_a_daemon_retry_marks_and_watches(parked: Place, syncd: Syncd) -> None:
    """README.md: beside a live daemon `parked retry` only writes marks and watches the daemon finish."""
    with Ledger.open(parked.ledger_url) as owner:
        now, done = time.time(), threading.Event()
        facts = {"archives": {"main": {"state": "ok", "reason": ""}}, "target": {"state": "ok", "reason": ""}}
        owner.overview.beat(Heartbeat(pid=1, at=now, started_at=now, version="1", **facts))

        def daemon() -> None:
            while not done.is_set():
                for claim in owner.claims.take(1, now=time.time()):
                    assert claim.parked is not None and claim.parked.digest == ""
                    owner.outcomes.commit(ended(claim, Decision.CREATE, reason="new"))
                    done.set()

        thread = threading.Thread(target=daemon)
        thread.start()
        try:
            result = syncd("parked", "retry", STUDY)
        finally:
            done.set()
            thread.join()
    assert (result.exit_code, result.stdout) == (0, "1 of 1 are dealt with\n")
    assert _sent(parked) == 1


def test_drop_is_silence_until_the_study_changes(parked: Place, syncd: Syncd) -> None:
    """RULES E2; README.md, `audit`: dropped is shown and no failure; a new instance speaks up again."""
    result = syncd("parked", "drop", STUDY, OTHER)
    assert (result.exit_code, result.stdout) == (1, f"{STUDY} dropped until it changes\n{OTHER} is not parked\n")
    rows = {one["study"]: one["dropped"] for one in json.loads(syncd("parked", "--json").stdout)}
    assert rows == {STUDY: True, "not-a-uid": False}
    assert syncd("parked", "--reason", "refused").exit_code == 0
    counts = json.loads(syncd("audit", "--json").stdout)["counts"]
    assert (counts["dropped"], counts["parked"], counts["missing"]) == (1, 1, 0)
    assert syncd("explain", STUDY).exit_code == 0
    syncd("resync")
    syncd("parked", "retry", "--all")
    assert _sent(parked) == 1
    parked.store(STUDY, StudyDate="20240102")
    syncd("resync")
    assert _sent(parked) == 2


def test_with_nothing_but_dropped_studies_all_is_well(parked: Place, syncd: Syncd) -> None:
    """README.md, `audit`, `resync`: a dropped study is no work left; RULES E2: named, `retry` takes the word back."""
    assert syncd("parked", "drop", STUDY, "not-a-uid").exit_code == 0
    for words in (("audit",), ("resync",), ("parked",), ("status",)):
        result = syncd(*words, "--json")
        assert result.exit_code == (3 if words == ("status",) else 0), result.output  # 3: no daemon runs
    assert json.loads(result.stdout)["studies"]["dropped"] == 2
    assert _sent(parked) == 1
    assert syncd("parked", "retry", STUDY).exit_code == 1
    assert _sent(parked) == 2
    assert syncd("parked", "--reason", "refused").exit_code == 1


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("retry",), "name the studies"),
        (("retry", STUDY, "--all"), "name the studies"),
        (("--reason", "bad"), "uid-not-oid"),
        (("show", "-".join(["0123abcd"] * 5)), "knows no Orthanc study"),
    ],
)
def test_wrong_words_are_exit_2(parked: Place, syncd: Syncd, words: tuple[str, ...], hint: str) -> None:
    """README.md: 2 settings."""
    result = syncd("parked", *words)
    assert result.exit_code == 2
    assert hint in result.stderr
