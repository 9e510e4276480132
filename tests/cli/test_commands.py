"""What holds for every command (README.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.ledger.ledger import Ledger
from syncd.model.ids import ArchiveName
from tests.cli.conftest import Place, Syncd

STUDY = "1.2.276.1"
OTHER = "1.2.276.2"
MAIN = ArchiveName("main")


@pytest.fixture
def owner(place: Place) -> Iterator[Ledger]:
    """The ledger as a living daemon holds it."""
    with Ledger.open(place.ledger_url) as ledger:
        yield ledger


@pytest.mark.parametrize(
    "words", [("resync",), ("check",), ("status",), ("render", STUDY), ("archive", "list"), ("run",)], ids=" ".join
)
def test_wrong_settings_are_exit_2_for_every_command(
    place: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """All problems in one message; nothing is begun."""
    monkeypatch.setenv("SYNCD_FIHR__URL", "x")
    result = syncd(*words)
    assert result.exit_code == 2
    assert "did you mean SYNCD_FHIR__URL?" in result.stderr
    assert not place.file.exists()


def test_the_version_is_told(syncd: Syncd) -> None:
    """README.md, Commands."""
    result = syncd("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("syncd ")


def test_a_ledger_that_another_process_holds_is_exit_4(place: Place, owner: Ledger, syncd: Syncd, tmp_path: Path) -> None:
    """README.md: two daemons on one ledger: the second refuses."""
    result = syncd("run")
    assert result.exit_code == 4
    assert "held" in result.stderr or "another process" in result.stderr
