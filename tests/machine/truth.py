"""What the archive holds, read from the fake's own index: the other half of the comparison, without anything of syncd.

It knows of DICOM only what the machine stores: series, instances, a patient, a description, and rejection notes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.orthanc_index import Index, Resource
from tests.fakes.orthanc_tags import INSTANCE, SERIES, STUDY

QUALITY, SAFETY, WORKLIST, EXPIRED = "113001", "113037", "113038", "113039"
IN_ERROR = frozenset({SAFETY, WORKLIST})

PATIENT_ID, STUDY_UID, SERIES_UID, SOP_UID = "0010,0020", "0020,000d", "0020,000e", "0008,0018"
MODALITY, DESCRIPTION, TITLE, EVIDENCE = "0008,0060", "0008,1030", "0040,a043", "0040,a375"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyObjectNote:
    """A rejection note: where it lies, and which instances it names."""

    uid: str
    source: str
    patient: str
    title: str
    named: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What FHIR must say of one study. `conflict`: its copies name several patients. `nothing`: all is rejected."""

    uid: str
    patients: frozenset[str]
    series: Mapping[str, frozenset[str]] = field(default_factory=dict)
    modalities: frozenset[str] = frozenset()
    descriptions: frozenset[str] = frozenset()

    @property
    def conflict(self) -> bool:
        return len(self.patients) > 1

    @property
    def nothing(self) -> bool:
        return not self.series


def expected(indices: Iterable[Index]) -> dict[str, Expected]:
    """Every study that any of the archives holds now."""
    studies: dict[str, list[tuple[Index, Resource]]] = {}
    for index in indices:
        for study in index.all(STUDY):
            first = next(index.below(study, INSTANCE))
            studies.setdefault(str(first.tags[STUDY_UID]), []).append((index, study))
    notes = tuple(note for copies in studies.values() for index, study in copies for note in _notes(index, study))
    return {uid: _expected(uid, copies, notes) for uid, copies in studies.items()}


def _expected(uid: str, copies: list[tuple[Index, Resource]], notes: tuple[KeyObjectNote, ...]) -> Expected:
    patients = frozenset(str(next(index.below(study, INSTANCE)).tags[PATIENT_ID]) for index, study in copies)
    held: dict[str, dict[str, Resource]] = {}
    for index, study in copies:
        for series in index.below(study, SERIES):
            instances = {str(one.tags[SOP_UID]): one for one in index.below(series, INSTANCE)}
            series_uid = str(next(iter(instances.values())).tags[SERIES_UID])
            if len(instances) > len(held.get(series_uid, {})):
                held[series_uid] = instances
    hidden, own = _hidden(uid, patients, notes)
    shown = {one: frozenset(instances.keys() - hidden) for one, instances in held.items()}
    if not any(instances - own for instances in shown.values()) and (hidden or own):
        shown = {}
    shown = {one: instances for one, instances in shown.items() if instances}
    return Expected(
        uid=uid,
        patients=patients,
        series=shown,
        modalities=frozenset(str(next(iter(held[one].values())).tags[MODALITY]) for one in shown),
        descriptions=frozenset(
            str(index.above(one, STUDY).main.get("StudyDescription", "")) for index, study in copies for one in [study]
        ),
    )


def _hidden(uid: str, patients: frozenset[str], notes: tuple[KeyObjectNote, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """The instances that notes take back, and the study's own rejection notes."""
    counting = [note for note in notes if note.source == uid or note.patient in patients]
    void = {
        note.uid
        for note in counting
        for other in counting
        if other.uid != note.uid and note.uid in other.named and other.patient == note.patient
    }
    own = frozenset(note.uid for note in counting if note.source == uid)
    hidden = {one for note in counting if note.uid not in void for one in note.named} | (own & void)
    hidden |= {note.uid for note in counting if note.source == uid and note.title == EXPIRED}
    return frozenset(hidden), own


def _notes(index: Index, study: Resource) -> Iterable[KeyObjectNote]:
    for one in index.below(study, INSTANCE):
        title = _code(one.tags.get(TITLE))
        if one.tags.get(MODALITY) == "KO" and title in (QUALITY, SAFETY, WORKLIST, EXPIRED):
            named = {
                str(item["0008,1155"])
                for of in one.tags[EVIDENCE] or ()
                for series in of["0008,1115"]
                for item in series["0008,1199"]
            }
            yield KeyObjectNote(
                uid=str(one.tags[SOP_UID]),
                source=str(one.tags[STUDY_UID]),
                patient=str(one.tags[PATIENT_ID]),
                title=title,
                named=frozenset(named),
            )


def _code(sequence: Any) -> str:
    return str(sequence[0].get("0008,0100", "")) if sequence else ""
