"""Studies, marks and outcomes with meaning, a clock that moves when a test says so, and what only tests ask of a ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select
from sqlalchemy.event import listen, remove

from syncd.ledger.db.rows import to_noun
from syncd.ledger.db.schema import copies, dirty, history, records, retraction_plan
from syncd.ledger.db.writer import Transaction
from syncd.ledger.ledger import Claim, Ledger
from syncd.ledger.studies import due
from syncd.ledger.studies.claims import claim_rows
from syncd.ledger.studies.retractions import find_plans
from syncd.model.change import Change
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.outcome import (
    Confirmed,
    Ended,
    NextTurn,
    Outcome,
    Parked,
    Retraction,
    SeenCopies,
    Silent,
    Unpublished,
    Waiting,
)
from syncd.model.words import ArchiveState, Decision, Priority
from syncd.model.work import Copy, FeedPosition, HistoryLine, Mark, MarkKind, ParkedStudy, PlannedRetraction, StudyRecord

NOW = 1_700_000_000.0
MAIN = ArchiveName("main")
SETTLE = 30.0


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def event(study_uid: str, **changes: Any) -> Mark:
    return replace(Mark(study_uid=study_uid, kind=MarkKind.EVENT, archive=MAIN), **changes)


def resync(study_uid: str, **changes: Any) -> Mark:
    return replace(Mark(study_uid=study_uid, kind=MarkKind.RESYNC, archive=MAIN, priority=Priority.REPAIR), **changes)


def mark(ledger: Ledger, *marks: Mark) -> int:
    return ledger.marks.add(marks, settle_after=SETTLE)


def copy(study_uid: str, orthanc_id: str, last_update: str = "") -> Copy:
    return Copy(archive=MAIN, orthanc_id=OrthancId(orthanc_id), study_uid=study_uid, last_update=last_update)


def change(seq: int, kind: str = "NewInstance") -> Change:
    return Change(seq=seq, change_type=kind, resource_type="Instance", resource_id=f"i{seq}", date="20260301T120000")


def position(cursor: int, *, seen: Iterable[int] = (), state: ArchiveState = ArchiveState.OK) -> FeedPosition:
    return FeedPosition(
        archive=MAIN,
        state=state,
        cursor=cursor,
        high_water=cursor,
        moved_at=NOW,
        seen={seq: (change(seq), NOW) for seq in seen},
    )


def record(study_uid: str, **changes: Any) -> StudyRecord:
    published = StudyRecord(
        study_uid=study_uid,
        resource_id=study_uid,
        version="1",
        last_updated="2026-03-01T12:00:00Z",
        digest="digest",
        fingerprint="fingerprint",
        status="available",
        raw={"instances": 3},
        foreign={"extension": [{"url": "urn:other", "valueString": "kept"}]},
        owned={"endpoint": ["main-wado-rs"]},
        published_at=NOW,
    )
    return replace(published, **changes)


def parked(study_uid: str, reason: str = "refused", **changes: Any) -> ParkedStudy:
    return replace(ParkedStudy(study_uid=study_uid, reason=reason, digest="refused", parked_at=NOW), **changes)


def ended(
    decision: Decision = Decision.SKIP,
    *,
    record: StudyRecord | None = None,
    parked: ParkedStudy | None = None,
    unpublished: bool = False,
    reason: str = "equal",
    **confirmed: Any,
) -> Ended:
    """What became of a study: parked, confirmed by this record, shown nowhere (`unpublished`), waiting, or as it was."""
    if parked is not None:
        return Parked(entry=parked)
    if record is not None or decision in (Decision.CREATE, Decision.UPDATE, Decision.RETRACT):
        return Confirmed(decision=decision, reason=reason, record=record, **confirmed)
    if unpublished:
        return Unpublished(reason=reason, retraction=Retraction.UNTOLD)
    return Waiting(reason=reason, until=NOW) if decision is Decision.WAIT else Silent(reason=reason)


def done(
    claim: Claim,
    decision: Decision = Decision.SKIP,
    *,
    due: float | None = None,
    attempts: int = 0,
    not_before: float = 0.0,
    new_stream: bool = False,
    found: tuple[Copy, ...] = (),
    gone: tuple[Copy, ...] = (),
    retraction: Retraction = Retraction.UNTOLD,
    correlation_id: str = "",
    **of_study: Any,
) -> Outcome:
    """A turn that ended: the mark goes, unless there is a `due`; `of_study` as in `ended`."""
    return Outcome(
        study_uid=claim.row.study_uid,
        generation=claim.row.generation,
        ended=ended(decision, **of_study),
        turn=NextTurn(due=due, attempts=attempts, not_before=not_before, new_stream=new_stream),
        copies=SeenCopies(found=found, gone=gone),
        retraction=retraction,
        correlation_id=correlation_id,
    )


def waits(claim: Claim, *, due: float, **changes: Any) -> Outcome:
    return done(claim, Decision.WAIT, due=due, reason="still arriving", **changes)


def only(ledger: Ledger, *, now: float = NOW) -> Claim:
    """The one study that is due."""
    (claim,) = ledger.claims.take(10, now=now)
    return claim


def publish(ledger: Ledger, *uids: str, **changes: Any) -> None:
    """Studies with a record and nothing pending."""
    mark(ledger, *(event(uid, orthanc_id=OrthancId(f"o-{uid}")) for uid in uids))
    for uid in uids:
        claim = claim_study(ledger, uid)
        assert claim is not None
        assert not ledger.outcomes.commit(done(claim, Decision.CREATE, record=record(uid, **changes)))


# What only a test asks


@contextmanager
def counted(ledger: Ledger) -> Iterator[list[str]]:
    """Every statement that is carried out; one with many sets of parameters counts once."""
    heard: list[str] = []

    def hear(connection: Connection, cursor: Any, statement: str, *more: Any) -> None:
        if not statement.startswith("BEGIN"):
            heard.append(statement)

    for engine in (ledger._engine, ledger._readers):
        listen(engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        for engine in (ledger._engine, ledger._readers):
            remove(engine, "before_cursor_execute", hear)


def claim_study(ledger: Ledger, study_uid: str) -> Claim | None:
    """The study's pending work whether due or not; `None` if nothing is pending or it is claimed."""
    epoch = ledger._transactions.require_epoch()

    def change(tx: Transaction) -> list[Claim]:
        wanted = select(*due.COLUMNS).where(dirty.c.study_uid == study_uid, _is_unclaimed(epoch))
        return claim_rows(tx, tx.connection.execute(wanted).all(), epoch=epoch, now=ledger._transactions.now())

    found = ledger.claims.handed_out.run_claim(ledger._transactions.own, epoch=epoch, change=change)
    return found[0] if found else None


def next_due(ledger: Ledger) -> float | None:
    """When the earliest unclaimed study is due (may lie in the past); `None` when nothing is pending."""
    first = select(func.min(dirty.c.due)).where(_is_unclaimed(ledger._transactions.epoch()))
    return ledger._transactions.read(lambda connection: connection.execute(first).scalar())


def _is_unclaimed(epoch: int | None) -> ColumnElement[bool]:
    return or_(dirty.c.claim_epoch.is_(None), dirty.c.claim_epoch != epoch)


def copies_of(ledger: Ledger, study_uid: str) -> tuple[Copy, ...]:
    return ledger.overview.standing([study_uid])[study_uid].copies


def seen_copies(ledger: Ledger, archive: ArchiveName, orthanc_ids: Iterable[OrthancId]) -> dict[str, tuple[str, str]]:
    """Of each known copy: LastUpdate at its last read, and the published status of its study (empty: none)."""
    joined = copies.outerjoin(records, records.c.study_uid == copies.c.study_uid)
    wanted = select(copies.c.orthanc_id, copies.c.last_update, records.c.status).select_from(joined)
    wanted = wanted.where(copies.c.archive == archive, copies.c.orthanc_id.in_(list(orthanc_ids)))
    rows = ledger._transactions.read(lambda connection: connection.execute(wanted).all())
    return {row.orthanc_id: (row.last_update, row.status or "") for row in rows}


def raw_tuples(ledger: Ledger, archive: ArchiveName, study_uids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """`StudyRecord.raw` of those studies that are published and have a copy in `archive` (RULES A8)."""
    found = ledger.overview.standing(list(study_uids))
    return {
        uid: one.record.raw
        for uid, one in found.items()
        if one.record is not None and archive in {copy.archive for copy in one.copies}
    }


def last_history(ledger: Ledger, limit: int) -> list[HistoryLine]:
    """The latest decisions of all studies, latest first."""
    lines = select(history).order_by(history.c.id.desc()).limit(limit)
    return ledger._transactions.read(lambda connection: [to_noun(HistoryLine, row) for row in connection.execute(lines)])


def find_planned(ledger: Ledger, archive: ArchiveName) -> list[PlannedRetraction]:
    """What was planned, accepted or not, in the order of UIDs."""
    plan = retraction_plan.c
    wanted = select(plan.study_uid).where(plan.archive == archive).order_by(plan.study_uid)
    uids = ledger._transactions.read(lambda connection: connection.execute(wanted).scalars().all())
    found = ledger._transactions.read(lambda connection: find_plans(connection, uids))
    return [found[uid] for uid in uids]
