"""The commands at a site with several archives (README.md, RULES C8)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from syncd.ledger.ledger import Ledger
from syncd.model.ids import ArchiveName
from syncd.model.overview import Heartbeat
from tests.cli.conftest import Place, Syncd

STUDY, OTHER, BOTH = "1.2.276.1", "1.2.276.2", "1.2.276.3"
SECOND = ArchiveName("second")
VARIABLE = "SYNCD_ARCHIVES__SECOND__"


@pytest.fixture
def several(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """STUDY lies in `main`, OTHER in `second`, BOTH in both."""
    monkeypatch.setenv(f"{VARIABLE}URL", place.second.url)
    monkeypatch.setenv(f"{VARIABLE}PATIENT_ID_SYSTEM", "http://hospital.test/pid")
    monkeypatch.setenv(f"{VARIABLE}PUBLIC_DICOMWEB_URL", "https://second.test/dicom-web")
    place.store(STUDY, PatientID="P1")
    place.store(OTHER, PatientID="P2", second=True)
    place.store(BOTH, PatientID="P3")
    place.store(BOTH, PatientID="P3", SeriesInstanceUID=f"{BOTH}.2", second=True)
    return place


@pytest.fixture
def removed(several: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Everything is published, and `second` is not in the settings any more."""
    assert syncd("resync").exit_code == 0
    for name in ("URL", "PATIENT_ID_SYSTEM", "PUBLIC_DICOMWEB_URL"):
        monkeypatch.delenv(f"{VARIABLE}{name}")
    return several


@pytest.fixture
def owner(removed: Place) -> Iterator[Ledger]:
    """The ledger as a living daemon holds it."""
    with Ledger.open(removed.ledger_url) as ledger:
        yield ledger


def _published(place: Place) -> set[str]:
    return {one["id"] for one in place.fhir.resources("ImagingStudy")}


def _endpoints(place: Place) -> dict[str, str]:
    return {one["id"]: one["status"] for one in place.fhir.resources("Endpoint") if not one["id"].startswith("syncd-")}


def test_every_command_knows_every_archive(several: Place, syncd: Syncd) -> None:
    """README.md, `resync`, `archive list`, `check`, `render`; RULES C8: the first publication is of all copies."""
    only = syncd("resync", "--archive", "second")
    assert (only.exit_code, _published(several)) == (0, {OTHER, BOTH})
    (both,) = (one for one in several.fhir.resources("ImagingStudy") if one["id"] == BOTH)
    assert both["numberOfSeries"] == 2
    assert syncd("resync").exit_code == 0
    assert _published(several) == {STUDY, OTHER, BOTH}
    assert syncd("archive", "list").stdout.split() == ["main", "ok", "second", "ok"]
    checked = syncd("check")
    assert checked.exit_code == 0
    assert "main: Orthanc 1.12.7" in checked.stdout and "second: Orthanc 1.10.1" in checked.stdout
    assert json.loads(syncd("render", BOTH).stdout)["numberOfInstances"] == 2
    assert syncd("render", "1.2.3.4").stderr == "syncd: The archives hold no study 1.2.3.4\n"


def test_a_check_names_the_archive_that_is_away(several: Place, syncd: Syncd) -> None:
    """README.md, `check`: one line each, exit 3."""
    several.second.away = True
    checked = syncd("check")
    assert checked.exit_code == 3
    (bad,) = (line for line in checked.stdout.splitlines() if line.startswith("BAD"))
    assert "archive second" in bad
    assert "main: Orthanc" in checked.stdout


def test_a_check_warns_of_archives_whose_patients_nobody_can_tell_apart(
    several: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES C8: several archives, and one without PATIENT_ID_SYSTEM."""
    assert "patient-conflict" not in syncd("check").stdout
    monkeypatch.delenv(f"{VARIABLE}PATIENT_ID_SYSTEM")
    assert f"{VARIABLE}PATIENT_ID_SYSTEM: unset beside another archive" in syncd("check").stdout


def test_an_unknown_archive_is_no_choice(several: Place, syncd: Syncd) -> None:
    """README.md: exit 2, naming those there are."""
    refused = syncd("resync", "--archive", "third")
    assert refused.exit_code == 2
    assert "main, second" in refused.stderr


def test_a_removed_archive_is_named_until_it_is_forgotten(removed: Place, syncd: Syncd) -> None:
    """RULES C8: its studies wait, then those of other archives are looked at again; its Endpoints are off."""
    assert "archive forget second" in syncd("archive", "list").stdout
    assert "archive forget second" in syncd("check").stdout
    waits = syncd("resync")
    assert waits.exit_code == 1, "BOTH may not be published with fewer series"
    assert BOTH in waits.stdout or "left" in waits.stdout
    forgotten = syncd("archive", "forget", "second")
    assert forgotten.exit_code == 0
    assert "2 copies dropped" in forgotten.stdout and "its Endpoints: switched off" in forgotten.stdout
    assert _endpoints(removed) == {"main-wado-rs": "active", "second-wado-rs": "off"}
    assert syncd("archive", "list").stdout.split() == ["main", "ok"]
    assert "forget" not in syncd("check").stdout
    syncd("resync")
    (both,) = (one for one in removed.fhir.resources("ImagingStudy") if one["id"] == BOTH)
    assert both["numberOfInstances"] == 1


def test_an_archive_in_use_is_not_forgotten(several: Place, syncd: Syncd) -> None:
    """RULES C8: exit 2."""
    assert syncd("resync").exit_code == 0
    for name, words in (("second", "still configured"), ("third", "knows no archive")):
        refused = syncd("archive", "forget", name)
        assert refused.exit_code == 2
        assert words in refused.stderr


def test_an_archive_is_forgotten_beside_the_daemon(removed: Place, owner: Ledger, syncd: Syncd) -> None:
    """RULES C8: marks only; the daemon switches the Endpoints off."""
    before = len(removed.writes)
    forgotten = syncd("archive", "forget", "second")
    assert forgotten.exit_code == 0
    assert "the running daemon switches them off" in forgotten.stdout
    assert len(removed.writes) == before
    assert owner.archives.to_switch_off() == (SECOND,)
    assert owner.marks.find_pending([STUDY, OTHER, BOTH]) == {OTHER, BOTH}


def test_endpoints_are_switched_off_later_where_the_server_is_away(removed: Place, syncd: Syncd) -> None:
    """RULES C8: the word is kept; the next run carries it out."""
    removed.fhir.away = True
    forgotten = syncd("archive", "forget", "second")
    assert forgotten.exit_code == 0
    assert "switched off by the next run" in forgotten.stdout
    removed.fhir.away = False
    assert _endpoints(removed)["second-wado-rs"] == "active"
    syncd("resync")
    assert _endpoints(removed)["second-wado-rs"] == "off"


def test_the_status_shows_a_removed_archive(removed: Place, owner: Ledger, syncd: Syncd) -> None:
    """README.md, `status`: exit 1, for its studies wait for the operator."""
    archives = {
        "main": {"state": "ok", "reason": "", "behind_changes": 0, "behind_seconds": 0.0},
        "second": {"state": "removed", "reason": "archive second is not in the settings any more"},
    }
    owner.overview.beat(
        Heartbeat(
            pid=1, at=time.time(), started_at=1.0, version="1", archives=archives, target={"state": "ok", "reason": ""}
        )
    )
    shown = syncd("status")
    assert shown.exit_code == 1
    assert ["archive", "second", "removed"] in [line.split() for line in shown.stdout.splitlines()]
    assert "not in the settings any more" in shown.stdout
