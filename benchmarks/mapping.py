"""What mapping and checking a study costs: `python -m benchmarks.mapping` (budget: 0.4 ms + 45 µs per instance in R4).

Measured is CPU time of one core, from snapshot to resource fit to be sent, instances listed in full. The difficulty is
that milliseconds belong to a machine and its mood: so fhirclient's own parsing of the same R4 resource is measured in the
same run, turn by turn, and the ratio to it is what two runs can be compared by. Other versions are for information;
their ratio is to the same R4 resource, because fhirclient knows no other. Memory is counted apart: it slows what it counts.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from fhirclient.models.imagingstudy import ImagingStudy

from syncd.mapping.check.check import problems
from syncd.mapping.policy import ArchivePolicy, MappingPolicy
from syncd.mapping.resources.imagingstudy import available_study
from syncd.mapping.resources.patient import subject
from syncd.mapping.values.identity import patient_key
from syncd.model.ids import ArchiveName, StudyInstanceUID
from syncd.model.snapshot import (
    InstanceFacts,
    IssuedId,
    Issuer,
    Moment,
    NameGroup,
    PatientFacts,
    Person,
    PersonName,
    SeriesFacts,
    StudySnapshot,
)

SIZES = (3, 30, 1_000, 20_000)
VERSIONS = ("r4", "r4b", "r5", "r6", "dstu2")
BUDGETED = "r4"
"""The version that the budget speaks of."""
BUDGET_MS = 0.4
BUDGET_MS_PER_INSTANCE = 0.045

PER_SERIES = 500
REPETITIONS = 5
INSTANCES_PER_TIMING = 1_000
"""A small study is mapped so often in one timing that the clock's own cost does not matter."""
GROWTH_ALLOWED = 1.5
"""The last slope may be this many times the one before it: what allocation and the caches take is no second power."""
COPIES_ALLOWED = 2.0
COPIES_TOLD_FROM = 1_000
"""Instances; in a smaller study what any call takes outweighs the study itself."""

_ARCHIVE = ArchiveName("orthanc")
_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
_ROOT = "2.25.1000000000000000000000000000000"
_POLICY = MappingPolicy(
    archive=ArchivePolicy(name=_ARCHIVE, dicomweb_url="https://archive.example.org/dicom-web", timezone="Europe/Berlin"),
    max_instances=sys.maxsize,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One version and size. `slope` is milliseconds per instance since the next smaller size; None for the smallest."""

    version: str
    instances: int
    ms: float
    fhirclient_ms: float
    slope: float | None

    @property
    def ratio(self) -> float:
        return self.ms / self.fhirclient_ms

    @property
    def budget_ms(self) -> float:
        return BUDGET_MS + BUDGET_MS_PER_INSTANCE * self.instances

    @property
    def verdict(self) -> str:
        if self.version != BUDGETED:
            return "-"
        return "yes" if self.ms <= self.budget_ms else "NO"


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes of one study: `peak` holds snapshot and resource as well as what was needed on the way."""

    instances: int
    snapshot: int
    resource: int
    mapping_peak: int
    check_peak: int

    @property
    def copies(self) -> float:
        return max(self.mapping_peak, self.check_peak) / (self.snapshot + self.resource)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; 0 whatever it says, because a time is no test."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mapping", description="What mapping and checking cost.")
    parser.add_argument("--instances", type=int, nargs="+", default=SIZES, help="sizes of the studies")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help="timings of which the median counts")
    given = parser.parse_args(arguments)
    sizes = sorted(set(given.instances))
    if sizes[0] < 1 or given.repetitions < 1:
        parser.error("sizes and repetitions are at least 1")
    rows = measured(sizes, repetitions=given.repetitions)
    for line in (*table(rows), "", *growth(rows), memory_line(memory(sizes[-1]))):
        print(line)
    return 0


def measured(sizes: Sequence[int], *, repetitions: int) -> list[Row]:
    """The rows of all versions, each by size."""
    took = [_medians(size, repetitions=repetitions) for size in sizes]
    rows = []
    for version in VERSIONS:
        slopes = [None, *_slopes([(size, ms[version]) for size, ms in zip(sizes, took, strict=True)])]
        rows += [
            Row(version=version, instances=size, ms=ms[version], fhirclient_ms=ms["fhirclient"], slope=slope)
            for size, ms, slope in zip(sizes, took, slopes, strict=True)
        ]
    return rows


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The rows for people, with a head."""
    head = ("FHIR", "instances", "ms", "µs/instance", "fhirclient ms", "ratio", "budget ms", "within")
    widths = (5, 9, 10, 11, 13, 6, 10, 6)
    lines = [head]
    for row in rows:
        slope = "-" if row.slope is None else f"{row.slope * 1000:.1f}"
        budget = f"{row.budget_ms:.2f}" if row.version == BUDGETED else "-"
        numbers = (f"{row.ms:.3f}", slope, f"{row.fhirclient_ms:.3f}", f"{row.ratio:.2f}", budget)
        lines.append((row.version, str(row.instances), *numbers, row.verdict))
    for first, *others in lines:
        yield f"{first:<{widths[0]}}  " + "  ".join(
            f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)
        )


def growth(rows: Sequence[Row]) -> Iterator[str]:
    """Per version, whether the last slope is about the one before it."""
    for version in VERSIONS:
        mine = [row for row in rows if row.version == version]
        steps = [(small.instances, large.instances, large.slope or 0.0) for small, large in pairwise(mine)]
        if len(steps) < 2 or min(slope for _, _, slope in steps[-2:]) <= 0:
            yield f"growth {version}: too few sizes to tell, or too small ones"
            continue
        (low, middle, before), (_, high, last) = steps[-2:]
        times = last / before
        verdict = "linear" if times <= GROWTH_ALLOWED else "MORE THAN LINEAR"
        yield f"growth {version}: slope {middle}→{high} is {times:.2f} of {low}→{middle}: {verdict}"


def memory(size: int) -> Memory:
    """What one R4 study of that size takes, by tracemalloc."""
    _check(_resource(study(3), version=BUDGETED), version=BUDGETED)  # what is made once is not the study's
    gc.collect()
    tracemalloc.start()
    try:
        snapshot = study(size)
        of_snapshot, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        resource = _resource(snapshot, version=BUDGETED)
        of_both, mapping_peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        _check(resource, version=BUDGETED)
        _, check_peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return Memory(
        instances=size,
        snapshot=of_snapshot,
        resource=of_both - of_snapshot,
        mapping_peak=mapping_peak,
        check_peak=check_peak,
    )


def memory_line(found: Memory) -> str:
    if found.instances < COPIES_TOLD_FROM:
        verdict = "too small to tell"
    else:
        verdict = "one study, not two" if found.copies < COPIES_ALLOWED else "AS MUCH AS TWO STUDIES"
    peaks = f"peak {_mb(found.mapping_peak)} mapping, {_mb(found.check_peak)} checking"
    one = f"snapshot {_mb(found.snapshot)} + resource {_mb(found.resource)}"
    return f"memory {BUDGETED}, {found.instances} instances: {one}; {peaks}: {found.copies:.2f} copies: {verdict}"


def study(size: int) -> StudySnapshot:
    """A CT of `size` instances in series of at most `PER_SERIES`, said as fully as archives do."""
    return StudySnapshot(
        archive=_ARCHIVE,
        study_uid=StudyInstanceUID(f"{_ROOT}.1"),
        patient=PatientFacts(
            ids=(IssuedId(value="P-1", issuer=Issuer(local="HOSP-A")),), names=(_person("Doe").name,), gender="female"
        ),
        started=Moment(date="2026-03-01", time="09:15:00", offset="+01:00"),
        description="CT Thorax",
        study_id="S-1",
        accessions=(IssuedId(value="A1001", issuer=Issuer(universal_id="2.25.77", universal_type="ISO")),),
        referrer=_person("Ruiz"),
        series=tuple(
            _series(number, range(first, min(first + PER_SERIES, size)))
            for number, first in enumerate(range(0, size, PER_SERIES), start=1)
        ),
    )


def _series(number: int, positions: range) -> SeriesFacts:
    return SeriesFacts(
        uid=f"{_ROOT}.2.{number}",
        number=number,
        modality="CT",
        description=f"Thorax {number}.0",
        body_part="CHEST",
        started=Moment(date="2026-03-01", time="09:16:30", offset="+01:00"),
        performing_physicians=(_person("Lang"),),
        instances=tuple(
            InstanceFacts(
                uid=f"{_ROOT}.3.{position}", sop_class=_CT_IMAGE, number=position, title="ORIGINAL\\PRIMARY\\AXIAL"
            )
            for position in positions
        ),
    )


def _person(family: str) -> Person:
    return Person(name=PersonName(alphabetic=NameGroup(family=family, given="Ana")))


def _medians(size: int, *, repetitions: int) -> dict[str, float]:
    """Milliseconds per study of each version, and of fhirclient; one turn each per repetition, the first for nothing."""
    snapshot = study(size)
    parsed = _resource(snapshot, version=BUDGETED)
    works: dict[str, Callable[[], object]] = {"fhirclient": lambda: ImagingStudy(parsed, strict=True)}
    works |= {version: _whole(snapshot, version=version) for version in VERSIONS}
    loops = max(1, INSTANCES_PER_TIMING // size)
    timings: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(repetitions + 1):
        for name, work in works.items():
            took = _timed(work, loops=1 if turn == 0 else loops)
            if turn:
                timings[name].append(took)
    return {name: median(taken) for name, taken in timings.items()}


def _whole(snapshot: StudySnapshot, *, version: str) -> Callable[[], object]:
    return lambda: _check(_resource(snapshot, version=version), version=version)


def _resource(snapshot: StudySnapshot, *, version: str) -> dict[str, Any]:
    reference = subject(patient_key(snapshot, policy=_POLICY), snapshot, literal="Patient/p-1")
    return available_study(snapshot, subject=reference, policy=_POLICY, dialect=version)


def _check(resource: dict[str, Any], *, version: str) -> None:
    """A study that is refused would measure something else."""
    if found := problems(resource, fhir_version=version):
        raise SystemExit(f"the study of the benchmark is not fit to be sent in {version}: {found[0]}")


def _timed(work: Callable[[], object], *, loops: int) -> float:
    """CPU milliseconds of one call; the garbage collector runs as it does in the daemon, from the same beginning."""
    gc.collect()
    began = time.process_time()
    for _ in range(loops):
        work()
    return (time.process_time() - began) * 1000 / loops


def _slopes(points: Sequence[tuple[int, float]]) -> list[float]:
    return [(ms - before) / (size - smaller) for (smaller, before), (size, ms) in pairwise(points)]


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(main())
