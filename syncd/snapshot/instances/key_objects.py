"""Key Object Selection documents: their titles, and which instances they select (MAPPING D, PS3.3 C.17.6.2).

Title and evidence decide: the first item of (0040,A043), a code of CID 7010, and (0040,A375), which names every
selected instance study by study, also of studies other than the document's own. A document may only half say it: what
it names readably counts, what it does not is noted, and one without a title, or whose evidence names nothing, rejects
nothing (D.2-5).
"""

from __future__ import annotations

from collections.abc import Iterable

from syncd.model.snapshot import Code, InstanceReference, KeyObject, StudySnapshot
from syncd.model.study.rejection import REJECTING_TITLES
from syncd.snapshot.instances.instances import is_encodable
from syncd.snapshot.instances.sop_classes import CONCEPT_NAME, KEY_OBJECT_SELECTION
from syncd.snapshot.values.codes import code
from syncd.snapshot.values.tags import SERIES_INSTANCE_UID, SOP_CLASS_UID, SOP_INSTANCE_UID, Tagset

EVIDENCE = "0040,a375"
"""Current Requested Procedure Evidence Sequence: the selected instances, by study and series."""
IDENTICAL_DOCUMENTS = "0040,a525"
"""Identical Documents Sequence: the same document in the other studies that it names, by study and series."""

_DCM = "DCM"
_DCM_UID = "1.2.840.10008.2.16.4"
_STUDY_INSTANCE_UID = "0020,000d"
_REFERENCED_SERIES = "0008,1115"
_REFERENCED_SOPS = "0008,1199"
_REFERENCED_INSTANCE_UID = "0008,1155"
_RULE = "D.2-5"


def key_objects(documents: Iterable[Tagset]) -> tuple[KeyObject, ...]:
    """The key objects among the full tags of a study's documents, by SOPInstanceUID."""
    found = (_key_object(document) for document in documents if document.text(SOP_CLASS_UID) == KEY_OBJECT_SELECTION)
    return tuple(sorted({each for each in found if each is not None}, key=repr))


def rejection_notes(snapshot: StudySnapshot) -> tuple[KeyObject, ...]:
    """The key objects that take instances back."""
    return tuple(each for each in snapshot.key_objects if each.references and is_rejection(each.title))


def is_rejection(title: Code) -> bool:
    """Whether a document of this title rejects what it selects (MAPPING D.2)."""
    of_dicom = title.scheme.upper() == _DCM or title.scheme_uid == _DCM_UID
    return of_dicom and title.value in REJECTING_TITLES


def _key_object(document: Tagset) -> KeyObject | None:
    title = code(document.item(CONCEPT_NAME))
    if title is None:
        document.notes.add(CONCEPT_NAME, rule=_RULE, done="key object without a title: rejects nothing")
        return None
    found = KeyObject(
        instance_uid=document.text(SOP_INSTANCE_UID),
        title=title,
        references=_references(document, EVIDENCE),
        identical=_references(document, IDENTICAL_DOCUMENTS),
    )
    if is_rejection(title) and not found.references:
        document.notes.add(EVIDENCE, rule=_RULE, done="rejection note that names no instance: rejects nothing")
    return found


def _references(document: Tagset, sequence: str) -> tuple[InstanceReference, ...]:
    """Every instance named under `sequence`, each once, in the order of its UIDs."""
    found = set()
    for study in document.items(sequence):
        for series in study.items(_REFERENCED_SERIES):
            for instance in series.items(_REFERENCED_SOPS):
                one = InstanceReference(
                    study_uid=study.text(_STUDY_INSTANCE_UID),
                    series_uid=series.text(SERIES_INSTANCE_UID),
                    instance_uid=instance.text(_REFERENCED_INSTANCE_UID),
                )
                if one.study_uid and is_encodable(one.instance_uid):
                    found.add(one)
                else:
                    document.notes.count(sequence, rule=_RULE, done="references without usable UIDs left out")
    return tuple(sorted(found, key=lambda one: (one.study_uid, one.series_uid, one.instance_uid)))
