"""Where a study's images can be fetched or seen: one Endpoint per service of an archive (MAPPING E, RULES B5).

The address is the service's public root, from the settings; a service without an address has no Endpoint. The difficulty
is the viewer: FHIR R4 has a connection type for IHE Invoke Image Display only. Any other viewer gets words and no code,
which the extensible binding allows and `$validate` accepts without a warning.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from syncd.mapping.policy import MappingPolicy
from syncd.mapping.systems import CONNECTION_TYPE, INSTALLATION, SOURCE

# IHE RAD TF-2 4.106: the service's name is part of its address.
_INVOKE_IMAGE_DISPLAY = "IHEInvokeImageDisplay"


class _Service(NamedTuple):
    suffix: str
    code: str
    shown: str
    mime_type: str


_WADO_RS = _Service("wado-rs", "dicom-wado-rs", "WADO-RS", "application/dicom")
_WADO_URI = _Service("wado-uri", "dicom-wado-uri", "WADO-URI", "application/dicom")
_QIDO_RS = _Service("qido-rs", "dicom-qido-rs", "QIDO-RS", "application/dicom+json")
_VIEWER = _Service("viewer", "", "viewer", "text/html")
_INVOKED_VIEWER = _VIEWER._replace(code="ihe-iid")


def endpoints(policy: MappingPolicy) -> tuple[dict[str, Any], ...]:
    """The archive's Endpoints in R4, WADO-RS first."""
    return tuple(_endpoint(service, address=address, policy=policy) for service, address in _served(policy))


def endpoint_references(policy: MappingPolicy) -> tuple[dict[str, Any], ...]:
    """References to them, in the same order."""
    return tuple({"reference": f"Endpoint/{_endpoint_id(service, policy=policy)}"} for service, _ in _served(policy))


def installation_meta(policy: MappingPolicy) -> dict[str, Any]:
    """`meta` of everything that we write: constant, because HAPI carries old tags forward (RULES B2)."""
    return {"source": SOURCE, "tag": [{"system": INSTALLATION, "code": policy.installation_id}]}


def _served(policy: MappingPolicy) -> list[tuple[_Service, str]]:
    archive = policy.archive
    viewer = _INVOKED_VIEWER if _INVOKE_IMAGE_DISPLAY in archive.viewer_url else _VIEWER
    services = (
        (_WADO_RS, archive.dicomweb_url),
        (_WADO_URI, archive.wado_uri_url),
        (_QIDO_RS, archive.qido_url),
        (viewer, archive.viewer_url),
    )
    return [(service, address) for service, address in services if address]


def _endpoint(service: _Service, *, address: str, policy: MappingPolicy) -> dict[str, Any]:
    words = service.shown if service is not _VIEWER else "web viewer"
    connection = {"system": CONNECTION_TYPE, "code": service.code} if service.code else {"display": words}
    payload = f"DICOM {service.shown}" if service.suffix != _VIEWER.suffix else "DICOM study viewer"
    return {
        "resourceType": "Endpoint",
        "id": _endpoint_id(service, policy=policy),
        "meta": installation_meta(policy),
        "status": "active",
        "connectionType": connection,
        "name": f"{policy.archive.name} {service.shown}",
        "payloadType": [{"text": payload}],
        "payloadMimeType": [service.mime_type],
        "address": address,
    }


def _endpoint_id(service: _Service, *, policy: MappingPolicy) -> str:
    return f"{policy.endpoint_prefix}{policy.archive.name.replace('_', '-')}-{service.suffix}"
