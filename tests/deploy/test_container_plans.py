"""The other way of the one fixture: what the containers would be told, where an engine answers."""

from __future__ import annotations

import json

import pytest

from tests.container_plans import ORTHANC_IMAGES, hapi_plan, orthanc_plan
from tests.servers import PASSWORD, USERNAME, VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_orthancs_container_gets_the_same_configuration(version: str) -> None:
    """One fixture, two ways, the same tests."""
    plan = orthanc_plan(version, stable_age=7, dicomweb=True, options={"OverwriteInstances": True})
    settings = json.loads(plan.environment["ORTHANC_JSON"])
    assert plan.image == ORTHANC_IMAGES[version]
    assert settings["StableAge"] == 7
    assert settings["RegisteredUsers"] == {USERNAME: PASSWORD}
    assert settings["DicomWeb"]["Enable"] is True
    assert settings["OverwriteInstances"] is True


def test_without_the_plugin_its_section_is_left_out() -> None:
    """The image loads a plugin when its section is there, whatever stands in it."""
    plan = orthanc_plan(VERSIONS[0], stable_age=1, dicomweb=False, options={})
    assert "DicomWeb" not in json.loads(plan.environment["ORTHANC_JSON"])


def test_a_durable_hapi_has_its_data_in_a_file() -> None:
    """docs/cases.md: the FHIR server away for a while, and back with what it had."""
    durable, fleeting = (hapi_plan(fhir="r4b", durable=kept, validate=False) for kept in (True, False))
    assert durable.environment["spring.datasource.url"].startswith("jdbc:h2:file:")
    assert fleeting.environment["spring.datasource.url"].startswith("jdbc:h2:mem:")
    assert durable.environment["hapi.fhir.fhir_version"] == "R4B"
