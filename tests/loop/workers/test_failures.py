"""Whose failure it was, as attempts tell about each other (RULES C6)."""

from __future__ import annotations

from syncd.loop.workers.failures import IN_A_ROW, Failures


def _attempts(failures: Failures, *, before: int = 0) -> int:
    return failures.count_failure("1", attempts=before).attempts


def test_an_attempt_counts_only_if_another_was_written_since() -> None:
    """RULES C6: else nobody can tell whether it is the study or the server; the first one counts."""
    failures = Failures()
    assert _attempts(failures) == 1
    assert _attempts(failures, before=1) == 1
    failures.note_write("2")
    assert _attempts(failures, before=1) == 2
    assert _attempts(failures, before=2) == 2


def test_the_backoff_grows_with_every_try() -> None:
    """RULES C6: backoff 1 s … 5 min, whether the attempt counts or not."""
    failures = Failures()
    assert [failures.count_failure("1", attempts=1).tries for _ in range(3)] == [2, 3, 4]
    failures.note_write("1")
    assert failures.count_failure("1", attempts=0).tries == 1


def test_after_a_restart_nothing_counts_until_something_is_written() -> None:
    """RULES C6, E: the ledger keeps the attempts, and not what others did."""
    failures = Failures()
    assert _attempts(failures, before=7) == 7
    failures.forget("1")
    failures.note_write("2")
    assert _attempts(failures, before=7) == 8


def test_five_different_studies_in_a_row_are_the_servers_fault() -> None:
    """RULES C6: different ones, in a row, of one server; then it begins anew."""
    failures = Failures()
    many = [failures.in_a_row(str(number), server="fhir") for number in range(IN_A_ROW)]
    assert many == [False] * (IN_A_ROW - 1) + [True]
    assert not any(failures.in_a_row("1", server="fhir") for _ in range(9))
    assert not failures.in_a_row("2", server="main")
    for number in range(2, IN_A_ROW):
        assert not failures.in_a_row(str(number), server="fhir")
    failures.note_write("9")
    assert not failures.in_a_row("5", server="fhir")


def test_a_one_shot_run_does_not_wait_for_what_never_counts() -> None:
    """README.md, resync: it ends although a study fails alone for ever."""
    failures = Failures()
    for _ in range(3):
        failures.count_failure("1", attempts=1 if failures.number_given_up or failures._last else 0)
    assert failures.number_given_up == 0
    failures.count_failure("1", attempts=1)
    assert failures.number_given_up == 1
    failures.forget("1")
    assert failures.number_given_up == 0


def test_nobody_waits_for_a_study_that_is_torn() -> None:
    """README.md, resync: only the first few tries of a backoff are waited for."""
    failures = Failures()
    failures.note_torn_read("1", attempts=1)
    assert failures.number_given_up == 1
    failures.note_torn_read("1", attempts=4)
    assert failures.number_given_up == 0
    failures.forget("1")
    assert failures.number_given_up == 0


def test_a_failure_known_to_be_its_own_counts_whatever_is_written() -> None:
    """RULES C6: the archive served its neighbours at that moment."""
    failures = Failures()
    assert [failures.count_failure("1", attempts=before, own=True).attempts for before in range(3)] == [1, 2, 3]
