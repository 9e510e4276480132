"""Does a test notice? Each fault of `tests.mutants.catalogue` is put into a copy of the tree: `python3 -m scripts.mutants`.

Only the tests that are there to notice a mutant are run on it, so it costs seconds; one that they let pass has
survived, and fails the run by name. A mutant must be killed by the fault and by nothing else: the same tests must pass
on the untouched copy first, and a run that ends otherwise than by a failed test (nothing collected, a module that
cannot be imported) counts as broken, not as noticed.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from scripts.set_up import PYTHON
from scripts.steps import ROOT
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant, edited

LONGEST = 120.0
"""Seconds for the tests of one mutant: each takes two or three; what takes longer hangs."""

KILLED, SURVIVED, BROKEN, HUNG = "killed", "SURVIVED", "BROKEN", "HUNG"

_UNUSED = ("cacheprovider", "xdist", "xdist.looponfail", "hypothesispytest", "anyio")
"""Plugins that cost each mutant a third of a second and do nothing for one test."""

_PASSED, _FAILED = 0, 1
"""pytest's exit codes; all others say that it could not test."""


class Ran(NamedTuple):
    """How pytest ended: `code` is None when it did not. `by` is the test that failed first."""

    code: int | None
    by: str
    said: str


class Told(NamedTuple):
    """What became of one mutant."""

    mutant: Mutant
    verdict: str
    by: str
    seconds: float
    said: str


def main(*, only: Sequence[str] = (), workers: int = os.cpu_count() or 1) -> int:
    """0 if every mutant, or each that is named, was killed."""
    unknown = set(only) - {mutant.name for mutant in MUTANTS}
    if unknown:
        sys.exit(f"no mutant is called {', '.join(sorted(unknown))}; there are:\n" + "\n".join(one.name for one in MUTANTS))
    chosen = [mutant for mutant in MUTANTS if not only or mutant.name in only]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="syncd-mutants-") as folder:
        trees: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(workers):
            trees.put(_copy(Path(folder) / str(number)))
        with ThreadPoolExecutor(workers) as pool:
            sound = pool.submit(_untouched, trees, chosen)
            told = [_shown(one) for one in pool.map(partial(_put_to_test, trees), chosen)]
    failed = [one for one in told if one.verdict != KILLED]
    for one in failed:
        print(f"\n{one.verdict}: {one.mutant.name} ({one.mutant.rule}): {one.mutant.breaks}\n{one.said}")
    if sound.result():
        print(f"\nthe tests fail without any mutant, so they prove nothing:\n{sound.result()}")
    print(f"\n{len(told)} mutants, {len(told) - len(failed)} killed, {len(failed)} not; {time.monotonic() - began:.0f} s")
    return 1 if failed or sound.result() else 0


def verdict_of(ran: Ran, *, may_hang: bool) -> str:
    """What the end of pytest says of a mutant."""
    if ran.code is None:
        return KILLED if may_hang else HUNG
    return {_PASSED: SURVIVED, _FAILED: KILLED}.get(ran.code, BROKEN)


def _put_to_test(trees: queue.SimpleQueue[Path], mutant: Mutant) -> Told:
    tree = trees.get()
    began = time.monotonic()
    files = sorted({edit.file for edit in mutant.edits})
    try:
        for edit in mutant.edits:
            _write(tree / edit.file, edited((tree / edit.file).read_text(encoding="utf-8"), edit))
        ran = _pytest(tree, mutant.noticed_by)
    except ValueError as error:
        ran = Ran(code=-1, by="", said=str(error))
    finally:
        for file in files:
            _write(tree / file, (ROOT / file).read_text(encoding="utf-8"))
        trees.put(tree)
    verdict = verdict_of(ran, may_hang=mutant.hangs)
    return Told(mutant, verdict, ran.by, time.monotonic() - began, ran.said)


def _untouched(trees: queue.SimpleQueue[Path], chosen: Iterable[Mutant]) -> str:
    """What pytest says where the tests fail on the tree as it is; empty where they pass."""
    tree = trees.get()
    try:
        ran = _pytest(tree, sorted({node for mutant in chosen for node in mutant.noticed_by}), longest=5 * LONGEST)
    finally:
        trees.put(tree)
    return "" if ran.code == _PASSED else ran.said


def _pytest(tree: Path, nodes: Iterable[str], *, longest: float = LONGEST) -> Ran:
    options = (
        "-x",
        "-q",
        "--no-header",
        "--tb=line",
        *(word for plugin in _UNUSED for word in ("-p", f"no:{plugin}")),
        "-m",
        "not real and not long and not machine",
    )
    command = [str(PYTHON if PYTHON.exists() else sys.executable), "-m", "pytest", *options, *nodes]
    # Nothing of ours that lies elsewhere: the copy is what is tested. What it compiles is kept for the next mutant.
    left_out = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=longest
        )
    except subprocess.TimeoutExpired:
        return Ran(code=None, by="(it hung)", said=f"did not end within {longest:.0f} s")
    failed = [
        line.partition(" ")[2].partition(" - ")[0]
        for line in done.stdout.splitlines()
        if line.startswith(("FAILED ", "ERROR "))
    ]
    return Ran(
        code=done.returncode, by=next(iter(failed), ""), said="\n".join((done.stdout + done.stderr).splitlines()[-15:])
    )


def _copy(tree: Path) -> Path:
    """The files that the repository knows, as they are here now."""
    known = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    for name in filter(None, known.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
    return tree


def _write(file: Path, text: str) -> None:
    """Python tells a changed module by its size and second; a mutant may have the same of both."""
    file.write_text(text, encoding="utf-8")
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
        compiled.unlink()


def _shown(one: Told) -> Told:
    by = one.by.partition("::")[2] or one.by or "-"
    print(f"{one.verdict:<8}  {one.mutant.rule:<5}  {one.mutant.name:<45}  {one.seconds:5.1f} s  {by}", flush=True)
    return one


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Put each kept fault into a copy of the tree; a test must notice.")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this mutant; may be given again")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="how many at once")
    given = parser.parse_args()
    sys.exit(main(only=given.only, workers=given.workers))
