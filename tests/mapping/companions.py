"""What the tests of companions share: a site that wants them all, and what a study then brings with it (MAPPING J)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from syncd.mapping.policy import MappingPolicy
from tests.mapping.studies import POLICY, WANTED, beside, full_study

ALL = replace(POLICY, **WANTED)
LOINC = {"coding": [{"system": "http://loinc.org", "code": "24627-2", "display": "CT Chest"}], "text": "CT Chest"}


def of_type(resource_type: str, version: str, snapshot: Any = None, policy: MappingPolicy = ALL) -> list[dict[str, Any]]:
    found, _ = beside(snapshot or full_study(), policy, version)
    return [one for one in found if one["resourceType"] == resource_type]


def referring(version: str, snapshot: Any = None, policy: MappingPolicy = ALL) -> dict[str, Any]:
    return beside(snapshot or full_study(), policy, version)[1]
