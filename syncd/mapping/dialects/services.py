"""Which services an archive offers to the public, and the ids of their Endpoints (MAPPING E, RULES B5).

The address is the service's public root, from the settings; a service without an address has no Endpoint. The viewer
fits worst: FHIR has a connection type for IHE Invoke Image Display only. Any other viewer gets words and no code, which
the binding allows and `$validate` accepts without a warning.
"""

from __future__ import annotations

from syncd.mapping.dialects.statement import SaidEndpoint
from syncd.mapping.policy import ArchivePolicy
from syncd.model.ids import ArchiveName

# IHE RAD TF-2 4.106: the service's name is part of its address.
_INVOKE_IMAGE_DISPLAY = "IHEInvokeImageDisplay"


SUFFIXES = ("wado-rs", "wado-uri", "qido-rs", "viewer")
"""How the id of an Endpoint ends, by its service."""


def services(archive: ArchivePolicy, *, prefix: str) -> tuple[SaidEndpoint, ...]:
    """The archive's services, WADO-RS first; `prefix` is POLICY__ENDPOINT_PREFIX."""
    invoked = _INVOKE_IMAGE_DISPLAY in archive.viewer_url
    dicom = "application/dicom"
    rows = (
        # suffix, code, name, words of the connection, payload, its media type, address
        (SUFFIXES[0], "dicom-wado-rs", "WADO-RS", "WADO-RS", "DICOM WADO-RS", dicom, archive.dicomweb_url),
        (SUFFIXES[1], "dicom-wado-uri", "WADO-URI", "WADO-URI", "DICOM WADO-URI", dicom, archive.wado_uri_url),
        (SUFFIXES[2], "dicom-qido-rs", "QIDO-RS", "QIDO-RS", "DICOM QIDO-RS", f"{dicom}+json", archive.qido_url),
        (
            SUFFIXES[3],
            "ihe-iid" if invoked else "",
            "viewer",
            "IHE Invoke Image Display" if invoked else "web viewer",
            "DICOM study viewer",
            "text/html",
            archive.viewer_url,
        ),
    )
    return tuple(
        SaidEndpoint(
            resource_id=endpoint_id(archive.name, suffix, prefix=prefix),
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


def endpoint_id(name: ArchiveName, suffix: str, *, prefix: str) -> str:
    """The id of the Endpoint of one of the `SUFFIXES` (RULES B5)."""
    return f"{prefix}{name.replace('_', '-')}-{suffix}"
