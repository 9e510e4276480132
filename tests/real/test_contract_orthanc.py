"""The real archives, both versions, held to the contract that the fake passes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator

import pytest

from deploy.native.servers import Orthanc
from tests.contracts.archive import ArchiveUnderTest
from tests.contracts.orthanc_contract import FeedContract, archive
from tests.contracts.orthanc_reading import FIND_LIMIT, ReadingContract
from tests.contracts.orthanc_together import TogetherContract
from tests.servers import PASSWORD, USERNAME, VERSIONS, Archive, Unavailable, start_orthanc

__all__ = ["archive"]

STABLE_AGE = 2
"""Seconds: long enough that a busy machine reads the feed between an upload and its StableStudy."""


class RealUnderTest:
    """One Orthanc of its own, and at most one empty sibling of each kind at a time."""

    credentials = (USERNAME, PASSWORD)

    def __init__(self, wanted: str, *, overwrites: bool = False) -> None:
        self._wanted = wanted
        self._archive: Archive = start_orthanc(
            wanted,
            stable_age=STABLE_AGE,
            overwrite=overwrites,
            options={"LimitFindInstances": FIND_LIMIT, "LimitFindResults": FIND_LIMIT},
        )
        self._siblings: dict[bool, RealUnderTest] = {}
        self.version = self._archive.version

    @property
    def url(self) -> str:
        return self._archive.url

    def let_time_pass(self) -> None:
        """The interval of polling for what Orthanc does by itself."""
        time.sleep(0.05)

    def kill_and_restart(self) -> None:
        self._archive.kill()
        self._archive.start()

    def wipe(self) -> None:
        process = self._archive.process
        if not isinstance(process, Orthanc):
            pytest.skip("an index can be wiped only natively, and a container engine answers here")
        self._archive.stop()
        shutil.rmtree(process.directory / "storage")
        self._archive.start()

    def sibling(self, *, overwrites: bool = False) -> ArchiveUnderTest:
        """The same one for every test, wiped in between: starting takes seconds."""
        if overwrites in self._siblings:
            self._siblings[overwrites].wipe()
        else:
            self._siblings[overwrites] = RealUnderTest(self._wanted, overwrites=overwrites)
        return self._siblings[overwrites]

    def discard(self) -> None:
        for sibling in self._siblings.values():
            sibling.discard()
        self._archive.discard()


@pytest.fixture(scope="module", params=VERSIONS)
def server(request: pytest.FixtureRequest) -> Iterator[RealUnderTest]:
    try:
        under_test = RealUnderTest(request.param)
    except Unavailable as reason:
        pytest.skip(str(reason))
    yield under_test
    under_test.discard()


class TestTheFeed(FeedContract):
    """docs/orthanc.md's feed table on the real ones."""


class TestReading(ReadingContract):
    """docs/orthanc.md's calls on the real ones."""


class TestReadingTogether(TogetherContract):
    """Shared reads of the real ones."""
