"""The floor does what it says, on the tests' servers: six archive calls and one PUT for a study, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from benchmarks.floor import Job, Refused, carry_out, renamed
from benchmarks.site.shapes import instance_uid, series_uid, study_uid
from tests.fakes.fhir import FakeFhir
from tests.fakes.http import Clock, listening
from tests.fakes.orthanc import FakeOrthanc

STUDIES, SERIES = 3, 2


@pytest.fixture
def orthanc() -> Iterator[FakeOrthanc]:
    server = FakeOrthanc("1.10.1", clock=Clock())
    for study in range(STUDIES):
        for series in range(SERIES):
            for number in range(2):
                server.store(
                    StudyInstanceUID=study_uid(1, study),
                    SeriesInstanceUID=series_uid(1, study, series),
                    SOPInstanceUID=instance_uid(1, study, series, number),
                    Modality="CT",
                )
    with listening(server):
        yield server


@pytest.fixture
def fhir() -> Iterator[FakeFhir]:
    server = FakeFhir(clock=Clock())
    with listening(server):
        yield server


def _body(study: int) -> bytes:
    resource = {
        "resourceType": "ImagingStudy",
        "id": study_uid(1, study),
        "status": "available",
        "subject": {"display": "X"},
    }
    return json.dumps(resource).encode()


def test_a_study_costs_six_calls_one_more_for_a_further_series_and_one_put(orthanc: FakeOrthanc, fhir: FakeFhir) -> None:
    done = carry_out(Job(archive=orthanc.url, fhir=fhir.url, bodies=[_body(study) for study in range(STUDIES)]))
    assert (done.studies, done.archive_calls, done.fhir_calls) == (STUDIES, STUDIES * (6 + SERIES - 1), STUDIES)
    asked = [request.path for request in orthanc.requests]
    assert asked.count("/studies") == 1 and len(asked) == 1 + done.archive_calls
    assert sum(path.endswith("/tags") for path in asked) == STUDIES * SERIES
    assert [request.method for request in fhir.requests] == ["PUT"] * STUDIES
    assert {one["id"] for one in fhir.resources("ImagingStudy")} == {study_uid(1, study) for study in range(STUDIES)}


def test_without_an_archive_nothing_is_read_and_all_is_sent(fhir: FakeFhir) -> None:
    done = carry_out(Job(fhir=fhir.url, bodies=[_body(study) for study in range(STUDIES)]))
    assert (done.studies, done.archive_calls, done.fhir_calls) == (STUDIES, 0, STUDIES)


def test_what_a_server_refuses_is_no_floor(fhir: FakeFhir) -> None:
    """The same ids a second time: a first write is create-only."""
    job = Job(fhir=fhir.url, bodies=[_body(0)])
    carry_out(job)
    with pytest.raises(Refused):
        carry_out(job)


def test_renamed_bytes_are_as_long_and_name_no_uid_of_before() -> None:
    body = _body(0) + instance_uid(1, 0, 0, 5).encode()
    other = renamed(body, run=77)
    assert len(other) == len(body)
    assert study_uid(77, 0).encode() in other and instance_uid(77, 0, 0, 5).encode() in other
    assert study_uid(1, 0).encode() not in other
