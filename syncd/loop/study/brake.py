"""The brake: whether a study may be taken back now, for every path that takes something back (RULES D3).

Deleting by mistake is what a synchroniser does worst, so the improbable is refused: more than ten studies, or a tenth
of an archive's, in a day; or an archive that does not look like the one that was published from (RULES A4). Then
nothing is taken back, the studies wait in a stored plan, and only the operator's word for exactly that plan lets them
go on. Workers decide alone and at once: the decision is a claim in one transaction of the ledger, paid for before
anything is sent, and valid for a repetition after a crash.
"""

from __future__ import annotations

import structlog

from syncd.errors import ConfigurationError
from syncd.ledger.ledger import Ledger
from syncd.loop.same_archive import is_same
from syncd.loop.steps import Step, report_step
from syncd.loop.study.task import Task
from syncd.model.ids import ArchiveName
from syncd.model.outcome import Waiting
from syncd.model.words import ArchiveState, BrakeState, Cause
from syncd.model.work import Brake

log = structlog.get_logger(__name__)

WAIT_AT_BRAKE = 3600.0
"""Seconds until a study at the closed brake is looked at again by itself: it may have come back. The operator's word makes
it due at once."""


def archive_of(task: Task) -> ArchiveName:
    """The archive whose budget pays."""
    known = task.record.archive if task.record is not None else ""
    return ArchiveName(known) if known else next(iter(task.context.archives))


def was_listed(task: Task) -> bool:
    """Whether the archive that pays was listed as a whole once: before that, nothing of it is judged gone (RULES A1)."""
    position = task.context.ledger.feed.position(archive_of(task))
    return position is not None and position.state is not ArchiveState.BOOTSTRAPPING


def hold(task: Task, *, cause: Cause) -> Waiting | None:
    """None if the study may be taken back now, which is then paid for; else how it waits. A dry task pays nothing."""
    context, archive = task.context, archive_of(task)
    if task.dry:
        return (
            None if context.ledger.retractions.may_claim(task.study_uid, archive=archive) else _wait_at_brake(task, archive)
        )
    source = context.archives.get(archive)
    if source is not None and not is_same(source.archive, context.ledger, name=archive):
        if context.ledger.retractions.plan([task.study_uid], archive=archive, cause=cause):
            _tell(context.ledger.retractions.brake(archive))
        return _wait_at_brake(task, archive)
    if not context.ledger.retractions.claim(task.study_uid, archive=archive, cause=cause):
        _tell(context.ledger.retractions.brake(archive))
        return _wait_at_brake(task, archive)
    report_step(Step.RETRACTION_CLAIMED)
    return None


def why_closed(brake: Brake) -> str:
    """Why the brake is closed, in words; empty when it is open."""
    if brake.state is BrakeState.OPEN:
        return ""
    return (
        f"the brake is closed: {brake.planned} studies of archive {brake.archive} wait to be taken back, "
        f"{brake.spent} were in the last 24 hours, and more than {brake.limit} need your word "
        "(`syncd audit --accept-retractions` shows them)"
    )


def accept(ledger: Ledger, archive: ArchiveName, accepted: str) -> int:
    """The operator's word for the plan of that hash (`Retractions.show_plan`); returns how many studies go on.

    Raises `ConfigurationError` when another plan waits by now."""
    number = ledger.retractions.accept(archive, accepted)
    if number < 0:
        raise ConfigurationError(f"the plan of archive {archive} is not the one that was shown any more: look at it again")
    log.warning("retractions_accepted", archive=archive, studies=number)
    return number


def _wait_at_brake(task: Task, archive: ArchiveName) -> Waiting:
    reason = "would be taken back, but the brake is closed"
    return Waiting(reason=f"{reason} (archive {archive})", until=task.context.clock() + WAIT_AT_BRAKE)


def _tell(brake: Brake) -> None:
    log.error("brake_closed", archive=brake.archive, planned=brake.planned, spent=brake.spent, limit=brake.limit)
