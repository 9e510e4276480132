"""`StudySnapshot`: what a study is now, version-neutral; DICOM values cleaned, nothing said in FHIR yet.

Every value that was odd leaves a `Note` (tag, rule, what was done; never the value, RULES S1). Everything is ordered
(by number, nulls last, then UID), so the snapshot does not depend on the order in which the archive lists things.
"""

from __future__ import annotations

from dataclasses import dataclass

from syncd.model.ids import ArchiveName, StudyInstanceUID

NOWHERE = ArchiveName("")
"""No other archive than the one that is meant anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something odd and what was done about it. `rule` cites MAPPING (`C.1-4`); `tag` is `gggg,eeee` or empty.

    `safety`: it touches who the patient is, a side, a site or an order, so that a reader of FHIR may be misled by what is
    not said (RULES B9, B10, B11)."""

    tag: str
    rule: str
    done: str
    safety: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A DICOM date with optional time (MAPPING C.1): `date` is `YYYY[-MM[-DD]]`, `time` is `HH:MM:SS[.fff]` or empty,
    `offset` is `±hh:mm` or empty when (0008,0201) does not say."""

    date: str
    time: str = ""
    offset: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameGroup:
    """One component group of a PN (PS3.5 6.2.1)."""

    family: str = ""
    given: str = ""
    middle: str = ""
    prefix: str = ""
    suffix: str = ""
    text: str = ""
    """Only filled when the group has no caret and cannot be split safely (MAPPING C.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonName:
    alphabetic: NameGroup | None = None
    ideographic: NameGroup | None = None
    phonetic: NameGroup | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """An assigning authority: a plain issuer text (0010,0021), or qualifiers (0040,0031/0032/0033)."""

    local: str = ""
    universal_id: str = ""
    universal_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedId:
    """An identifier value and who issued it; `type_code` is (0040,0035) where present, `elsewhere` the archive that tells
    of it, where that is not the study's (RULES C8)."""

    value: str
    issuer: Issuer | None = None
    type_code: str = ""
    elsewhere: ArchiveName = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A coded entry (PS3.3 8.8): value from (0008,0100), (0008,0119) or (0008,0120)."""

    value: str
    scheme: str
    meaning: str = ""
    scheme_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody named in the study, with the codes that identify them ((0040,1101))."""

    name: PersonName
    identifiers: tuple[Code, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Institution:
    """An organisation by its name (0008,0080) and its code (0008,0082), either of which may be missing."""

    name: str = ""
    code: Code | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientFacts:
    """The Patient IE. `gender` is a FHIR code or empty (MAPPING C.3); `birth_date` may be partial (C.1-10)."""

    ids: tuple[IssuedId, ...] = ()
    """Primary first; empty when PatientID is missing or blank."""
    names: tuple[PersonName, ...] = ()
    gender: str = ""
    birth_date: str = ""
    retired_ids: tuple[str, ...] = ()
    """Other Patient IDs (0010,1000), retired: values of which nobody says who issued them (MAPPING B)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFacts:
    uid: str
    sop_class: str
    number: int | None = None
    title: str = ""
    frames: int | None = None
    patient: PatientFacts | None = None
    """What it says of the patient, where the images of its series differ in that (RULES B10)."""
    modality: str = ""
    """What its SOP Class fixes, where that is not the modality of its series (MAPPING C.7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What made a series (PS3.3 C.7.5.1). `notes` are kept apart from the study's: nothing is odd about a study for a
    Device that nobody wants."""

    uid: str = ""
    """Device UID (0018,1002)."""
    manufacturer: str = ""
    model: str = ""
    serial: str = ""
    versions: tuple[str, ...] = ()
    station: str = ""
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformedStep:
    """The performed procedure step that a series belongs to (PS3.3 C.7.3.1). `notes` as those of `Equipment`."""

    uids: tuple[str, ...] = ()
    """SOP Instance UIDs in (0008,1111), as they are: whether one is a UID is for the mapping to say."""
    started: Moment | None = None
    ended: Moment | None = None
    description: str = ""
    notes: tuple[Note, ...] = ()


SERIES_TAGS = (
    "0008,0021", "0008,0031",  # Series Date and Time
    "0008,0060",  # Modality
    "0008,0070", "0008,1010", "0008,1090",  # Manufacturer, Station Name, Model
    "0008,0080",  # Institution Name
    "0008,103e", "0018,1030",  # Series Description, Protocol Name
    "0008,1050", "0008,1070",  # Performing Physician's Name, Operators' Name
    "0008,0201",  # Timezone Offset From UTC
    "0018,0015",  # Body Part Examined
    "0018,1000", "0018,1002", "0018,1020",  # Device Serial Number, Device UID, Software Versions
    "0020,0011",  # Series Number
    "0020,0060",  # Laterality
    "0040,0244", "0040,0245", "0040,0250", "0040,0251", "0040,0254",  # the performed step's start, end, description
)  # fmt: skip
"""The plain attributes that `SeriesFacts` is made of: said only where all images of the series agree (RULES B9)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFacts:
    uid: str
    number: int | None = None
    modality: str = ""
    """Cleaned token; inferred from the SOP class when missing (MAPPING C.7), empty when that fails too."""
    description: str = ""
    body_part: str = ""
    """Body Part Examined (0018,0015), cleaned."""
    anatomic_region: Code | None = None
    regions_denied: tuple[Code, ...] = ()
    """What single images or frames name where the series has no region: no body part in words may contradict them."""
    laterality: str = ""
    """`L`, `R`, `B` or empty (MAPPING C.6, RULES B6)."""
    started: Moment | None = None
    performing_physicians: tuple[Person, ...] = ()
    operators: tuple[Person, ...] = ()
    equipment: Equipment | None = None
    performed_step: PerformedStep | None = None
    instances: tuple[InstanceFacts, ...] = ()
    elsewhere: ArchiveName = NOWHERE
    """The archive that it was taken from, where that is not the study's home."""
    institution: Institution | None = None
    """Where the series was made (0008,0080), (0008,0082)."""
    custodian: Institution | None = None
    """Who keeps a document, as it says itself: Custodial Organization Sequence (0040,A07C)."""
    patient: PatientFacts | None = None
    """What its images say of the patient (RULES B10); None where none was read, or where they say it each for itself."""
    unshared: tuple[str, ...] = ()
    """Tags of the patient that its images are known not to agree on, where nobody asked each of them."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """Its own, then those that the SOP Classes of its instances fix beside it; each once."""
        own = (self.modality, *sorted({instance.modality for instance in self.instances}))
        return tuple(dict.fromkeys(one for one in own if one))


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceReference:
    """An instance that a document names, by all three of its UIDs (PS3.3 C.17.2.1)."""

    study_uid: str
    series_uid: str
    instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyObject:
    """A Key Object Selection document: its title ((0040,A043), CID 7010), what it selects and where it lies.

    `references` are those of its evidence (0040,A375), of every study that it names; `identical` are its copies in these
    other studies (0040,A525), documents of the same content that speak for themselves."""

    instance_uid: str
    title: Code
    references: tuple[InstanceReference, ...] = ()
    identical: tuple[InstanceReference, ...] = ()


STUDY_TAGS = (
    "0008,0020",  # Study Date
    "0008,0050",  # Accession Number
    "0008,0090",  # Referring Physician's Name
    "0008,1030",  # Study Description
    "0008,1040",  # Institutional Department Name
    "0008,1060",  # Name of Physician(s) Reading Study
    "0020,0010",  # Study ID
    "0032,1060",  # Requested Procedure Description
    "0038,0010",  # Admission ID
    "0040,0243",  # Performed Location
)
"""The same of `StudySnapshot`, the patient apart. What is read of a study without standing here is one image's word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySnapshot:
    """One StudyInstanceUID as it is now (the union of its copies, RULES C8). `archive` is the one whose study-level
    values these are."""

    archive: ArchiveName
    study_uid: StudyInstanceUID
    patient: PatientFacts
    started: Moment | None = None
    study_date: str = ""
    """Raw sort keys for RULES B4 (greatest study by StudyDate, StudyTime, UID): cleaned digits or empty."""
    study_time: str = ""
    description: str = ""
    study_id: str = ""
    accessions: tuple[IssuedId, ...] = ()
    """The study's own first; these lists, down to the reasons, are unions of all that its sources say (RULES B9)."""
    placer_orders: tuple[IssuedId, ...] = ()
    filler_orders: tuple[IssuedId, ...] = ()
    admission: IssuedId | None = None
    referrer: Person | None = None
    interpreters: tuple[Person, ...] = ()
    procedure_codes: tuple[Code, ...] = ()
    procedure_texts: tuple[str, ...] = ()
    reason_codes: tuple[Code, ...] = ()
    reason_texts: tuple[str, ...] = ()
    location_text: str = ""
    series: tuple[SeriesFacts, ...] = ()
    key_objects: tuple[KeyObject, ...] = ()
    unread_key_objects: tuple[str, ...] = ()
    """SOPInstanceUIDs of key objects that are there and could not be read: what they reject is not known (RULES B11)."""
    notes: tuple[Note, ...] = ()
    is_stable: bool = True
    home: ArchiveName = NOWHERE
    """The archive that holds most of its series, where that is not `archive`."""
    patients_elsewhere: tuple[PatientFacts, ...] = ()
    """What the other copies say of the patient (RULES B10, C8)."""

    @property
    def at_home(self) -> ArchiveName:
        """The archive whose Endpoints lead to the study (MAPPING E)."""
        return self.home or self.archive

    @property
    def number_of_instances(self) -> int:
        return sum(len(series.instances) for series in self.series)
