"""Key Object Selection documents: which of them a study holds, and which of those reject images (MAPPING D, IHE RAD-66).

Only the title decides: the first item of (0040,A043), a code of CID 7010. A document whose title cannot be read rejects
nothing (D.2-5). Until rejection notes are applied, a study that holds a rejecting one is parked by whoever reconciles it:
publishing the images that somebody withdrew would be worse than publishing nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from syncd.model.snapshot import Code, KeyObject, StudySnapshot
from syncd.snapshot.codes import code
from syncd.snapshot.sop_classes import CONCEPT_NAME, KEY_OBJECT_SELECTION
from syncd.snapshot.tags import SOP_CLASS_UID, SOP_INSTANCE_UID, Tagset

_DCM = "DCM"
_DCM_UID = "1.2.840.10008.2.16.4"

REJECTING_TITLES = frozenset(
    {
        "113001",  # Rejected for Quality Reasons
        "113037",  # Rejected for Patient Safety Reasons
        "113038",  # Incorrect Modality Worklist Entry
        "113039",  # Data Retention Policy Expired
    }
)


def key_objects(documents: Iterable[Tagset]) -> tuple[KeyObject, ...]:
    """The key objects among the full tags of a study's documents, by SOPInstanceUID."""
    found = (_key_object(document) for document in documents if document.text(SOP_CLASS_UID) == KEY_OBJECT_SELECTION)
    return tuple(sorted({each for each in found if each is not None}, key=repr))


def rejecting(snapshot: StudySnapshot) -> tuple[KeyObject, ...]:
    """The key objects that take images back."""
    return tuple(each for each in snapshot.key_objects if _rejects(each.title))


def _key_object(document: Tagset) -> KeyObject | None:
    title = code(document.item(CONCEPT_NAME))
    if title is None:
        document.notes.add(CONCEPT_NAME, rule="D.2-5", done="key object without a title: rejects nothing")
        return None
    return KeyObject(instance_uid=document.text(SOP_INSTANCE_UID), title=title)


def _rejects(title: Code) -> bool:
    of_dicom = title.scheme.upper() == _DCM or title.scheme_uid == _DCM_UID
    return of_dicom and title.value in REJECTING_TITLES
