"""The benchmark runs from end to end, as small as can be; how long anything takes is no test's business."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import run
from benchmarks.plan import FULL, PLANS, SHORT, SMOKE
from benchmarks.report import Row


def test_the_long_run_measures_what_the_issue_names() -> None:
    assert [str(shape) for shape in FULL.backlogs] == ["2,000 × 3", "500 × 30", "40 × 1,000"]
    assert (FULL.repetitions, FULL.unchanged.studies, FULL.large.each, FULL.changes) == (5, 10_000, 20_000, 100_000)
    assert FULL.preloaded is not None and FULL.preloaded.files == 100_000
    assert SHORT.repetitions == 3 and SHORT.changes == 100_000
    assert list(PLANS.values()) == [SHORT, FULL, SMOKE]


@pytest.mark.parametrize(("only", "code"), [((), 1), (("sound",), 0)])
def test_an_arm_that_fails_costs_its_own_rows_and_the_page_is_written(
    only: tuple[str, ...], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> Iterator[Row]:
        yield Row(measure="half", value=1.0)
        raise AssertionError("a server said something else")

    def sound() -> Iterator[Row]:
        yield Row(measure="whole", value=2.0)

    monkeypatch.setattr(run, "arms_of", lambda session, plan, python: {"broken": broken, "sound": sound})
    page = tmp_path / "page.md"
    assert run.measure(SMOKE, only=only, page_at=page, python=None) == code
    said = page.read_text(encoding="utf-8")
    assert "| whole | – | 2.00 |" in said
    assert ("half" in said, "This arm failed" in said) == (not only, not only)
    assert ("FAILED: broken" in capsys.readouterr().out) == (not only)
    assert str(tmp_path) not in said


def test_an_arm_that_is_not_there_is_told() -> None:
    with pytest.raises(SystemExit, match="no arm nothing; there are backlog, "):
        run.measure(SMOKE, only=["nothing"], page_at=None, python=None)


def test_the_machine_is_told_by_its_kind_only() -> None:
    assert run._total_memory("MemTotal:       24592360 kB\nMemFree: 1 kB\n") == 24592360 * 1024
    assert run._processor("processor\t: 0\nmodel name\t: A processor\nmodel name\t: A processor\n") == "A processor"


@pytest.mark.long
def test_growth_is_measured_on_the_tests_servers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["smoke", "--only", "scale"]) == 0
    out = capsys.readouterr().out
    for kind in ("first import", "resync unchanged", "audit", "start and inventory"):
        assert f"5 → 20 studies, {kind}: log-log slope of its CPU" in out


@pytest.mark.real
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_arm_runs_on_real_servers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """But dicom2fhir, which would have to be installed."""
    page = tmp_path / "page.md"
    arms = ("backlog", "unchanged", "start", "live", "large", "idle")
    assert run.main(["smoke", "--only", *arms, "--page", str(page)]) == 0
    said = page.read_text(encoding="utf-8")
    assert "resync of 4 × 2, Orthanc 1.10.1, with transactions, as by default: rate ÷ floor" in said
    assert "| FHIR writes of a resync of 4 × 1 unchanged | ≤ 0 | 0 | met |" in said
    assert "2,000 changes of the feed into the ledger" in said
