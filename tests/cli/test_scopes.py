"""Which scopes are asked for: those that the settings need, and no others."""

from __future__ import annotations

import pytest

from syncd.auth.scopes import system_scopes
from syncd.cli.scopes import needs
from syncd.cli.wiring import policy
from syncd.settings import load
from tests.settings.given import ENOUGH

USUAL = ["ImagingStudy.crus", "Endpoint.cruds", "Patient.crus", "Provenance.crus", "Device.crus"]


@pytest.mark.parametrize(
    ("chosen", "less", "more"),
    [
        ({}, [], []),
        ({"POLICY__ON_DELETE": "delete"}, ["ImagingStudy.crus"], ["ImagingStudy.cruds"]),
        ({"POLICY__ON_DESELECT": "delete"}, ["ImagingStudy.crus"], ["ImagingStudy.cruds"]),
        ({"POLICY__PATIENT": "match"}, ["Patient.crus"], ["Patient.rs"]),
        ({"POLICY__PATIENT": "logical"}, ["Patient.crus"], []),
        ({"POLICY__PROVENANCE": "off"}, ["Provenance.crus", "Device.crus"], []),
        ({"POLICY__PROVENANCE": "off", "POLICY__WRITE_DEVICES": "yes"}, ["Provenance.crus"], []),
        ({"POLICY__SERVICE_REQUEST": "match"}, [], ["ServiceRequest.rs"]),
        ({"POLICY__PRACTITIONER_FROM_NAME": "resource"}, [], ["Practitioner.crus"]),
        ({"POLICY__WRITE_PROCEDURES": "yes"}, [], ["Procedure.crus"]),
        ({"POLICY__BODY_STRUCTURE": "yes"}, [], ["BodyStructure.crus"]),
        ({"FHIR__VERSION": "dstu2"}, ["Endpoint.cruds", "Provenance.crus", "Device.crus"], ["Basic.cruds"]),
    ],
)
def test_scopes_follow_from_the_settings(chosen: dict[str, str], less: list[str], more: list[str]) -> None:
    """SMART 2.2, Backend Services: "limited to the resources requested". That they are enough is shown on a real server."""
    settings = load(environ={**ENOUGH, **{f"SYNCD_{name}": value for name, value in chosen.items()}})
    asked = system_scopes(needs(settings, policy(settings)))
    assert sorted(asked) == sorted(f"system/{one}" for one in [*(set(USUAL) - set(less)), *more])
