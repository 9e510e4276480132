"""Servers of the path's tests: an Orthanc per module, a second HAPI for those that stop it or need an empty one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest

from tests.real.installation import Installation
from tests.servers import VERSIONS, Archive, FhirServer, Unavailable, start_hapi, start_orthanc

Install = Callable[..., Installation]
Server = TypeVar("Server", Archive, FhirServer)


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    """`install(archive, fhir, **settings)`: an `Installation`, checked for leaks (RULES S1) when the test has passed."""
    with ExitStack() as stack:
        count = iter(range(100))

        def make(archive: Archive, fhir: FhirServer, **settings: str) -> Installation:
            directory = tmp_path / f"syncd{next(count)}"
            return stack.enter_context(Installation(directory, archive=archive, fhir=fhir, settings=settings))

        yield make


@pytest.fixture(scope="module")
def shared_archive() -> Iterator[Archive]:
    """The first version's Orthanc for a module of one-shot tests; `archive` hands it out empty."""
    yield from _running(lambda: start_orthanc(VERSIONS[0]))


@pytest.fixture(scope="module", params=VERSIONS)
def either(request: pytest.FixtureRequest) -> Iterator[Archive]:
    """An Orthanc of each version in turn, for a module of its own."""
    yield from _running(lambda: start_orthanc(request.param))


@pytest.fixture
def archive(shared_archive: Archive) -> Archive:
    shared_archive.clear()
    return shared_archive


@pytest.fixture(scope="session")
def second_hapi() -> Iterator[FhirServer]:
    """A HAPI that keeps its data over a restart, for the tests that stop it or need another server than `hapi`."""
    yield from _running(lambda: start_hapi(durable=True))


@pytest.fixture(scope="session")
def r5_hapi() -> Iterator[FhirServer]:
    """The session's HAPI of R5, beside `hapi`, which speaks R4. Use ids and searches of your own."""
    yield from _running(lambda: start_hapi(fhir="r5"))


@pytest.fixture(scope="module")
def insisting() -> Iterator[FhirServer]:
    """A HAPI that refuses the ids of clients, for a module of its own."""
    yield from _running(lambda: start_hapi(ids="server"))


def _running(start: Callable[[], Server]) -> Iterator[Server]:
    """What `start` starts, gone in the end; where it cannot be had, the test is skipped with the reason."""
    try:
        server = start()
    except Unavailable as reason:
        pytest.skip(str(reason))
    yield server
    server.discard()
