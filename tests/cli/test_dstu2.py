"""The commands before a FHIR server that speaks DSTU2 (MAPPING M)."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Place, Syncd
from tests.fakes.fhir import FakeFhir
from tests.loop.world import OTHER, STUDY


@pytest.fixture(autouse=True)
def dstu2(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.fhir = FakeFhir("dstu2", clock=place.clock)
    monkeypatch.setenv("SYNCD_FHIR__URL", place.fhir.url)
    monkeypatch.setenv("SYNCD_FHIR__VERSION", "dstu2")


def test_check_asks_for_the_types_that_dstu2_has(place: Place, syncd: Syncd) -> None:
    """README.md, `check`: no Endpoint is missed, a Basic would be; our own installation is found by it (RULES E3)."""
    place.store(STUDY)
    assert syncd("resync").exit_code == 0
    result = syncd("check")
    assert (result.exit_code, "(dstu2, 1.0.2)" in result.stdout, "publishes here" in result.stdout) == (0, True, True)
    place.fhir.types.discard("Basic")
    result = syncd("check")
    assert (result.exit_code, "does not serve Basic" in result.stdout) == (2, True)


def test_a_study_that_arrives_is_work_left(place: Place, syncd: Syncd) -> None:
    """README.md, `resync`; RULES A6: listed, exit 1, and nothing of it written; the stable one beside it is."""
    place.store(OTHER)
    place.store(STUDY, stable=False)
    result = syncd("resync")
    assert result.exit_code == 1
    assert STUDY in result.output
    assert [path for path in place.writes if "/ImagingStudy/" in path] == [f"/fhir/ImagingStudy/{OTHER}"]
