"""From settings to what the rooms take (docs/settings.md)."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.archive.rest.connection import ArchiveConnection
from syncd.cli import wiring
from syncd.settings import load
from tests.cli.conftest import Place


@pytest.mark.parametrize(("chosen", "seconds"), [({}, 30.0), ({"SYNCD_ARCHIVES__MAIN__TIMEOUT": "2min"}, 120.0)])
def test_how_long_a_read_of_the_archive_may_take_is_a_setting(
    place: Place, monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str], seconds: float
) -> None:
    """docs/settings.md, `ARCHIVES__<NAME>__TIMEOUT`: 30s, for one read."""
    made: list[ArchiveConnection] = []
    archive = wiring.OrthancArchive

    def noting(connection: ArchiveConnection, **more: Any) -> Any:
        made.append(connection)
        return archive(connection, **more)

    monkeypatch.setattr(wiring, "OrthancArchive", noting)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    wiring.site(load())
    assert [one.timeout for one in made] == [seconds]
