"""`syncd resync`: what it says, writes and exits with (README.md)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from syncd.ledger.ledger import Ledger
from syncd.model.ids import ArchiveName
from tests.cli.conftest import Place, Syncd
from tests.loop.world import puts, refused

STUDY = "1.2.276.1"
OTHER = "1.2.276.2"
MAIN = ArchiveName("main")


@pytest.fixture
def owner(place: Place) -> Iterator[Ledger]:
    """The ledger as a living daemon holds it."""
    with Ledger.open(place.ledger_url) as ledger:
        yield ledger


def test_resync_publishes_and_says_that_both_sides_agree(place: Place, syncd: Syncd) -> None:
    """README.md, resync: exit 0 only if in sync; an unchanged study costs no write."""
    place.store(STUDY)
    place.store(OTHER, PatientID="P2")
    first = syncd("resync")
    assert (first.exit_code, first.stdout.splitlines()[-1]) == (0, "In sync.")
    assert "2 studies in the archive, 2 looked at: 2 Create" in first.stdout
    written = len(place.writes)
    second = syncd("resync", "--json")
    assert second.exit_code == 0
    nothing = {"parked": {}, "waiting": {}, "unknown": [], "left": 0}
    told = {"in_sync": True, "listed": 2, "unchanged": 2, "looked_at": 0, "decisions": {}, **nothing}
    assert json.loads(second.stdout) == told
    assert "2 studies in the archive, 2 unchanged, 0 looked at: nothing to do" in syncd("resync").stdout
    full = syncd("resync", "--full", "--json")
    assert full.exit_code == 0
    assert json.loads(full.stdout) == {**told, "unchanged": 0, "looked_at": 2, "decisions": {"Skip": 2}}
    assert len(place.writes) == written


def test_resync_names_what_is_parked_and_what_is_arriving(place: Place, syncd: Syncd) -> None:
    """README.md, resync: such a study is listed as such, exit 1."""
    place.store("not-a-uid")
    place.store(STUDY, stable=False)
    result = syncd("resync", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 1
    assert list(report["parked"]) == ["not-a-uid"]
    assert list(report["waiting"]) == [STUDY]
    assert report["left"] == 0
    assert next(one for one in place.fhir.resources("ImagingStudy"))["status"] == "registered"
    shown = syncd("resync")
    assert shown.exit_code == 1
    assert "uid-not-oid" in shown.stdout
    assert "Not in sync" in shown.stdout


def test_resync_of_one_study_sends_a_parked_one_once_more(place: Place, syncd: Syncd) -> None:
    """README.md: `--study` sends a parked one once; the others are not looked at again."""
    place.store(STUDY)
    place.fhir.rules.append(lambda request: refused(422) if puts()(request) else None)
    assert syncd("resync").exit_code == 1
    assert syncd("resync").exit_code == 1
    assert [one for one in place.writes if "ImagingStudy" in one] == [f"/fhir/ImagingStudy/{STUDY}"]
    place.fhir.rules.clear()
    place.store(OTHER, PatientID="P2")
    result = syncd("resync", "--study", STUDY, "--json")
    assert (result.exit_code, json.loads(result.stdout)["looked_at"]) == (0, 1)
    assert STUDY in [one["id"] for one in place.fhir.resources("ImagingStudy")]


def test_resync_takes_an_orthanc_id(place: Place, syncd: Syncd) -> None:
    """README.md: STUDY is a StudyInstanceUID or an Orthanc id."""
    place.store(STUDY)
    place.store(OTHER, PatientID="P2")
    [orthanc_id] = [one.id for one in place.orthanc.index.all("Study") if one.main["StudyInstanceUID"] == OTHER]
    result = syncd("resync", "--study", orthanc_id, "--json")
    assert (result.exit_code, json.loads(result.stdout)["looked_at"]) == (0, 1)
    assert OTHER in [one["id"] for one in place.fhir.resources("ImagingStudy")]


def test_resync_since_a_date(place: Place, syncd: Syncd) -> None:
    """README.md: `--since DATE`."""
    place.store(STUDY, StudyDate="20231231")
    place.store(OTHER, StudyDate="20240101", PatientID="P2")
    result = syncd("resync", "--since", "2024-01-01", "--dry-run", "--json")
    assert [one["study"] for one in json.loads(result.stdout)] == [OTHER]
    result = syncd("resync", "--since", "2024-01-01", "--json")
    assert (result.exit_code, json.loads(result.stdout)["looked_at"]) == (0, 1)


@pytest.mark.parametrize(
    ("words", "hint"),
    [(("--since", "01.02.2024"), "YYYY-MM-DD"), (("--archive", "other"), "the settings name main")],
)
def test_resync_with_wrong_words_is_exit_2(place: Place, syncd: Syncd, words: tuple[str, ...], hint: str) -> None:
    """README.md: 2 settings."""
    result = syncd("resync", *words)
    assert result.exit_code == 2
    assert hint in result.stderr
    assert not place.file.exists()


def test_a_rehearsal_on_a_new_site_leaves_nothing_behind(place: Place, syncd: Syncd) -> None:
    """README.md, resync --dry-run: every decision; no ledger, no sentinel, no write."""
    place.store(STUDY)
    place.store("not-a-uid")
    before = sorted(place.folder.iterdir())
    result = syncd("resync", "--dry-run")
    assert result.exit_code == 1
    assert f"Create  {STUDY}" in result.stdout
    assert "uid-not-oid" in result.stdout
    assert place.writes == []
    assert sorted(place.folder.iterdir()) == before
    rows = json.loads(syncd("resync", "--dry-run", "--json").stdout)
    assert {(one["study"], one["decision"]) for one in rows} == {(STUDY, "Create"), ("not-a-uid", "Park")}


def test_a_rehearsal_in_sync_is_exit_0_and_changes_no_ledger(place: Place, syncd: Syncd) -> None:
    """README.md: 0 nothing to do."""
    place.store(STUDY)
    syncd("resync")
    written = len(place.writes)
    result = syncd("resync", "--dry-run")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, f"Skip    {STUDY}  unchanged")
    assert len(place.writes) == written
    with Ledger.open(place.ledger_url) as ledger:
        assert ledger.overview.counts(time.time()).dirty == 0
        assert len(ledger.overview.history(STUDY)) == 1


@pytest.mark.parametrize("server", ["orthanc", "fhir"])
def test_resync_without_a_server_is_exit_3(place: Place, syncd: Syncd, server: str) -> None:
    """README.md: 3 a server cannot be reached, naming it."""
    getattr(place, server).away = True
    result = syncd("resync")
    assert result.exit_code == 3
    assert "Traceback" not in result.output
    assert ("archive main" if server == "orthanc" else "FHIR server") in result.stderr


def test_resync_on_a_foreign_sentinel_is_exit_4_until_accepted(place: Place, syncd: Syncd) -> None:
    """RULES E3."""
    place.store(STUDY)
    assert syncd("resync").exit_code == 0
    place.file.unlink()
    for extra in (place.folder / "ledger.db-wal", place.folder / "ledger.db-shm"):
        extra.unlink(missing_ok=True)
    refused_target = syncd("resync")
    assert refused_target.exit_code == 4
    assert "--accept-target" in refused_target.stderr
    assert syncd("resync", "--accept-target").exit_code == 0


def test_resync_while_another_process_owns_the_ledger_cannot_accept_a_target(
    place: Place, owner: Ledger, syncd: Syncd
) -> None:
    """README.md: beside a live daemon only marks are written."""
    result = syncd("resync", "--accept-target")
    assert result.exit_code == 2
    assert "stop the daemon" in result.stderr
