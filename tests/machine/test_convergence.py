"""Whatever happens, in whatever order: afterwards both sides agree (RULES A1–A5, A8, B7, C2–C5, C8, C9, D1, D2, E1–E3, E5).

The seeds are fixed, so that a change is judged by the same histories as the one before it; and the report proves that
every rule was played often and that syncd was killed at every step.
"""

from __future__ import annotations

import os

import pytest

from syncd.loop.steps import Step
from tests.machine import machine
from tests.machine.shards import Told, tell

SEEDS = [1, 2, 3, 4]
HISTORIES = [pytest.param(50, 10, id="200"), pytest.param(125, 50, id="500", marks=pytest.mark.long)]
"""Histories for each seed, and how often every rule must have happened in all of them: 500 are for make test-long."""


@pytest.mark.machine
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("histories", "fewest"), HISTORIES)
def test_both_sides_agree_whatever_happened(histories: int, fewest: int, capsys: pytest.CaptureFixture[str]) -> None:
    """RULES A1–A5, A8, B7, C2–C5, C8, C9, D1, D2, E1–E3, E5: the FHIR side equals what the archive holds, with what
    others wrote, without a duplicate, and one more full look at both sides writes nothing."""
    told = tell(SEEDS, histories=histories)
    _show(told, capsys)
    assert not {name: told.fired[name] for name in machine.RULES if told.fired[name] < fewest}, "rules seldom played"
    assert not [step.value for step in Step if not told.killed[step]], "steps at which syncd never died"


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_both_sides_agree_after_many_more_histories(capsys: pytest.CaptureFixture[str]) -> None:
    """The same with other histories each time; MACHINE_HISTORIES says how many for each of four seeds."""
    seeds = [int.from_bytes(os.urandom(4)) for _ in SEEDS]
    _show(tell(seeds, histories=int(os.environ.get("MACHINE_HISTORIES", "500")), shrink=True), capsys)


def _show(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print("", *told.lines(), sep="\n  ")
