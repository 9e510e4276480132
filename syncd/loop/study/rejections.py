"""Rejection notes in one study's turn: what its own say is remembered, what any says of it is applied (MAPPING D.2).

A note may name other studies, so what is read of one study concerns others; it is committed, and the others marked,
before this study is published, whatever becomes of that. A note may be gone and still count: deletions are never
announced, and an archive that carries a note out may delete it before the images. So a note counts until it has been
missing for `revoke_grace`, and its study stays in the dirty set until then, to be looked at when the grace is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from syncd.loop.context import Context
from syncd.loop.study.task import Task
from syncd.mapping.values.identity import patient_key
from syncd.model.outcome import NextTurn
from syncd.model.snapshot import StudySnapshot
from syncd.model.study.raw import RawStudy
from syncd.model.study.rejection import WRONG_WORKLIST, Rejection
from syncd.snapshot.instances.rejection import Left, rejections_in, without_rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied(Left):
    """What is left of the study, and which notes of other studies were applied to it; by default the study as the archive
    holds it."""

    others: frozenset[Rejection] = frozenset()
    own: frozenset[Rejection] | None = None
    """What counts of its own notes; None: they were not read."""
    replaces: tuple[str, ...] = ()
    """Published studies of the same patient that its own notes reject as wrong worklist entries (MAPPING I case 39)."""


def may_concern(task: Task, raw: RawStudy) -> bool:
    """Whether rejection can matter to a study of which only the headers were read."""
    has_key_objects = any(series.tags.get("0008,0060") == "KO" for series in raw.series)
    return has_key_objects or bool(task.claim.concerning)


def apply_rejections(task: Task, snapshot: StudySnapshot) -> Applied:
    """Remember what the notes of the study say now, and apply all that are known to it."""
    context = task.context
    patient = patient_key(snapshot, policy=context.policy).resource_id
    known = task.claim.concerning
    unread = frozenset(snapshot.unread_key_objects)
    told = _remember_notes(task, known, rejections_in(snapshot, patient=patient), unread=unread)
    others = _others(task, known)
    left = without_rejected(snapshot, (*told, *others), patient=patient, quality=context.policy.rejected_quality)
    return Applied(
        snapshot=left.snapshot,
        rejected=left.rejected,
        nothing=left.nothing,
        in_error=left.in_error,
        others=others,
        own=frozenset(told),
        replaces=_find_replaced(task, told),
    )


def remember_of_copies(task: Task, copies: Sequence[StudySnapshot]) -> None:
    """Remember what the notes of copies say that cannot be joined, each as its own patient's: nothing of this study may be
    shown, but what its notes name in others must be taken back all the same (RULES B7, C8)."""
    said: dict[tuple[str, str], Rejection] = {}
    for copy in copies:
        for one in rejections_in(copy, patient=patient_key(copy, policy=task.context.policy).resource_id):
            said.setdefault((one.note_uid, one.target_uid), one)
    unread = frozenset(uid for copy in copies for uid in copy.unread_key_objects)
    _remember_notes(task, task.claim.concerning, tuple(said.values()), unread=unread)


def none_found(task: Task) -> None:
    """The archive holds no copy of the study, hence none of its notes."""
    _remember_notes(task, task.claim.concerning, ())


def is_unchanged(task: Task, seen: Applied, now: Iterable[Rejection]) -> bool:
    """Whether no other study's note came or went since: what was mapped may show what it rejects. `now`: all that concern
    the study at this moment."""
    return seen.own is None or _others(task, now) == seen.others


def within_grace(task: Task, turn: NextTurn, *, told: frozenset[Rejection] | None = None) -> NextTurn:
    """The study stays in the dirty set until the grace of every missing note is over. `told`: what counts of its own notes,
    where this turn read them.

    One that was over before this turn and is still remembered waits for what kept the notes from being applied."""
    own = told if told is not None else _own(task, task.context.ledger.rejections.find_concerning(task.study_uid))
    ends = [one.first_missing_at + task.context.revoke_grace for one in own if one.first_missing_at]
    due = min((end for end in ends if end > task.context.clock()), default=None)
    return turn if due is None else turn.by(due)


def _find_replaced(task: Task, told: Iterable[Rejection]) -> tuple[str, ...]:
    elsewhere = {
        one.target_uid: one.patient
        for one in told
        if one.title == WRONG_WORKLIST and one.target_uid != task.study_uid and not one.first_missing_at
    }
    records = {uid: task.context.ledger.records.find(uid) for uid in sorted(elsewhere)}
    return tuple(uid for uid, one in records.items() if one is not None and one.raw.get("patient") == elsewhere[uid])


def _remember_notes(
    task: Task, known: Iterable[Rejection], said: tuple[Rejection, ...], *, unread: frozenset[str] = frozenset()
) -> tuple[Rejection, ...]:
    """What counts of the study's own notes: what they say, what missing ones said as long as the grace lasts, and what
    was read earlier in those that are there and cannot be read now (RULES B11)."""
    before = _own(task, known)
    found = {one.note_uid for one in said}
    others = [one for one in before if one.note_uid not in found]
    there = [replace(one, first_missing_at=0.0) for one in others if one.note_uid in unread]
    told = (
        *said,
        *there,
        *_missing_within_grace((one for one in others if one.note_uid not in unread), context=task.context),
    )
    if not task.dry and frozenset(told) != before:
        task.context.ledger.rejections.keep(task.study_uid, told)
    return told


def _missing_within_grace(gone: Iterable[Rejection], *, context: Context) -> list[Rejection]:
    now = context.clock()
    timed = [replace(one, first_missing_at=min(one.first_missing_at or now, now)) for one in gone]
    return [one for one in timed if now < one.first_missing_at + context.revoke_grace]


def _own(task: Task, known: Iterable[Rejection]) -> frozenset[Rejection]:
    return frozenset(one for one in known if one.source_uid == task.study_uid)


def _others(task: Task, known: Iterable[Rejection]) -> frozenset[Rejection]:
    """Those of other studies; a note that is only just missing counts as before."""
    return frozenset(replace(one, first_missing_at=0.0) for one in known if one.source_uid != task.study_uid)
