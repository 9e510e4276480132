"""Which services an archive offers to the public, and the ids of their Endpoints (MAPPING E, RULES B5).

The address is the service's public root, from the settings; a service without an address has no Endpoint. The difficulty
is the viewer: FHIR has a connection type for IHE Invoke Image Display only. Any other viewer gets words and no code, which
the binding allows and `$validate` accepts without a warning.
"""

from __future__ import annotations

from syncd.mapping.policy import MappingPolicy
from syncd.mapping.said import SaidEndpoint

# IHE RAD TF-2 4.106: the service's name is part of its address.
_INVOKE_IMAGE_DISPLAY = "IHEInvokeImageDisplay"


def services(policy: MappingPolicy) -> tuple[SaidEndpoint, ...]:
    """The archive's services, WADO-RS first."""
    archive = policy.archive
    invoked = _INVOKE_IMAGE_DISPLAY in archive.viewer_url
    dicom = "application/dicom"
    rows = (
        # suffix, code, name, words of the connection, payload, its media type, address
        ("wado-rs", "dicom-wado-rs", "WADO-RS", "WADO-RS", "DICOM WADO-RS", dicom, archive.dicomweb_url),
        ("wado-uri", "dicom-wado-uri", "WADO-URI", "WADO-URI", "DICOM WADO-URI", dicom, archive.wado_uri_url),
        ("qido-rs", "dicom-qido-rs", "QIDO-RS", "QIDO-RS", "DICOM QIDO-RS", f"{dicom}+json", archive.qido_url),
        (
            "viewer",
            "ihe-iid" if invoked else "",
            "viewer",
            "IHE Invoke Image Display" if invoked else "web viewer",
            "DICOM study viewer",
            "text/html",
            archive.viewer_url,
        ),
    )
    stem = f"{policy.endpoint_prefix}{archive.name.replace('_', '-')}"
    return tuple(
        SaidEndpoint(
            resource_id=f"{stem}-{suffix}",
            name=f"{archive.name} {name}",
            code=code,
            words=words,
            payload=payload,
            mime_type=mime_type,
            address=address,
        )
        for suffix, code, name, words, payload, mime_type, address in rows
        if address
    )
