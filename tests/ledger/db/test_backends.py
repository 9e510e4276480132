"""Contract: what any database must keep to: the schema, silence about what is stored, a clock set back."""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from syncd.ledger.db.schema import metadata
from syncd.ledger.ledger import Ledger
from syncd.model.work import LONGEST_BACKOFF, LONGEST_STREAM
from tests.ledger.db.test_migrations import of_version
from tests.ledger.made import MAIN, NOW, SETTLE, Clock, done, event, mark, next_due, only, position, record, resync, waits


def test_the_migrations_make_exactly_the_schema(url: str, clock: Clock) -> None:
    """RULES E6: one code path; the schema in the program and in the migrations never part."""
    of_version("0001", url, [])
    with Ledger.open(url, clock=clock) as ledger, ledger._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_no_message_of_the_database_carries_what_is_stored(ledger: Ledger) -> None:
    """RULES S1."""
    mark(ledger, event("1.1"))
    claim = only(ledger)
    unfit = replace(record("1.1", foreign={"note": "Doe^Jane"}), series=None)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"NOT NULL|refused a statement") as caught:
        ledger.outcomes.commit(done(claim, record=unfit))
    assert "Doe" not in "".join(traceback.format_exception(caught.value))


def test_a_clock_set_back_makes_nobody_wait_for_it(ledger: Ledger, url: str, clock: Clock) -> None:
    """RULES E5: on load, `not_before` ≤ now + the longest backoff and first marks ≤ now."""
    ledger.feed.commit_intake(position(3, seen=(3,)), marks=[], copies=[], settle_after=SETTLE)
    mark(ledger, resync("1.1"), resync("1.2"), event("1.3"))
    endings: dict[str, dict[str, Any]] = {
        "1.1": {"due": NOW, "attempts": 9, "not_before": NOW + 300},
        "1.2": {"due": NOW},
        "1.3": {"due": NOW + 600},
    }
    for claim in ledger.claims.take(3, now=NOW):
        ledger.outcomes.commit(waits(claim, **endings[claim.row.study_uid]))
    ledger.close()
    clock.now = NOW - 7200
    with Ledger.open(url, clock=clock) as again:
        rows = {row.study_uid: row for row in again.marks.page()}
        assert {row.first_marked for row in rows.values()} == {clock.now}
        assert (rows["1.1"].not_before, rows["1.1"].due) == (clock.now + LONGEST_BACKOFF,) * 2
        assert rows["1.1"].attempts == 9
        assert rows["1.2"].due == clock.now + LONGEST_STREAM
        assert rows["1.3"].due == clock.now + LONGEST_STREAM
        assert (rows["1.3"].last_event, rows["1.3"].streaming_since) == (clock.now, clock.now)
        found = again.feed.position(MAIN)
        assert found is not None
        assert found.moved_at == found.seen[3][1] == clock.now


def test_times_that_lie_ahead_by_intention_survive_a_restart(ledger: Ledger, url: str, clock: Clock) -> None:
    """RULES C6, E5: a refused study is tried again daily, not at every start."""
    mark(ledger, event("1.1"))
    ledger.outcomes.commit(waits(only(ledger), due=NOW + 86_400, attempts=1))
    ledger.close()
    clock.now += 5
    with Ledger.open(url, clock=clock) as again:
        assert next_due(again) == NOW + 86_400
