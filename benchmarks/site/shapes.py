"""The studies of a benchmark: how many of what size, and their DICOM files, quickly.

Thousands of files are needed in seconds, so one file of a study is made by pydicom and all others are copies of it with
other UIDs and numbers of the same length, put in where the first one has its own. No two runs share a UID: nothing that
a FHIR server or a ledger has seen is ever sent to it again under the same name.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from tests.dicom import make_instance

STUDIES_PER_PATIENT = 4
"""Of a backlog: a patient of a hospital has several studies."""

_runs = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """`studies` of `series` × `instances` each."""

    studies: int
    instances: int
    series: int = 1
    per_patient: int = STUDIES_PER_PATIENT
    date: str = "20240102"

    @property
    def files(self) -> int:
        return self.studies * self.series * self.instances

    @property
    def each(self) -> int:
        """Instances of one study."""
        return self.series * self.instances

    def __str__(self) -> str:
        series = f"{self.series:,} × " if self.series > 1 else ""
        return f"{self.studies:,} × {series}{self.instances:,}"


def new_run() -> int:
    """A number that no other run of this process has."""
    return next(_runs)


def study_uid(run: int, study: int) -> str:
    """Of the run's study with this number, from 0 on."""
    return f"{_ROOT}.1{run:06d}.1{study:07d}"


def series_uid(run: int, study: int, series: int) -> str:
    return f"{study_uid(run, study)}.1{series:05d}"


def instance_uid(run: int, study: int, series: int, instance: int) -> str:
    return f"{series_uid(run, study, series)}.1{instance:06d}"


_ROOT = "1.2.276.0.7230010.3.99"
"""As long as what archives hold."""


def files(shape: Shape, *, run: int) -> Iterator[bytes]:
    """All files of a run, study by study."""
    for study in range(shape.studies):
        yield from study_files(shape, run=run, study=study)


def study_files(shape: Shape, *, run: int, study: int) -> Iterator[bytes]:
    """The files of one study of the run."""
    patient = study // shape.per_patient
    of_study = _template(shape.date).replace(_patient(0, 0), _patient(run, patient))
    of_study = of_study.replace(_accession(0, 0), _accession(run, study))
    of_study = of_study.replace(study_uid(0, 0).encode(), study_uid(run, study).encode())
    for series in range(shape.series):
        own = (study_uid(run, study) + series_uid(0, 0, 0).removeprefix(study_uid(0, 0))).encode()
        of_series = of_study.replace(own, series_uid(run, study, series).encode())
        of_series = of_series.replace(_SERIES, _number(series + 1))
        for instance in range(shape.instances):
            tail = instance_uid(0, 0, 0, 0).removeprefix(series_uid(0, 0, 0))
            own = (series_uid(run, study, series) + tail).encode()
            named = of_series.replace(own, instance_uid(run, study, series, instance).encode())
            yield named.replace(_INSTANCE, _number(instance + 1))


_SERIES, _INSTANCE = b"33333333", b"77777777"
"""Numbers that stand nowhere else in the file."""


@cache
def _template(date: str) -> bytes:
    return make_instance(
        study_uid=study_uid(0, 0),
        series_uid=series_uid(0, 0, 0),
        sop_uid=instance_uid(0, 0, 0, 0),
        patient_id=_patient(0, 0).decode(),
        number=None,
        AccessionNumber=_accession(0, 0).decode(),
        StudyDate=date,
        PatientBirthDate="19370311",
        SeriesNumber=_SERIES,
        InstanceNumber=_INSTANCE,
        BodyPartExamined="CHEST",
        SeriesDescription="Axial",
        Manufacturer="Maker",
        ReferringPhysicianName="Referrer^Rita",
    )


def _patient(run: int, patient: int) -> bytes:
    return f"BENCH-{run:06d}-{patient:07d}".encode()


def _accession(run: int, study: int) -> bytes:
    return f"AC{run:06d}{study:07d}".encode()


def _number(number: int) -> bytes:
    """An integer string of always the same length (PS3.5 6.2: leading zeros may stand)."""
    return f"{number:08d}".encode()
