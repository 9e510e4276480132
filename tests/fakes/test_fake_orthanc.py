"""The fake archive, held to the contract of the real ones, in both versions; and its doors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from syncd.http.messages import Lost, NoConnection, place_of
from syncd.http.messages import Request as Sent
from tests.contracts.archive import ArchiveUnderTest
from tests.contracts.orthanc_contract import FeedContract, archive
from tests.contracts.orthanc_reading import FIND_LIMIT, ReadingContract
from tests.contracts.orthanc_together import TogetherContract
from tests.fakes.http import Clock, FakeTransport, Response, basic, listening
from tests.fakes.orthanc import VERSIONS, FakeOrthanc
from tests.fakes.orthanc_find import Limits
from tests.loop.world import ShortOrthanc

__all__ = ["archive"]

_CREDENTIALS = ("user", "secret")


class FakeUnderTest:
    """A fake behind a port. Its time runs only while somebody waits."""

    credentials = _CREDENTIALS

    def __init__(self, version: str, *, overwrites: bool = False) -> None:
        self._clock = Clock()
        limits = Limits(instances=FIND_LIMIT, results=FIND_LIMIT)
        self.fake = ShortOrthanc(version, clock=self._clock, credentials=_CREDENTIALS, limits=limits, overwrites=overwrites)
        self.version = version
        self._siblings: list[FakeUnderTest] = []
        self._door = listening(self.fake)
        self.url = self._door.__enter__()

    def let_time_pass(self) -> None:
        self._clock.advance(0.3)

    def kill_and_restart(self) -> None:
        self.fake.restart()

    def wipe(self) -> None:
        self.fake.wipe()

    def sibling(self, *, overwrites: bool = False) -> ArchiveUnderTest:
        self._siblings.append(FakeUnderTest(self.version, overwrites=overwrites))
        return self._siblings[-1]

    def close(self) -> None:
        for sibling in self._siblings:
            sibling.close()
        self._door.__exit__(None, None, None)


@pytest.fixture(params=VERSIONS)
def server(request: pytest.FixtureRequest) -> Iterator[FakeUnderTest]:
    under_test = FakeUnderTest(request.param)
    yield under_test
    under_test.close()


class TestTheFeed(FeedContract):
    """docs/orthanc.md's feed table on the fake."""


class TestReading(ReadingContract):
    """docs/orthanc.md's calls on the fake."""


class TestReadingTogether(TogetherContract):
    """Shared reads of the fake."""


def test_an_instance_can_be_stored_without_dicom() -> None:
    """docs/cases.md: a machine of many steps needs no files."""
    fake = FakeOrthanc("1.12.7", clock=Clock())
    instance = fake.store(
        StudyInstanceUID="1.2.3", Modality="CT", PatientID="P", RequestAttributesSequence=[{"CodeValue": "1"}]
    )
    study = fake.handle("GET", f"/studies/{fake.study_of(instance)}").json
    assert study["MainDicomTags"]["StudyInstanceUID"] == "1.2.3"
    tags = fake.handle("GET", f"/instances/{instance}/tags", {"short": ""}).json
    assert tags["0040,0275"] == [{"0008,0100": "1"}]
    assert fake.handle("GET", f"/instances/{instance}/file").body[128:132] == b"DICM"


def test_time_alone_makes_a_study_stable() -> None:
    """RULES A5: no request is needed in between."""
    clock = Clock()
    fake = FakeOrthanc("1.10.1", clock=clock, stable_age=60)
    fake.store()
    clock.advance(59)
    assert len(fake.handle("GET", "/changes").json["Changes"]) == 4
    clock.advance(1)
    assert [one["ChangeType"] for one in fake.handle("GET", "/changes").json["Changes"]][4:] == [
        "StableSeries",
        "StableStudy",
        "StablePatient",
    ]


def _asking(fake: FakeOrthanc) -> Callable[..., tuple[int, Any]]:
    """Status and JSON of an answer, by our own client."""
    transport, origin = FakeTransport(fake), place_of(fake.url)[0]

    def ask(method: str, target: str) -> tuple[int, Any]:
        headers = {"Authorization": basic(*_CREDENTIALS)}
        answer = transport.send(Sent(method=method, origin=origin, target=target, headers=headers))
        body = b"".join(answer.body)
        return answer.status, json.loads(body) if body[:1] in (b"{", b"[") else None

    return ask


def test_our_own_client_reaches_the_fake_without_a_socket() -> None:
    """What an archive's client needs."""
    fake = FakeOrthanc(clock=Clock(), credentials=_CREDENTIALS)
    ask = _asking(fake)
    assert ask("GET", "/system")[1]["Version"] == "1.12.7"
    assert ask("GET", "/changes?since=0&limit=4")[1]["Done"] is True
    fake.away = True
    with pytest.raises(NoConnection):
        ask("GET", "/system")


def test_a_lost_reply_and_an_answer_of_the_tests_own() -> None:
    """RULES C5: the request was carried out, and nobody knows."""
    fake = FakeOrthanc(clock=Clock())
    instance = fake.store()
    fake.lose_reply_of(lambda request: request.method == "DELETE")
    fake.answer_instead(lambda request: request.path == "/system", Response(status=502, body=b"<html>"))
    ask = _asking(fake)
    with pytest.raises(Lost):
        ask("DELETE", f"/instances/{instance}")
    assert ask("GET", "/studies")[1] == []
    assert ask("GET", "/system")[0] == 502
    assert ask("GET", "/system")[0] == 200
    assert [request.method for request in fake.requests] == ["DELETE", "GET", "GET", "GET"]
