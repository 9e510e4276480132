"""One exchange, and everything that can go wrong with it (RULES S1, S2, C5)."""

from __future__ import annotations

import email.utils
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from syncd.errors import LedgerUnavailable, Transient, Unreachable, Unsuitable
from syncd.http.failures import ReplyTooLate
from syncd.http.messages import Answer, Lost, NoConnection, NotHttp, NotSendable, Request
from syncd.model.correlation import correlation_id
from syncd.publish import http as room
from syncd.publish.http import FhirConnection, FhirHttp, Reply
from syncd.publish.server import FhirServer
from tests.fakes.http import Response, listening
from tests.publish.scripted import Scripted, fhir, http, outcome, server, statement

Raw = Callable[[bytes], FhirHttp]


@pytest.fixture
def raw() -> Iterator[Raw]:
    """A socket that answers every connection with these bytes and hangs up."""
    listeners: list[socket.socket] = []

    def start(answer: bytes) -> FhirHttp:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return FhirHttp(FhirConnection(url=f"http://127.0.0.1:{listener.getsockname()[1]}/fhir", timeout=5.0))

    yield start
    for listener in listeners:
        listener.close()


def _raising(error: Exception) -> FhirHttp:
    class Broken:
        def send(self, request: Request) -> Answer:
            raise error

        def close(self) -> None:
            return None

    return FhirHttp(FhirConnection(url="http://fake.invalid/fhir"), transport=Broken())


def _because(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def _begun() -> Lost:
    error = Lost("broken off")
    error.begun = True
    return error


@pytest.mark.parametrize(
    ("error", "expected", "outcome"),
    [
        (TimeoutError(), ReplyTooLate, "timeout"),
        (NoConnection(late=True), Unreachable, "timeout"),
        (NoConnection(), Unreachable, "unreachable"),
        (Lost("no whole head"), Unreachable, "unreachable"),
        (_because(NoConnection(), ssl.SSLCertVerificationError()), Unsuitable, "tls"),
        (_because(NoConnection(), ssl.SSLError()), Unreachable, "tls"),
        (_begun(), Transient, "broken"),
        (NotSendable(), Transient, "broken"),
        (NotHttp(), Transient, "broken"),
    ],
)
def test_every_fault_ends_here(error: Exception, expected: type[Exception], outcome: str) -> None:
    """What a connection raises ends at the rim, chained; the metric learns how the call ended."""
    heard: list[str] = []
    broken = _raising(error)
    broken._on_call = heard.append
    with pytest.raises(Transient) as raised:
        broken.exchange("GET", "metadata")
    assert type(raised.value) is expected
    assert raised.value.__cause__ is error
    assert raised.value.server == "fhir"
    assert heard == [outcome]


def test_nobody_there_is_unreachable() -> None:
    """A server that cannot be reached."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port}"):
        FhirHttp(FhirConnection(url=f"http://127.0.0.1:{port}/fhir")).exchange("GET", "metadata")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"a"',
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a',
        b"no http at all",
    ],
    ids=["nothing", "half a body", "half a chunk", "rubbish"],
)
def test_a_reply_that_breaks_off_is_transient(raw: Raw, answer: bytes) -> None:
    """RULES C5: a lost reply is never guessed at."""
    with pytest.raises(Transient):
        raw(answer).exchange("GET", "metadata")


def test_a_server_that_is_silent_is_given_up() -> None:
    """RULES S2: timeouts on every reply."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = FhirConnection(url=f"http://127.0.0.1:{listener.getsockname()[1]}/fhir", timeout=0.05)
        with pytest.raises(Transient, match=r"within 0.05 s"):
            FhirHttp(connection).exchange("GET", "metadata")


def test_a_huge_reply_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES S2: size limits on every reply."""
    monkeypatch.setattr(room, "LARGEST_REPLY", 1000)
    with pytest.raises(Transient, match="larger"):
        http(Scripted(fhir({"x": "y" * 2000}))).exchange("GET", "metadata")


@pytest.mark.parametrize(
    "answer",
    [
        Response(headers={"Content-Type": "text/html"}, body=b"<html>"),
        Response(headers={"Content-Type": "application/json"}, body=b"{broken"),
        Response(headers={"Content-Type": "application/json"}, body=b"[1]"),
        Response(headers={"Content-Type": "application/json"}, body=b"\xff\xfe"),
        Response(headers={"Content-Type": "application/json"}, body=b"[" * 100_000),
        Response(body=b'{"resourceType": "Patient"}'),
        Response(status=204),
    ],
    ids=["html", "broken", "list", "no text", "deep", "no content type", "empty"],
)
def test_what_is_no_json_object_has_no_body(answer: Response) -> None:
    """RULES S2: depth limits; nothing but JSON objects is believed."""
    assert http(Scripted(answer)).exchange("GET", "metadata").body is None


def test_redirects_are_not_followed() -> None:
    """RULES S2: redirects to other hosts are refused, with them all others."""
    fake = Scripted(Response(status=302, headers={"Location": "http://evil.invalid/fhir"}))
    assert http(fake).exchange("GET", "metadata").status == 302
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("tomorrow GMT", None),
        ("\N{SUPERSCRIPT TWO}", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_as_a_number_or_a_date(text: str, seconds: float | None) -> None:
    """RULES C6, RFC 9110 10.2.3: what cannot be read asks for nothing."""
    assert Reply(status=503, headers={"Retry-After": text}, body=None).retry_after == seconds


def test_retry_after_as_a_date_ahead() -> None:
    """RFC 9110 10.2.3."""
    text = email.utils.formatdate(time.time() + 3600, usegmt=True)
    wanted = Reply(status=503, headers={"Retry-After": text}, body=None).retry_after
    assert wanted is not None and 3500 < wanted <= 3600


def test_retry_after_reaches_whoever_waits() -> None:
    """RULES C6."""
    with pytest.raises(Transient) as raised:
        server(Scripted(Response(status=503, headers={"Retry-After": "9"}))).capabilities()
    assert raised.value.retry_after == 9.0


def test_a_server_that_asks_for_patience_gets_half_as_many_requests() -> None:
    """Told by whatever was asked; another refusal changes nothing, and FHIR__CONCURRENCY is never passed."""
    fake = Scripted(*[Response(status=status) for status in (200, 404, 429, 503, *[200] * 40)])
    asked = http(fake, concurrency=3)
    limits = []
    for _ in range(44):
        asked.exchange("GET", "metadata")
        limits.append(asked.flow.limit)
    assert (limits[:4], limits[-1], max(limits)) == ([3, 3, 1, 1], 3, 3)


def test_the_correlation_id_is_sent_where_there_is_one() -> None:
    """docs/operation.md, Logs: header X-Correlation-ID."""
    fake = Scripted(statement())
    http(fake).exchange("GET", "metadata")
    before = correlation_id.set("one-reconcile")
    try:
        http(fake).exchange("GET", "metadata")
    finally:
        correlation_id.reset(before)
    assert [one.headers.get("x-correlation-id") for one in fake.requests] == [None, "one-reconcile"]


@pytest.mark.parametrize(
    ("connection", "header"),
    [
        ({}, None),
        ({"auth_kind": "basic", "username": "user", "password": "HUNTER2"}, "Basic dXNlcjpIVU5URVIy"),
        ({"auth_kind": "bearer", "token": "HUNTER2"}, "Bearer HUNTER2"),
    ],
    ids=["none", "basic", "bearer"],
)
def test_credentials_are_sent_and_never_told(
    connection: dict[str, str], header: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """RULES S1: no secret in logs, `repr` or messages."""
    caplog.set_level(logging.DEBUG)
    fake = Scripted(Response(status=401))
    given = FhirConnection(url=fake.url, **connection)  # type: ignore[arg-type]
    asked = server(fake, **connection)
    with pytest.raises(Exception, match="SYNCD_FHIR__AUTH") as raised:
        asked.capabilities()
    assert fake.requests[0].headers.get("authorization") == header
    assert "HUNTER2" not in repr(given) + str(raised.value) + caplog.text + repr(asked)


def test_a_netrc_or_proxy_of_the_machine_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES S3: only what the settings say is sent."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with listening(Scripted(statement())) as url:
        assert FhirHttp(FhirConnection(url=url)).exchange("GET", "metadata").status == 200


def test_headers_of_the_settings_are_sent_with_every_request() -> None:
    """docs/settings.md, FHIR__HEADERS; their values may be keys."""
    fake = Scripted(statement())
    http(fake, headers={"X-Tenant": "HUNTER2"}).exchange("GET", "metadata")
    assert fake.requests[0].headers["x-tenant"] == "HUNTER2"
    assert "HUNTER2" not in repr(FhirConnection(url=fake.url, headers={"X-Tenant": "HUNTER2"}))


def test_what_is_sent_is_our_own_json() -> None:
    """RULES B1: no library's re-serialisation; UTF-8, no blanks."""
    fake = Scripted(Response(status=200))
    http(fake).exchange("PUT", "Patient/1", resource={"resourceType": "Patient", "name": [{"text": "Süd"}]})
    (request,) = fake.requests
    assert request.body == '{"resourceType":"Patient","name":[{"text":"Süd"}]}'.encode()
    assert request.headers["content-type"] == request.headers["accept"] == "application/fhir+json"


def test_how_each_call_ended_is_told() -> None:
    """HTTP calls by server and outcome."""
    heard: list[str] = []
    fake = Scripted(statement(), outcome(status=404), Response(status=503))
    asked = http(fake)
    asked._on_call = heard.append
    for _ in range(3):
        asked.exchange("GET", "metadata")
    assert heard == ["2xx", "4xx", "5xx"]


def test_a_trailing_slash_of_the_base_is_no_second_one() -> None:
    """docs/settings.md, FHIR__URL."""
    fake = Scripted(statement())
    fake.url += "/"
    FhirServer(http(fake)).capabilities()
    assert fake.requests[0].path == "/fhir/metadata"


@pytest.mark.parametrize(
    ("method", "path", "asked"),
    [
        ("PUT", "Patient/1", True),
        ("POST", "Provenance", True),
        ("POST", "", True),
        ("DELETE", "ImagingStudy/1", True),
        ("GET", "Patient/1", False),
        ("POST", "Patient/_search", False),
    ],
)
def test_whoever_may_not_write_is_stopped_before_anything_is_sent(method: str, path: str, asked: bool) -> None:
    """RULES E4: asked immediately before every FHIR write, of whatever kind; reading is nobody's privilege."""

    def refuse() -> None:
        raise LedgerUnavailable("not ours")

    server = Scripted(Response(status=200))
    client = http(server)
    client.before_write = refuse
    if asked:
        with pytest.raises(LedgerUnavailable, match="not ours"):
            client.exchange(method, path)
        assert server.requests == []
    else:
        assert client.exchange(method, path).status == 200
