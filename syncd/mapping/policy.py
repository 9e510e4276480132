"""What a site decides about the mapping: plain values, made from the settings at the rim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from syncd.model.ids import ArchiveName
from syncd.model.study.reading import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePolicy:
    """One archive's identifier systems, time zone and public addresses; nothing is invented where one is empty.

    `timezone` is an IANA name for studies without (0008,0201), empty: dates only (MAPPING C.1-7). `issuers` maps an
    issuer's name to a system (MAPPING B). Addresses are service roots without trailing slash (MAPPING E).
    """

    name: ArchiveName
    dicomweb_url: str = ""
    wado_uri_url: str = ""
    qido_url: str = ""
    viewer_url: str = ""
    timezone: str = ""
    patient_id_system: str = ""
    accession_system: str = ""
    study_id_system: str = ""
    issuers: Mapping[str, str] = field(default_factory=dict)
    other_patient_ids_system: str = ""
    """System of the retired Other Patient IDs (0010,1000), which name no issuer; empty: not published (MAPPING B)."""
    retrieve_location_uid: str = ""
    """The archive's OID as IHE's cross-community sharing knows it; only a profile's Endpoint names it (MAPPING H)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingPolicy:
    """`patient` is POLICY__PATIENT, `bad_uid` POLICY__BAD_UID, `modality_scope` POLICY__MODALITY_SCOPE (docs/settings.md).
    `rejected_quality` (`hide`, `keep`): whether a note titled 113001 takes images back (MAPPING D.2). `values`
    (`lenient`, `strict`): whether a study with anything odd is published. `service_request` (`logical`, `match`): whether
    orders are looked for on the FHIR server (MAPPING J.3). `practitioner_from_name` (`display`, `resource`) and the three
    after it say which optional companions are written (MAPPING J). `profile` (`eu`, `mado` or empty): the guide whose
    demands are filled (MAPPING H). `accession_in_identifier`: None as the version has it (MAPPING B). `map_retired` and
    `site_modality_system` are C.7's, `list_manifest` is D.2's, `sopclass_style` (`urn`, `jp`) is H's; `reading` is for the
    room `snapshot`."""

    archive: ArchivePolicy
    further: tuple[ArchivePolicy, ...] = ()
    """The other archives, where there are several; `archive` and these are in the order of the settings."""
    installation_id: str = "syncd"
    endpoint_prefix: str = ""
    patient: str = "create"
    bad_uid: str = "park"
    modality_scope: str = "all"
    max_instances: int = 10000
    rejected_quality: str = "hide"
    values: str = "lenient"
    service_request: str = "logical"
    practitioner_from_name: str = "display"
    write_devices: bool = False
    write_procedures: bool = False
    body_structure: bool = False
    profile: str = ""
    accession_in_identifier: bool | None = None
    map_retired: bool = False
    site_modality_system: str = ""
    list_manifest: bool = True
    sopclass_style: str = "urn"
    reading: Reading = field(default_factory=Reading)

    @property
    def archives(self) -> tuple[ArchivePolicy, ...]:
        """All archives, in the order of the settings."""
        return (self.archive, *self.further)

    def of(self, name: ArchiveName) -> ArchivePolicy:
        """What was decided for the archive `name`; for the first one, where no archive has that name."""
        return next((one for one in self.further if one.name == name), self.archive)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientKey:
    """Who a study's patient is: one (system, value), and the id of the Patient that we would write (RULES B4).

    `system` is empty when no assigning authority is known: then nothing is searched on the server. `unidentified` when
    there is no usable PatientID: such a Patient is never shared between studies (MAPPING I case 11).
    """

    system: str
    value: str
    resource_id: str
    unidentified: bool = False
    issuer: str = ""
