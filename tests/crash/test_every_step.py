"""`syncd run`, a real process between real servers, killed with SIGKILL at each step of intake and reconcile.

The steps are the program's own list (`syncd.loop.steps.Step`): a new one is tested by being listed, and one that is no
longer reached fails here. What is left behind must be enough for a plain restart to make both sides equal.
"""

from __future__ import annotations

import signal
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncd.loop.steps import Step
from tests.crash.installation import Installation
from tests.crash.scene import TO_DIE, Scene
from tests.servers import VERSIONS, Archive, FhirServer, Unavailable, start_orthanc

OLD, NEW = VERSIONS

LATER = ((Step.INTENT_SAVED, 4), (Step.SENT, 4), (Step.COMMITTED, 4), (Step.PATIENT_SENT, 2))
"""Arrivals where the first one is another case: studies 1 to 3 are first writes, the fourth write is an update; the second
Patient is known by one study already."""

CASES = [
    *[pytest.param(OLD, step, 1, id=f"{step}") for step in Step],
    *[pytest.param(OLD, step, nth, id=f"{step}-{nth}") for step, nth in LATER],
    *[
        pytest.param(NEW, step, 1, id=f"{step}-on-{NEW}")
        for step in (Step.INTAKE_COMMITTED, Step.SNAPSHOT_READ, Step.SENT, Step.COMMITTED)
    ],
]


@pytest.fixture(scope="module")
def archive_of() -> Iterator[Callable[[str], Archive]]:
    """One Orthanc of each version for the module, started when it is first asked for."""
    started: dict[str, Archive] = {}

    def get(version: str) -> Archive:
        if version not in started:
            try:
                started[version] = start_orthanc(version)
            except Unavailable as reason:
                pytest.skip(str(reason))
        return started[version]

    yield get
    for archive in started.values():
        archive.discard()


@pytest.fixture
def scene_of(
    archive_of: Callable[[str], Archive], hapi: FhirServer, tmp_path: Path
) -> Callable[[str], Scene]:
    """A scene of its own on a version of Orthanc, set up to its beginning."""

    def prepare(version: str) -> Scene:
        name = f"crash-{uuid.uuid4().hex[:8]}"
        scene = Scene(at=Installation(name=name, archive=archive_of(version), fhir=hapi, folder=tmp_path))
        scene.open()
        return scene

    return prepare


@pytest.mark.parametrize(("version", "step", "nth"), CASES)
def test_a_restart_after_kill_9_only_repeats_work(
    scene_of: Callable[[str], Scene], version: str, step: Step, nth: int
) -> None:
    """Issue 3, DESIGN principle 2, RULES A1, A2, C3, C5: equal again, nothing twice, nothing of ours foreign."""
    scene = scene_of(version)
    at = scene.at
    with at.running(kill_at=(step, nth)) as process:
        scene.play(lambda: process.poll() is not None)
        assert process.wait(timeout=TO_DIE) == -signal.SIGKILL, f"ended otherwise:\n{at.log}"
    assert Counter(at.told)[step] == nth, f"step {step} was reached {Counter(at.told)[step]} times"
    assert at.told[-1] == step, "died somewhere else"
    with at.running() as process:
        at.wait_published(scene.instances, process=process)
        code, status = at.status()
        assert (code, status["studies"]["dirty"], status["studies"]["published"]) == (0, 0, {"available": 3})
        scene.check()
        assert at.stop(process) == 0
