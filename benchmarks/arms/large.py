"""Large studies: one of very many instances, beside its own bytes read and sent once; and of very many series."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Iterator
from statistics import median

from benchmarks.arms.backlog import as_sent, publish
from benchmarks.arms.started import Started, started
from benchmarks.floor import WRITES, Connection, renamed
from benchmarks.plan import Plan
from benchmarks.report import Row, at_most
from benchmarks.site import shapes
from benchmarks.site.session import Content, Session

MB = 1e6
ONCE = "Measured once. MAX_INSTANCES is raised: by default a study so large is told without its instances."
DROWNED = "It took no longer than a start alone: the machine was too busy to tell."
LISTED_UP_TO = 1_000_000
"""POLICY__MAX_INSTANCES of an installation that lists them all."""


def rows(session: Session, plan: Plan) -> Iterator[Row]:
    """The large study as by default, and with every instance listed; then the series."""
    session.say(f"a study of {plan.large.each:,} instances")
    start = started(session, "resync", repetitions=plan.repetitions)  # once more: a single run is compared with it
    content = session.filled(plan.large)
    yield from _large(session, content, start=start)
    content.archive.discard()
    yield _series(session, plan, start=start)


def _large(session: Session, content: Content, *, start: Started) -> Iterator[Row]:
    study = f"a study of {content.shape.each:,} instances, each listed"
    cost = publish(session, content, POLICY__MAX_INSTANCES=str(LISTED_UP_TO))
    resource = session.hapi.get(f"ImagingStudy/{shapes.study_uid(content.run, 0)}")
    assert resource["numberOfInstances"] == content.shape.each
    read, agreed = _read_seconds(content), _agreement_seconds(content)
    sent = _sent_seconds(session, as_sent(resource))
    yield Row(
        measure=f"{study}: time ÷ (one bulk read + one bare PUT)",
        value=None if start.drowns(cost) else start.seconds(cost) / (read + sent),
        goal=at_most(1.3),
        raw={"s, its start apart": [start.seconds(cost)], "s of the bulk read": [read], "s of the PUT": [sent]},
        note=DROWNED if start.drowns(cost) else ONCE,
    )
    yield Row(
        measure="the same ÷ (one bulk read + one question what its images share + one bare PUT)",
        value=None if start.drowns(cost) else start.seconds(cost) / (read + agreed + sent),
        raw={"s of the question what they share (RULES B9)": [agreed]},
        note="What all images of a series say, Orthanc finds out by opening each of its files (decisions/agreement.md).",
    )
    yield Row(
        measure=f"{study}: peak memory",
        value=cost.peak / MB,
        unit="MB",
        digits=0,
        goal=at_most(160, unit="MB", digits=0),
        raw={"MB": [cost.peak / MB], "MB of a resync of nothing": [median(each.peak for each in start.costs) / MB]},
    )


def _series(session: Session, plan: Plan, *, start: Started) -> Row:
    taken = []
    for shape in plan.many_series:
        session.say(f"a study of {shape.series:,} series")
        content = session.filled(shape)
        taken.append(max(start.cpu_seconds(publish(session, content)), 0.001))
        content.archive.discard()
    sizes = [shape.series for shape in plan.many_series]
    return Row(
        measure=f"a study of {' → '.join(f'{size:,}' for size in sizes)} series: log-log slope of its CPU",
        value=slope(sizes, taken),
        goal=at_most(1.1),
        raw={f"s of CPU, {size:,} series": [seconds] for size, seconds in zip(sizes, taken, strict=True)},
        note="1 is linear, 2 is quadratic.",
    )


def slope(sizes: list[int], values: list[float]) -> float:
    """Of the line through the first and the last point, both axes logarithmic."""
    return math.log(values[-1] / values[0]) / math.log(sizes[-1] / sizes[0])


def _read_seconds(content: Content) -> float:
    (study,) = content.archive.get("/studies")
    wanted = {"Resources": [study], "Level": "Instance", "Metadata": True, "Short": True}
    archive = content.archive
    with contextlib.closing(Connection(archive.url, headers=dict(archive._headers))) as connection:
        return _timed(connection, "POST", "/tools/bulk-content", json.dumps(wanted).encode())


def _agreement_seconds(content: Content) -> float:
    archive = content.archive
    (study,) = archive.get("/studies?expand")
    with contextlib.closing(Connection(archive.url, headers=dict(archive._headers))) as connection:
        return sum(_timed(connection, "GET", f"/series/{each}/shared-tags?short") for each in study["Series"])


def _sent_seconds(session: Session, body: bytes) -> float:
    new = renamed(body, run=shapes.new_run())
    with contextlib.closing(Connection(session.hapi.base_url, headers=WRITES)) as connection:
        return _timed(connection, "PUT", f"/ImagingStudy/{json.loads(new)['id']}", new)


def _timed(connection: Connection, method: str, path: str, body: bytes | None = None) -> float:
    began = time.perf_counter()
    connection.ask(method, path, body=body)
    return time.perf_counter() - began
