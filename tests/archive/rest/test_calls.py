"""One call, and who must act when it fails: RULES S1, S2."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from syncd.archive.orthanc import OrthancArchive
from syncd.archive.rest.connection import ArchiveConnection
from syncd.errors import ConfigurationError, SyncdError, Transient, Unreachable, Unsuitable
from syncd.http import deadline
from syncd.http.failures import Busy, ReplyTooLate, ReplyUnreadable
from syncd.http.messages import Answer, Lost, NoConnection, NotHttp, NotSendable, Taken
from syncd.model.correlation import correlation_id
from syncd.model.ids import ArchiveName
from tests.archive.scripted import CONNECTION, Asked, Reply, Scripted, answering, archive, in_turn, saying, system

SECRET = "Doe^Jane"
EMPTY_PAGE = {"Changes": [], "Done": True, "Last": 7}


def refusing(error: Exception, *, cause: Exception | None = None) -> Answer:
    def fail(request: Asked) -> Answer:
        raise error from cause

    return fail


def replying(status: int, *, body: str = SECRET, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: saying(status, text=body, headers=named)


def compressed(request: Asked) -> Answer:
    return saying(200, headers={"Content-Encoding": "gzip"}, content=iter([b"x"]))


def not_trusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("answer", "error", "says", "outcome"),
    [
        (replying(401), Unsuitable, "SYNCD_ARCHIVES__MAIN__USERNAME", "denied"),
        (replying(403), Unsuitable, "SYNCD_ARCHIVES__MAIN__PASSWORD", "denied"),
        (replying(404), Unsuitable, "SYNCD_ARCHIVES__MAIN__URL", "not-found"),
        (replying(405), Unsuitable, "HTTP 405", "refused"),
        (replying(302, Location="http://elsewhere.invalid/"), Unsuitable, "redirects", "refused"),
        (replying(408), Transient, "HTTP 408", "busy"),
        (replying(429), Busy, "HTTP 429", "busy"),
        (replying(500), Transient, "HTTP 500", "busy"),
        (replying(503), Busy, "HTTP 503", "busy"),
        (replying(200, body="<!DOCTYPE html><p>Log in"), Unsuitable, "web page", "unreadable"),
        (replying(200, body='{"Changes": ['), ReplyUnreadable, "JSON", "unreadable"),
        (replying(200, body="[" * 100_000), ReplyUnreadable, "answer to GET /changes", "unreadable"),
        (replying(200, body="[" * 300 + "]" * 300), ReplyUnreadable, "nested", "unreadable"),
        (replying(200, body="9" * 10_000), ReplyUnreadable, "JSON", "unreadable"),
        (compressed, Unsuitable, "compressed", "refused"),
        (refusing(NoConnection()), Unreachable, "is Orthanc running", "unreachable"),
        (refusing(NoConnection(), cause=not_trusted()), Unsuitable, "__CA_FILE", "unreachable"),
        (refusing(NoConnection(), cause=ssl.SSLError(1, "x")), Unreachable, "https", "unreachable"),
        (refusing(NoConnection(late=True)), Unreachable, "no connection", "unreachable"),
        (refusing(TimeoutError("slow")), ReplyTooLate, "no answer to GET /changes within 3 s", "unreachable"),
        (refusing(Taken("busy")), Transient, "within 3 s", "unreachable"),
        (refusing(Lost("lost")), Transient, "connection broke", "unreachable"),
        (refusing(NotHttp("ftp")), Unsuitable, "http://", "unreachable"),
        (refusing(NotSendable("odd")), Unsuitable, "NotSendable", "refused"),
    ],
)
def test_every_failure_says_who_must_act(answer: Reply, error: type[SyncdError], says: str, outcome: str) -> None:
    """RULES S1, S2; nothing that a connection raises escapes, no word of a body is repeated."""
    outcomes: list[str] = []
    orthanc, _ = archive({"GET /changes": answer}, on_call=outcomes.append)
    with pytest.raises(SyncdError) as raised:
        orthanc.changes(0, limit=10)
    assert type(raised.value) is error
    assert says in str(raised.value)
    assert SECRET not in str(raised.value)
    assert "pass-1234" not in str(raised.value)
    assert outcomes == [outcome]


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"Changes": {}, "Done": True, "Last": 1},
        {"Changes": [], "Done": "yes", "Last": 1},
        {"Changes": [], "Done": True},
        "ok",
        7,
    ],
)
def test_an_answer_of_another_shape_is_not_orthanc(answer: object) -> None:
    """A server that is not what it should be is named, with what to do."""
    orthanc, _ = archive({"GET /changes": answering(answer)})
    with pytest.raises(Unsuitable, match="SYNCD_ARCHIVES__MAIN__URL"):
        orthanc.changes(0, limit=10)


def test_a_page_that_leads_nowhere_is_refused() -> None:
    """RULES A3: no hot loop, whatever a server says."""
    page = {"Changes": [{"Seq": 3}], "Done": False, "Last": 3}
    orthanc, _ = archive({"GET /changes": answering(page)})
    with pytest.raises(Unsuitable):
        orthanc.changes(3, limit=10)


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", None), ("", None)]
)
def test_retry_after_is_handed_on(header: str, seconds: float | None) -> None:
    """RULES C6, RFC 9110 10.2.3."""
    orthanc, _ = archive({"GET /changes": replying(503, Retry_After=header)})
    with pytest.raises(Transient) as raised:
        orthanc.high_water_mark()
    assert raised.value.retry_after == seconds
    assert raised.value.server == "main"


def test_a_request_lost_on_an_idle_connection_is_sent_once_more() -> None:
    """Orthanc closes idle connections after a second; every call only reads."""
    lost = refusing(Lost("no whole head"))
    orthanc, scripted = archive({"GET /changes": in_turn(lost, answering(EMPTY_PAGE))})
    assert orthanc.high_water_mark() == 7
    assert len(scripted.asked) == 2


def test_a_reply_beyond_the_limit_is_not_read_to_its_end() -> None:
    """RULES S2: size limits on every reply."""
    sent: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            sent.append(1)
            yield b" " * 1000

    orthanc, _ = archive({"GET /changes": lambda request: saying(200, content=endless())}, max_reply=10_000)
    with pytest.raises(Unsuitable, match="more than"):
        orthanc.changes(0, limit=10)
    assert len(sent) == 11


def test_a_reply_that_drips_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES S2: timeouts are per read."""
    now = [0.0]

    def drips() -> Iterator[bytes]:
        while True:
            now[0] += 2.0
            yield b" "

    monkeypatch.setattr(deadline, "time", SimpleNamespace(monotonic=lambda: now[0]))
    orthanc, _ = archive({"GET /changes": lambda request: saying(200, content=drips())})
    with pytest.raises(Transient, match="within 30 s"):
        orthanc.changes(0, limit=10)
    assert now[0] < 40


def test_what_the_reader_of_a_listing_does_meanwhile_is_not_the_archives_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES A8, S2: a million ids are written into the ledger as they come, and with a short TIMEOUT no sweep would end."""
    now = [0.0]
    ids = [f'"{number:08x}-00000000-00000000-00000000-00000000"' for number in range(50)]

    def answered() -> Iterator[bytes]:
        yield b"["
        for each in ids:
            now[0] += 0.1
            yield each.encode() + b","
        yield b'""]'

    monkeypatch.setattr(deadline, "time", SimpleNamespace(monotonic=lambda: now[0]))
    orthanc, _ = archive({"GET /studies": lambda request: saying(200, content=answered())})
    read = 0
    for _ in orthanc.study_ids():
        now[0] += 5.0
        read += 1
    assert read == len(ids)


def test_redirects_and_the_environment_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES S2: credentials go to the configured address only."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setenv("ALL_PROXY", "http://proxy.invalid:3128")
    orthanc, scripted = archive({"GET /changes": replying(307, Location="http://elsewhere.invalid/changes")})
    with pytest.raises(Unsuitable):
        orthanc.changes(0, limit=1)
    assert [each.host for each in scripted.requests] == ["orthanc.invalid"]


def test_requests_carry_credentials_and_the_correlation_id() -> None:
    """docs/operation.md, Logs: one UUID per reconcile, header X-Correlation-ID to both servers."""
    orthanc, scripted = archive({"GET /changes": answering(EMPTY_PAGE)})
    orthanc.high_water_mark()
    token = correlation_id.set("0f8e")
    try:
        orthanc.high_water_mark()
    finally:
        correlation_id.reset(token)
    assert [each.headers.get("X-Correlation-ID") for each in scripted.requests] == [None, "0f8e"]
    assert scripted.requests[0].headers["Authorization"].startswith("Basic ")
    assert scripted.requests[0].headers["Accept-Encoding"] == "identity"


class _Gone:
    """Tokens of which the first, or the second as well, is refused, and there is no other."""

    def __init__(self, *, at: int) -> None:
        self._left = at

    def headers(self) -> dict[str, str]:
        return {"Authorization": "Bearer x"}

    def refused(self) -> bool:
        self._left -= 1
        if not self._left:
            raise Unsuitable("no other token", server="main")
        return True


class _Held:
    """An answer that takes a connection until it is closed."""

    def __init__(self, held: set[_Held]) -> None:
        self._held = held
        held.add(self)

    def __iter__(self) -> Iterator[bytes]:
        yield b"no"

    def close(self) -> None:
        self._held.discard(self)


@pytest.mark.parametrize("at", [1, 2])
def test_no_connection_is_kept_of_a_stream_that_is_refused_for_good(at: int) -> None:
    """There are sixteen of them: afterwards nobody could ask this archive any more, whatever became of the token."""
    held: set[_Held] = set()
    scripted = Scripted({"GET /studies": lambda request: saying(401, body=_Held(held))})
    connection = ArchiveConnection(name=ArchiveName("main"), url="http://orthanc.invalid/", authorization=_Gone(at=at))
    with pytest.raises(Unsuitable, match="no other token"):
        list(OrthancArchive(connection, transport=scripted).study_ids())
    assert len(scripted.asked) == at
    assert not held


def test_a_token_is_sent_as_bearer() -> None:
    """docs/settings.md: `__TOKEN`."""
    scripted = Scripted({"GET /changes": answering(EMPTY_PAGE)})
    connection = ArchiveConnection(name=ArchiveName("main"), url="http://orthanc.invalid/", token="t-987")
    OrthancArchive(connection, transport=scripted).high_water_mark()
    assert scripted.requests[0].headers["Authorization"] == "Bearer t-987"
    assert str(scripted.requests[0].url).startswith("http://orthanc.invalid/changes?")


def test_a_connection_shows_no_secret() -> None:
    """RULES S1."""
    connection = ArchiveConnection(
        name=ArchiveName("main"), url="https://u:secret-1@host:8042/o?k=secret-2", password="secret-3", token="secret-4"
    )
    assert repr(connection) == "ArchiveConnection(server='main', url='https://host:8042/o')"
    assert "secret" not in f"{connection} {connection.address}"


@pytest.mark.parametrize(("field", "setting"), [("ca_file", "CA_FILE"), ("client_cert", "CLIENT_CERT")])
def test_a_file_that_cannot_be_used_names_its_setting(field: str, setting: str) -> None:
    """A wrong setting is named."""
    connection = ArchiveConnection(name=ArchiveName("main"), url="https://host", **{field: "/does/not/exist.pem"})
    with pytest.raises(ConfigurationError, match=f"SYNCD_ARCHIVES__MAIN__{setting}"):
        OrthancArchive(connection)


def test_tls_is_verified_unless_the_site_says_otherwise() -> None:
    """RULES S3."""
    strict = CONNECTION.tls()
    lax = ArchiveConnection(name=ArchiveName("main"), url="https://host", verify_tls=False).tls()
    assert (strict.verify_mode, strict.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (lax.verify_mode, lax.check_hostname) == (ssl.CERT_NONE, False)


def test_nothing_listens() -> None:
    """A server that cannot be reached is said, with what to look at; over a real socket."""
    connection = ArchiveConnection(name=ArchiveName("main"), url="http://127.0.0.1:1")
    with pytest.raises(Unreachable, match="SYNCD_ARCHIVES__MAIN__URL"):
        OrthancArchive(connection).info()


@pytest.mark.parametrize(
    ("plugin", "root"),
    [
        (answering({"ID": "dicom-web", "RootUri": "../dicom-web/app/client/index.html"}), "/dicom-web"),
        (answering({"ID": "dicom-web", "RootUri": "../pacs/web/app/client/index.html"}), "/pacs/web"),
        (answering({"ID": "dicom-web", "RootUri": "/dicom-web/"}), "/dicom-web"),
        (answering({"ID": "dicom-web"}), ""),
        (replying(404), ""),
    ],
)
def test_the_dicomweb_root_comes_from_the_plugin(plugin: Reply, root: str) -> None:
    """docs/settings.md: PUBLIC_DICOMWEB_URL defaults to URL + the server's DICOMweb root."""
    orthanc, _ = archive({"GET /system": answering(system(modern=True)), "GET /plugins/dicom-web": plugin})
    info = orthanc.info()
    assert (info.dicomweb_root, info.version, info.api_version) == (root, "1.12.7", 27)
