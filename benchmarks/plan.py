"""How much is measured: sizes and repetitions, of a quarter of an hour, of as long as it takes, and of a test."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.site.shapes import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Numbers of one kind of run."""

    name: str
    repetitions: int
    warm: Shape
    """Published and sent again before anything is measured."""
    warm_again: int
    backlogs: tuple[Shape, ...]
    preloaded: Shape | None
    """Older studies that the newer Orthanc holds already; None: not measured."""
    unchanged: Shape
    others: Shape
    """What the other programs are given: they are slow."""
    arriving: int
    """Studies that arrive, five in a second."""
    large: Shape
    many_series: tuple[Shape, ...]
    changes: int
    idle_studies: int
    idle_seconds: float
    scale: tuple[int, ...]
    """Studies in the ledger, on fakes; none: not measured."""


SHORT = Plan(
    name="make bench",
    repetitions=3,
    warm=Shape(studies=200, instances=3),
    warm_again=5,
    backlogs=(Shape(studies=400, instances=3), Shape(studies=120, instances=30), Shape(studies=8, instances=1000)),
    preloaded=None,
    unchanged=Shape(studies=2000, instances=1),
    others=Shape(studies=60, instances=30),
    arriving=100,
    large=Shape(studies=1, instances=10_000),
    many_series=(Shape(studies=1, series=375, instances=1), Shape(studies=1, series=1500, instances=1)),
    changes=100_000,
    idle_studies=100_000,
    idle_seconds=30.0,
    scale=(),
)

FULL = Plan(
    name="make bench-full",
    repetitions=5,
    warm=Shape(studies=500, instances=3),
    warm_again=6,
    backlogs=(Shape(studies=2000, instances=3), Shape(studies=500, instances=30), Shape(studies=40, instances=1000)),
    preloaded=Shape(studies=1000, instances=100, date="20200101"),
    unchanged=Shape(studies=10_000, instances=1),
    others=Shape(studies=500, instances=30),
    arriving=300,
    large=Shape(studies=1, instances=20_000),
    many_series=(
        Shape(studies=1, series=375, instances=1),
        Shape(studies=1, series=750, instances=1),
        Shape(studies=1, series=1500, instances=1),
    ),
    changes=100_000,
    idle_studies=100_000,
    idle_seconds=300.0,
    scale=(1_000, 10_000, 100_000),
)

SMOKE = Plan(
    name="a test",
    repetitions=1,
    warm=Shape(studies=2, instances=1),
    warm_again=1,
    backlogs=(Shape(studies=4, instances=2),),
    preloaded=None,
    unchanged=Shape(studies=4, instances=1),
    others=Shape(studies=2, instances=2),
    arriving=3,
    large=Shape(studies=1, instances=20),
    many_series=(Shape(studies=1, series=2, instances=1), Shape(studies=1, series=4, instances=1)),
    changes=2000,
    idle_studies=500,
    idle_seconds=2.0,
    scale=(5, 20),
)

PLANS = {"short": SHORT, "full": FULL, "smoke": SMOKE}
