"""`syncd run`, a real process between real servers, killed with SIGKILL at the steps of intake and reconcile.

The steps are the program's own list (`syncd.loop.steps.Step`): a new one is tested by being listed, and one that is no
longer reached fails here. What is left behind must be enough for a plain restart to make both sides equal.
"""

from __future__ import annotations

import ast
import signal
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from syncd.loop.steps import Step
from tests.crash.installation import ROOT, Installation
from tests.crash.scene import TO_DIE, Scene
from tests.servers import VERSIONS, Archive, FhirServer, Unavailable, start_orthanc, wait_until

OLD, NEW = VERSIONS

LATER = ((Step.INTENT_SAVED, 5), (Step.SENT, 5), (Step.COMMITTED, 5), (Step.PATIENT_SENT, 2))
"""Arrivals where the first one is another case: studies 1 to 4 are first writes, the fifth write is an update; the second
Patient is known by one study already."""

BACKLOG = frozenset({Step.INTENTS_WITHDRAWN})
"""Of a batch that a server leaves in the middle; three studies are none. tests/crash/test_any_point.py dies there."""

EVERY = frozenset(Step) - {Step.DELETED} - BACKLOG
"""In one run: HAPI deletes nothing that a Provenance names, so that step is another run's, its own case."""

LASTING = frozenset(
    {
        Step.SENTINEL_INTENDED, Step.BOOTSTRAP_BEGUN, Step.BOOTSTRAP_FINISHED, Step.INVENTORY_MARKED, Step.VERIFY_LISTED,
        Step.INTAKE_COMMITTED, Step.PATIENT_SENT, Step.INTENT_SAVED, Step.SENT, Step.COMMITTED, Step.DELETED,
        Step.RETRACTION_CLAIMED, Step.DELIVERED,
    }
)  # fmt: skip
"""Steps right after a lasting change, one of each kind. A death at another one leaves what its neighbour leaves: those are
in make test-long, and in memory the histories of tests/machine die at every step."""


def _case(version: str, step: Step, nth: int, *, name: str, quick: bool) -> ParameterSet:
    return pytest.param(version, step, nth, id=name, marks=() if quick else pytest.mark.long)


CASES = [
    *[_case(OLD, step, 1, name=f"{step}", quick=step in LASTING) for step in Step if step not in BACKLOG],
    *[_case(OLD, step, nth, name=f"{step}-{nth}", quick=step is Step.SENT) for step, nth in LATER],
    *[
        _case(NEW, step, 1, name=f"{step}-on-{NEW}", quick=step is Step.INTAKE_COMMITTED)
        for step in (Step.INTAKE_COMMITTED, Step.SNAPSHOT_READ, Step.SENT, Step.COMMITTED)
    ],
]


class Stages:
    """Two archives of one version, used in turn: while one scene plays, the studies of the next become stable."""

    def __init__(self, version: str, *, fhir: FhirServer, folder: Path) -> None:
        self._fhir = fhir
        self._folder = folder
        self.archives = [start_orthanc(version)]
        self._next = self._prepared(self.archives[0])
        self.archives.append(start_orthanc(version))

    def next_scene(self) -> Scene:
        scene, now = self._next, self._next.at.archive
        self._next = self._prepared(self.archives[now is self.archives[0]])
        scene.open()
        return scene

    def _prepared(self, archive: Archive) -> Scene:
        name = f"crash-{uuid.uuid4().hex[:8]}"
        folder = self._folder / name
        folder.mkdir()
        scene = Scene(at=Installation(name=name, archive=archive, fhir=self._fhir, folder=folder))
        scene.prepare()
        return scene


@pytest.fixture(scope="module")
def stages(hapi: FhirServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Stages]]:
    """The stages of a version, built when they are first asked for."""
    built: dict[str, Stages] = {}

    def of(version: str) -> Stages:
        if version not in built:
            try:
                built[version] = Stages(version, fhir=hapi, folder=tmp_path_factory.mktemp(f"orthanc-{version}-"))
            except Unavailable as reason:
                pytest.skip(str(reason))
        return built[version]

    yield of
    for one in built.values():
        for archive in one.archives:
            archive.discard()


@pytest.mark.parametrize(("version", "step", "nth"), CASES)
def test_a_restart_after_kill_9_only_repeats_work(
    stages: Callable[[str], Stages], version: str, step: Step, nth: int
) -> None:
    """RULES A1, A2, C3, C5: equal again, nothing twice, nothing of ours foreign."""
    scene = stages(version).next_scene()
    at = scene.at
    with at.running(kill_at=(step, nth)) as process:
        scene.play(lambda: process.poll() is not None)
        assert process.wait(timeout=TO_DIE) == -signal.SIGKILL, f"ended otherwise:\n{at.log}"
    assert Counter(at.told)[step] == nth, f"step {step} was reached {Counter(at.told)[step]} times"
    assert at.told[-1] == step, "died somewhere else"
    with at.running() as process:
        at.wait_published(scene.instances, process=process)
        scene.check()
        wait_until(lambda: _counted(at) == (0, 3), what="3 studies available and none waiting", timeout=TO_DIE)
        assert at.stop(process) == 0


def _counted(at: Installation) -> tuple[int, int]:
    """Studies that wait, and those available, as syncd tells."""
    studies = at.wait_healthy()["studies"]
    return studies["dirty"], studies["published"]["available"]


def test_every_listed_step_is_said_by_the_program() -> None:
    """The list cannot go stale. Each step stands in the program at least once, and nothing else is said: where it is
    reported, or handed to who reports it."""
    said: list[str] = []
    for file in sorted((ROOT / "syncd").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "report_step":
                said += [ast.unparse(argument) for argument in node.args]
            elif isinstance(node, ast.keyword) and node.arg == "step":
                said.append(ast.unparse(node.value))
    assert set(said) - {"step"} == {f"Step.{step.name}" for step in Step}


def test_a_normal_run_reaches_every_step(stages: Callable[[str], Stages]) -> None:
    """What no run reaches, no kill would test; and a daemon that nobody kills makes both sides equal."""
    scene = stages(OLD).next_scene()
    at = scene.at
    with at.running(kill_at=(Step.SENT, 0)) as process:
        scene.play(lambda: False)
        at.wait_published(scene.instances, process=process)
        scene.check()
        wait_until(lambda: set(at.told) >= EVERY, what="every step", timeout=TO_DIE)
        assert at.stop(process) == 0
    assert set(at.told) == EVERY
