"""What reading a study costs: `python -m benchmarks.reading` (RULES A7, B9), on a real Orthanc of each version at hand.

Calls, our own CPU, and wall time (which is the archive's, as nothing else is waited for) per study, for the kinds that are
read differently. The difficulty is that an archive's time belongs to a machine: so the same study is also read as a script
would that asks every instance for its tags, in the same run, and the ratio of both times is what two runs can be compared
by.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from syncd.archive.orthanc import OrthancArchive
from syncd.archive.rest.connection import ArchiveConnection
from syncd.model.ids import ArchiveName, OrthancId
from syncd.snapshot.build import build
from tests.dicom import make_study, uid
from tests.servers import VERSIONS, Archive, Unavailable, start_orthanc

TURNS = 7

HAND = {"CodeValue": "T-D8700", "CodingSchemeDesignator": "SRT", "CodeMeaning": "Hand"}
COMMON: dict[str, Any] = {"OperatorsName": "One^Op", "Manufacturer": "Maker", "ProtocolName": "P", "SeriesDescription": "S"}
KINDS: dict[str, dict[str, Any]] = {
    "CR, 2 images": {"modality": "CR", "instances": 2, "Laterality": "R"},
    "DX, 3 images": {"modality": "DX", "instances": 3, "AnatomicRegionSequence": [HAND]},
    "MG, 4 images": {"modality": "MG", "instances": 4, "ImageLaterality": "L"},
    "CT, 2 × 100": {"modality": "CT", "series": 2, "instances": 100, "BodyPartExamined": "CHEST"},
    "MR, 6 × 30": {"modality": "MR", "series": 6, "instances": 30, "BodyPartExamined": "HEAD"},
    "SR, 1": {"modality": "SR", "instances": 1},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Of one study: calls, and medians of our CPU and of wall time; `asking` is that of asking each instance."""

    kind: str
    calls: int
    cpu_ms: float
    wall_ms: float
    asking_ms: float

    @property
    def ratio(self) -> float:
        return self.wall_ms / self.asking_ms


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=TURNS, help="measured reads of each study (default: %(default)s)")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), help="which (default: all)")
    asked = parser.parse_args(arguments)
    for version in VERSIONS:
        try:
            orthanc = start_orthanc(version)
        except Unavailable as reason:
            print(f"Orthanc {version}: {reason}")
            continue
        try:
            print(table(orthanc.version, rows(orthanc, kinds=asked.kinds, turns=asked.turns)), flush=True)
        finally:
            orthanc.discard()
    return 0


def rows(orthanc: Archive, *, kinds: Sequence[str], turns: int) -> Iterator[Row]:
    calls: list[str] = []
    archive = OrthancArchive(
        ArchiveConnection(
            name=ArchiveName("main"),
            url=orthanc.url,
            username=orthanc.username,
            password=orthanc.password,
            timeout=30,
        ),
        on_call=calls.append,
    )
    with _closing(archive):
        for kind in kinds:
            stored = orthanc.upload_all(make_study(study_uid=uid("reading", kind), **COMMON, **KINDS[kind]))
            study = OrthancId(stored[-1]["ParentStudy"])
            archive.read_study(study)  # the first also asks what this version can
            calls.clear()
            build(archive.read_study(study))
            number = len(calls)
            cpu, wall = _timed(lambda study=study: build(archive.read_study(study)), turns=turns)  # type: ignore[misc]
            ids = [each["ID"] for each in stored]
            _, asking = _timed(
                lambda ids=ids: [orthanc.get(f"/instances/{each}/tags?short") for each in ids],  # type: ignore[misc]
                turns=turns,
            )
            yield Row(kind=kind, calls=number, cpu_ms=cpu, wall_ms=wall, asking_ms=asking)


def table(version: str, measured: Iterator[Row]) -> str:
    lines = [f"Orthanc {version}", f"{'study':14} {'calls':>5} {'CPU ms':>7} {'ms':>7} {'asking each ms':>15} {'ratio':>6}"]
    lines += [
        f"{row.kind:14} {row.calls:5} {row.cpu_ms:7.2f} {row.wall_ms:7.1f} {row.asking_ms:15.1f} {row.ratio:6.2f}"
        for row in measured
    ]
    return "\n".join(lines)


def _timed(work: Callable[[], object], *, turns: int) -> tuple[float, float]:
    """Medians in milliseconds: CPU of this process, wall."""
    cpu, wall = [], []
    for _ in range(turns):
        began = time.process_time(), time.perf_counter()
        work()
        cpu.append((time.process_time() - began[0]) * 1000)
        wall.append((time.perf_counter() - began[1]) * 1000)
    return median(cpu), median(wall)


@contextmanager
def _closing(archive: OrthancArchive) -> Iterator[None]:
    try:
        yield
    finally:
        archive.close()


if __name__ == "__main__":
    sys.exit(main())
