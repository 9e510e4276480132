"""What there is to say of a study that an archive holds: nothing yet, nothing at all, or what a draft says.

A ladder over what was seen of it. A study that still arrives is announced once, as `registered`, and then waited for; only
the whole study tells what the site selects and what rejection notes leave of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from syncd.errors import StudyError
from syncd.loop.study import rejections, selection
from syncd.loop.study.conclusion import Conclusion, Draft, not_yet, nothing_to_show
from syncd.loop.study.publish import is_published
from syncd.loop.study.read import Look, foremost, light, only_key_objects, require_one_patient, whole
from syncd.loop.study.task import Task
from syncd.mapping.dialects.registry import dialect
from syncd.mapping.resources.retracted import retracted_status
from syncd.mapping.values.identity import resource_id
from syncd.model.snapshot import StudySnapshot
from syncd.model.study.dates import plain_date
from syncd.model.study.raw import RawStudy
from syncd.model.words import ParkedReason
from syncd.model.work import LONGEST_STREAM
from syncd.snapshot.build import build


def consider(task: Task, seen: Look) -> Conclusion | Draft:
    """What is to be said, or why nothing is. Raises `StudyError` for what parks the study, and `TornRead`."""
    outside = selection.outside_history(task, seen.headers)
    if outside is not None:
        return outside

    # A record or an intent knows which resource is meant; it may have kept an id of its own (RULES C1, C5).
    known = task.record or task.claim.intent
    identity = known.resource_id if known else resource_id(task.study_uid, bad_uid=task.context.policy.bad_uid)

    # Still arriving: announced once, then waited for, unless it streams without end (RULES A5, A6).
    forced = _streams_without_end(task)
    if not seen.is_stable and not forced:
        return _announce(task, seen, identity)

    snapshot, raws = whole(task, seen.headers)
    if not snapshot.is_stable and not forced:
        return _announce(task, seen, identity)
    _require_images(task, raws)
    if not snapshot.number_of_instances:
        raise StudyError(ParkedReason.UNMAPPABLE, "no instance has a usable UID")
    applied = rejections.apply_rejections(task, snapshot)

    # What the site does not select is left out, or stays as it is, up to date.
    excluded = selection.judge(task, raws)
    if excluded is not None:
        date = plain_date(snapshot.started.date if snapshot.started else "")
        left_out = selection.leave_out(task, seen.headers, excluded, identity=identity, study_date=date)
        if left_out is not None:
            return left_out

    # Everything is rejected: what was published is withdrawn, and what was not is never shown (MAPPING D.2).
    draft = Draft(applied=applied, raws=raws, identity=identity, status="available", excluded=excluded)
    if not applied.nothing:
        return draft
    if not is_published(task, identity):
        return nothing_to_show(task, draft)
    status = retracted_status(in_error=applied.in_error, fhir_version=task.context.fhir_version)
    return replace(draft, status=status)


def _announce(task: Task, seen: Look, identity: str) -> Conclusion | Draft:
    """Publish `registered` once; afterwards only the due time moves, and the mark is never cleared (RULES A5, A6)."""
    due = task.context.clock() + task.settle_after
    if task.record is not None and (not task.fresh or task.record.status != "registered"):
        return not_yet("still arriving", until=due)
    if not dialect(task.context.fhir_version).writes_registered:
        return not_yet("still arriving, and this FHIR version cannot say so", until=due)
    raws = tuple(light(task, header) for header in foremost(task, seen.headers))
    if raws[0].is_blind:
        return not_yet("still arriving, and no file of it can be read so far", until=due)
    excluded = selection.judge(task, raws, arriving=True)
    if excluded is not None and task.record is None:
        return not_yet(f"still arriving, and {excluded.reason} so far", until=due)
    announced = _foremost_of_one_patient(task, raws)
    if _is_nothing_left(task, seen, raws):
        return not_yet("nothing but rejected instances so far", until=due)
    if all(only_key_objects(raw) for raw in raws):
        return not_yet("only key objects so far", until=due)
    return Draft(applied=rejections.Applied(snapshot=announced), raws=raws[:1], identity=identity, status="registered")


def _foremost_of_one_patient(task: Task, raws: Sequence[RawStudy]) -> StudySnapshot:
    """What the first of the copies says of the study, if all are of one patient (RULES C8)."""
    copies = [build(one, reading=task.context.policy.reading) for one in raws]
    require_one_patient(copies, policy=task.context.policy)
    return replace(copies[0], patients_elsewhere=tuple(one.patient for one in copies[1:]))


def _is_nothing_left(task: Task, seen: Look, raws: Sequence[RawStudy]) -> bool:
    """Only the whole study tells what is rejected; and other studies must know what this one's notes say (RULES B7)."""
    concerned = any(rejections.may_concern(task, raw) for raw in raws)
    return concerned and rejections.apply_rejections(task, whole(task, seen.headers)[0]).nothing


def _require_images(task: Task, raws: tuple[RawStudy, ...]) -> None:
    """What was published says more than a study of which no file can be read now (RULES B11)."""
    if any(raw.is_blind for raw in raws) and task.record is not None and not task.record.retracted:
        raise StudyError(ParkedReason.SERVER_ERROR, "the archive can read no file of it; what was published stays")


def _streams_without_end(task: Task) -> bool:
    """Ten minutes of unbroken streaming: say what is there now (RULES A5)."""
    row, now = task.claim.row, task.context.clock()
    unbroken = row.last_event and now - row.last_event <= task.settle_after
    return bool(unbroken and row.streaming_since and now - row.streaming_since >= LONGEST_STREAM)
