"""Which instances of a study are read in full (RULES A7, B6): few, and the same ones however the archive lists them.

They are chosen before anything is read: only the main tags and the SOP class of each instance are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from syncd.model.study.agreement import (
    ANATOMIC_REGION,
    FRAME_ANATOMY,
    FRAME_LATERALITY,
    IMAGE_LATERALITY,
    LATERALITY,
    PEOPLE,
    PER_FRAME_GROUPS,
    SHARED_GROUPS,
)
from syncd.model.study.raw import RawInstance, Tags

SOP_CLASS_UID = "0008,0016"
SOP_INSTANCE_UID = "0008,0018"
INSTANCE_NUMBER = "0020,0013"
MODALITY = "0008,0060"

KEY_OBJECT = "KO"
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_DOCUMENTS = (
    f"{_STORAGE}11.",  # presentation states (PR)
    f"{_STORAGE}88.",  # structured reports (SR) and Key Object Selection (KO)
    f"{_STORAGE}104.",  # encapsulated PDF, CDA, STL, OBJ, MTL
)


def representative(instances: Iterable[RawInstance]) -> RawInstance:
    """The lowest InstanceNumber, absent or unreadable ones last, then the lowest SOPInstanceUID (RULES A7)."""
    return min(instances, key=_order)


def in_order(instances: Iterable[RawInstance]) -> list[RawInstance]:
    """As `representative` would choose them, one after the other."""
    return sorted(instances, key=_order)


def is_document(sop_class_uid: str) -> bool:
    """Whether its content says something about the study: KO, SR, PR and encapsulated documents (PS3.4 B.5)."""
    return sop_class_uid.startswith(_DOCUMENTS)


def speaks_for_itself(tags: Tags) -> bool:
    """Whether this instance, or a frame of it, names a side, a region or a person by code: then each of its series may name
    another, which no list of shared values tells (RULES B6, B9)."""
    if any(tags.get(tag) for tag in (LATERALITY, IMAGE_LATERALITY, ANATOMIC_REGION, *PEOPLE)):
        return True
    frames = (frame for group in (SHARED_GROUPS, PER_FRAME_GROUPS) for frame in items(tags, group))
    anatomies = (item for frame in frames for item in items(frame, FRAME_ANATOMY))
    return any(item.get(FRAME_LATERALITY) or item.get(ANATOMIC_REGION) for item in anatomies)


def items(tags: Mapping[str, Any], tag: str) -> Iterator[Mapping[str, Any]]:
    """The items of a sequence; none where it is none."""
    value = tags.get(tag)
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def _order(instance: RawInstance) -> tuple[bool, int, str, str]:
    number = instance.tags.get(INSTANCE_NUMBER)
    uid = str(instance.tags.get(SOP_INSTANCE_UID) or "")
    try:
        return False, int(str(number).strip()), uid, instance.orthanc_id
    except ValueError:
        return True, 0, uid, instance.orthanc_id
