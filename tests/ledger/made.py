"""Studies, marks and outcomes with meaning, and a clock that moves when a test says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from syncd.ledger.ledger import Claim, Ledger
from syncd.model.change import Change
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.words import ArchiveState, Decision, Priority
from syncd.model.work import Copy, FeedPosition, Mark, MarkKind, Outcome, ParkedStudy, StudyRecord

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
    return ledger.mark(marks, settle_after=SETTLE)


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


def done(claim: Claim, decision: Decision = Decision.SKIP, **changes: Any) -> Outcome:
    outcome = Outcome(
        study_uid=claim.row.study_uid, generation=claim.row.generation, decision=decision, reason="equal", done=True
    )
    return replace(outcome, **changes)


def waits(claim: Claim, *, due: float, **changes: Any) -> Outcome:
    return done(claim, Decision.WAIT, done=False, due=due, reason="still arriving", **changes)


def only(ledger: Ledger, *, now: float = NOW) -> Claim:
    """The one study that is due."""
    (claim,) = ledger.claim(10, now=now)
    return claim


def publish(ledger: Ledger, *uids: str, **changes: Any) -> None:
    """Studies with a record and nothing pending."""
    mark(ledger, *(event(uid, orthanc_id=OrthancId(f"o-{uid}")) for uid in uids))
    for uid in uids:
        claim = ledger.claim_study(uid)
        assert claim is not None
        assert not ledger.commit(done(claim, Decision.CREATE, record=record(uid, **changes)))
