"""Raw answers → `StudySnapshot`: what one copy of a study is now.

The idea: whatever the archive answers, a snapshot comes out, for a value that cannot be used costs that value and
leaves a note, never the study. No single file speaks for the study's own level: what the archive keeps as main tags is
the truth that everybody sees, and what it does not keep (codes, issuers, the offset from UTC) is read from one series'
representative, an image's wherever the study has images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from syncd.model.ids import StudyInstanceUID
from syncd.model.snapshot import STUDY_TAGS, InstanceFacts, SeriesFacts, StudySnapshot
from syncd.model.study.agreement import LISTED, PATIENT
from syncd.model.study.raw import RawInstance, RawStudy, Tags
from syncd.model.study.reading import Reading
from syncd.snapshot.instances.instances import instance_facts, is_encodable, note_series_left_out, order_instances
from syncd.snapshot.instances.key_objects import key_objects
from syncd.snapshot.notes import Notes
from syncd.snapshot.orders import (
    accessions,
    admission,
    filler_orders,
    placer_orders,
    procedure_codes,
    procedure_texts,
    reason_codes,
    reason_texts,
)
from syncd.snapshot.people.patient import patient_facts
from syncd.snapshot.people.persons import person, persons
from syncd.snapshot.series.series import SeriesReading, read_series, series_facts
from syncd.snapshot.unread import main_tags_shown, note_unread, obscure_series, unread_key_objects, without_side
from syncd.snapshot.values.agreement import drop_denied
from syncd.snapshot.values.dates import date, moment, sort_digits
from syncd.snapshot.values.main_tags import most_credible
from syncd.snapshot.values.tags import (
    PATIENT_NAME,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_DATE,
    STUDY_DESCRIPTION,
    STUDY_TIME,
    TIMEZONE_OFFSET,
    Tagset,
    has_value,
    only,
    overlay,
)
from syncd.snapshot.values.text import clean

_STUDY_ID = "0020,0010"
_REFERRER = "0008,0090"
_REFERRER_IDENTIFICATION = "0008,0096"
_INTERPRETERS = "0008,1060"
_INTERPRETER_IDENTIFICATION = "0008,1062"
_LOCATION_TEXTS = ("0008,1040", "0040,0243")

_NOT_IMAGES = frozenset({"KO", "PR", "SR"})
"""Documents are made later and elsewhere: their study-level values speak for the study only if nothing else does."""


def build(raw: RawStudy, *, reading: Reading | None = None) -> StudySnapshot:
    """What the study is now; a light `raw` (RULES A6: no instances, one representative) gives its study level.

    `reading` is the site's word on what can be read in two ways; the default is MAPPING's.
    """
    notes = Notes(reading)
    members = _members(raw.instances)
    series = _ordered_series(raw, members=members, notes=notes)
    documents = [Tagset(raw.documents[orthanc_id], notes) for orthanc_id in sorted(raw.documents)]
    note_unread(raw, notes=notes)

    lead = _lead(series)
    everybody = (tags for each in series for tags in _tags_of(each))
    known = most_credible(main_tags_shown(raw, notes=notes), read=(lead, *everybody, *raw.documents.values()))
    _note_contradictions(raw, known=known, notes=notes)
    speakers = [each.raw for each in _speakers(series)]
    study = Tagset(drop_denied(overlay(known, lower=lead), series=speakers, notes=notes), notes)
    # A date and its time are a pair of one source; series dates are never promoted (MAPPING I case 1).
    day = Tagset(raw.header.main_tags if has_value(raw.header.main_tags.get(STUDY_DATE)) else lead, notes)
    # Main tags apart from the rest: an issuer goes with the number of its own level only.
    levels = [Tagset(known, notes), Tagset(lead, notes)]
    levels += [*(Tagset(tags, notes) for tags in _differing_instances(series)), *documents]
    return StudySnapshot(
        archive=raw.header.archive,
        study_uid=StudyInstanceUID(clean(raw.header.study_uid)),
        patient=patient_facts(study, everywhere=levels),
        started=moment(
            day.raw(STUDY_DATE),
            time_text=day.raw(STUDY_TIME),
            offset_text=study.raw(TIMEZONE_OFFSET),
            note=notes.at(STUDY_DATE),
        ),
        study_date=date(day.raw(STUDY_DATE)).replace("-", ""),
        study_time=sort_digits(day.raw(STUDY_TIME)),
        description=study.free_text(STUDY_DESCRIPTION),
        study_id=study.text(_STUDY_ID),
        accessions=accessions(levels),
        placer_orders=placer_orders(levels),
        filler_orders=filler_orders(levels),
        admission=admission(study),
        referrer=person(study, name=_REFERRER, identification=_REFERRER_IDENTIFICATION),
        interpreters=persons(study, names=_INTERPRETERS, identification=_INTERPRETER_IDENTIFICATION),
        procedure_codes=procedure_codes(levels),
        procedure_texts=procedure_texts(levels),
        reason_codes=reason_codes(levels),
        reason_texts=reason_texts(levels),
        location_text=next((text for tag in _LOCATION_TEXTS if (text := study.free_text(tag))), ""),
        series=_all_series(series, members=members, raw=raw, notes=notes),
        key_objects=key_objects(documents),
        unread_key_objects=unread_key_objects(raw),
        notes=notes.in_order(),
        is_stable=raw.header.is_stable,
    )


def _members(instances: Iterable[RawInstance]) -> Mapping[str, Sequence[RawInstance]]:
    """The instances by the Orthanc id of their series."""
    members: dict[str, list[RawInstance]] = {}
    for each in instances:
        members.setdefault(each.series_id, []).append(each)
    return members


def _ordered_series(raw: RawStudy, *, members: Mapping[str, Sequence[RawInstance]], notes: Notes) -> list[SeriesReading]:
    found = []
    for each in raw.series:
        sop_classes = sorted(clean(instance.sop_class_uid) for instance in members.get(each.orthanc_id, ()))
        found.append(read_series(each, sop_classes=sop_classes, notes=notes))
    return sorted(found, key=lambda each: each.order)


def _lead(series: Sequence[SeriesReading]) -> Tags:
    """The full tags that speak for the study: of the first series in order, of images where there are any."""
    return next((each.raw.representative for each in _speakers(series)), {})


def _speakers(series: Sequence[SeriesReading]) -> list[SeriesReading]:
    """The series that were read and may speak for the study: those of images, where there are any."""
    readable = [each for each in series if each.raw.representative]
    return [each for each in readable if each.modality not in _NOT_IMAGES] or readable


def _all_series(
    series: Sequence[SeriesReading],
    *,
    members: Mapping[str, Sequence[RawInstance]],
    raw: RawStudy,
    notes: Notes,
) -> tuple[SeriesFacts, ...]:
    """Every series that FHIR can name, in order; two that differ only in their UID's padding are one."""
    obscure = obscure_series(raw)
    by_uid: dict[str, list[SeriesReading]] = {}
    for each in series:
        if is_encodable(each.uid):
            by_uid.setdefault(each.uid, []).append(each)
        else:
            note_series_left_out(instances=len(members.get(each.raw.orthanc_id, ())), notes=notes)
    facts = []
    for same in by_uid.values():
        if len(same) > 1:
            notes.add(SERIES_INSTANCE_UID, rule="A.2", done="duplicate SeriesInstanceUID: one series")
        raws = [one for each in same for one in members.get(each.raw.orthanc_id, ())]
        read = _images_read(same)
        found = (
            instance_facts(
                one,
                document=raw.documents.get(one.orthanc_id),
                image=_image(one, read),
                series_modality=same[0].modality,
                notes=notes,
            )
            for one in raws
        )
        instances = order_instances((each for each in found if each is not None), notes=notes)
        shown = series_facts(same[0], instances=instances, expected=len(raws))
        if any(each.raw.orthanc_id in obscure for each in same):
            shown = without_side(shown, region_known=bool(same[0].raw.representative), notes=notes)
        facts.append(shown)
    _note_shared_instances(facts, notes=notes)
    return tuple(facts)


def _differing_instances(series: Iterable[SeriesReading]) -> list[Tags]:
    """Of all instances that were read, those that do not repeat what another says of orders and identifiers."""
    read = (tags for each in series for tags in _tags_of(each))
    return list({repr(only(tags, wanted=(*PATIENT, *STUDY_TAGS, *LISTED))): tags for tags in reversed(list(read))}.values())[
        ::-1
    ]


def _tags_of(series: SeriesReading) -> tuple[Tags, ...]:
    """The tags of those instances of a series that were read, its representative's first."""
    return (series.raw.representative, *series.raw.images)


def _images_read(series: Iterable[SeriesReading]) -> Mapping[str, Tags]:
    """The same by SOPInstanceUID; of two of one UID always the same one, however they come."""
    read: dict[str, Tags] = {}
    for tags in (tags for each in series for tags in _tags_of(each)):
        uid = clean(tags.get(SOP_INSTANCE_UID))
        if uid not in read or repr(read[uid]) < repr(tags):
            read[uid] = tags
    return read


def _image(raw: RawInstance, read: Mapping[str, Tags]) -> Tags:
    return read.get(clean(raw.tags.get(SOP_INSTANCE_UID)), {})


def _note_shared_instances(series: Iterable[SeriesFacts], *, notes: Notes) -> None:
    """One SOPInstanceUID in two series is two objects in the archive, and stays in both."""
    instances: Iterable[InstanceFacts] = (instance for each in series for instance in each.instances)
    for times in Counter(instance.uid for instance in instances).values():
        if times > 1:
            notes.count(SOP_INSTANCE_UID, rule="A.3", done="SOPInstanceUID in several series: kept in each")


def _note_contradictions(raw: RawStudy, *, known: Tags, notes: Notes) -> None:
    """Values that should be one per study and are not (MAPPING I case 62): the archive's stands."""
    said = (known, *(each.representative for each in raw.series))
    for tag in (STUDY_DESCRIPTION, PATIENT_NAME, STUDY_DATE):
        kept, *others = (Tagset(tags, Notes(notes.reading)).text(tag) for tags in said)
        if kept and {*others} - {"", kept}:
            notes.add(tag, rule="I-62", done="differs within the study: the archive's value kept")
