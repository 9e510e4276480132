"""Contract: what rejection notes said is kept, and a change of it marks whom it concerns, in one transaction."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncd.errors import LedgerRefused
from syncd.ledger.ledger import Ledger
from syncd.model.study.rejection import Rejection
from syncd.model.words import Priority
from tests.ledger.made import NOW, Clock, done, event, mark, only, publish

A, B, C = "1.1", "1.2", "1.3"


def says(source: str, target: str, *instances: str, uid: str = "", **changes: object) -> Rejection:
    """The note of `source` names `instances` of `target`."""
    note = Rejection(
        note_uid=uid or f"{source}.9",
        source_uid=source,
        target_uid=target,
        title="113037",
        patient="pat-1",
        instances=instances or (f"{target}.1",),
    )
    return replace(note, **changes)  # type: ignore[arg-type]


def dirty(ledger: Ledger) -> set[str]:
    return {row.study_uid for row in ledger.marks.page()}


@pytest.fixture
def published(ledger: Ledger) -> Ledger:
    """Three studies, all at rest."""
    publish(ledger, A, B, C)
    assert not dirty(ledger)
    return ledger


def test_what_was_said_survives_a_restart(ledger: Ledger, url: str, clock: Clock) -> None:
    """RULES B7: KO, source, target, title, instances, first missing at."""
    told = (says(B, A, "1.1.1", "1.1.2"), says(B, C, first_missing_at=NOW))
    ledger.rejections.keep(B, told)
    ledger.close()
    with Ledger.open(url, clock=clock) as again:
        assert again.rejections.find_concerning(B) == told
        assert again.rejections.find_concerning(A) == told[:1]
        assert again.rejections.find_concerning(C) == told[1:]


def test_a_note_marks_those_whom_it_names_and_not_its_own_study(published: Ledger) -> None:
    """RULES B7: due now, before repairs and backfill; FHIR need not be read."""
    assert published.rejections.keep(B, [says(B, A), says(B, B)]) == 1
    (row,) = published.marks.page()
    assert (row.study_uid, row.due, row.priority, row.read_fhir, row.reason) == (A, NOW, Priority.FEED, False, "rejection")


def test_the_same_again_marks_nobody(published: Ledger) -> None:
    """RULES B7: a study is read often, its notes change rarely."""
    published.rejections.keep(B, [says(B, A)])
    published.outcomes.commit(done(only(published)))
    assert published.rejections.keep(B, [says(B, A)]) == 0
    assert not dirty(published)


def test_a_timer_that_starts_or_stops_marks_nobody(published: Ledger, clock: Clock) -> None:
    """MAPPING D.2-4: during the grace nothing changes for those whom the note names."""
    published.rejections.keep(B, [says(B, A)])
    published.outcomes.commit(done(only(published)))
    missing = says(B, A, first_missing_at=NOW)
    for told in ([missing], [says(B, A)]):
        assert published.rejections.keep(B, told) == 0
        assert published.rejections.find_concerning(A) == tuple(told)
    assert not dirty(published)


@pytest.mark.parametrize(
    "now_said",
    [[], [says(B, A, "1.1.2")], [says(B, A, title="113039")], [says(B, A, patient="pat-2")], [says(B, C)]],
    ids=["revoked", "other instances", "other title", "other patient", "other study"],
)
def test_every_other_change_marks_those_whom_it_named(published: Ledger, now_said: list[Rejection]) -> None:
    """RULES B7."""
    published.rejections.keep(B, [says(B, A)])
    published.outcomes.commit(done(only(published)))
    published.rejections.keep(B, now_said)
    assert dirty(published) == {A, *(one.target_uid for one in now_said)}
    assert published.rejections.find_concerning(B) == tuple(now_said)


def test_a_note_that_names_a_note_concerns_whom_that_one_names(published: Ledger) -> None:
    """MAPPING D.2-4: A's note loses its effect on C when B's note names it, and gets it back."""
    of_a, of_b = says(A, C, uid="k"), says(B, A, "k")
    published.rejections.keep(A, [of_a])
    published.outcomes.commit(done(only(published)))
    for told in ([of_b], []):
        assert published.rejections.keep(B, told) == 2
        assert dirty(published) == {A, C}
        for claim in published.claims.take(9, now=NOW):
            published.outcomes.commit(done(claim))
    published.rejections.keep(B, [of_b, says(B, B)])
    assert set(published.rejections.find_concerning(C)) == {of_a, of_b}, (
        "C must know that the note which names it has no effect"
    )


def test_a_study_that_nobody_knows_is_not_marked(ledger: Ledger) -> None:
    """MAPPING D.2-2: the note is before its images; they are looked at when they come, and it is remembered."""
    assert ledger.rejections.keep(B, [says(B, A)]) == 0
    assert not dirty(ledger)
    assert ledger.rejections.find_concerning(A) == (says(B, A),)


def test_a_mark_during_the_work_keeps_the_study_dirty(ledger: Ledger) -> None:
    """RULES E1: B's note is committed while A is being published."""
    mark(ledger, event(A, orthanc_id="o"))
    claim = only(ledger)
    ledger.rejections.keep(B, [says(B, A)])
    assert ledger.outcomes.commit(done(claim)) is True


def test_a_guest_keeps_nothing(ledger: Ledger, url: str) -> None:
    """RULES E4: a second process writes marks only."""
    with Ledger.open_guest(url) as guest, pytest.raises(LedgerRefused):
        guest.rejections.keep(B, [says(B, A)])


def test_a_clock_set_back_does_not_lengthen_the_grace(ledger: Ledger, url: str, clock: Clock) -> None:
    """RULES E5: on load, first marks ≤ now."""
    ledger.rejections.keep(B, [says(B, A, first_missing_at=NOW)])
    ledger.close()
    clock.now = NOW - 7200
    with Ledger.open(url, clock=clock) as again:
        assert [one.first_missing_at for one in again.rejections.find_concerning(A)] == [clock.now]
