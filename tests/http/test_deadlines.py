"""However slowly a server talks, a request ends, and so does a turn (RULES S2); over real sockets."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from syncd.archive.rest.calls import Calls
from syncd.archive.rest.connection import ArchiveConnection
from syncd.errors import Transient
from syncd.http import connection, deadline
from syncd.http.failures import ReplyTooLate
from syncd.http.messages import Answer, Request
from syncd.model.ids import ArchiveName
from tests.archive.scripted import saying
from tests.http.conftest import Papers
from tests.http.rims import RIMS
from tests.http.sick import HEAD, answering, dripping

PAUSE = 0.05
SOON = 5.0
"""Seconds: far above what is allowed, far below what the server would take."""

BODY = HEAD + b"Content-Length: 1000000\r\n\r\n"
KINDS = {"status": b"", "header": b"HTTP/1.1 200 OK\r\nX-Long: ", "body": BODY}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request may take two timeouts."""
    monkeypatch.setattr(connection, "LONGEST", 2)


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rim", RIMS)
def test_a_server_that_drips_a_byte_now_and_then_is_given_up(rim: str, kind: str, encrypted: bool, papers: Papers) -> None:
    """Each wait by itself is short; all of them together are not."""
    begun = b"HTTP/1.1 200 OK" if kind == "status" else KINDS[kind]
    with answering(dripping(begun, pause=PAUSE), tls=papers.server() if encrypted else None) as port:
        address = f"{'https' if encrypted else 'http'}://127.0.0.1:{port}"
        ask = RIMS[rim](address, timeout=0.3, ca_file=str(papers.ca) if encrypted else "")
        before = time.monotonic()
        with pytest.raises(ReplyTooLate, match=r"to its end within 0\.6 s"):
            ask()
    assert time.monotonic() - before < SOON


@pytest.mark.parametrize("rim", RIMS)
def test_a_turn_ends_within_a_request(rim: str) -> None:
    """What a request may take ends with the turn; that is no fault of the reply that was waited for."""
    with answering(dripping(BODY, pause=PAUSE)) as port:
        ask = RIMS[rim](f"http://127.0.0.1:{port}", timeout=60)
        with deadline.turn(0.5), pytest.raises(Transient, match=r"turn took longer than 0\.5 s") as raised:
            ask()
    assert type(raised.value) is Transient
    assert raised.value.server == {"fhir": "fhir", "archive": "main"}[rim]


@pytest.mark.parametrize("rim", RIMS)
def test_nothing_is_asked_after_the_end_of_the_turn(rim: str) -> None:
    """Nothing listens there, which nobody finds out."""
    ask = RIMS[rim]("http://127.0.0.1:1")
    with deadline.turn(-1.0), pytest.raises(Transient, match="turn took longer"):
        ask()


def test_what_is_done_between_the_pieces_of_a_stream_is_not_held_to_it() -> None:
    """The listing of an archive is worked on while it comes in, with requests that have an end of their own."""
    calls = Calls(ArchiveConnection(name=ArchiveName("main"), url="http://orthanc.invalid"), transport=_Pieces())
    for _ in calls.stream("/studies", what="GET /studies"):
        assert deadline.current() is None


def test_a_stream_has_an_end_as_well() -> None:
    """Its pieces come one after the other, for ever."""
    impatient = ArchiveConnection(name=ArchiveName("main"), url="http://orthanc.invalid", timeout=0.1)
    calls = Calls(impatient, transport=_Pieces(10**9, pause=0.05))
    with pytest.raises(ReplyTooLate, match=r"within 0\.2 s"):
        list(calls.stream("/studies", what="GET /studies"))


class _Pieces:
    def __init__(self, number: int = 3, *, pause: float = 0.0) -> None:
        self._number, self._pause = number, pause

    def send(self, request: Request) -> Answer:
        def pieces() -> Iterator[bytes]:
            for _ in range(self._number):
                time.sleep(self._pause)
                yield b" "

        return saying(200, content=pieces())

    def close(self) -> None:
        """There is no connection."""


def test_the_end_of_a_turn_is_forgotten_with_it() -> None:
    """The next turn of the same thread has all its time."""
    with deadline.turn(5.0):
        inner = deadline.of_request(60.0)
        assert inner.of_turn
    assert not deadline.of_request(60.0).of_turn
    assert deadline.left(3.0) == 3.0
