"""Contract: many threads, one writer (RULES E6)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from syncd.errors import LedgerUnavailable
from syncd.ledger.db.writer import Writer
from syncd.ledger.ledger import Ledger
from syncd.model.words import Decision
from tests.ledger.made import NOW, done, event, mark, record

THREADS = 8


def test_eight_threads_finish_four_hundred_rows_none_twice_none_lost(ledger: Ledger) -> None:
    """RULES E6."""
    uids = [f"1.{number}" for number in range(400)]
    mark(ledger, *map(event, uids))
    start = threading.Barrier(THREADS)

    def work(_: int) -> list[str]:
        worked: list[str] = []
        start.wait()
        while claims := ledger.claims.take(7, now=NOW):
            for claim in claims:
                uid = claim.row.study_uid
                assert not ledger.outcomes.commit(done(claim, Decision.CREATE, record=record(uid)))
                worked.append(uid)
        return worked

    with ThreadPoolExecutor(THREADS) as pool:
        worked = [uid for part in pool.map(work, range(THREADS)) for uid in part]
    assert sorted(worked) == sorted(uids)
    assert ledger.overview.counts(NOW).dirty == 0
    assert ledger.overview.counts(NOW).published == {"available": 400}


def test_marks_made_while_others_commit_are_never_lost(ledger: Ledger) -> None:
    """RULES E1: after the last mark of a study, somebody works on that study once more."""
    uids = [f"1.{number}" for number in range(10)]
    last_marked: dict[str, int] = dict.fromkeys(uids, 0)
    last_worked: dict[str, int] = dict.fromkeys(uids, 0)
    marking = threading.Event()

    def keep_marking() -> None:
        for number in range(1, 11):
            for uid in uids:
                last_marked[uid] = number
                mark(ledger, event(uid))
        marking.set()

    def work(_: int) -> None:
        while not marking.is_set() or ledger.overview.counts(NOW).dirty:
            for claim in ledger.claims.take(3, now=NOW):
                uid = claim.row.study_uid
                last_worked[uid] = last_marked[uid]  # the snapshot: what is true when the work begins
                ledger.outcomes.commit(done(claim))

    with ThreadPoolExecutor(THREADS) as pool:
        marker = pool.submit(keep_marking)
        list(pool.map(work, range(3)))
        marker.result()
    assert last_worked == last_marked


def test_one_failing_change_does_not_spoil_its_neighbours(ledger: Ledger) -> None:
    """RULES E6: several changes of one transaction, each in a savepoint of its own."""
    writer: Writer = ledger._writer
    entered, go_on = threading.Event(), threading.Event()

    def hold(_: Any) -> None:
        entered.set()
        go_on.wait()

    def fail(tx: Any) -> None:
        tx.count("dirty", by=1000)
        tx.connection.exec_driver_sql("DELETE FROM sequences")
        raise LookupError("only mine")

    with ThreadPoolExecutor(6) as pool:
        holding = pool.submit(writer.run, hold)
        entered.wait()
        before = pool.submit(mark, ledger, event("1.1"))
        failing = pool.submit(writer.run, fail)
        after = pool.submit(mark, ledger, event("1.2"))
        while writer._jobs.qsize() < 3:
            threading.Event().wait(0.001)
        go_on.set()
        holding.result()
        assert before.result() == after.result() == 1
        with pytest.raises(LookupError, match="only mine"):
            failing.result()
    assert ledger.overview.counts(NOW).dirty == 2


def test_a_closed_ledger_says_so(ledger: Ledger) -> None:
    """An error says what happened; a late thread gets an answer, not a hang."""
    ledger.close()
    with pytest.raises(LedgerUnavailable, match="closed"):
        mark(ledger, event("1.1"))
    with pytest.raises(LedgerUnavailable, match="closed"):
        ledger.overview.counts(NOW)
    ledger.close()
