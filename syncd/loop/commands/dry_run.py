"""One look at one study without consequences: what would be decided now, and from what.

It is the reconcile of every other turn, dry, with a claim that nobody holds. So it works beside a living daemon and
changes nothing, and what it says is what would be done.
"""

from __future__ import annotations

from collections.abc import Iterable

from syncd.ledger.ledger import Claim
from syncd.loop.context import Context
from syncd.loop.study.reconcile import reconcile
from syncd.loop.study.task import Task
from syncd.loop.study.trace import Turn
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.words import Priority
from syncd.model.work import Copy, DirtyRow

Held = Iterable[tuple[ArchiveName, OrthancId]]


def run_dry(context: Context, study_uid: str, *, held: Held = ()) -> Turn:
    """What a reconcile that reads FHIR would decide now; `held` are copies that were just seen in the archives.

    Raises what `reconcile` raises."""
    return reconcile(Task(claim=pretend_claim(context, study_uid, held=held, read_fhir=True), context=context, dry=True))


def pretend_claim(context: Context, study_uid: str, *, held: Held, read_fhir: bool = False) -> Claim:
    """A claim as the ledger would hand it out, but for the study's mark, which there may be none of."""
    known = context.ledger.overview.standing([study_uid])[study_uid]
    copies = {(copy.archive, copy.orthanc_id): copy for copy in known.copies}
    for archive, orthanc_id in held:
        copies.setdefault((archive, orthanc_id), Copy(archive=archive, orthanc_id=orthanc_id, study_uid=study_uid))
    now = context.clock()
    row = DirtyRow(
        study_uid=study_uid, generation=0, priority=Priority.REPAIR, due=now, first_marked=now, read_fhir=read_fhir
    )
    return Claim(
        row=row,
        record=known.record,
        copies=tuple(copies.values()),
        intent=known.intent,
        parked=known.parked,
        unselected=known.unselected,
        concerning=context.ledger.rejections.find_concerning(study_uid),
        fought_over=context.ledger.corrections.find_fought_over(study_uid),
    )
