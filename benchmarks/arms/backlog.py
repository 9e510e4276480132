"""A backlog published for the first time: syncd beside the floor, and beside the FHIR server alone.

Each repetition has an Orthanc of its own, filled with studies that nobody met; syncd and the floor read the same one,
the one or the other first in turns. What the floor sends is what syncd wrote in the first repetition, as the server
gives it back, under UIDs that are new each time. From syncd's time the start of a command is taken off, from the floor's
that of Python.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from benchmarks.arms.started import Started
from benchmarks.beside import floor
from benchmarks.plan import Plan
from benchmarks.report import Row, at_least, at_most
from benchmarks.site import shapes
from benchmarks.site.program import Cost
from benchmarks.site.session import Content, Session
from benchmarks.site.shapes import Shape
from tests.servers import VERSIONS

RATIO = at_least(0.90)
RATIO_IN_TRANSACTIONS = at_least(1.20)
GAIN = at_least(1.30)
"""From which on transactions are worth their while."""
CPU_MS, CPU_MS_PER_SERIES, CPU_MS_PER_INSTANCE = 2.5, 0.4, 0.06
"""A study's own CPU in a backlog: of itself, of each further series, of each instance."""
SMALL = 100
"""Instances up to which a study may go into a transaction."""


@dataclass(slots=True)
class Turns:
    """Raw values of one shape, a value for each repetition: studies a second and costs."""

    syncd: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    single: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)


def warm_up(session: Session, plan: Plan) -> None:
    """Both servers have done the same work before, as often as it takes a JVM to compile it."""
    content = session.filled(plan.warm)
    publish(session, content)
    bodies = written(session, content)
    for _ in range(plan.warm_again):
        floor(session, bodies)
    content.archive.discard()


def rows(session: Session, plan: Plan, *, start: Started) -> Iterator[Row]:
    """The rows of each shape on Orthanc 1.10.1, and of the first one beside many others on 1.12."""
    for shape in plan.backlogs:
        session.say(f"{shape}: syncd, the floor, HAPI alone, {plan.repetitions} times each")
        turns = measured(session, plan, shape=shape, start=start)
        yield from told(shape, turns, of=f"Orthanc {VERSIONS[0]}")
    yield preloaded(session, plan, start=start)


def measured(session: Session, plan: Plan, *, shape: Shape, start: Started) -> Turns:
    """All repetitions of a shape."""
    turns = Turns()
    bodies: Sequence[bytes] = ()
    for number in range(plan.repetitions):
        content = session.filled(shape)
        if number % 2:
            turns.floor.append(floor(session, bodies, archive=content.archive))
        cost = publish(session, content)
        _note(turns, cost, shape=shape, start=start)
        bodies = bodies or written(session, content)
        if not number % 2:
            turns.floor.append(floor(session, bodies, archive=content.archive))
        turns.alone.append(floor(session, bodies))
        content.archive.discard()
        if shape.each <= SMALL:
            turns.single.append(_single(session, shape, start=start))
    return turns


def told(shape: Shape, turns: Turns, *, of: str) -> Iterator[Row]:
    """Rates as ratios, and the CPU."""
    raw = {
        "syncd, studies/s": turns.syncd,
        "floor, studies/s": turns.floor,
        "HAPI alone, studies/s": turns.alone,
        "syncd, seconds with its start": turns.whole,
        "syncd, peak MB": turns.peak,
    }
    by_default = median(turns.syncd) / median(turns.floor)
    if shape.each > SMALL:
        yield Row(measure=f"resync of {shape}, {of}: rate ÷ floor", value=by_default, goal=RATIO, raw=raw)
    else:
        yield Row(
            measure=f"resync of {shape}, {of}, with transactions, as by default: rate ÷ floor",
            value=by_default,
            goal=RATIO_IN_TRANSACTIONS,
            raw=raw,
        )
        yield Row(
            measure="the same with a PUT for each study (FHIR__WRITES=single): rate ÷ floor",
            value=median(turns.single) / median(turns.floor),
            goal=RATIO,
            raw={"syncd, studies/s": turns.single},
        )
        yield Row(
            measure="the same with transactions ÷ without",
            value=median(turns.syncd) / median(turns.single),
            goal=GAIN,
        )
    yield Row(measure=f"HAPI alone, the same PUTs as {shape}: rate ÷ floor", value=median(turns.alone) / median(turns.floor))
    allowed = CPU_MS + CPU_MS_PER_SERIES * (shape.series - 1) + CPU_MS_PER_INSTANCE * shape.each
    yield Row(
        measure=f"own CPU per study of {shape}, its start apart",
        value=median(turns.cpu_ms),
        unit="ms",
        goal=at_most(allowed, unit="ms"),
        raw={"ms per study": turns.cpu_ms},
    )


def preloaded(session: Session, plan: Plan, *, start: Started) -> Row:
    """Small studies on the newer Orthanc, among many older ones that `--since` leaves out."""
    shape, older = plan.backlogs[0], plan.preloaded
    measure = f"resync of {shape}, Orthanc {VERSIONS[1]} with 100,000 older instances: rate ÷ floor"
    if older is None:
        return Row(measure=measure, value=None, goal=RATIO, note="Only `make bench-full` measures it.")
    archive = session.filled(older, version=VERSIONS[1]).archive
    turns, bodies = Turns(), list[bytes]()
    for number in range(plan.repetitions):
        content = session.further(archive, replace(shape, date=f"202403{number + 1:02d}"))
        cost = publish(session, content, "--since", f"2024-03-{number + 1:02d}")
        _note(turns, cost, shape=shape, start=start)
        bodies = bodies or written(session, content)
        turns.floor.append(floor(session, bodies, archive=archive, only=ids_of(content)))
    archive.discard()
    raw = {"syncd, studies/s": turns.syncd, "floor, studies/s": turns.floor}
    return Row(measure=measure, value=median(turns.syncd) / median(turns.floor), goal=RATIO, raw=raw)


def publish(session: Session, content: Content, *words: str, **settings: str) -> Cost:
    """`syncd resync` by an installation that nobody met."""
    return session.installation(content.archive, **settings).command("resync", *words)


def written(session: Session, content: Content) -> list[bytes]:
    """The ImagingStudies of a run as syncd sent them: what the server added is taken off."""
    found = []
    for study in range(content.shape.studies):
        resource = session.hapi.get(f"ImagingStudy/{shapes.study_uid(content.run, study)}")
        found.append(as_sent(resource))
    return found


def as_sent(resource: Mapping[str, Any]) -> bytes:
    """Without version, time and the server's addition to the source; compact, as syncd writes it."""
    meta = {name: value for name, value in resource["meta"].items() if name not in ("versionId", "lastUpdated")}
    meta["source"] = meta.get("source", "").partition("#")[0]
    return json.dumps({**resource, "meta": meta}, ensure_ascii=False, separators=(",", ":")).encode()


def ids_of(content: Content) -> list[str]:
    """The Orthanc ids of a run's studies."""
    uids = (shapes.study_uid(content.run, study) for study in range(content.shape.studies))
    return [found for uid in uids for found in content.archive.study_ids(uid)]


def _single(session: Session, shape: Shape, *, start: Started) -> float:
    content = session.filled(shape)
    cost = publish(session, content, FHIR__WRITES="single")
    content.archive.discard()
    return shape.studies / start.seconds(cost)


def _note(turns: Turns, cost: Cost, *, shape: Shape, start: Started) -> None:
    turns.syncd.append(shape.studies / start.seconds(cost))
    turns.cpu_ms.append(start.cpu_seconds(cost) / shape.studies * 1000)
    turns.whole.append(cost.wall)
    turns.peak.append(cost.peak / 1e6)
