"""Fixtures for real servers, and the honest end of a run: what was skipped and why, and which Orthancs were asked.

Nothing heavy is imported here: a unit test pays for no server. A run in which syncd says what was planted fails, whatever
its tests say (tests/listening.py). The difficulty is a suite that passes because it ran nothing: with CI=true every skip
fails the run, but those for want of a container engine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.listening import Listener
from tests.servers import (
    VERSIONS,
    Archive,
    FhirServer,
    Unavailable,
    start_hapi,
    start_medplum,
    start_orthanc,
    versions_seen,
)

if TYPE_CHECKING:
    from tests.postgres import Postgres
    from tests.proxy import RecordingProxy

REAL_FIXTURES = frozenset({"postgres", "orthanc", "orthanc_version", "new_orthanc", "hapi", "new_hapi", "medplum"})
"""A test that uses one of these is marked `real`, wherever it lies."""

ALLOWED_IN_CI = "container engine"
"""A skip whose reason says this is the only one that CI accepts."""

_skips: dict[str, str] = {}
_seen_by_workers: dict[str, str] = {}
"""The Orthancs that pytest-xdist's workers talked to."""
_leaks: list[str] = []
"""What pytest-xdist's workers found that must not be said."""
_listener = Listener()


@pytest.fixture(scope="session", params=VERSIONS)
def orthanc(request: pytest.FixtureRequest) -> Iterator[Archive]:
    """One Orthanc of each version for the whole session, StableAge 1 s. Use UIDs of your own; the feed is shared."""
    archive = _available(lambda: start_orthanc(request.param))
    yield archive
    archive.discard()


@pytest.fixture(params=VERSIONS)
def orthanc_version(request: pytest.FixtureRequest) -> str:
    """Each version in turn, for `new_orthanc(version=…)`."""
    return str(request.param)


@pytest.fixture
def new_orthanc() -> Iterator[Callable[..., Archive]]:
    """`new_orthanc(version="1.10.1", *, stable_age=1, overwrite=False, dicomweb=True, options={…})`, gone after the test."""
    started: list[Archive] = []

    def start(version: str = VERSIONS[0], **wanted: Any) -> Archive:
        started.append(_available(lambda: start_orthanc(version, **wanted)))
        return started[-1]

    yield start
    for archive in started:
        archive.discard()


@pytest.fixture(scope="session")
def hapi() -> Iterator[FhirServer]:
    """One HAPI R4 for the whole session, in memory. Use ids of your own; never restart it."""
    server = _available(start_hapi)
    yield server
    server.discard()


@pytest.fixture(scope="session")
def medplum() -> Iterator[FhirServer]:
    """One Medplum R4 for the whole session, in memory. Use ids of your own; never restart it."""
    server = _available(start_medplum)
    yield server
    server.discard()


@pytest.fixture
def new_hapi() -> Iterator[Callable[..., FhirServer]]:
    """`new_hapi(*, fhir="r4", durable=False, validate=False, ids="client")`, gone after the test; 10 s to start each."""
    started: list[FhirServer] = []

    def start(**wanted: Any) -> FhirServer:
        started.append(_available(lambda: start_hapi(**wanted)))
        return started[-1]

    yield start
    for server in started:
        server.discard()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL for the whole session; `new_database()` gives each test a database of its own."""
    from tests.postgres import running

    with ExitStack() as stack:
        yield _available(lambda: stack.enter_context(running()))


@pytest.fixture
def proxy_before() -> Iterator[Callable[[str], RecordingProxy]]:
    """`proxy_before(url)`: a running RecordingProxy before the server at `url`, gone after the test."""
    from tests.proxy import RecordingProxy

    started: list[RecordingProxy] = []

    def start(url: str) -> RecordingProxy:
        started.append(RecordingProxy(url).start())
        return started[-1]

    yield start
    for proxy in started:
        proxy.stop()


def _available(start: Callable[[], Any]) -> Any:
    try:
        return start()
    except Unavailable as reason:
        pytest.skip(str(reason))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--report", type=Path, help="write counts, skips and the Orthanc versions to this JSON file")
    parser.addoption("--both-orthancs", action="store_true", help="fail unless both versions of Orthanc were asked")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_listener)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    real = Path(__file__).parent / "real"
    for item in items:
        if real in item.path.parents or REAL_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.real)
    unknown = _leave_to_long(items)
    if unknown and not any("::" in argument for argument in config.args):  # else only some rows were collected
        raise pytest.UsageError("mark `quick` names rows that are not there: " + ", ".join(sorted(unknown)))


def _leave_to_long(items: list[pytest.Item]) -> set[str]:
    """Mark as `long` each row that its test's mark `quick` does not name; returns the names that are no row's."""
    unknown: set[str] = set()
    known: set[str] = set()
    for item in items:
        mark = item.get_closest_marker("quick")
        if mark is None:
            continue
        test, _, row = item.nodeid.partition("[")
        # A row's id joins its parameters with hyphens; a name may be one of them or several.
        named = [one for one in mark.args if f"-{one}-" in f"-{row.removesuffix(']')}-"]
        unknown |= {f"{test}[{one}]" for one in mark.args}
        known |= {f"{test}[{one}]" for one in named}
        if not named:
            item.add_marker(pytest.mark.long)
    return unknown - known


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _note_skip(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _note_skip(report)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    told = getattr(node, "workeroutput", {})
    _seen_by_workers.update(told.get("orthancs", {}))
    _leaks.extend(told.get("leaks", []))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    _listener.search("the end", [])
    if hasattr(session.config, "workeroutput"):  # a worker tells; the whole is judged where all is known
        session.config.workeroutput.update(orthancs=versions_seen(), leaks=_listener.found)
        return
    if exitstatus == pytest.ExitCode.OK and _objections(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for version, system in sorted(_orthancs().items()):
        terminalreporter.write_line(f"Orthanc {version} /system: {system}")
    for test, reason in _skips.items():
        terminalreporter.write_line(f"skipped: {test}: {reason}")
    for objection in _objections(config):
        terminalreporter.write_line(f"FAILED: {objection}", red=True)
    if config.option.report:
        counts = {kind: len(terminalreporter.stats.get(kind, ())) for kind in ("passed", "failed", "error", "skipped")}
        report = {"counts": counts, "skips": _skips, "orthancs": _orthancs()}
        config.option.report.write_text(json.dumps(report), encoding="utf-8")


def _orthancs() -> dict[str, str]:
    return {**versions_seen(), **_seen_by_workers}


def _note_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _skips[report.nodeid] = reason.removeprefix("Skipped: ")


def _objections(config: pytest.Config) -> list[str]:
    """Why a run without a failed test is a failure all the same."""
    objections = [f"said, though no patient and no secret may be (RULES S1): {leak}" for leak in _listener.found + _leaks]
    if config.option.both_orthancs:
        series = {version.rsplit(".", 1)[0] for version in _orthancs()}
        objections += [f"no Orthanc {version} was asked" for version in VERSIONS if version.rsplit(".", 1)[0] not in series]
    if os.environ.get("CI") == "true":
        refused = [test for test, reason in _skips.items() if ALLOWED_IN_CI not in reason]
        objections += [f"skipped, which CI does not allow: {test}" for test in refused]
    return objections
