"""The instances of a study: uid, SOP Class, number, frames and title (MAPPING A.3).

None is lost by accident, and each that is left out on purpose is told. The only reason to leave one out is a UID that
no FHIR id can hold (A.2); it is not counted then. A missing SOP Class or number costs the value, never the instance.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from syncd.model.snapshot import InstanceFacts
from syncd.model.study.raw import RawInstance, Tags
from syncd.snapshot.instances.modality import token
from syncd.snapshot.instances.sop_classes import CONCEPT_NAME, DOCUMENT_TITLE, other_modality, title_tag
from syncd.snapshot.notes import Notes
from syncd.snapshot.values.codes import code
from syncd.snapshot.values.numbers import number_of_frames, unsigned_int
from syncd.snapshot.values.tags import (
    INSTANCE_NUMBER,
    MODALITY,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    Tagset,
)
from syncd.snapshot.values.text import clean

UNENCODABLE = "A.2 unencodable"

_NUMBER_OF_FRAMES = "0028,0008"
_IMAGE_TYPE = "0008,0008"
_FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def is_encodable(uid: str) -> bool:
    """Whether a series or instance UID can be said in FHIR, where its type is `id`."""
    return _FHIR_ID.fullmatch(uid) is not None


def instance_facts(
    raw: RawInstance, *, document: Tags | None, image: Tags | None = None, series_modality: str = "", notes: Notes
) -> InstanceFacts | None:
    """One instance; None if its UID is unencodable. `document` holds the full tags of a document that was read, `image`
    those of an image that was; `series_modality` is what its series says."""
    tags = Tagset(raw.tags, notes)
    uid = tags.text(SOP_INSTANCE_UID)
    if not is_encodable(uid):
        notes.count(SOP_INSTANCE_UID, rule=UNENCODABLE, done="instances left out")
        return None
    full = Tagset(document, notes) if document else None
    sop_class = clean(raw.sop_class_uid) or (full.text(SOP_CLASS_UID) if full else "")
    if not sop_class:
        notes.count(SOP_CLASS_UID, rule="A.3", done="SOP class missing")
    number = tags.raw(INSTANCE_NUMBER)
    if not clean(number):
        notes.count(INSTANCE_NUMBER, rule="A.3", done="instance number missing")
    return InstanceFacts(
        uid=uid,
        sop_class=sop_class,
        number=unsigned_int(number, note=notes.counter_for(INSTANCE_NUMBER)),
        title=(_title(full, sop_class=sop_class) if full else "") or _image_title(tags, image, sop_class=sop_class),
        frames=number_of_frames(tags.raw(_NUMBER_OF_FRAMES), note=notes.counter_for(_NUMBER_OF_FRAMES)),
        modality=_other_modality(image, sop_class=sop_class, series=series_modality),
    )


def _other_modality(image: Tags | None, *, sop_class: str, series: str) -> str:
    """Its own token, or what its SOP Class fixes, where that is not what its series says (MAPPING C.7)."""
    own = clean(image.get(MODALITY)) if image else ""
    own = own if own == series else token(own)
    return own if series and own not in ("", series) else other_modality(sop_class, than=series)


def order_instances(instances: Iterable[InstanceFacts], *, notes: Notes) -> tuple[InstanceFacts, ...]:
    """The instances of one series by number (none last) and UID; a UID that comes twice is kept once and noted."""
    by_uid: dict[str, InstanceFacts] = {}
    for each in _in_order(list(instances)):
        if each.uid in by_uid:
            notes.count(SOP_INSTANCE_UID, rule="A.3", done="duplicate SOPInstanceUID: kept once")
        by_uid.setdefault(each.uid, each)
    return tuple(by_uid.values())


def note_series_left_out(*, instances: int, notes: Notes) -> None:
    """Say of a series with an unencodable UID that it is gone, and how many instances with it."""
    notes.count(SERIES_INSTANCE_UID, rule=UNENCODABLE, done="series left out")
    for _ in range(instances):
        notes.count(SERIES_INSTANCE_UID, rule=UNENCODABLE, done="instances left out with their series")


def _in_order(instances: list[InstanceFacts]) -> list[InstanceFacts]:
    """By number and UID, and only where that does not tell them apart by all that they say."""
    if len({each.uid for each in instances}) < len(instances):
        instances.sort(key=repr)
    return sorted(instances, key=_order)


def _order(instance: InstanceFacts) -> tuple[bool, int, str]:
    return (instance.number is None, instance.number or 0, instance.uid)


def _title(document: Tagset, *, sop_class: str) -> str:
    tag = title_tag(sop_class)
    title = document.text(tag) if tag != CONCEPT_NAME else ""
    # An encapsulated document may leave its title empty (type 2) and name its concept instead (PS3.3 C.24.2).
    if title or tag not in (CONCEPT_NAME, DOCUMENT_TITLE):
        return title
    concept = code(document.item(CONCEPT_NAME))
    return concept.meaning if concept is not None else ""


def _image_title(main: Tagset, image: Tags | None, *, sop_class: str) -> str:
    """Image Type as it stands, where the site wants it: `ORIGINAL\\PRIMARY\\AXIAL` (MAPPING A.3).

    An archive gives it with every instance only if it is one of its main tags (Orthanc: ExtraMainDicomTags).
    """
    if not main.notes.reading.title_from_image_type or title_tag(sop_class):
        return ""
    title = main.text(_IMAGE_TYPE) or Tagset(image or {}, main.notes).text(_IMAGE_TYPE)
    if not title:
        main.notes.count(_IMAGE_TYPE, rule="A.3 title", done="no title: the archive gives no image type")
    return title
