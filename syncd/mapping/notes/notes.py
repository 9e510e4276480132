"""What was odd about a study for the mapping, and what was done: for `explain`, `render --notes` and counters.

The snapshot notes odd DICOM values; here is what FHIR or the settings could not take. A note says enough without a
value (RULES S1): it names tag, rule and action, and equal ones become one with their number, so that a study of ten
thousand odd instances has one line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from syncd.errors import StudyError
from syncd.mapping.notes.unsaid import unsaid_notes
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.profiles.guides import GUIDES
from syncd.mapping.resources.companions import companions, references_to
from syncd.mapping.resources.device import device_id
from syncd.mapping.resources.imagingstudy import encodable, listed_series, modality_of, whole
from syncd.mapping.resources.procedure import ends_before_it_starts, procedure_ids
from syncd.mapping.values.identifiers import accession_authority, order_authority
from syncd.mapping.values.identity import patient_authority, primary_id
from syncd.mapping.values.moments import lacks_zone, lies_in_gap
from syncd.mapping.values.people import practitioner
from syncd.mapping.values.systems import authority
from syncd.mapping.values.terms import body_site, coded_procedures, is_site_contradicted
from syncd.model.ids import is_uid
from syncd.model.snapshot import IssuedId, Moment, Note, Person, SeriesFacts, StudySnapshot


def notes(snapshot: StudySnapshot, *, policy: MappingPolicy, fhir_version: str = "r4") -> tuple[Note, ...]:
    """The mapping's own notes, in the order of the resource's elements; `snapshot.notes` are not repeated. What the
    version cannot say, and what the site's profile misses, comes last."""
    counted = Counter(_all(snapshot, policy=policy))
    counted.update(_unsaid_notes(snapshot, policy=policy, fhir_version=fhir_version))
    return tuple(
        replace(note, done=f"{note.done} ({times} times)") if times > 1 else note for note, times in counted.items()
    )


def _is_fully_said(policy: MappingPolicy, *, fhir_version: str) -> bool:
    """Whether the version has an element for everything, and no profile wants more: then there is nothing to note."""
    return fhir_version in ("r4", "r4b") and (policy.profile, fhir_version) not in GUIDES


def _unsaid_notes(snapshot: StudySnapshot, *, policy: MappingPolicy, fhir_version: str) -> Iterator[Note]:
    """As if all companions were there: what the loop cannot write, it tells itself. Nothing of a study that cannot be
    published at all: it is parked with its own reason."""
    if _is_fully_said(policy, fhir_version=fhir_version):
        return
    there = references_to(companions(snapshot, subject={}, policy=policy, fhir_version=fhir_version))
    try:
        said = whole(snapshot, subject={}, policy=policy, there=there)
    except StudyError:
        return
    yield from unsaid_notes(said, fhir_version=fhir_version)


def _all(snapshot: StudySnapshot, *, policy: MappingPolicy) -> Iterator[Note]:
    shown = listed_series(snapshot, policy=policy)
    yield from _of_identifiers(snapshot, policy=policy)
    yield from _of_moment("0008,0020", snapshot.started, zone=policy.of(snapshot.archive).timezone)
    yield from _of_people(snapshot)
    yield from _of_what_is_left_out(snapshot, encodable(snapshot.series))
    for _ in range(sum(len(one.instances) for one in encodable(snapshot.series)) - sum(len(one.instances) for one in shown)):
        yield Note(tag="0040,a043", rule="D.2", done="manifest left out and not counted")
    yield from _of_procedures(snapshot, shown, policy=policy)
    for series in shown:
        yield from _of_series(series, zone=policy.of(series.elsewhere or snapshot.at_home).timezone, policy=policy)
    instances = sum(len(series.instances) for series in shown)
    if instances > policy.max_instances:
        yield Note(tag="", rule="F.6", done="summary form: more instances than max_instances")


def _of_identifiers(snapshot: StudySnapshot, *, policy: MappingPolicy) -> Iterator[Note]:
    archive = policy.of(snapshot.archive)
    if not is_uid(snapshot.study_uid):
        yield Note(tag="0020,000d", rule="RULES C1", done="not a UID: published under a hashed id, if at all")
    if primary_id(snapshot) is None:
        yield Note(tag="0010,0020", rule="I-11", done="no PatientID: the patient is unidentified", safety=True)
    yield from _without_systems(snapshot, policy=policy)
    if snapshot.patient.retired_ids and not archive.other_patient_ids_system:
        yield Note(tag="0010,1000", rule="B (0010,1000)", done="other patient ids left out: no system configured")
    admission = snapshot.admission
    if admission is not None and not authority(admission.issuer, issuers=archive.issuers).system:
        yield Note(tag="0038,0010", rule="B", done="encounter left out: no issuer with a system")
    if snapshot.study_id and not archive.study_id_system:
        yield Note(tag="0020,0010", rule="B", done="StudyID left out: no system configured")


def _without_systems(snapshot: StudySnapshot, *, policy: MappingPolicy) -> Iterator[Note]:
    """Numbers of which nobody tells who issued them."""
    for issued in snapshot.patient.ids:
        if not patient_authority(issued, archive=policy.of(issued.elsewhere or snapshot.archive)).system:
            yield _without_system("0010,0020", issued)
    for issued in snapshot.accessions:
        if not accession_authority(issued, snapshot, policy=policy).system:
            yield _without_system("0008,0050", issued)
    for tag, orders in (("0040,2016", snapshot.placer_orders), ("0040,2017", snapshot.filler_orders)):
        for issued in orders:
            if not order_authority(issued, snapshot, policy=policy).system:
                yield _without_system(tag, issued)


def _without_system(tag: str, issued: IssuedId) -> Note:
    why = "issuer not mapped" if issued.issuer else "no issuer and no system configured"
    return Note(tag=tag, rule="B", done=f"identifier without a system: {why}")


def _of_moment(tag: str, moment: Moment | None, *, zone: str) -> Iterator[Note]:
    if lies_in_gap(moment, timezone=zone):
        yield Note(tag=tag, rule="C.1-7", done="time in the hour that was skipped: offset before it taken")
    elif lacks_zone(moment, timezone=zone):
        yield Note(tag=tag, rule="C.1-7", done="date only: no offset (0008,0201) and no usable time zone configured")


def _of_people(snapshot: StudySnapshot) -> Iterator[Note]:
    referrers = (snapshot.referrer,) if snapshot.referrer else ()
    for tag, persons in (("0008,0090", referrers), ("0008,1060", snapshot.interpreters)):
        yield from _unshown(tag, persons)


def _unshown(tag: str, persons: tuple[Person, ...]) -> Iterator[Note]:
    for person in persons:
        if practitioner(person) is None:
            yield Note(tag=tag, rule="C.2", done="person left out: no name to show")


def _of_what_is_left_out(snapshot: StudySnapshot, kept_series: tuple[SeriesFacts, ...]) -> Iterator[Note]:
    """Everything that is not listed is told, never silently lost (MAPPING A.2)."""
    kept = {series.uid: len(series.instances) for series in kept_series}
    for series in snapshot.series:
        missing = len(series.instances) - kept.get(series.uid, 0)
        if series.uid not in kept:
            yield Note(tag="0020,000e", rule="A.2", done="unencodable: series left out")
        for _ in range(missing):
            yield Note(tag="0008,0018", rule="A.2", done="unencodable: instance left out and not counted")


def _of_series(series: SeriesFacts, *, zone: str, policy: MappingPolicy) -> Iterator[Note]:
    token = modality_of(series, policy=policy)
    if token is None:
        yield Note(tag="0008,0060", rule="C.7", done="modality unknown: said as data-absent-reason")
    elif not token.code:
        yield Note(tag="0008,0060", rule="C.7", done="not a DICOM modality: shown as text")
    for instance in series.instances:
        if instance.modality:
            yield Note(tag="0008,0060", rule="C.7", done="SOP class of another modality than its series'")
    if is_site_contradicted(series):
        yield Note(tag="0018,0015", rule="C.6", done="left out: an image names another region by code", safety=True)
    site = body_site(series)
    if site is not None and not site.code:
        tag = "0008,2218" if series.anatomic_region else "0018,0015"
        yield Note(tag=tag, rule="C.6", done="body part without a known code: shown as text")
    yield from _of_moment("0008,0021", series.started, zone=zone)
    yield from _unshown("0008,1050", series.performing_physicians)
    yield from _unshown("0008,1070", series.operators)
    yield from _of_equipment(series, policy=policy)
    for instance in series.instances:
        if not is_uid(instance.sop_class):
            yield Note(tag="0008,0016", rule="I-27", done="SOP class missing or not a UID: said as data-absent-reason")


def _of_equipment(series: SeriesFacts, *, policy: MappingPolicy) -> Iterator[Note]:
    """Odd only where Devices are wanted (MAPPING J.2)."""
    if policy.write_devices and series.equipment is not None:
        yield from series.equipment.notes
        if not device_id(series.equipment):
            yield Note(tag="0018,1000", rule="J.2", done="equipment that cannot be told from others: in words")


def _of_procedures(snapshot: StudySnapshot, shown: tuple[SeriesFacts, ...], *, policy: MappingPolicy) -> Iterator[Note]:
    """Odd only where Procedures are wanted (MAPPING J.4)."""
    if not policy.write_procedures:
        return
    if len(coded_procedures(snapshot)) > 1 and procedure_ids(snapshot):
        yield Note(tag="0008,1032", rule="J.4", done="several procedure codes: the Procedure has the first")
    for step in dict.fromkeys(series.performed_step for series in shown if series.performed_step is not None):
        yield from step.notes
        for uid in step.uids:
            if not is_uid(uid):
                yield Note(tag="0008,1111", rule="J.4", done="not a UID: no Procedure for this step")
        if ends_before_it_starts(step, timezone=policy.of(snapshot.archive).timezone):
            yield Note(tag="0040,0250", rule="J.4", done="end left out: before the start")
