"""What the two servers' containers are made of: images, configuration, where they answer. Values only.

The images are those of docker-compose.yml, pinned; Orthanc 1.10.1 is the older image of the same series.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.native.servers import basic_authorization
from tests.servers import PASSWORD, USERNAME

ORTHANC_IMAGES = {"1.10.1": "orthancteam/orthanc:22.4.0", "1.12.7": "orthancteam/orthanc:25.5.1"}
HAPI_IMAGE = "hapiproject/hapi:v8.8.0-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a container is made of. `probe` is the path that answers 200 once the server is ready."""

    image: str
    port: int
    environment: Mapping[str, str]
    base_path: str
    probe: str
    headers: Mapping[str, str]
    ready_within: float


def orthanc_plan(version: str, *, stable_age: int, dicomweb: bool, options: Mapping[str, Any]) -> Plan:
    """The image takes its whole configuration as JSON from ORTHANC_JSON; a DicomWeb section loads the plugin."""
    settings: dict[str, Any] = {
        "StableAge": stable_age,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USERNAME: PASSWORD},
        **({"DicomWeb": {"Enable": True, "Root": "/dicom-web/"}} if dicomweb else {}),
        **options,
    }
    return Plan(
        image=ORTHANC_IMAGES[version],
        port=8042,
        environment={"ORTHANC_JSON": json.dumps(settings)},
        base_path="",
        probe="/system",
        headers=basic_authorization(USERNAME, PASSWORD),
        ready_within=120.0,
    )


def hapi_plan(*, fhir: str, durable: bool, validate: bool) -> Plan:
    """The starter's Spring properties; the database lies in the container, in a file where it must outlive a restart."""
    database = "jdbc:h2:file:/tmp/hapi" if durable else "jdbc:h2:mem:hapi;DB_CLOSE_DELAY=-1"
    return Plan(
        image=HAPI_IMAGE,
        port=8080,
        environment={
            "hapi.fhir.fhir_version": fhir.upper(),
            "hapi.fhir.allow_external_references": "true",
            "hapi.fhir.validation.requests_enabled": str(validate).lower(),
            "spring.datasource.url": database,
        },
        base_path="/fhir",
        probe="/fhir/metadata",
        headers={},
        ready_within=300.0,
    )
