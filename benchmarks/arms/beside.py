"""Beside syncd in the same run: the script that sites write today, and dicom2fhir on the same files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks import beside
from benchmarks.arms.backlog import publish
from benchmarks.arms.started import Started
from benchmarks.plan import Plan
from benchmarks.report import Row, at_least
from benchmarks.site.session import Session

TIMES = at_least(4.0)


def rows(session: Session, plan: Plan, *, start: Started, python: Path | None) -> Iterator[Row]:
    """The rate of syncd by each other one's; `python` has dicom2fhir, None: nobody has."""
    shape = plan.others
    syncd, script, sent, made = [], [], [], []
    for _ in range(plan.repetitions):
        content = session.filled(shape)
        syncd.append(shape.studies / start.seconds(publish(session, content)))
        script.append(beside.script(session, content))
        if python is not None:
            whole, making = beside.dicom2fhir(session, content, python=python)
            sent.append(whole)
            made.append(making)
        content.archive.discard()
    raw = {"syncd, studies/s": syncd}
    yield Row(
        measure=f"resync of {shape}: rate ÷ that of a script (pyorthanc + fhirclient)",
        value=median(syncd) / median(script),
        goal=TIMES,
        raw={**raw, "script, studies/s": script},
    )
    measure = f"resync of {shape}: rate ÷ that of dicom2fhir on the same files"
    if not sent:
        yield Row(measure=measure, value=None, goal=TIMES, note="dicom2fhir could not be had from the package index.")
        return
    told = {"dicom2fhir, studies/s": sent, "dicom2fhir without sending, studies/s": made}
    yield Row(
        measure=measure,
        value=median(syncd) / median(sent),
        goal=TIMES,
        raw={**raw, **told},
        note="dicom2fhir has the files on its disk, so it reads no archive, and it lists no instances.",
    )
