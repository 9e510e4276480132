"""Endpoints: one per service with a public address, ids by RULES B5, R4's form (MAPPING E)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncd.mapping.check.check import problems
from syncd.mapping.resources.endpoints import endpoint_references, endpoints
from syncd.model.ids import ArchiveName
from tests.mapping.studies import POLICY, archive

CONNECTION = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"


def test_the_golden_endpoint() -> None:
    """MAPPING K, with our tag (RULES B2)."""
    assert endpoints(POLICY) == (
        {
            "resourceType": "Endpoint",
            "id": "orthanc-wado-rs",
            "meta": {"source": "urn:syncd", "tag": [{"system": "urn:syncd:installation", "code": "syncd"}]},
            "status": "active",
            "connectionType": {"system": CONNECTION, "code": "dicom-wado-rs"},
            "name": "orthanc WADO-RS",
            "payloadType": [{"text": "DICOM WADO-RS"}],
            "payloadMimeType": ["application/dicom"],
            "address": "https://archive.example.org/dicom-web",
        },
    )


def test_every_service_with_an_address_has_one() -> None:
    """RULES B5: ids from prefix, archive and service; all fit a FHIR id at their longest."""
    policy = replace(
        archive(
            name=ArchiveName("a_" * 20),
            wado_uri_url="https://x.example/wado",
            qido_url="https://x.example/dicom-web",
            viewer_url="https://x.example/view",
        ),
        endpoint_prefix="p" * 14,
    )
    made = endpoints(policy)
    stem = "p" * 14 + "a-" * 20
    assert [one["id"] for one in made] == [f"{stem}-wado-rs", f"{stem}-wado-uri", f"{stem}-qido-rs", f"{stem}-viewer"]
    assert [one["connectionType"].get("code") for one in made] == ["dicom-wado-rs", "dicom-wado-uri", "dicom-qido-rs", None]
    assert endpoint_references(policy) == tuple({"reference": f"Endpoint/{one['id']}"} for one in made)
    assert [problems(one) for one in made] == [()] * 4


def test_without_addresses_there_is_none() -> None:
    """MAPPING E: the internal address is never published."""
    assert endpoints(archive(dicomweb_url="")) == ()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://x.example/IHEInvokeImageDisplay", {"system": CONNECTION, "code": "ihe-iid"}),
        ("https://x.example/view", {"display": "web viewer"}),
    ],
)
def test_ihe_iid_is_said_only_of_an_iid_address(url: str, expected: dict[str, str]) -> None:
    """RULES B5."""
    (_, viewer) = endpoints(archive(viewer_url=url))
    assert viewer["connectionType"] == expected
