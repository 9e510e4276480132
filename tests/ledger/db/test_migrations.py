"""A ledger of an older version: brought up to date with everything that was in it.

The old rows are written by statements that SQLite and PostgreSQL both know: `false`, not 0, in a column of that type."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select

from syncd.errors import LedgerRefused
from syncd.ledger.db import engine
from syncd.ledger.db.backend import backend_of
from syncd.ledger.db.plain import APPLICATION_ID, schema_of_this_version
from syncd.ledger.db.schema import ANYBODY, intents
from syncd.ledger.db.sqlite import FileBackend
from syncd.ledger.ledger import Ledger
from syncd.model.ids import OrthancId
from syncd.model.study.raw import StudyListing
from syncd.model.study.rejection import Rejection
from syncd.model.words import Decision
from syncd.model.work import Brake
from syncd.plan.ownership import owned_values
from tests.ledger.made import MAIN, SETTLE, Clock, copies_of, done, event, publish, record

PARKED = "INSERT INTO parked VALUES ('{}', '{}', '', '', '', NULL, 0)"
DIRTY = "INSERT INTO dirty VALUES ('{}', 7, 0, 5, 5, 0, 0, false, 0, 0, 'event', NULL)"


def of_version(revision: str, url: str, statements: Iterable[str]) -> None:
    """A ledger with the schema of `revision`, and these rows."""
    backend = backend_of(url)
    if isinstance(backend, FileBackend):
        with closing(sqlite3.connect(backend.place.file)) as connection:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    config = engine._alembic()
    opened = backend.create_writing_engine(max_pages=None)
    with opened.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        for statement in statements:
            connection.exec_driver_sql(statement)
    opened.dispose()


@pytest.fixture
def old(url: str) -> str:
    of_version(
        "0001",
        url,
        [
            "UPDATE sequences SET value = 7 WHERE name = 'generation'",
            "INSERT INTO feeds VALUES ('main', 'ok', 42, 43, 1, false, '')",
            "INSERT INTO copies VALUES ('main', 'o1', '1.1', 't')",
            *(PARKED.format(uid, "rejection-unsupported") for uid in ("1.1", "1.2")),
            PARKED.format("1.3", "refused"),
            DIRTY.format("1.2"),
            "INSERT INTO tallies VALUES ('parked', 'rejection-unsupported', 2), ('parked', 'refused', 1), ('dirty', '', 1)",
        ],
    )
    return url


def test_the_first_ledger_becomes_todays_and_keeps_what_it_held(old: str, clock: Clock) -> None:
    """RULES E: cursor, copies and parked studies stay; rejections can be kept."""
    told = Rejection(note_uid="k", source_uid="1.1", target_uid="1.1", title="113037", patient="p", instances=("1",))
    with Ledger.open(old, clock=clock) as ledger:
        position = ledger.feed.position(MAIN)
        assert position is not None
        assert (position.cursor, [one.orthanc_id for one in copies_of(ledger, "1.1")]) == (42, ["o1"])
        assert {one.study_uid for one in ledger.records.page_parked()} == {"1.1", "1.2", "1.3"}
        ledger.rejections.keep("1.1", [told])
        assert ledger.rejections.find_concerning("1.1") == (told,)


def test_studies_parked_for_their_rejection_notes_are_looked_at_again(old: str, clock: Clock) -> None:
    """Nothing stays parked `rejection-unsupported`; the others wait as they did."""
    with Ledger.open(old, clock=clock) as ledger:
        assert ledger.overview.counts(clock()).dirty == 2
        claims = {claim.row.study_uid: claim for claim in ledger.claims.take(9, now=clock())}
        assert claims.keys() == {"1.1", "1.2"}
        assert (claims["1.1"].row.generation, claims["1.1"].row.reason) == (8, "rejection")
        assert (claims["1.2"].row.generation, claims["1.2"].row.reason) == (7, "event")
        assert claims["1.1"].parked is not None
        ledger.marks.add([event("1.1")], settle_after=SETTLE)
        row = ledger.marks.find("1.1")
        assert row is not None
        assert row.generation == 9


@pytest.mark.parametrize("backend", ["memory", pytest.param("postgresql", marks=pytest.mark.real)])
def test_a_new_ledger_is_what_every_older_one_becomes(new_url: Callable[[str], str], backend: str, clock: Clock) -> None:
    """RULES E6: one code path. A new ledger is laid out at once, an older one goes through its history to the same."""
    laid_out, migrated = new_url(backend), new_url(backend)
    Ledger.open(laid_out, clock=clock).close()
    of_version("0001", migrated, [])
    Ledger.open(migrated, clock=clock).close()
    assert _content(migrated) == _content(laid_out)


def test_the_last_migration_is_the_one_that_alembic_calls_the_head() -> None:
    """docs/decisions/imports.md: which one that is, is told without Alembic by the names of the files."""
    assert schema_of_this_version() == ScriptDirectory.from_config(engine._alembic()).get_current_head()


def test_an_empty_one_gets_no_work(url: str, clock: Clock) -> None:
    """RULES E1."""
    of_version("0001", url, [])
    with Ledger.open(url, clock=clock) as ledger:
        assert (ledger.overview.counts(clock()).dirty, ledger.progress.newest_generation()) == (0, 0)


def test_a_guest_does_not_migrate(old: str) -> None:
    """RULES E4: the owner does it, once."""
    with pytest.raises(LedgerRefused, match="older syncd"):
        Ledger.open_guest(old)


def test_a_second_start_migrates_nothing(old: str, clock: Clock) -> None:
    """RULES E1: the marks are made once."""
    with Ledger.open(old, clock=clock) as ledger:
        generation = ledger.progress.newest_generation()
    with Ledger.open(old, clock=clock) as ledger:
        assert (ledger.progress.newest_generation(), ledger.overview.counts(clock()).dirty) == (generation, 2)


def test_a_migration_that_dies_leaves_the_old_ledger(old: str, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """RULES A2: one transaction; what was not finished never was."""
    real = command.upgrade

    def dies(*arguments: object) -> None:
        real(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "upgrade", dies)
    with pytest.raises(KeyboardInterrupt):
        Ledger.open(old, clock=clock)
    monkeypatch.undo()
    assert "rejections" not in _tables(old)
    with Ledger.open(old, clock=clock) as ledger:
        assert ledger.overview.counts(clock()).dirty == 2


def _content(url: str) -> dict[str, Any]:
    """Each table's columns, key, indexes and rows, in an order that tells nothing of how they came about."""
    opened = backend_of(url).create_reading_engine()
    with opened.connect() as connection:
        found, content = inspect(connection), {}
        for table in found.get_table_names():
            columns = sorted((one["name"], str(one["type"]), one["nullable"]) for one in found.get_columns(table))
            names = ", ".join(f'"{name}"' for name, _, _ in columns)
            rows = connection.exec_driver_sql(f'SELECT {names} FROM "{table}"').all()
            indexes = sorted((str(one["name"]), one["column_names"], one["unique"]) for one in found.get_indexes(table))
            content[table] = (columns, found.get_pk_constraint(table), indexes, sorted(map(tuple, rows)))
    opened.dispose()
    return content


def _tables(url: str) -> set[str]:
    opened = backend_of(url).create_reading_engine()
    with opened.connect() as connection:
        found = set(inspect(connection).get_table_names())
    opened.dispose()
    return found


RECORD = (
    "INSERT INTO records VALUES"
    " ('{0}', '{1}', '1', '', 'd', 'f', '{2}', '{{}}', '{{}}', '{{}}', '', 1, 1, '', '', false, 0, 5)"
)


def test_what_was_published_gets_an_archive_and_a_budget(url: str, clock: Clock) -> None:
    """RULES D2, D3: records of a version that took nothing back but what was rejected; counts kept from then on."""
    of_version(
        "0002",
        url,
        [
            "INSERT INTO feeds VALUES ('main', 'ok', 42, 43, 1, false, '')",
            "INSERT INTO copies VALUES ('main', 'o1', '1.1', 't')",
            RECORD.format("1.1", "1.1", "available"),
            RECORD.format("1.2", "kept", "registered"),
            RECORD.format("1.3", "1.3", "entered-in-error"),
            RECORD.format("bad", "x-12", "available"),
        ],
    )
    with Ledger.open(url, clock=clock) as ledger:
        found = {one.study_uid: (one.archive, one.adopted, one.retracted, one.retracted_at) for one in ledger.records.page()}
        assert found == {
            "1.1": ("main", False, "", 0.0),
            "1.2": ("main", True, "", 0.0),
            "1.3": ("main", False, "withdrawn", 5.0),
            "bad": ("main", False, "", 0.0),
        }
        assert ledger.retractions.brake(MAIN) == Brake(archive=MAIN, published=3)


def test_what_waits_is_sorted_by_what_was_published_of_it(url: str, clock: Clock) -> None:
    """RULES A9: a backlog of an older version is worked on newest first, too; what nobody dated comes last."""
    record = (
        "INSERT INTO records VALUES ('{0}', '{0}', '1', '', '', '', 'available', "
        "'{{}}', '{{}}', '{{}}', '', 1, 1, '{1}', '', false, 0, 0)"
    )
    old = "INSERT INTO dirty VALUES ('{}', 7, 2, 5, 5, 0, 0, false, 0, 0, 'resync', NULL)"
    rows = {"1.1": "1999-01-02", "1.2": "2024-01-02", "1.3": "2010-05-05"}
    statements = [record.format(uid, date) for uid, date in rows.items()]
    of_version("0002", url, [*statements, *(old.format(uid) for uid in (*rows, "1.9"))])
    with Ledger.open(url, clock=clock) as ledger:
        assert [claim.row.study_uid for claim in ledger.claims.take(9, now=clock())] == ["1.2", "1.3", "1.1", "1.9"]
        assert ledger.selection.page() == []


def test_what_was_parked_is_not_dropped(old: str, clock: Clock) -> None:
    """RULES E2: nobody said so of what is old, and it can be said now."""
    with Ledger.open(old, clock=clock) as ledger:
        assert {one.dropped for one in ledger.records.page_parked()} == {False}
        assert ledger.parking.drop("1.3")
        assert (ledger.overview.counts(clock()).dropped, ledger.corrections.find_fought_over("1.3")) == (1, frozenset())


def test_the_first_inventory_after_an_upgrade_marks_nothing_for_its_words(url: str, clock: Clock) -> None:
    """RULES A8: a ledger of before the digests; what it knows is not compared before a read or a listing told of it."""
    of_version("0007", url, ["INSERT INTO copies VALUES ('main', 'o1', '1.1', 't', 0, 1, 5, '')"])
    told = StudyListing(
        orthanc_id=OrthancId("o1"), study_uid="1.1", is_stable=True, last_update="t", labels="", tags_digest="d1"
    )
    with Ledger.open(url, clock=clock) as ledger:
        ledger.sweep.begin(MAIN)
        ledger.sweep.detail(MAIN, [told])
        (window,) = ledger.sweep.copy_windows(MAIN, untold=True)
        assert ledger.sweep.find_differing(MAIN, window) == []
        assert ledger.sweep.keep_digests(MAIN, window) == 1
        (copy,) = copies_of(ledger, "1.1")
        assert (copy.last_update, copy.instances, copy.labels, copy.tags_digest) == ("t", 1, "", "d1")


STUDIES = 1500
"""More than the migration reads at once."""

WRITTEN = (
    "INSERT INTO records (study_uid, resource_id, version, last_updated, digest, fingerprint, status, raw, "
    '"foreign", owned, subject, series, instances, study_date, modalities, summary, notes, published_at, archive, '
    "adopted, retracted, retracted_at) VALUES ('{}', '1', '1', '', 'd', 'f', 'available', '{{}}', '{{}}', '{}', '', 1, 1, "
    "'', 'CT', false, 0, 1, 'main', false, '', 0)"
)


def test_what_was_written_is_known_by_digest_after_the_upgrade(url: str, clock: Clock) -> None:
    """RULES S1, C3: no name stays, also not in a page that is free now, and what was ours is ours."""
    wrote = {
        "resourceType": "ImagingStudy",
        "identifier": [{"value": "ACC98765"}],
        "endpoint": [{"reference": "Endpoint/e"}],
        "extension": [{"url": "http://site.test/x", "valueString": "é"}],
        "meta": {"profile": ["http://profile.test"]},
        "referrer": {"display": "VOGELWEIDE"},
    }
    values = {
        "identifier": wrote["identifier"],
        "endpoint": ["Endpoint/e"],
        "extension": wrote["extension"],
        "profile": ["http://profile.test"],
        "filled": {"referrer": [wrote["referrer"]]},
    }
    before = json.dumps(values, ensure_ascii=False)
    intended = json.dumps({**values, "status": "cancelled"}, ensure_ascii=False)
    intent = f"INSERT INTO intents VALUES ('1.1', '1', 'd', '0', '{intended}', 1)"
    of_version("0009", url, [*(WRITTEN.format(f"1.{n}", before) for n in range(1, STUDIES + 1)), intent])
    with Ledger.open(url, clock=clock) as ledger:
        record, found = ledger.records.find(f"1.{STUDIES}"), ledger.claims.find_intent("1.1")
        assert record is not None
        assert found is not None
        assert record.owned == owned_values(wrote)
        assert found.owned == {**owned_values(wrote), "status": "cancelled"}
    if not url.startswith("postgresql"):
        file = Path(url.removeprefix("sqlite:///"))
        assert not [one for one in file.parent.glob(f"{file.name}*") if b"VOGELWEIDE" in one.read_bytes()]


def test_one_process_becomes_the_only_member(url: str, clock: Clock) -> None:
    """RULES N3, D3, E8: counts are as they were, what is shown of an archive too; an intent is nobody's who lives."""
    of_version(
        "0011",
        url,
        [
            *(WRITTEN.format(f"1.{number}", "{}") for number in (1, 2)),
            "INSERT INTO intents VALUES ('1.1', '1', 'd', '3', '{}', 1)",
            "INSERT INTO brakes VALUES ('main', 2, 4, 3), ('other', 0, 0, 0)",
            "INSERT INTO tallies VALUES ('published', 'available', 2), ('dirty', '', 0)",
            "INSERT INTO retraction_charges VALUES ('9.1', 1699999999, 'main', 'gone', true, false)",
        ],
    )
    with Ledger.open(url, clock=clock) as ledger:
        assert ledger.retractions.brake(MAIN) == Brake(archive=MAIN, published=2, spent=4, planned=3)
        assert ledger.overview.counts(clock()).published == {"available": 2}
        publish(ledger, "1.3", archive="main")
        assert ledger.overview.counts(clock()).published == {"available": 3}
        assert ledger.retractions.brake(MAIN).published == 3
        found = ledger.claims.find_intent("1.1")
        assert found is not None
        assert found.expected_version == "3"
        wanted = select(intents.c.member)
        assert ledger._transactions.read(lambda connection: connection.execute(wanted).scalars().all()) == [ANYBODY]
        ledger.claims.save_intent(found)
        epoch = ledger._transactions.epoch()
        assert ledger._transactions.read(lambda connection: connection.execute(wanted).scalars().all()) == [epoch]


@pytest.mark.parametrize("revision", [f"{number:04}" for number in range(1, int(schema_of_this_version()))])
def test_a_ledger_of_each_version_works_after_the_upgrade(url: str, revision: str, clock: Clock) -> None:
    """RULES E6: whatever was counted, claimed or waited for in it."""
    dated = (", study_date", ", ''") if revision >= "0006" else ("", "")
    row = (
        "INSERT INTO dirty (study_uid, generation, priority, due, first_marked, last_event, streaming_since, read_fhir,"
        f" attempts, not_before, reason, claim_epoch{dated[0]}) VALUES"
        f" ('1.1', 7, 0, 5, 5, 0, 0, false, 0, 0, 'event', 1{dated[1]})"
    )
    of_version(
        revision,
        url,
        [
            row,
            "UPDATE sequences SET value = 7",
            "INSERT INTO tallies (kind, word, number) VALUES ('dirty', '', 1)",
            "INSERT INTO intents (study_uid, resource_id, digest, expected_version, owned, created_at)"
            " VALUES ('1.1', '1.1', 'd', '0', '{}', 1)",
        ],
    )
    with Ledger.open(url, clock=clock) as ledger:
        (claim,) = ledger.claims.take(9, now=clock())
        assert claim.intent is not None
        ledger.claims.save_intents([claim.intent])
        assert ledger.outcomes.commit_many([done(claim, Decision.CREATE, record=record("1.1", archive="main"))]) == {
            "1.1": False
        }
        counts = ledger.overview.counts(clock())
        assert (counts.dirty, counts.published, ledger.retractions.brake(MAIN).published) == (0, {"available": 1}, 1)
