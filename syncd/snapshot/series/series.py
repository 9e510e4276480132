"""One series: the archive's main tags and the full tags of its representative, read as one (MAPPING A.2, RULES A7).

The two may disagree. Number, modality, description and start are what every viewer of the archive shows, so the archive
wins there; everything else is taken from the representative, which is chosen by a rule and not by which instance
happened to arrive first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from syncd.model.snapshot import InstanceFacts, Moment, SeriesFacts
from syncd.model.study.agreement import BODY_PART
from syncd.model.study.raw import RawSeries
from syncd.snapshot.instances.modality import infer_modality, token
from syncd.snapshot.notes import Notes
from syncd.snapshot.people.patient import people
from syncd.snapshot.people.persons import custodian, institution, persons
from syncd.snapshot.series.acquisition import equipment, performed_step
from syncd.snapshot.series.laterality import laterality
from syncd.snapshot.series.region import anatomic_region
from syncd.snapshot.values.agreement import find_denied
from syncd.snapshot.values.dates import moment
from syncd.snapshot.values.main_tags import most_credible
from syncd.snapshot.values.numbers import unsigned_int
from syncd.snapshot.values.tags import (
    MODALITY,
    SERIES_DESCRIPTION,
    SERIES_INSTANCE_UID,
    SERIES_NUMBER,
    SOP_CLASS_UID,
    TIMEZONE_OFFSET,
    Tagset,
    only,
    overlay,
    without,
)
from syncd.snapshot.values.text import values

_PROTOCOL_NAME = "0018,1030"
_ARCHIVE_WINS = (SERIES_INSTANCE_UID, SERIES_NUMBER, MODALITY, SERIES_DESCRIPTION, _PROTOCOL_NAME)
_PERFORMING = "0008,1050"
_PERFORMING_IDENTIFICATION = "0008,1052"
_OPERATORS = "0008,1070"
_OPERATOR_IDENTIFICATION = "0008,1072"
_STARTED = (
    ("0008,0021", "0008,0031"),  # Series Date and Time
    ("0008,0022", "0008,0032"),  # Acquisition Date and Time of the lowest instance
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesReading:
    """A series' own level: both sources as one, and where it stands among the others."""

    raw: RawSeries
    tags: Tagset
    uid: str
    number: int | None
    modality: str

    @property
    def order(self) -> tuple[bool, int, str, str]:
        return (self.number is None, self.number or 0, self.uid, self.raw.orthanc_id)


def read_series(raw: RawSeries, *, sop_classes: Sequence[str], notes: Notes) -> SeriesReading:
    """Lay both sources of a series over each other, as far as its images agree (RULES B9); `sop_classes` are those of its
    instances, in a fixed order."""
    raw = replace(raw, tags=most_credible(raw.tags, read=[raw.representative]))
    gone = find_denied(raw, expected=len(sop_classes), notes=notes)
    raw = replace(raw, representative=without(raw.representative, gone), tags=without(raw.tags, gone))
    archive = only(raw.tags, wanted=_ARCHIVE_WINS)
    tags = Tagset(overlay(archive, lower=overlay(raw.representative, lower=raw.tags)), notes)
    return SeriesReading(
        raw=raw,
        tags=tags,
        uid=tags.text(SERIES_INSTANCE_UID),
        number=unsigned_int(tags.raw(SERIES_NUMBER), note=tags.at(SERIES_NUMBER)),
        modality=_modality(tags, sop_classes=sop_classes),
    )


def series_facts(reading: SeriesReading, *, instances: tuple[InstanceFacts, ...], expected: int) -> SeriesFacts:
    """The series with its instances; `expected` is how many the archive has, unencodable ones included."""
    tags = reading.tags
    # Display only, and by default not even that: what is odd about it is no reason to call the study odd.
    about = Tagset(tags.tags, Notes(tags.notes.reading))
    region, denied_regions = anatomic_region(tags, images=reading.raw.images, expected=expected)
    whose = people(reading.raw, uids=[each.uid for each in instances], reading=tags.notes.reading)
    return SeriesFacts(
        uid=reading.uid,
        number=reading.number,
        modality=reading.modality,
        description=tags.free_text(SERIES_DESCRIPTION) or tags.free_text(_PROTOCOL_NAME),
        body_part=_body_part(tags),
        anatomic_region=region,
        regions_denied=denied_regions,
        laterality=laterality(tags, images=reading.raw.images, expected=expected),
        started=_start_of(reading),
        performing_physicians=persons(tags, names=_PERFORMING, identification=_PERFORMING_IDENTIFICATION),
        operators=persons(tags, names=_OPERATORS, identification=_OPERATOR_IDENTIFICATION),
        equipment=equipment(tags),
        performed_step=performed_step(tags),
        instances=tuple(replace(each, patient=whose.each[each.uid]) for each in instances) if whose.each else instances,
        institution=institution(about),
        custodian=custodian(about),
        patient=whose.all,
        unshared=whose.unshared,
    )


def _modality(tags: Tagset, *, sop_classes: Sequence[str]) -> str:
    """Its token, else what the representative's SOP Class or those of its instances say."""
    note = tags.at(MODALITY)
    return token(tags.raw(MODALITY), note=note) or infer_modality([tags.text(SOP_CLASS_UID), *sop_classes], note=note)


def _start_of(reading: SeriesReading) -> Moment | None:
    """A date and a time count only as a pair of one source: the archive's first, then the representative's."""
    tags = reading.tags
    offset = tags.raw(TIMEZONE_OFFSET)
    sources = [Tagset(each, tags.notes) for each in (reading.raw.tags, reading.raw.representative)]
    for date_tag, time_tag in _STARTED:
        for source in sources:
            note = tags.at(date_tag)
            found = moment(source.raw(date_tag), time_text=source.raw(time_tag), offset_text=offset, note=note)
            if found is not None:
                return found
    return None


def _body_part(tags: Tagset) -> str:
    parts = values(tags.raw(BODY_PART))
    if len(parts) > 1:
        tags.notes.add(BODY_PART, rule="C.6", done="left out: several body parts", safety=True)
    return parts[0] if len(parts) == 1 else ""
