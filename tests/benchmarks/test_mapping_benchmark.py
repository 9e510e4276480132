"""The benchmark of the mapping runs and tells what it should; how long anything takes is no test's business."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.mapping import PER_SERIES, VERSIONS, Memory, Row, growth, main, memory_line, study, table
from syncd.mapping.dialects.registry import VERSIONS as SPOKEN

ROW = Row(version="r4", instances=100, ms=4.9, fhirclient_ms=2.45, slope=0.04)


@pytest.mark.machine
def test_the_table_has_a_row_for_each_version_and_size(capsys: pytest.CaptureFixture[str]) -> None:
    """Each study passes the check of its version (RULES B1): the benchmark ends otherwise."""
    assert main(["--instances", "1", "2", "4", "--repetitions", "1"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    head = rows[0]
    assert head[0] == "FHIR" and head[-1] == "within"
    told = [(row[0], row[1]) for row in rows[1:] if row and row[0] in VERSIONS]
    assert told == [(version, size) for version in VERSIONS for size in "124"]
    assert [row[1].rstrip(",:") for row in rows if row and row[0] == "growth"] == list(VERSIONS)
    assert [row[1:3] for row in rows if row and row[0] == "memory"] == [["r4,", "4"]]


def test_every_version_that_we_speak_is_measured() -> None:
    """RULES B1 holds for each version; none may be forgotten."""
    assert sorted(VERSIONS) == sorted(SPOKEN)


@pytest.mark.parametrize("size", [1, 3, PER_SERIES, PER_SERIES + 1])
def test_a_study_has_as_many_instances_as_asked_for(size: int) -> None:
    """No instance is lost between series (RULES A7), or the cost per instance would be another."""
    made = study(size)
    assert made.number_of_instances == size
    assert len({instance.uid for series in made.series for instance in series.instances}) == size


@pytest.mark.parametrize(
    ("row", "within"),
    [
        (ROW, "yes"),
        (replace(ROW, ms=4.91), "NO"),
        (replace(ROW, instances=3, ms=0.53), "yes"),
        (replace(ROW, instances=3, ms=0.54), "NO"),
        (replace(ROW, version="r5", ms=400.0), "-"),
    ],
)
def test_the_budget_is_that_of_r4(row: Row, within: str) -> None:
    """0.4 ms and 45 µs per instance for mapping and check (RULES B1) in R4; the other versions have none."""
    assert list(table([row]))[1].split()[-1] == within


@pytest.mark.parametrize(("last", "verdict"), [(0.055, "linear"), (0.065, "MORE THAN LINEAR")])
def test_growth_compares_the_last_two_slopes(last: float, verdict: str) -> None:
    """A cost that grows faster than the study is told, whatever the machine (RULES B1)."""
    rows = [replace(ROW, slope=None), replace(ROW, instances=200), replace(ROW, instances=300, slope=last)]
    assert next(growth(rows)).endswith(f": {verdict}")


@pytest.mark.parametrize(
    ("instances", "peak", "verdict"),
    [(1000, 199, "one study, not two"), (1000, 200, "AS MUCH AS TWO STUDIES"), (3, 200, "too small to tell")],
)
def test_memory_is_compared_with_one_snapshot_and_resource(instances: int, peak: int, verdict: str) -> None:
    """The higher of the two peaks counts, beside one copy of what must be held (RULES B1)."""
    found = Memory(instances=instances, snapshot=40, resource=60, mapping_peak=100, check_peak=peak)
    assert memory_line(found).endswith(f": {verdict}")
