"""What is not said of a study of which the archive could not give everything (RULES B11).

One file that is lost or too large costs what only it can tell, never its study. Nobody knows what it may have told: a
side that the other images do not have, an issuer that makes the patient's number another one, a rejection. Whatever
could be wrong without it is left out, and the operator is told.
"""

from __future__ import annotations

from dataclasses import replace

from syncd.model.snapshot import SeriesFacts
from syncd.model.study.agreement import LATERALITY
from syncd.model.study.raw import RawStudy, Tags
from syncd.snapshot.instances.sop_classes import CONCEPT_NAME, KEY_OBJECT_SELECTION
from syncd.snapshot.notes import Notes
from syncd.snapshot.values.tags import SERIES_INSTANCE_UID, SOP_INSTANCE_UID, has_value
from syncd.snapshot.values.text import clean

_DOCUMENT_MODALITIES = frozenset({"KO", "PR", "SR", "DOC"})
_ISSUED = {"0010,0020": "patient ids", "0010,1000": "other patient ids", "0008,0050": "accession number"}
"""Numbers that mean nothing without their issuer, which only a file can name; and what a note calls them."""

_RULE = "RULES B11"


def note_unread(raw: RawStudy, *, notes: Notes) -> None:
    """Say what the pass should have read and did not: an instance's series cannot be guessed, nor a key object's title."""
    listed = {each.orthanc_id for each in raw.series}
    for each in raw.instances:
        if each.series_id not in listed:
            notes.count(SERIES_INSTANCE_UID, rule="A7", done="instances left out: their series was not listed")
        if clean(each.sop_class_uid) == KEY_OBJECT_SELECTION and each.orthanc_id not in raw.documents:
            notes.count(CONCEPT_NAME, rule="A7", done="key objects not read: what they reject is unknown", safety=True)
    for why in raw.unread.values():
        notes.count(SOP_INSTANCE_UID, rule=_RULE, done=f"instances not read in full: {why.value}")


def unread_key_objects(raw: RawStudy) -> tuple[str, ...]:
    """SOPInstanceUIDs of the key objects that are there and were not read."""
    found = (
        clean(each.tags.get(SOP_INSTANCE_UID))
        for each in raw.instances
        if clean(each.sop_class_uid) == KEY_OBJECT_SELECTION and each.orthanc_id not in raw.documents
    )
    return tuple(sorted({uid for uid in found if uid}))


def main_tags_shown(raw: RawStudy, *, notes: Notes) -> Tags:
    """The study's main tags without the numbers of which nobody knows who issued them, as no file could be read."""
    if not raw.is_blind:
        return raw.header.main_tags
    for tag, called in _ISSUED.items():
        if has_value(raw.header.main_tags.get(tag)):
            notes.add(tag, rule=_RULE, done=f"{called} left out: no file could be read to tell the issuer", safety=True)
    return {tag: value for tag, value in raw.header.main_tags.items() if tag not in _ISSUED}


def obscure_series(raw: RawStudy) -> frozenset[str]:
    """Orthanc ids of the series that hold an instance which was to be read and was not."""
    return frozenset(each.series_id for each in raw.instances if each.orthanc_id in raw.unread)


def without_side(series: SeriesFacts, *, region_known: bool, notes: Notes) -> SeriesFacts:
    """The series without side and region, which the image that was not read may contradict (RULES B6, B9)."""
    if series.modality in _DOCUMENT_MODALITIES:
        return series
    done = "side and region left out: not every image that should tell could be read"
    notes.add(LATERALITY, rule=_RULE, done=done, safety=True)
    return replace(series, laterality="", anatomic_region=None, body_part=series.body_part if region_known else "")
