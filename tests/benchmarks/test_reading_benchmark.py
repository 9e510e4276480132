"""The benchmark of reading runs and tells what it should; how long anything takes is no test's business."""

from __future__ import annotations

import pytest

from benchmarks.reading import Row, main, table


def test_a_row_tells_calls_times_and_their_ratio() -> None:
    head, columns, row = table(
        "1.10.1", iter([Row(kind="CT", calls=7, cpu_ms=2.0, wall_ms=30.0, asking_ms=60.0)])
    ).splitlines()
    assert head == "Orthanc 1.10.1"
    assert columns.split() == ["study", "calls", "CPU", "ms", "ms", "asking", "each", "ms", "ratio"]
    assert row.split() == ["CT", "7", "2.00", "30.0", "60.0", "0.50"]


@pytest.mark.real
def test_each_version_at_hand_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--turns", "1", "--kinds", "SR, 1"]) == 0
    assert capsys.readouterr().out.count("SR, 1") >= 1
