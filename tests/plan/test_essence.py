"""What two copies of a resource must agree on to be called equal (RULES B3)."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.plan.essence import digest, essence

BASE = "http://fhir.test/fhir"
STUDY: dict[str, Any] = {
    "resourceType": "ImagingStudy",
    "id": "1.2.3",
    "status": "available",
    "subject": {"reference": "Patient/p"},
    "endpoint": [{"reference": "Endpoint/e"}],
}


@pytest.mark.parametrize(
    "decorated",
    [
        {**STUDY, "meta": {"versionId": "7", "lastUpdated": "2026-01-01T00:00:00Z", "source": "urn:syncd#abc"}},
        {**STUDY, "text": {"status": "generated", "div": "<div/>"}},
        {**STUDY, "subject": {"reference": f"{BASE}/Patient/p"}},
        {**STUDY, "subject": {"reference": "Patient/p/_history/3"}},
        {**STUDY, "endpoint": [{"reference": f"{BASE}/Endpoint/e/_history/1"}]},
        dict(reversed(STUDY.items())),
    ],
    ids=["meta", "narrative", "absolute", "versioned", "both", "order"],
)
def test_what_a_server_adds_is_no_difference(decorated: dict[str, Any]) -> None:
    """RULES B3."""
    assert digest(decorated, base_url=BASE) == digest(STUDY, base_url=BASE)


@pytest.mark.parametrize(
    "changed",
    [
        {**STUDY, "status": "registered"},
        {**STUDY, "subject": {"reference": "Patient/q"}},
        {**STUDY, "meta": {"profile": ["http://example.org/p"]}},
        {**STUDY, "endpoint": []},
        {**STUDY, "subject": {"reference": "http://elsewhere.test/fhir/Patient/p"}},
    ],
)
def test_what_matters_is_a_difference(changed: dict[str, Any]) -> None:
    """RULES B3: `meta.profile` counts, and a reference to another server is another reference."""
    assert digest(changed, base_url=BASE) != digest(STUDY, base_url=BASE)


def test_the_essence_leaves_the_resource_alone() -> None:
    """RULES B3: comparing changes nothing."""
    before = {**STUDY, "subject": {"reference": f"{BASE}/Patient/p"}}
    essence(before, base_url=BASE)
    assert before["subject"]["reference"] == f"{BASE}/Patient/p"
