"""SMART's system scopes, in both versions' words."""

from __future__ import annotations

import pytest

from syncd.auth.scopes import Need, knows_only_v1, missing, system_scopes

NEEDS = (
    Need(resource_type="ImagingStudy", rights="cruds"),
    Need(resource_type="Patient", rights="rs"),
    Need(resource_type="Provenance", rights="cr"),
    Need(resource_type="Basic", rights="c"),
)


def test_the_letters_stand_as_they_are_in_version_2() -> None:
    assert system_scopes(NEEDS) == (
        "system/ImagingStudy.cruds",
        "system/Patient.rs",
        "system/Provenance.cr",
        "system/Basic.c",
    )


def test_version_1_has_three_words() -> None:
    assert system_scopes(NEEDS, first_version=True) == (
        "system/ImagingStudy.*",
        "system/Patient.read",
        "system/Provenance.*",
        "system/Basic.write",
    )


@pytest.mark.parametrize(
    ("configuration", "only_v1"),
    [
        ({}, False),
        ({"capabilities": ["permission-v2"]}, False),
        ({"capabilities": ["permission-v1", "permission-v2"]}, False),
        ({"capabilities": ["permission-v1", "client-confidential-asymmetric"]}, True),
        ({"capabilities": ["launch-ehr"], "scopes_supported": ["openid", "system/*.read"]}, True),
        ({"scopes_supported": ["system/*.read", "system/*.rs"]}, False),
        ({"scopes_supported": ["openid", "patient/*.read"]}, False),
        ({"scopes_supported": "system/*.read", "capabilities": {"permission-v1": True}}, False),
    ],
)
def test_version_1_is_spoken_only_where_a_server_knows_no_other(configuration: dict[str, object], only_v1: bool) -> None:
    """SMART 2.2, Conformance: `permission-v1` beside `permission-v2` in `capabilities`."""
    assert knows_only_v1(configuration) is only_v1


@pytest.mark.parametrize(
    ("granted", "not_covered"),
    [
        (["system/Patient.crus", "system/ImagingStudy.cruds"], []),
        (["system/*.cruds"], []),
        (["system/*.*"], []),
        (["system/Patient.rs", "system/Patient.cu", "system/ImagingStudy.*"], []),
        (["system/Patient.read", "system/Patient.write", "system/*.read", "system/*.write"], []),
        (["system/Patient.rs", "system/ImagingStudy.cruds"], ["system/Patient.crus"]),
        (["system/Patient.crus?active=true", "system/*.rs"], ["system/ImagingStudy.cruds", "system/Patient.crus"]),
        (["user/*.cruds", "openid"], ["system/ImagingStudy.cruds", "system/Patient.crus"]),
        ([], ["system/ImagingStudy.cruds", "system/Patient.crus"]),
    ],
)
def test_what_was_not_granted_is_told(granted: list[str], not_covered: list[str]) -> None:
    """Backend Services: what is granted "can be different from the scopes requested"."""
    assert list(missing(["system/ImagingStudy.cruds", "system/Patient.crus"], granted)) == not_covered


def test_another_word_must_be_granted_as_it_stands() -> None:
    assert missing(["https://fhir.example.org/.default"], ["https://fhir.example.org/.default"]) == ()
    assert missing(["api"], ["other"]) == ("api",)
