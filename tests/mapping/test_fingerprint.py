"""Whatever shapes the output shows in the fingerprint (RULES B3)."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from syncd.mapping import fingerprint as module
from syncd.mapping.dialects.r5 import R5
from syncd.mapping.dialects.registry import VERSIONS
from syncd.mapping.fingerprint import fingerprint
from syncd.mapping.policy import ArchivePolicy, MappingPolicy
from tests.mapping.studies import POLICY, archive


def changed(value: Any) -> Any:
    if isinstance(value, int):
        return value + 1
    return f"{value}x" if isinstance(value, str) else {"HOSP-X": "http://x.example"}


@pytest.mark.parametrize("field", [field.name for field in fields(MappingPolicy) if field.name != "archive"])
def test_every_setting_counts(field: str) -> None:
    """RULES B3: a field added later counts without further ado."""
    other = replace(POLICY, **{field: changed(getattr(POLICY, field))})
    assert fingerprint(other, fhir_version="r4") != fingerprint(POLICY, fhir_version="r4")


@pytest.mark.parametrize("field", [field.name for field in fields(ArchivePolicy)])
def test_every_setting_of_the_archive_counts(field: str) -> None:
    """RULES B3."""
    other = archive(**{field: changed(getattr(POLICY.archive, field))})
    assert fingerprint(other, fhir_version="r4") != fingerprint(POLICY, fhir_version="r4")


def test_fhir_version_and_mapping_version_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES B3."""
    before = fingerprint(POLICY, fhir_version="r4")
    assert fingerprint(POLICY, fhir_version="r5") != before
    monkeypatch.setattr(module, "MAPPING_VERSION", module.MAPPING_VERSION + 1)
    assert fingerprint(POLICY, fhir_version="r4") != before


def test_what_one_version_says_otherwise_renders_nothing_again_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES B3: R6 says what R5 says; R4 and DSTU2 do not."""
    before = {version: fingerprint(POLICY, fhir_version=version) for version in VERSIONS}
    monkeypatch.setattr(R5, "revision", R5.revision + 1)
    assert [one for one in VERSIONS if fingerprint(POLICY, fhir_version=one) != before[one]] == ["r5", "r6"]


def test_equal_settings_give_equal_fingerprints() -> None:
    """RULES B3: the order in which issuers are written does not matter."""
    one = archive(issuers={"A": "http://a.example", "B": "http://b.example"})
    other = archive(issuers={"B": "http://b.example", "A": "http://a.example"})
    assert fingerprint(one, fhir_version="r4") == fingerprint(other, fhir_version="r4")
    assert len(fingerprint(one, fhir_version="r4")) == 64
