"""`syncd archive list|accept` (RULES A4)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from syncd.ledger.ledger import Ledger
from syncd.loop.same_archive import EXCHANGED, FEWEST
from syncd.model.ids import ArchiveName
from syncd.model.words import ArchiveState
from tests.cli.conftest import Place, Syncd

STUDY = "1.2.276.1"
OTHER = "1.2.276.2"
MAIN = ArchiveName("main")


@pytest.fixture
def owner(place: Place) -> Iterator[Ledger]:
    """The ledger as a living daemon holds it."""
    with Ledger.open(place.ledger_url) as ledger:
        yield ledger


def test_archive_list_and_accept(place: Place, syncd: Syncd) -> None:
    """RULES A4: the state with its reason, and the operator's word."""
    assert syncd("archive", "list").exit_code == 4
    for number in range(FEWEST):
        place.store(f"1.2.276.{number}", PatientID=f"P{number}")
    assert syncd("resync").exit_code == 0
    assert syncd("archive", "list").stdout.split() == ["main", "ok"]
    nothing = syncd("archive", "accept", "main")
    assert (nothing.exit_code, nothing.stdout) == (0, "main is not paused; nothing to accept\n")

    place.orthanc.wipe()
    place.store("1.3.6.1")
    exchanged = syncd("resync")
    assert exchanged.exit_code == 3
    assert "archive accept" in exchanged.stderr
    assert EXCHANGED in syncd("archive", "list").stdout
    assert not [one for one in place.fhir.resources("ImagingStudy") if one["id"] == "1.3.6.1"]

    accepted = syncd("archive", "accept", "main")
    assert accepted.exit_code == 0
    assert f"{FEWEST} known copies forgotten" in accepted.stdout
    assert syncd("resync", "--study", "1.3.6.1").exit_code == 0
    assert len(place.fhir.resources("ImagingStudy")) == FEWEST + 1


def test_an_unknown_archive_is_not_accepted(place: Place, syncd: Syncd) -> None:
    """README.md: 2, naming those that are known."""
    syncd("resync")
    result = syncd("archive", "accept", "other")
    assert result.exit_code == 2
    assert "main" in result.stderr


def test_an_archive_is_accepted_beside_its_daemon(place: Place, owner: Ledger, syncd: Syncd) -> None:
    """RULES A4: as a guest; the daemon notices within a second."""
    owner.feed.begin_bootstrap(MAIN, cursor=0, high_water=0)
    owner.feed.set_state(MAIN, ArchiveState.PAUSED, EXCHANGED)
    assert syncd("archive", "accept", "main").exit_code == 0
    position = owner.feed.position(MAIN)
    assert position is not None and position.state is ArchiveState.BOOTSTRAPPING
