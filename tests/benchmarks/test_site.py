"""What the benchmarks build on: files that are what they are said to be, statements that are counted once, costs as told."""

from __future__ import annotations

import io
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from benchmarks.arms.large import slope
from benchmarks.arms.live import percentile
from benchmarks.arms.started import Started
from benchmarks.site import program
from benchmarks.site.counted import Counts, count_sqlite
from benchmarks.site.shapes import Shape, files, study_uid


def test_files_are_a_whole_study_each_with_uids_and_numbers_of_its_own() -> None:
    shape = Shape(studies=5, series=2, instances=3)
    found = [pydicom.dcmread(io.BytesIO(file)) for file in files(shape, run=7)]
    assert len(found) == shape.files == 30
    assert len({one.SOPInstanceUID for one in found}) == 30
    assert {one.StudyInstanceUID for one in found} == {study_uid(7, study) for study in range(5)}
    assert len({one.SeriesInstanceUID for one in found}) == 10
    assert sorted({(int(one.SeriesNumber), int(one.InstanceNumber)) for one in found}) == [
        (series, number) for series in (1, 2) for number in (1, 2, 3)
    ]
    assert len({one.PatientID for one in found}) == 2
    assert all(one.SOPInstanceUID.startswith(one.SeriesInstanceUID + ".") for one in found)
    assert all(len(one.SOPInstanceUID) <= 64 for one in found)


@pytest.fixture
def counts(tmp_path: Path) -> Iterator[Counts]:
    found = Counts()
    undo = count_sqlite(found)
    yield found
    undo()


def test_a_statement_is_counted_once_and_a_transaction_only_if_it_changed_something(counts: Counts) -> None:
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute("CREATE TABLE some (value)")
    database.execute("BEGIN IMMEDIATE")
    database.executemany("INSERT INTO some VALUES (?)", [(number,) for number in range(50)])
    database.execute("COMMIT")
    database.execute("BEGIN")
    assert database.execute("SELECT COUNT(*) FROM some").fetchone() == (50,)
    database.execute("COMMIT")
    database.execute("PRAGMA user_version")
    database.close()
    assert (counts.statements, counts.transactions) == (3, 1)


def test_a_commit_of_the_connection_counts_as_well(counts: Counts) -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE some (value)")
    database.execute("INSERT INTO some VALUES (1)")
    database.commit()
    database.commit()
    with database:
        database.execute("DELETE FROM some")
    database.close()
    assert counts.transactions == 2


def test_the_fence_before_a_write_is_no_statement() -> None:
    counts = Counts()
    counts.saw("SELECT pg_backend_pid(), (SELECT value FROM sequences WHERE name = 'epoch')")
    counts.saw("SELECT value FROM sequences WHERE name = 'epoch' FOR UPDATE")
    assert (counts.fences, counts.statements) == (1, 1)


@pytest.mark.parametrize(
    ("method", "path", "writes"),
    [("PUT", "/fhir/Patient/1", 1), ("POST", "/fhir", 1), ("POST", "/fhir/Patient/_search", 0), ("GET", "/fhir/Patient", 0)],
)
def test_a_search_by_post_is_no_write(method: str, path: str, writes: int) -> None:
    counts = Counts()
    counts.requested(method, path)
    assert (counts.writes, counts.asked) == (writes, 1 - writes)


def test_a_program_tells_what_it_took_and_what_it_said(tmp_path: Path) -> None:
    cost = program.run([sys.executable, "-c", "print('first'); print('{\"told\": 1}')"], directory=tmp_path)
    assert cost.json == {"told": 1} and cost.code == 0
    assert cost.wall > 0 and cost.cpu > 0 and cost.peak > 1_000_000


def test_a_program_that_fails_is_told_with_the_end_of_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(program.ProgramFailed, match="what went wrong"):
        program.run([sys.executable, "-c", "raise SystemExit('what went wrong')"], directory=tmp_path)


def test_the_kernel_is_read_also_where_a_name_has_blanks_and_brackets() -> None:
    stat = "12 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0"
    assert program._cpu_in(stat, ticks=100) == 2.0
    assert program._memory_in("Name:\tx\nVmHWM:\t  9 kB\nVmRSS:\t  12 kB\n", what="VmRSS") == 12 * 1024


def test_slopes_and_percentiles() -> None:
    assert slope([10, 100, 1000], [1.0, 5.0, 100.0]) == pytest.approx(1.0)
    assert slope([10, 100], [1.0, 100.0]) == pytest.approx(2.0)
    assert percentile([3.0], 95) == 3.0
    assert percentile([float(number) for number in range(101)], 95) == pytest.approx(95.0)


@pytest.mark.parametrize(("wall", "drowns"), [(0.9, True), (1.0, True), (1.09, True), (1.2, False)])
def test_what_is_left_of_a_run_as_short_as_a_start_is_no_value(wall: float, drowns: bool) -> None:
    """A busy machine's start may take longer than the whole run beside it; a ratio of nothing would meet any goal."""
    start = Started(costs=[program.Cost(wall=1.0, cpu=0.5, peak=1)])
    assert start.drowns(program.Cost(wall=wall, cpu=0.5, peak=1)) is drowns
