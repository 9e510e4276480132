"""Retried, dropped and contested: what the ledger keeps of an operator's word and of a quarrel (RULES C4, E2)."""

from __future__ import annotations

from typing import Any

from syncd.ledger.ledger import Ledger
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.outcome import Outcome
from syncd.model.overview import Heartbeat
from syncd.model.work import CONTEST_WINDOW, Copy, Intent
from tests.ledger.made import MAIN, SETTLE, Clock, claim_study, done, mark, parked, record, resync, waits


def _committed(ledger: Ledger, clock: Clock, uid: str, **changes: Any) -> None:
    mark(ledger, resync(uid))
    (claim,) = ledger.claims.take(1, now=clock())
    ledger.outcomes.commit(done(claim, **changes))


def test_a_dropped_study_is_counted_apart(ledger: Ledger, clock: Clock) -> None:
    """README.md: the word `dropped`, beside the parked reasons and in none of them; a retry takes it back."""
    assert not ledger.parking.drop("1.1")
    _committed(ledger, clock, "1.1", parked=parked("1.1", "refused", digest="d"))
    assert ledger.parking.drop("1.1") and ledger.parking.drop("1.1")
    counts = ledger.overview.counts(clock())
    assert (counts.dropped, counts.parked) == (1, {})
    entry = ledger.records.find_parked("1.1")
    assert entry is not None and (entry.dropped, entry.digest) == (True, "d")
    ledger.parking.allow_retry("1.1")
    counts = ledger.overview.counts(clock())
    assert (counts.dropped, counts.parked) == (0, {"refused": 1})
    entry = ledger.records.find_parked("1.1")
    assert entry is not None and (entry.dropped, entry.digest) == (False, "")


def test_whatever_ends_the_silence_ends_the_count(ledger: Ledger, clock: Clock) -> None:
    """RULES E2: parked anew for another reason, or not parked any more."""
    for uid, end in (("1.1", {"parked": parked("1.1", "too-large")}), ("1.2", {"unpublished": True})):
        _committed(ledger, clock, uid, parked=parked(uid))
        ledger.parking.drop(uid)
        _committed(ledger, clock, uid, **end)
    counts = ledger.overview.counts(clock())
    assert (counts.dropped, counts.parked) == (0, {"too-large": 1})


def test_what_was_about_to_be_sent_is_what_is_silenced(ledger: Ledger, clock: Clock) -> None:
    """RULES E2: a study parked `server-error` has no refused digest; its intent tells what would be sent again."""
    ledger.claims.save_intent(Intent(study_uid="1.1", resource_id="1.1", digest="sent", expected_version="0"))
    _committed(ledger, clock, "1.1", parked=parked("1.1", "server-error", digest=""))
    ledger.parking.drop("1.1")
    entry = ledger.records.find_parked("1.1")
    assert entry is not None and entry.digest == "sent"


def test_another_server_does_not_end_the_silence(ledger: Ledger, clock: Clock) -> None:
    """RULES E2: until the digest changes, and not the target; the others may be sent again."""
    for uid in ("1.1", "1.2"):
        _committed(ledger, clock, uid, parked=parked(uid, digest="d"))
    ledger.parking.drop("1.1")
    ledger.marks.forget_target_state()
    assert [(one.study_uid, one.digest) for one in ledger.records.page_parked()] == [("1.1", "d"), ("1.2", "")]


def test_corrections_come_with_the_record_that_they_led_to(ledger: Ledger, clock: Clock) -> None:
    """RULES C4: one transaction; without a record nothing was corrected."""
    _committed(ledger, clock, "1.1", corrected=("status",))
    for corrected in (("status",), ("status", "series")):
        clock.now += 1
        _committed(ledger, clock, "1.1", record=record("1.1"), corrected=corrected)
    assert ledger.corrections.find_fought_over("1.1") == {"status"}
    assert ledger.corrections.find_fought_over("1.2") == frozenset()


def test_corrections_are_forgotten_after_a_week_by_retry_and_with_the_server(ledger: Ledger, clock: Clock) -> None:
    """RULES C4: within 7 days; the operator's word; C6: nobody fought over anything on a server that was reset."""
    for uid in ("1.1", "1.2", "1.3"):
        for _ in range(2):
            clock.now += 1
            _committed(ledger, clock, uid, record=record(uid), corrected=("status",))
    ledger.parking.allow_retry("1.1")
    assert [bool(ledger.corrections.find_fought_over(uid)) for uid in ("1.1", "1.2", "1.3")] == [False, True, True]
    clock.now += CONTEST_WINDOW
    ledger.overview.beat(Heartbeat(pid=1, at=clock(), started_at=0.0, version="0"))
    clock.now -= CONTEST_WINDOW
    assert not ledger.corrections.find_fought_over("1.2")
    for _ in range(2):
        clock.now += 1
        _committed(ledger, clock, "1.3", record=record("1.3"), corrected=("status",))
    assert ledger.corrections.find_fought_over("1.3")
    ledger.marks.forget_target_state()
    assert not ledger.corrections.find_fought_over("1.3")


def test_stubborn_studies_are_claimed_apart(ledger: Ledger, clock: Clock) -> None:
    """RULES C6: past 3 attempts such studies share one slot; the others are claimed in their order, as ever."""
    for number, attempts in enumerate((0, 3, 4, 9)):
        _failed(ledger, clock, f"1.{number}", attempts=attempts)
    assert [one.row.study_uid for one in ledger.claims.take(9, now=clock(), stubborn=0)] == ["1.0", "1.1"]
    assert [one.row.study_uid for one in ledger.claims.take(9, now=clock(), stubborn=1)] == ["1.2"]
    assert [one.row.study_uid for one in ledger.claims.take(9, now=clock())] == ["1.3"]


def test_stubborn_studies_wait_for_their_archive_like_the_others(ledger: Ledger, clock: Clock) -> None:
    """RULES C6, C8: both at once; none is handed out whose copy lies where nothing can be read now."""
    second = ArchiveName("second")
    for number, attempts in enumerate((0, 3, 4, 9)):
        _failed(ledger, clock, f"1.{number}", attempts=attempts)
    for uid in ("1.0", "1.2"):
        ledger.outcomes.commit(_waiting(ledger, clock, uid, found=(_copy(uid, second),)))
    main, both = frozenset({MAIN}), frozenset({MAIN, second})

    def claimed(within: frozenset[ArchiveName], stubborn: int | None) -> list[str]:
        uids = [one.row.study_uid for one in ledger.claims.take(9, now=clock(), within=within, stubborn=stubborn)]
        ledger.claims.release(*uids)
        return uids

    assert claimed(main, 0) == ["1.1"]
    assert claimed(main, 1) == ["1.1", "1.3"]
    assert claimed(main, None) == ["1.1", "1.3"]
    assert claimed(both, 1) == ["1.0", "1.1", "1.2"]


def _copy(uid: str, archive: ArchiveName) -> Copy:
    return Copy(archive=archive, orthanc_id=OrthancId(f"{archive}-{uid}"), study_uid=uid)


def _waiting(ledger: Ledger, clock: Clock, uid: str, *, found: tuple[Copy, ...]) -> Outcome:
    claim = claim_study(ledger, uid)
    assert claim is not None
    return waits(claim, due=clock(), attempts=claim.row.attempts, found=found)


def test_a_correction_follows_the_clock(ledger: Ledger, clock: Clock) -> None:
    """RULES E5, C4: set back by a day, the week in which it counts is no day longer."""
    for _ in range(2):
        clock.now += 1.0
        _committed(ledger, clock, "1.1", record=record("1.1"), corrected=("status",))
    clock.now -= 86400.0
    ledger.clock_steps.follow(by=-86400.0)
    clock.now += 7 * 86400.0 - 10.0
    assert ledger.corrections.find_fought_over("1.1")
    clock.now += 20.0
    assert not ledger.corrections.find_fought_over("1.1")


def _failed(ledger: Ledger, clock: Clock, uid: str, *, attempts: int) -> None:
    ledger.marks.add([resync(uid)], settle_after=SETTLE)
    claim = claim_study(ledger, uid)
    assert claim is not None
    ledger.outcomes.commit(waits(claim, due=clock(), attempts=attempts))
