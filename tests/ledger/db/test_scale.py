"""A million studies fit: what the daemon asks all day long goes by an index and never reads a table through (RULES E8)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Column, Connection, event

from syncd.ledger.db.schema import CanonicalJson, metadata
from syncd.ledger.db.writer import Transaction
from syncd.ledger.ledger import Ledger
from syncd.model.ids import OrthancId
from syncd.model.outbox import FHIR, OutboxEntry
from syncd.model.overview import Heartbeat
from syncd.model.words import Decision
from syncd.model.work import Intent
from tests.ledger.made import (
    MAIN,
    NOW,
    SETTLE,
    Clock,
    claim_study,
    copy,
    done,
    mark,
    parked,
    position,
    record,
    resync,
    waits,
)
from tests.ledger.made import (
    event as told,
)

BIG = ("dirty", "records", "copies", "parked", "intents", "history", "rejections", "companions", "outbox")
"""The tables that grow with the archive."""

FILLED = ("records", "copies", "dirty", "history")
"""Those with a million rows here; of the others PostgreSQL rightly thinks that they are read through in no time."""

MILLION = 1_000_000


def a_day(ledger: Ledger) -> None:
    """Everything that the daemon asks of its ledger again and again."""
    uids = ["1.1", "1.2", "1.3"]
    ledger.feed.commit_intake(
        position(9, seen=(7, 8, 9)),
        marks=[told(uid, orthanc_id=OrthancId(f"o{uid}")) for uid in uids],
        copies=[copy("1.1", "o1.1", "t")],
        settle_after=SETTLE,
    )
    mark(ledger, resync("1.3"))
    for claim in ledger.claims.take(2, now=NOW):
        uid = claim.row.study_uid
        ledger.claims.save_intent(Intent(study_uid=uid, resource_id=uid, digest="d", expected_version="0"))
        owed = OutboxEntry(kind="Provenance", sink=FHIR, study_uid=uid, key=uid)
        ledger.outcomes.commit(done(claim, Decision.CREATE, record=record(uid), gone=(copy(uid, "gone"),), owed=(owed,)))
    for entry in ledger.outbox.due("Provenance", FHIR, limit=20, now=NOW):
        ledger.outbox.put_off(replace(entry, attempts=1))
        ledger.outbox.give_up(entry, "refused")
        ledger.outbox.settle(entry)
    for uid, ending in (("1.3", {"parked": parked("1.3")}), ("1.2", {"unpublished": True})):
        mark(ledger, resync(uid))
        claim = claim_study(ledger, uid)
        assert claim is not None
        ledger.outcomes.commit(waits(claim, due=NOW + 60, **ending))  # type: ignore[arg-type]
    ledger.claims.release(*uids)
    ledger.rejections.keep("1.1", ())
    ledger.overview.beat(Heartbeat(pid=1, at=NOW, started_at=NOW, version="0"))
    ledger.overview.counts(NOW)
    ledger.overview.heartbeat()
    for ask in (
        ledger.records.find,
        ledger.claims.find_intent,
        ledger.records.find_parked,
        ledger.marks.find,
        ledger.overview.history,
        ledger.rejections.find_concerning,
    ):
        ask(uids[0])
    ledger.overview.standing(uids)
    ledger.records.study_of(MAIN, [OrthancId("o1.1")])
    ledger.records.sample_copies(MAIN, 20)
    ledger.marks.find_pending(uids)
    for page in (ledger.records.page, ledger.records.page_parked, ledger.marks.page):
        page("1.1", 100)
    ledger.feed.position(MAIN)
    ledger.companions.find("Patient", "p")
    ledger.progress.newest_generation()
    a_fhir_inventory(ledger)


def a_fhir_inventory(ledger: Ledger) -> None:
    """What is asked of people and of what studies refer to (RULES B10, B12)."""
    ask = ledger.references
    ask.find_study_under("Patient/p", but="1.1")
    ask.subjects("", most=100)
    ask.patients(["Patient/p", "Patient/q"])
    ask.find_referring("", "1.2")
    ask.find_doubted("", most=100)
    ledger.marks.add_subject("Patient/p", but="1.1")
    ledger.marks.add_mismatched("Patient/p")
    ledger.safety.page("1.1")


@contextmanager
def listening(ledger: Ledger) -> Iterator[dict[str, Any]]:
    """Every statement with one of its sets of parameters."""
    heard: dict[str, Any] = {}

    def hear(connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
            heard.setdefault(statement, parameters[0] if many else parameters)

    for engine in (ledger._engine, ledger._readers):
        event.listen(engine, "before_cursor_execute", hear)
    yield heard


def test_no_question_of_a_day_reads_a_table_through(file_url: str) -> None:
    """RULES E8: SQLite's own plan of every statement."""
    with Ledger.open(file_url, clock=Clock(NOW)) as ledger:
        with listening(ledger) as heard:
            a_day(ledger)
        assert len(heard) > 40
        assert read_through(ledger, heard) == []


def test_what_only_a_person_asks_may_read_a_table_through(file_url: str) -> None:
    """RULES E8: the one-shot commands' questions do, which also shows that the test above would notice."""
    with Ledger.open(file_url, clock=Clock(NOW)) as ledger:
        with listening(ledger) as heard:
            ledger.progress.count_backing_off(most_attempts=3)
        assert read_through(ledger, heard) == ["dirty"]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def url(request: pytest.FixtureRequest, new_url: Callable[[str], str]) -> str:
    return new_url(request.param)


@pytest.mark.long
def test_a_million_studies_fit(url: str) -> None:
    """RULES E8: a million published, a million waiting; the plans are those of full tables, and the answers are right."""
    with Ledger.open(url, clock=Clock(NOW)) as ledger:
        ledger._writer.run(_fill)
        counts = ledger.overview.counts(NOW)
        assert (counts.dirty, counts.due, counts.published) == (MILLION, 100, {"available": MILLION})
        claims = ledger.claims.take(1000, now=NOW)
        assert len(claims) == 100
        assert [claim.row.priority for claim in claims] == sorted(claim.row.priority for claim in claims)
        ledger.claims.release(*(claim.row.study_uid for claim in claims))
        with listening(ledger) as heard:
            a_day(ledger)
        assert [table for table in read_through(ledger, heard) if table in FILLED] == []
        assert ledger.marks.add_outdated("fingerprint") == 0, "all were published under this one"


def read_through(ledger: Ledger, heard: dict[str, Any]) -> list[str]:
    """The big tables that the database would read from one end to the other for one of these statements. The latest
    decisions are walked from their end and stop after a few."""
    return [
        table
        for statement, parameters in heard.items()
        if not ("FROM history" in statement and "ORDER BY history.id DESC" in statement)
        for table in _scanned(ledger, statement, parameters)
        if table in BIG
    ]


def _scanned(ledger: Ledger, statement: str, parameters: Any) -> list[str]:
    is_file = ledger._engine.dialect.name == "sqlite"
    with ledger._engine.connect() as connection:
        steps = connection.exec_driver_sql(f"EXPLAIN {'QUERY PLAN ' if is_file else ''}{statement}", parameters).all()
        connection.rollback()
    found = [re.search(r"^SCAN (\w+)" if is_file else r"Seq Scan on (\w+)", str(step[-1])) for step in steps]
    return [match[1] for match in found if match]


_NUMBERS = f"WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {MILLION})"
_SAID = {
    "study_uid": "'2.' || i",
    "orthanc_id": "'o' || i",
    "id": "i",
    "archive": "'main'",
    "status": "'available'",
    "fingerprint": "'fingerprint'",
    "priority": "i - i / 3 * 3",
    "due": "CASE WHEN i <= 100 THEN 0 ELSE 9e12 END",
    "subject": "'Patient/' || i",
}


def _value(column: Column[Any]) -> str:
    """What the column says of study `i`; of whatever is not said above, its type's nothing."""
    if column.name in _SAID or column.nullable:
        return _SAID.get(column.name, "NULL")
    if isinstance(column.type, CanonicalJson):
        return "'{}'"
    return {bool: "false", str: "''"}.get(column.type.python_type, "0")


def _fill(tx: Transaction) -> None:
    connection = tx.connection
    for name in FILLED:
        columns = metadata.tables[name].columns
        names = ", ".join(f'"{column.name}"' for column in columns)
        values = ", ".join(map(_value, columns))
        connection.exec_driver_sql(f"INSERT INTO {name} ({names}) {_NUMBERS} SELECT {values} FROM numbers")
    tx.count("dirty", by=MILLION)
    tx.count("published", word="available", by=MILLION)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT setval(pg_get_serial_sequence('history', 'id'), (SELECT max(id) FROM history))")
        connection.exec_driver_sql("ANALYZE")
