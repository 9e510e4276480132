"""Snapshots to map: the study of MAPPING K, small variations of it, and (for properties) any that the archive could give."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from syncd.mapping.policy import ArchivePolicy, MappingPolicy
from syncd.mapping.resources.companions import companions, references_to
from syncd.mapping.resources.imagingstudy import available_study
from syncd.mapping.resources.patient import subject
from syncd.mapping.values.identity import patient_key
from syncd.model.ids import ArchiveName, StudyInstanceUID
from syncd.model.snapshot import (
    Code,
    Equipment,
    InstanceFacts,
    Institution,
    IssuedId,
    Issuer,
    Moment,
    NameGroup,
    PatientFacts,
    PerformedStep,
    Person,
    PersonName,
    SeriesFacts,
    StudySnapshot,
)

ORTHANC = ArchiveName("orthanc")
STUDY_UID = StudyInstanceUID("2.25.100000000000000000000000000000000001")
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"

POLICY = MappingPolicy(
    archive=ArchivePolicy(name=ORTHANC, dicomweb_url="https://archive.example.org/dicom-web", timezone="Europe/Berlin")
)


def person(family: str, given: str = "", **more: Any) -> Person:
    return Person(name=PersonName(alphabetic=NameGroup(family=family, given=given)), **more)


def golden_study() -> StudySnapshot:
    """One CT series of two images and one KO "Of Interest" (MAPPING K)."""
    image = InstanceFacts(
        uid="2.25.100000000000000000000000000000000101", sop_class=CT_IMAGE, number=1, title="ORIGINAL\\PRIMARY\\AXIAL"
    )
    return StudySnapshot(
        archive=ORTHANC,
        study_uid=STUDY_UID,
        patient=PatientFacts(
            ids=(IssuedId(value="P-1", issuer=Issuer(local="HOSP-A")),),
            names=(PersonName(alphabetic=NameGroup(family="Doe", given="Jane")),),
            gender="female",
            birth_date="1970-02-03",
        ),
        started=Moment(date="2026-03-01", time="09:15:00", offset="+01:00"),
        study_date="20260301",
        study_time="091500",
        description="CT Thorax",
        accessions=(IssuedId(value="A1001", issuer=Issuer(universal_id="2.25.77", universal_type="ISO")),),
        referrer=person("Ruiz", "Ana"),
        series=(
            SeriesFacts(
                uid="2.25.100000000000000000000000000000000011",
                number=2,
                modality="CT",
                description="Thorax 1.0",
                body_part="CHEST",
                started=Moment(date="2026-03-01", time="09:16:30", offset="+01:00"),
                performing_physicians=(person("Lang"),),
                instances=(image, replace(image, uid="2.25.100000000000000000000000000000000102", number=2)),
            ),
            SeriesFacts(
                uid="2.25.100000000000000000000000000000000012",
                number=99,
                modality="KO",
                started=Moment(date="2026-03-01", time="10:40:00", offset="+01:00"),
                instances=(
                    InstanceFacts(
                        uid="2.25.100000000000000000000000000000000201",
                        sop_class=KEY_OBJECTS,
                        number=1,
                        title="Of Interest",
                    ),
                ),
            ),
        ),
    )


def study(**changed: Any) -> StudySnapshot:
    """A plain study of one CT image, with some facts changed."""
    plain = StudySnapshot(
        archive=ORTHANC, study_uid=STUDY_UID, patient=PatientFacts(ids=(IssuedId(value="P-1"),)), series=(series(),)
    )
    return replace(plain, **changed)


def series(**changed: Any) -> SeriesFacts:
    """A plain CT series of one image, with some facts changed."""
    return replace(SeriesFacts(uid="2.25.11", number=1, modality="CT", instances=(instance(),)), **changed)


def instance(**changed: Any) -> InstanceFacts:
    return replace(InstanceFacts(uid="2.25.101", sop_class=CT_IMAGE, number=1), **changed)


def with_series(*listed: SeriesFacts) -> StudySnapshot:
    return study(series=listed)


def archive(**changed: Any) -> MappingPolicy:
    """The policy with some of the archive's settings changed."""
    return replace(POLICY, archive=replace(POLICY.archive, **changed))


def mapped(snapshot: StudySnapshot, policy: MappingPolicy = POLICY, **more: Any) -> dict[str, Any]:
    """The `available` resource with a literal subject; `dialect` chooses the FHIR version."""
    key = patient_key(snapshot, policy=policy)
    return available_study(snapshot, subject=subject(key, snapshot, literal="Patient/p-1"), policy=policy, **more)


WANTED: dict[str, Any] = {
    "practitioner_from_name": "resource",
    "write_devices": True,
    "write_procedures": True,
    "body_structure": True,
}
"""Every optional companion (MAPPING J)."""

SCANNER = Equipment(
    uid="2.25.900", manufacturer="Acme", model="Scan 3", serial="S-17", versions=("1.2", "R7"), station="CT1"
)
STEP = PerformedStep(
    uids=("2.25.800",),
    started=Moment(date="2026-03-01", time="09:15:00", offset="+01:00"),
    ended=Moment(date="2026-03-01", time="09:40:00", offset="+01:00"),
    description="CT chest",
)
COLLEAGUE = Code(value="4711", scheme="99STAFF", scheme_uid="2.25.5")


def full_study() -> StudySnapshot:
    """The golden study with everything that leads to a companion."""
    golden = golden_study()
    ct, ko = golden.series
    return replace(
        golden,
        referrer=person("Ruiz", "Ana", identifiers=(COLLEAGUE,)),
        interpreters=(person("Lang"),),
        procedure_codes=(Code(value="24627-2", scheme="LN", meaning="CT Chest"),),
        series=(replace(ct, laterality="L", equipment=SCANNER, performed_step=STEP), ko),
    )


def beside(
    snapshot: StudySnapshot, policy: MappingPolicy, version: str, *, who: dict[str, Any] | None = None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The companions of a study, and the study that refers to all of them."""
    key = patient_key(snapshot, policy=policy)
    who = who or subject(key, snapshot, literal="Patient/p-1", fhir_version=version)
    found = companions(snapshot, subject=who, policy=policy, fhir_version=version)
    said = available_study(snapshot, subject=who, policy=policy, dialect=version, there=references_to(found))
    return list(found), said


# What the room `snapshot` promises: text without controls and outer blanks, numbers in range, dates of the calendar.
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20).map(str.strip)
said = texts.filter(bool)
# Below an arc that somebody can own: HAPI's validator refuses `urn:oid:1.2.840` and the like, though FHIR allows them.
oids = st.lists(st.integers(0, 10**6), min_size=1, max_size=6).map(lambda arcs: ".".join(["2.25", *map(str, arcs)]))
uids = st.lists(st.from_regex(re.compile(r"[0-9]{1,6}", re.ASCII), fullmatch=True), min_size=2, max_size=7).map(".".join)
numbers = st.none() | st.integers(0, 2147483647)
dates = st.dates().map(lambda day: day.isoformat())
times = st.times().map(lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000).isoformat("milliseconds"))
moments = st.builds(
    Moment,
    date=dates | dates.map(lambda date: date[:7]),
    time=st.just("") | times,
    offset=st.sampled_from(["", "+00:00", "-13:59", "+14:00"]),
)
issuers = st.builds(
    Issuer,
    local=texts | st.just("HOSP-A"),
    universal_id=st.one_of(texts, oids, st.uuids().map(str), st.sampled_from(["urn:oid:1.02.3", "http://x.example/y"])),
    universal_type=st.sampled_from(["", "DNS", "ISO", "UUID", "URI"]),
)
issued = st.builds(IssuedId, value=said, issuer=st.none() | issuers, type_code=st.sampled_from(["", "MR", "PI", "odd"]))
name_groups = st.builds(NameGroup, family=texts, given=texts, middle=texts, prefix=texts, suffix=texts, text=texts)
names = st.builds(
    PersonName,
    alphabetic=st.none() | name_groups,
    ideographic=st.none() | name_groups,
    phonetic=st.none() | name_groups,
)
# DICOM's own codes are real ones: a server with a list of them calls any other an error (docs/decisions/modalities.md).
code_entries = st.builds(
    Code,
    value=texts | st.sampled_from(["T-D3000", "51185008"]),
    scheme=st.sampled_from(["SCT", "SRT", "99HOSP", "L", ""]),
    meaning=texts,
    scheme_uid=st.just("") | oids | texts,
) | st.builds(Code, value=st.sampled_from(["113014", "113000"]), scheme=st.just("DCM"), meaning=texts)
persons = st.builds(Person, name=names, identifiers=st.lists(code_entries, max_size=2).map(tuple))
people = st.lists(persons, max_size=2).map(tuple)
machines = st.builds(
    Equipment,
    uid=st.just("") | oids | texts,
    manufacturer=texts,
    model=texts,
    serial=texts,
    versions=st.lists(said, max_size=2).map(tuple),
    station=texts,
)
steps = st.builds(
    PerformedStep,
    uids=st.lists(uids | said, max_size=2).map(tuple),
    started=st.none() | moments,
    ended=st.none() | moments,
    description=texts,
)
instances = st.builds(
    InstanceFacts,
    uid=uids | texts,
    sop_class=uids | texts,
    number=numbers,
    title=texts,
    frames=st.none() | st.integers(1, 2147483647),
)
institutions = st.none() | st.builds(Institution, name=texts, code=st.none() | code_entries)
listed_series = st.builds(
    SeriesFacts,
    uid=uids | texts,
    number=numbers,
    modality=st.sampled_from(["CT", "MR", "KO", "DS", ""]) | texts,
    description=texts,
    body_part=st.sampled_from(["CHEST", "ABDOMEN", ""]) | texts,
    anatomic_region=st.none() | code_entries,
    laterality=st.sampled_from(["", "L", "R", "B"]),
    started=st.none() | moments,
    performing_physicians=people,
    operators=people,
    equipment=st.none() | machines,
    performed_step=st.none() | steps,
    instances=st.lists(instances, max_size=3).map(tuple),
    institution=institutions,
    custodian=institutions,
)
orders = st.lists(issued, max_size=2).map(tuple)
patients = st.builds(
    PatientFacts,
    ids=orders,
    names=st.lists(names, max_size=2).map(tuple),
    gender=st.sampled_from(["", "male", "female", "other", "unknown"]),
    birth_date=st.just("") | dates | dates.map(lambda date: date[:4]),
    retired_ids=st.lists(said, max_size=2).map(tuple),
)
snapshots = st.builds(
    StudySnapshot,
    archive=st.just(ORTHANC),
    study_uid=uids.map(StudyInstanceUID),
    patient=patients,
    started=st.none() | moments,
    description=texts,
    study_id=texts,
    accessions=orders,
    placer_orders=orders,
    filler_orders=orders,
    admission=st.none() | issued,
    referrer=st.none() | persons,
    interpreters=people,
    procedure_codes=st.lists(code_entries, max_size=2).map(tuple),
    procedure_texts=st.lists(texts, max_size=2).map(tuple),
    reason_codes=st.lists(code_entries, max_size=2).map(tuple),
    reason_texts=st.lists(texts, max_size=2).map(tuple),
    location_text=texts,
    series=st.lists(listed_series, max_size=3).map(lambda made: (series(), *made)),
)
policies = st.builds(
    MappingPolicy,
    archive=st.builds(
        ArchivePolicy,
        name=st.just(ORTHANC),
        dicomweb_url=st.sampled_from(["", "https://archive.example.org/dicom-web"]),
        viewer_url=st.sampled_from(["", "https://view.example.org/app"]),
        timezone=st.sampled_from(["", "Europe/Berlin", "Pacific/Kiritimati", "America/St_Johns"]),
        patient_id_system=st.sampled_from(["", "urn:oid:2.16.840.1.113883.2.1"]),
        accession_system=st.sampled_from(["", "http://hosp.example/accession"]),
        study_id_system=st.sampled_from(["", "http://hosp.example/study"]),
        issuers=st.sampled_from([{}, {"HOSP-A": "http://hosp.example/a"}]),
        other_patient_ids_system=st.sampled_from(["", "http://hosp.example/other"]),
        retrieve_location_uid=st.sampled_from(["", "2.25.4"]),
    ),
    bad_uid=st.just("verbatim"),
    modality_scope=st.sampled_from(["all", "acquisition"]),
    max_instances=st.sampled_from([1, 10000]),
    practitioner_from_name=st.sampled_from(["display", "resource"]),
    write_devices=st.booleans(),
    write_procedures=st.booleans(),
    body_structure=st.booleans(),
    accession_in_identifier=st.sampled_from([None, True, False]),
    map_retired=st.booleans(),
    site_modality_system=st.sampled_from(["", "http://hosp.example/modality"]),
    list_manifest=st.booleans(),
)
