"""The budget of what is taken back: claims, plans and the numbers of an archive (RULES D3, E8)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from syncd.ledger.ledger import Ledger
from syncd.model.ids import ArchiveName
from syncd.model.outcome import Retraction
from syncd.model.words import BrakeState, Cause, Decision
from syncd.model.work import BUDGET_WINDOW, Brake
from tests.ledger.made import MAIN, NOW, SETTLE, Clock, claim_study, done, event, find_planned, publish, record, resync

OTHER = ArchiveName("other")


def shown(ledger: Ledger, number: int, *, archive: ArchiveName = MAIN) -> list[str]:
    """So many studies of an archive have a record."""
    uids = [f"1.{archive}.{one}" for one in range(number)]
    publish(ledger, *uids, archive=archive)
    return uids


def claims(ledger: Ledger, uid: str, *, archive: ArchiveName = MAIN, cause: Cause = Cause.GONE) -> bool:
    return ledger.retractions.claim(uid, archive=archive, cause=cause)


def commits(ledger: Ledger, uid: str, retraction: Retraction, *, retracted: str = "withdrawn", **changes: Any) -> None:
    """A turn of the study that ends with `retraction`."""
    ledger.marks.add([resync(uid)], settle_after=SETTLE)
    claim = claim_study(ledger, uid)
    assert claim is not None
    said = None
    if retraction is Retraction.DONE:
        said = replace(claim.record or record(uid), status="cancelled", retracted=retracted, **changes)
    ledger.outcomes.commit(done(claim, Decision.RETRACT, record=said, retraction=retraction))


@pytest.mark.parametrize(("number", "limit"), [(0, 10), (5, 10), (99, 10), (119, 11), (250, 25)])
def test_the_budget_is_a_tenth_and_at_least_ten(number: int, limit: int) -> None:
    """RULES D3: max(10, 10 %)."""
    assert Brake(archive=MAIN, published=number).limit == limit
    assert Brake(archive=MAIN, published=number - min(number, 4), spent=min(number, 4)).limit == limit


def test_of_two_hundred_deletions_a_tenth_goes(ledger: Ledger) -> None:
    """RULES D3: 200 of 300 studies are gone: thirty are taken back, the others wait."""
    uids = shown(ledger, 300)
    allowed = []
    for uid in uids[:200]:
        if claims(ledger, uid):
            allowed.append(uid)
            commits(ledger, uid, Retraction.DONE)
    found = ledger.retractions.brake(MAIN)
    assert (len(allowed), found.published, found.spent, found.planned, found.limit) == (30, 270, 30, 170, 30)
    assert ledger.retractions.show_plan(MAIN)[0] == tuple(sorted(set(uids[:200]) - set(allowed)))


def test_a_claim_is_paid_once_whatever_kills_us(ledger: Ledger, url: str, clock: Clock) -> None:
    """RULES D3: idempotent per study until it is carried out; then the next one is paid for anew."""
    (uid, *_) = shown(ledger, 3)
    assert claims(ledger, uid) and claims(ledger, uid)
    ledger.close()
    with Ledger.open(url, clock=clock) as again:
        assert claims(again, uid)
        assert again.retractions.brake(MAIN).spent == 1
        commits(again, uid, Retraction.DONE)
        clock.now += 1
        assert claims(again, uid)
        assert again.retractions.brake(MAIN).spent == 2


def test_a_claim_that_came_to_nothing_is_paid_back(ledger: Ledger) -> None:
    """RULES D3: the study was there after all; but a rejection's claim is none of that."""
    uids = shown(ledger, 2)
    assert claims(ledger, uids[0]) and claims(ledger, uids[1], cause=Cause.REJECTED)
    for uid in uids:
        commits(ledger, uid, Retraction.UNTOLD)
    assert ledger.retractions.brake(MAIN).spent == 2
    for uid in uids:
        commits(ledger, uid, Retraction.THERE)
    assert ledger.retractions.brake(MAIN).spent == 1
    commits(ledger, uids[1], Retraction.OFF)
    assert ledger.retractions.brake(MAIN).spent == 0


def test_a_charge_expires_after_a_day(ledger: Ledger, clock: Clock) -> None:
    """RULES D3: in any 24 h; what is read is right although nobody wrote since."""
    for uid in shown(ledger, 10):
        assert claims(ledger, uid)
    assert not claims(ledger, "1.9")
    clock.now = NOW + BUDGET_WINDOW
    assert ledger.retractions.brake(MAIN).spent == 0
    assert not claims(ledger, "1.8"), "one waits, so the brake is closed"
    commits(ledger, "1.9", Retraction.OFF)
    commits(ledger, "1.8", Retraction.OFF)
    assert claims(ledger, "1.8")
    assert ledger.retractions.brake(MAIN).spent == 1


def test_each_archive_has_a_budget_of_its_own(ledger: Ledger) -> None:
    """RULES D3: an archive's published studies."""
    here, there = shown(ledger, 11), shown(ledger, 11, archive=OTHER)
    assert [claims(ledger, uid) for uid in here] == [True] * 10 + [False]
    assert claims(ledger, there[0], archive=OTHER)
    assert (ledger.retractions.brake(MAIN).state, ledger.retractions.brake(OTHER).state) == (
        BrakeState.CLOSED,
        BrakeState.OPEN,
    )
    assert ledger.retractions.show_plan(OTHER) == ((), "")


def test_the_plan_is_accepted_by_its_hash_and_its_studies_are_due(ledger: Ledger, url: str, clock: Clock) -> None:
    """RULES D3: also by a second process; the plan's own ids go on, once, and spend nothing."""
    uids = shown(ledger, 13)
    for uid in uids[:12]:
        claims(ledger, uid)
    planned, told = ledger.retractions.show_plan(MAIN)
    assert planned == tuple(sorted(uids[10:12]))
    with Ledger.open_guest(url, clock=clock) as guest:
        assert guest.retractions.show_plan(MAIN) == (planned, told)
        assert guest.retractions.accept(MAIN, "another") == -1
        assert guest.retractions.accept(MAIN, told) == 2
        assert guest.retractions.accept(MAIN, told) == -1
    assert {claim.row.study_uid for claim in ledger.claims.take(9, now=clock())} == set(planned)
    assert not claims(ledger, uids[12]), "outside of it"
    assert all(claims(ledger, uid) for uid in planned)
    assert ledger.retractions.brake(MAIN).spent == 10
    ledger.claims.release(*planned)
    commits(ledger, planned[0], Retraction.DONE)
    assert [one.study_uid for one in find_planned(ledger, MAIN)] == sorted([planned[1], uids[12]])


def test_what_was_accepted_is_not_planned_again(ledger: Ledger) -> None:
    """RULES D3: the operator's word holds until the study was dealt with."""
    assert ledger.retractions.plan(["1.1"], archive=MAIN, cause=Cause.GONE) == 1
    ledger.retractions.accept(MAIN, ledger.retractions.show_plan(MAIN)[1])
    assert ledger.retractions.plan(["1.1"], archive=MAIN, cause=Cause.GONE) == 0
    assert ledger.retractions.brake(MAIN).planned == 0
    assert ledger.retractions.may_claim("1.1", archive=MAIN)


def test_many_threads_spend_one_budget(ledger: Ledger) -> None:
    """RULES D3, E6: workers decide alone and at once; also within one group of the writer."""
    uids = shown(ledger, 40)
    with ThreadPoolExecutor(8) as pool:
        allowed = list(pool.map(lambda uid: claims(ledger, uid), uids))
    assert (sum(allowed), ledger.retractions.brake(MAIN).spent, ledger.retractions.brake(MAIN).planned) == (10, 10, 30)


def test_the_number_of_shown_studies_follows_the_records(ledger: Ledger) -> None:
    """RULES E8: moved by the transaction: published, taken back, returned, moved to another archive."""
    (uid,) = shown(ledger, 1)
    assert (ledger.retractions.brake(MAIN).published, ledger.retractions.brake(OTHER).published) == (1, 0)
    commits(ledger, uid, Retraction.DONE)
    commits(ledger, uid, Retraction.DONE, retracted="deleted")
    assert ledger.retractions.brake(MAIN).published == 0
    commits(ledger, uid, Retraction.DONE, retracted="")
    assert ledger.retractions.brake(MAIN).published == 1
    commits(ledger, uid, Retraction.DONE, retracted="", archive=OTHER)
    assert (ledger.retractions.brake(MAIN).published, ledger.retractions.brake(OTHER).published) == (0, 1)


@pytest.mark.parametrize(("gone", "planned"), [(10, 0), (11, 11)])
def test_what_has_no_copy_any_more_is_marked_and_above_the_budget_planned(ledger: Ledger, gone: int, planned: int) -> None:
    """RULES D3: decided before anything is sent, for all of it."""
    uids = shown(ledger, 20)
    ledger.feed.begin_bootstrap(MAIN, cursor=0, high_water=0)
    ledger.archives.accept(MAIN)
    ledger.marks.add([event(uid, orthanc_id=f"o-{uid}") for uid in uids[gone:]], settle_after=SETTLE)
    for uid in uids[gone:]:
        claim = claim_study(ledger, uid)
        assert claim is not None
        ledger.outcomes.commit(done(claim))
    assert ledger.retractions.mark_absent(MAIN) == gone
    assert (len(ledger.marks.page()), len(ledger.retractions.show_plan(MAIN)[0])) == (gone, planned)
    assert ledger.retractions.mark_absent(MAIN) == gone, "repeated after a crash"
    assert ledger.retractions.brake(MAIN).planned == planned
