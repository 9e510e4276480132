"""Many small studies by calls that they share: what each costs, and whose trouble is whose (RULES A7, C6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from syncd.archive.orthanc import OrthancArchive
from syncd.archive.reading import shared_pass
from syncd.archive.rest.connection import ArchiveConnection
from syncd.errors import Transient, Unreachable
from syncd.http.failures import Busy
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.study.raw import Unread
from tests.fakes.http import Clock, Request, Response, json_response, listening
from tests.fakes.orthanc import VERSIONS
from tests.loop.world import ShortOrthanc

CT = "1.2.840.10008.5.1.4.1.1.2"
BY_BULK, BY_FIND = VERSIONS


class Site:
    """A fake archive with some studies at rest, and what reads it."""

    def __init__(self, version: str, url: str, fake: ShortOrthanc) -> None:
        self.fake, self.modern = fake, version == BY_FIND
        self.calls: list[str] = []
        self.archive = OrthancArchive(
            ArchiveConnection(name=ArchiveName("main"), url=url, username="u", password="p", timeout=30),
            on_call=self.calls.append,
        )
        self.archive.info()
        self.calls.clear()

    def store(self, studies: int, *, images: int = 1, **tags: Any) -> list[OrthancId]:
        """So many new studies of one series; by now they are stable."""
        stored = []
        for _ in range(studies):
            uid = f"1.2.276.{len(self.fake.index.resources) + 1}"
            for number in range(1, images + 1):
                instance = self.fake.store(
                    StudyInstanceUID=uid, SOPClassUID=CT, Modality="CT", InstanceNumber=str(number), **tags
                )
            stored.append(OrthancId(self.fake.study_of(instance)))
        self.fake.clock.advance(60)  # type: ignore[attr-defined]
        return stored

    def series_of(self, study: OrthancId) -> str:
        return self.archive.study(study).series_ids[0]

    def on(self, path: str, do: Callable[[], Response | None]) -> None:
        """What happens, or is answered, when `path` is asked for."""
        self.fake.rules.append(lambda request: do() if request.path.startswith(path) else None)


@contextmanager
def _site(version: str) -> Iterator[Site]:
    fake = ShortOrthanc(version, clock=Clock())
    with listening(fake) as url:
        site = Site(version, url, fake)
        try:
            yield site
        finally:
            site.archive.close()


@pytest.fixture(params=VERSIONS)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with _site(request.param) as made:
        yield made


def test_forty_studies_of_three_images_cost_forty_five_calls(site: Site) -> None:
    """RULES A7: headers, counts, instances, one call for each series, counts, headers."""
    studies = site.store(41, images=3)
    read = site.archive.read_studies(studies)
    assert list(read) == studies[: shared_pass.AT_ONCE], "what comes behind the 40th is read by itself"
    assert len(site.calls) == 45
    assert [len(raw.instances) for raw in read.values()] == [3] * 40


def test_nothing_small_and_at_rest_costs_no_more_than_its_header(site: Site) -> None:
    """RULES A5: an arriving study's instances are nobody's to read."""
    site.store(1)
    arriving = OrthancId(site.fake.study_of(site.fake.store()))
    assert site.archive.read_studies([arriving]) == {}
    assert len(site.calls) == 1


def test_large_studies_are_left_to_themselves(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES S2: what one answer may hold is bounded, by the study and by the sum, in the order asked for."""
    monkeypatch.setattr(shared_pass, "MOST_INSTANCES", 3)
    monkeypatch.setattr(shared_pass, "MOST_TOGETHER", 5)
    large, *small = [*site.store(1, images=4), *site.store(2, images=3), *site.store(1, images=2)]
    assert set(site.archive.read_studies([large, *small])) == {small[0], small[2]}
    monkeypatch.setattr(shared_pass, "MOST_SERIES", 0)
    assert site.archive.read_studies(small) == {}


@pytest.mark.parametrize("what", ["an instance", "a series", "a deleted instance", "new words"])
def test_a_study_that_changes_meanwhile_is_left_out(site: Site, what: str) -> None:
    """RULES A7, A8: and its neighbours are not. LastUpdate alone tells nothing within one second."""
    changing, quiet = site.store(2, images=2)
    header = site.archive.study(changing)
    study = site.fake.index.resources[changing]
    instance = next(iter(site.fake.index.below(site.fake.index.resources[header.series_ids[0]], "Instance")))
    happens = {
        "an instance": lambda: site.fake.store(StudyInstanceUID=header.study_uid),
        "a series": lambda: site.fake.store(StudyInstanceUID=header.study_uid, SeriesInstanceUID="1.2.9"),
        "a deleted instance": lambda: site.fake.handle("DELETE", instance.path),
        "new words": lambda: study.main.update(StudyDescription="New"),
    }[what]
    seen: list[object] = []
    site.on("/series/", lambda: None if seen else seen.append(happens()))
    assert set(site.archive.read_studies([changing, quiet])) == {quiet}
    assert seen


def test_a_file_that_cannot_be_read_is_no_bodys_but_its_studys(site: Site) -> None:
    """RULES B11: as when it is read by itself."""
    broken, well = site.store(2, images=2)
    instance = site.archive.read_study(broken).instances[0].orthanc_id
    trouble = Response(status=500)
    site.on(f"/series/{site.series_of(broken)}/instances-tags", lambda: trouble)
    site.on(f"/instances/{instance}/tags", lambda: trouble)
    read = site.archive.read_studies([broken, well])
    assert read == {study: site.archive.read_study(study) for study in (broken, well)}
    assert read[broken].unread == {instance: Unread.BROKEN}


@pytest.mark.parametrize("level", ["Study", "Instance"])
def test_an_entry_that_cannot_be_read_spoils_its_study_alone(site: Site, level: str) -> None:
    """RULES A2, A7: strict in the frame, tolerant of entries."""
    odd, well = site.store(2, images=2)
    spoilt = odd if level == "Study" else site.archive.read_study(odd).instances[1].orthanc_id

    def answer(request: Request) -> Response | None:
        if not request.path.startswith("/tools/") or request.json["Level"] != level:
            return None
        entries = [{**each, "ID": "odd"} if each["ID"] == spoilt else each for each in site.fake.answer(request).json]
        return json_response(entries)

    site.fake.rules.append(answer)
    assert set(site.archive.read_studies([odd, well])) == {well}


@pytest.mark.parametrize("status", [500, 504])
def test_a_shared_call_without_an_answer_leaves_all_to_themselves(site: Site, status: int) -> None:
    """RULES C6: one study may have spoilt it; by itself each shows whether it did."""
    studies = site.store(3)
    site.on("/tools/", lambda: Response(status=status))
    assert site.archive.read_studies(studies) == {}


def test_one_study_that_fails_is_left_out_and_two_in_a_row_are_the_archives(site: Site) -> None:
    """RULES C6: their header cannot be asked for either, so nobody can tell whose fault a file is."""
    studies = site.store(4, images=2)
    failing = {studies[1]}
    paths = {each: (f"/series/{site.series_of(each)}", f"/studies/{each}") for each in studies}

    def fail(request: Request) -> Response | None:
        return Response(status=500) if any(request.path.startswith(paths[each]) for each in failing) else None

    site.fake.rules.append(fail)
    assert set(site.archive.read_studies(studies)) == set(studies) - failing
    failing.add(studies[2])
    with pytest.raises(Transient):
        site.archive.read_studies(studies)


@pytest.mark.parametrize("path", ["/tools/bulk-content", "/series/"])
def test_an_archive_that_asks_for_patience_is_not_asked_for_the_next(site: Site, path: str) -> None:
    """RULES C6."""
    studies = site.store(3, images=2)
    site.on(path, lambda: Response(status=503, headers={"Retry-After": "7"}))
    with pytest.raises(Busy) as caught:
        site.archive.read_studies(studies)
    assert caught.value.retry_after == 7


def test_an_archive_that_is_away_is_said_to_be(site: Site) -> None:
    """RULES C6: no study is looked at for that."""
    studies = site.store(2)
    site.on("/tools/bulk-content", lambda: Response(status=401))
    with pytest.raises(Unreachable):
        site.archive.read_studies(studies)


def test_a_version_that_no_longer_finds_is_asked_again_what_it_can() -> None:
    """RULES A7: 1.10 in the place of 1.12 answers ids to a find: odd, and after that it is asked in bulk."""
    with _site(BY_FIND) as site:
        studies = site.store(2)
        site.fake.index.modern = site.fake.modern = False
        with pytest.raises(Transient):
            site.archive.read_studies(studies)
        assert set(site.archive.read_studies(studies)) == set(studies)


def test_what_1_12_is_slow_at_is_not_asked() -> None:
    """docs/orthanc.md: bulk-content of series and instances takes seconds of an index of 20,000."""
    with _site(BY_FIND) as site:
        studies = site.store(3, images=2)
        site.fake.requests.clear()
        site.archive.read_studies(studies)
        asked = Counter(request.json["Level"] for request in site.fake.requests if request.path == "/tools/bulk-content")
        assert asked == {"Study": 2}
