"""The benchmark of arriving studies runs and tells what it should; how long anything takes is no test's business."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.arrival import Row, main, table

ALONE = Row(waiting=0, left=0, took=(0.02, 0.03, 0.05))
BESIDE = Row(waiting=10_000, left=9_000, took=(0.3, 0.2, 2.0))


def test_both_rows_and_their_ratio_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """RULES A9: nothing waits in the one, and the whole backlog when the first new study arrives in the other."""
    assert main(["--waiting", "60", "--arriving", "2"]) == 0
    head, alone, beside, ratio = capsys.readouterr().out.splitlines()
    assert head.split()[:1] == ["waiting"]
    assert (alone.split()[0], beside.split()[0]) == ("0", "60")
    assert ratio.startswith("ratio: ")


@pytest.mark.parametrize(
    ("beside", "within", "hint"),
    [
        (BESIDE, "yes", False),
        (replace(BESIDE, took=(0.3, 0.2, 2.01)), "NO", False),
        (replace(BESIDE, left=0), "yes", True),
    ],
)
def test_the_worst_counts_and_the_medians_are_compared(beside: Row, within: str, hint: bool) -> None:
    """RULES A9: 2 s beyond the poll interval, for each study; beside a backlog that was done, nothing was measured."""
    *_, told, ratio = table(ALONE, beside)
    assert told.split()[-1] == within
    assert "10.00 times" in ratio
    assert ("let more wait" in ratio) == hint
