"""The implementation guides that a site may have filled (POLICY__PROFILE), by the FHIR versions they are written in.

Read were: HL7 Europe Imaging 1.0.0-ballot (R4 and R5, source of 10 June 2026), IHE RAD MADO 1.0.0 (trial use, 3
September 2026, R4). One guide has other addresses and another code per version, so a guide here is always one of one
version; a version without its row is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from syncd.errors import ConfigurationError

_EU_R4 = "http://hl7.eu/fhir/imaging/StructureDefinition"
_EU_R5 = "http://hl7.eu/fhir/imaging-r5/StructureDefinition"
_MADO = "https://profiles.ihe.net/RAD/MADO/StructureDefinition"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """One guide in one FHIR version: the addresses of its profiles and extensions, empty where it has none. `spine` is its
    code for the spine, in which the guides' lists of regions differ."""

    name: str
    version: str
    study: str
    anatomical_region: str
    number_of_frames: str
    spine: str
    instance_description: str = ""
    key_object_title: str = ""
    wado_endpoint: str = ""
    retrieve_location: str = ""

    @property
    def rule(self) -> str:
        """The rule that its notes name."""
        return f"H {self.name}"


def _eu(root: str) -> Guide:
    return Guide(
        name="eu",
        version="HL7 Europe Imaging 1.0.0-ballot",
        study=f"{root}/ImagingStudyEuImaging",
        anatomical_region=f"{root}/AnatomicalRegionExtension",
        number_of_frames=f"{root}/NumberOfFrames",
        instance_description=f"{root}/ImagingStudyEuImagingInstanceDescription",
        spine="737561001",
    )


GUIDES: Mapping[tuple[str, str], Guide] = {
    ("eu", "r4"): _eu(_EU_R4),
    ("eu", "r5"): _eu(_EU_R5),
    ("mado", "r4"): Guide(
        name="mado",
        version="IHE RAD MADO 1.0.0",
        study=f"{_MADO}/MadoImagingStudy",
        anatomical_region=f"{_MADO}/MadoAnatomicalRegionExtension",
        number_of_frames=f"{_MADO}/MadoNumberOfFrames",
        key_object_title=f"{_MADO}/MadoKeyObjectDocumentTitle",
        wado_endpoint=f"{_MADO}/MadoWadoEndpoint",
        retrieve_location=f"{_MADO}/MadoRetrieveLocationUIDExtension",
        spine="1141981001",
    ),
}
"""(POLICY__PROFILE, FHIR version) → the guide."""


def versions_of(profile: str) -> tuple[str, ...]:
    """The FHIR versions in which a profile is written."""
    return tuple(version for name, version in GUIDES if name == profile)


def require_guide(profile: str, *, fhir_version: str) -> None:
    """Raise `ConfigurationError` where the profile is not written in this version."""
    if profile and (profile, fhir_version) not in GUIDES:
        raise ConfigurationError(
            f"SYNCD_POLICY__PROFILE is {profile}, which is written in {', '.join(versions_of(profile))} only, "
            f"not in {fhir_version}: unset it, or use a FHIR server of that version"
        )
