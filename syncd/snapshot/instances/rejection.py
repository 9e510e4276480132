"""What is left of a study once rejection notes have taken back what they name (MAPPING D.2, RULES B7).

The notes come from the study itself and from others of the same patient; which of them are known, and for how long a
deleted one still counts, is the caller's business. Notes may name notes: a note that another one names has no effect of
its own any more and is rejected like an image. One level only: it is enough to be named, so the result depends neither
on the order of arrival nor on chains and circles of notes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from syncd.model.snapshot import Note, SeriesFacts, StudySnapshot
from syncd.model.study.rejection import EXPIRED, QUALITY, REJECTING_TITLES, SAFETY, WRONG_WORKLIST, Rejection
from syncd.snapshot.instances.key_objects import EVIDENCE, rejection_notes

_IN_ERROR = frozenset({SAFETY, WRONG_WORKLIST})
"""Titles that say: this should never have been in this study (RULES B7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """`snapshot` is the study without what is rejected, noted. `nothing`: nothing but rejection notes is left, and the
    snapshot shows no series at all; `in_error` then tells whether everything was rejected as an error, not as outdated
    or poor (RULES B7)."""

    snapshot: StudySnapshot
    rejected: int = 0
    nothing: bool = False
    in_error: bool = False


def rejections_in(snapshot: StudySnapshot, *, patient: str) -> tuple[Rejection, ...]:
    """What the study's own rejection notes say, one value per note and study named; `patient` is the study's."""
    return tuple(
        Rejection(
            note_uid=note.instance_uid,
            source_uid=snapshot.study_uid,
            target_uid=target,
            title=note.title.value,
            patient=patient,
            instances=tuple(sorted({one.instance_uid for one in note.references if one.study_uid == target})),
        )
        for note in rejection_notes(snapshot)
        for target in sorted({one.study_uid for one in note.references})
    )


def without_rejected(
    snapshot: StudySnapshot, rejections: Iterable[Rejection], *, patient: str, quality: str = "hide"
) -> Left:
    """The study without what is rejected. `rejections` are all known ones of the study's own notes, of others that name
    it, and of those that name these notes; what does not concern it has no effect. `quality` is `hide` or `keep`."""
    known = _that_count(rejections, quality=quality)
    void = _void(known)
    own = [one for one in known if one.source_uid == snapshot.study_uid]
    notes = {one.note_uid for one in own}
    named = [one for one in known if one.note_uid not in void and _concerns(one, snapshot, patient)]
    hidden = _without_effect(own, void).union(*(one.instances for one in named))

    series = _without(snapshot.series, hidden) if hidden else snapshot.series
    rejected = snapshot.number_of_instances - sum(len(one.instances) for one in series)
    if _uids(series) - notes or not (rejected or notes):
        return Left(snapshot=_with_note(replace(snapshot, series=series), rejected), rejected=rejected)
    return Left(
        snapshot=_with_note(replace(snapshot, series=()), rejected),
        rejected=rejected,
        nothing=True,
        in_error=_in_error(named, present=_uids(snapshot.series) - notes),
    )


def _that_count(rejections: Iterable[Rejection], *, quality: str) -> tuple[Rejection, ...]:
    titles = REJECTING_TITLES - ({QUALITY} if quality == "keep" else set())
    return tuple(dict.fromkeys(one for one in rejections if one.title in titles))


def _without_effect(own: Sequence[Rejection], void: Collection[str]) -> set[str]:
    """The study's own notes that another one names, and those of an expired retention, which are to be removed like the
    images that they name (MAPPING D.2)."""
    return {one.note_uid for one in own if one.note_uid in void or one.title == EXPIRED}


def _concerns(one: Rejection, snapshot: StudySnapshot, patient: str) -> bool:
    """Whether it names this study, and by a note of the same patient."""
    return one.target_uid == snapshot.study_uid and _is_of_patient(one, snapshot, patient)


def _is_of_patient(one: Rejection, snapshot: StudySnapshot, patient: str) -> bool:
    return one.source_uid == snapshot.study_uid or one.patient == patient


def _void(known: Sequence[Rejection]) -> set[str]:
    """The notes that another note of the same patient names where they lie."""
    lies_in: dict[tuple[str, str], list[Rejection]] = {}
    for one in known:
        lies_in.setdefault((one.source_uid, one.note_uid), []).append(one)
    return {
        uid
        for one in known
        for uid in one.instances
        for note in lies_in.get((one.target_uid, uid), ())
        if note.note_uid != one.note_uid and (note.source_uid == one.source_uid or note.patient == one.patient)
    }


def _without(series: Sequence[SeriesFacts], hidden: Collection[str]) -> tuple[SeriesFacts, ...]:
    """The series without the hidden instances; one that is left empty goes with them (MAPPING D.2-3)."""
    kept = []
    for one in series:
        instances = tuple(instance for instance in one.instances if instance.uid not in hidden)
        if instances:
            kept.append(one if len(instances) == len(one.instances) else replace(one, instances=instances))
    return tuple(kept)


def _in_error(named: Sequence[Rejection], *, present: Collection[str]) -> bool:
    """Whether every rejected instance is under an error's title: of those that are there, or were before the archive
    carried the note out."""
    titles: dict[str, set[str]] = {}
    for one in named:
        for uid in one.instances:
            titles.setdefault(uid, set()).add(one.title)
    of_present = [said for uid, said in titles.items() if uid in present]
    judged = of_present or list(titles.values())
    return bool(judged) and all(said & _IN_ERROR for said in judged)


def _uids(series: Sequence[SeriesFacts]) -> set[str]:
    return {instance.uid for one in series for instance in one.instances}


def _with_note(snapshot: StudySnapshot, rejected: int) -> StudySnapshot:
    if not rejected:
        return snapshot
    note = Note(tag=EVIDENCE, rule="D.2", done=f"instances left out: rejected ({rejected})")
    return replace(snapshot, notes=tuple(sorted({*snapshot.notes, note}, key=lambda one: (one.tag, one.rule, one.done))))
