"""Whatever lies in the archive, what is published of it is true or left out (RULES B9–B11), from the file to the server.

The files go through an Orthanc in memory and all of syncd; the oracle, which reads the files by itself, compares.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings

from syncd.ledger.ledger import Ledger
from syncd.loop.workers.pool import Workers
from tests import oracle
from tests.drawn.archives import Image, archives
from tests.drawn.pens import NAMES, TEXTS
from tests.fakes.http import RequestsAdapter
from tests.loop.world import World

pytestmark = pytest.mark.machine

EXAMPLES, LONG = 80, 2000
"""How many archives; in `make test-long`."""

UNHURRIED = {"deadline": None, "suppress_health_check": list(HealthCheck)}

WORDS = frozenset(part for text in TEXTS for part in (text.replace("\\", "; "), *text.split("\\")))
NAME_PARTS = frozenset(part for name in NAMES for part in re.split(r"[\\^=]", name))


class Unwaiting(World):
    """Workers that wait for nothing: the clock stands still while they work."""

    def workers(self, **wanted: Any) -> Workers:
        workers = super().workers(**wanted)
        workers._due_soon = lambda readable: False  # type: ignore[method-assign]
        return workers


def published(images: list[Image], folder: Path, *, empty: Path) -> tuple[World, oracle.Report]:
    """An archive of these files, all of it published, and what the oracle says of both sides."""
    world = Unwaiting(folder, empty_ledger=empty)
    world.policy = replace(world.policy, archive=replace(world.policy.archive, patient_id_system=""))
    for image in images:
        answer = world.orthanc.handle("POST", "/instances", body=image.file)
        assert answer.status == 200, answer.body
    world.settle()
    world.poll()
    world.work()

    def session() -> requests.Session:
        opened = requests.Session()
        opened.mount(world.orthanc.url, RequestsAdapter(world.orthanc))
        opened.mount(world.fhir.url, RequestsAdapter(world.fhir))
        return opened

    report = oracle.compare(
        world.orthanc.url,
        None,
        world.fhir.url,
        dicomweb_url=world.policy.archive.dicomweb_url,
        session=session,
    )
    world.ledger.close()
    world.archive.close()
    return world, report


def said(value: Any, *names: str) -> Iterator[str]:
    """Every text under one of these names, however deep."""
    if isinstance(value, list):
        for item in value:
            yield from said(item, *names)
    elif isinstance(value, dict):
        for name, item in value.items():
            texts = item if isinstance(item, list) else [item]
            yield from (text for text in texts if name in names and isinstance(text, str))
            yield from said(item, *names)


def sides_of(images: list[Image], series_uid: str) -> list[set[str]]:
    """What each image of a series says of its side, in whichever attribute."""
    of_series = [one.said for one in images if one.said["SeriesInstanceUID"] == series_uid]
    return [{one[name] for name in ("ImageLaterality", "Laterality") if one.get(name)} for one in of_series]


def holds(images: list[Image], *, empty: Path) -> None:
    """The oracle agrees, and no word is there that nobody drew."""
    with tempfile.TemporaryDirectory() as folder:
        world, report = published(images, Path(folder), empty=empty)
    assert report.agrees, "\n".join(report.lines())
    assert set(said(world.fhir.resources("ImagingStudy"), "description")) <= WORDS
    assert set(said(world.fhir.resources("Patient"), "family", "given")) <= NAME_PARTS
    for series in (one for study in world.fhir.resources("ImagingStudy") for one in study.get("series", [])):
        side = {"7771000": "L", "24028007": "R"}.get(series.get("laterality", {}).get("code", ""))
        assert side is None or all(one == {side} for one in sides_of(images, series["uid"]))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger that has nothing in it."""
    file = tmp_path_factory.mktemp("drawn") / "empty.db"
    Ledger.open(f"sqlite:///{file}").close()
    return file


@pytest.mark.timeout(900)
def test_what_is_published_of_any_archive_is_true_or_left_out(empty: Path) -> None:
    """RULES B9, B10, B11; docs/cases.md: the oracle, file by file, agrees with what the server holds. The same archives each
    time, so that a change is judged by those of the one before it."""
    settings(max_examples=EXAMPLES, derandomize=True, phases=[Phase.explicit, Phase.generate], **UNHURRIED)(
        given(images=archives())(lambda images: holds(images, empty=empty))
    )()


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_what_is_published_of_many_more_archives_is_true_or_left_out(empty: Path) -> None:
    """The same, far more often."""
    settings(max_examples=LONG, **UNHURRIED)(given(images=archives())(lambda images: holds(images, empty=empty)))()
