"""`syncd render --companions`: what would be written before the study (MAPPING J)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import Place, Syncd

STUDY = "1.2.276.1"
EQUIPMENT = {"Manufacturer": "Acme", "ManufacturerModelName": "Scan 3", "DeviceSerialNumber": "S-17"}


def shown(syncd: Syncd, *words: str) -> list[dict[str, Any]]:
    bundle = json.loads(syncd("render", STUDY, "--companions", *words).stdout)
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "collection")
    return [one["resource"] for one in bundle["entry"]]


def test_a_device_is_shown_before_the_study_that_names_it(
    place: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """README.md, render: the JSON; nothing sent. MAPPING J.2, J.6."""
    monkeypatch.setenv("SYNCD_POLICY__WRITE_DEVICES", "true")
    place.store(STUDY, **EQUIPMENT)
    device, study = shown(syncd)
    assert (device["resourceType"], device["serialNumber"]) == ("Device", "S-17")
    actors = [one["actor"] for one in study["series"][0]["performer"]]
    assert actors == [{"reference": f"Device/{device['id']}"}]
    assert json.loads(syncd("render", STUDY).stdout) == study
    assert place.fhir.requests == []


def test_without_the_settings_there_is_the_study_alone(place: Place, syncd: Syncd) -> None:
    """MAPPING J: off by default."""
    place.store(STUDY, **EQUIPMENT)
    [study] = shown(syncd)
    assert study == json.loads(syncd("render", STUDY).stdout)
    assert "performer" not in study["series"][0]
