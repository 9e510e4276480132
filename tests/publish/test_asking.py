"""Requests to whoever gives tokens: small, bounded, not followed elsewhere; over real sockets."""

from __future__ import annotations

import time

import pytest

from syncd.auth.place import Place
from syncd.errors import Transient, Unreachable, Unsuitable
from syncd.publish.asking import LARGEST_ANSWER, Asking, GiverConnection
from tests.http.conftest import Papers, papers
from tests.http.sick import HEAD, answering, at_once, dripping

__all__ = ["papers"]

ARCHIVE = Place(server="main", prefix="SYNCD_ARCHIVES__MAIN__AUTH__")


def _ask(port: int, *, scheme: str = "http", place: Place | None = None, **connection: object) -> object:
    at = GiverConnection(url=f"{scheme}://127.0.0.1:{port}", place=place or Place(), **connection)  # type: ignore[arg-type]
    headers = {"Authorization": "Basic planted"}
    return Asking(at)("GET", f"{scheme}://127.0.0.1:{port}/token", headers=headers)  # the server here reads no body


def _whole(body: bytes, *, head: bytes = HEAD, more: bytes = b"") -> bytes:
    return head + more + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body


def test_a_json_object_is_read_and_not_shown() -> None:
    with answering(at_once(_whole(b'{"access_token": "planted"}'))) as port:
        answer = _ask(port)
    assert getattr(answer, "body", None) == {"access_token": "planted"}
    assert "planted" not in repr(answer)


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"a": 1, "a": 2}', b"\xff"])
def test_what_is_no_json_object_is_none(body: bytes) -> None:
    """RULES S2."""
    with answering(at_once(_whole(body))) as port:
        assert getattr(_ask(port), "body", "") is None


def test_a_redirect_is_not_followed() -> None:
    """The secret would go with it."""
    head = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\n"
    with answering(at_once(_whole(b"", head=head))) as port:
        assert getattr(_ask(port), "status", 0) == 307


def test_what_comes_with_a_redirect_is_bounded_as_well() -> None:
    """RULES S2: requests alone reads it to its end, whatever it is, although it is not followed."""
    head = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\n"
    with answering(at_once(_whole(b"x" * (LARGEST_ANSWER + 1), head=head))) as port, pytest.raises(Unsuitable):
        _ask(port)


def test_an_answer_is_bounded() -> None:
    """RULES S2."""
    with answering(at_once(_whole(b'{"a": "' + b"x" * LARGEST_ANSWER + b'"}'))) as port, pytest.raises(Unsuitable):
        _ask(port)


@pytest.mark.parametrize(
    ("place", "setting"), [(None, "SYNCD_FHIR__AUTH__TOKEN_URL"), (ARCHIVE, "SYNCD_ARCHIVES__MAIN__AUTH__TOKEN_URL")]
)
def test_nobody_there_is_told_by_the_setting_of_its_server(place: Place | None, setting: str) -> None:
    """RULES C6: an outage of the server for which the token is."""
    with pytest.raises(Unreachable, match=setting) as raised:
        _ask(1, place=place)
    assert raised.value.server == (place or Place()).server
    assert "planted" not in repr(raised.value.__cause__)


def test_a_server_that_cannot_say_who_gives_its_tokens_is_told_as_that_server() -> None:
    """SMART 2.2, Conformance: nobody else was asked yet."""
    at = GiverConnection(url="http://127.0.0.1:1/fhir", place=Place())
    with pytest.raises(Unreachable, match=r"^The FHIR server cannot be reached .* SYNCD_FHIR__URL right"):
        Asking(at)("GET", f"{at.url}/.well-known/smart-configuration", headers={})


def test_a_slow_one_is_given_up() -> None:
    """Within one timeout as a whole, however its bytes drip."""

    began = time.monotonic()
    with answering(dripping(_whole(b"{}"), pause=0.1)) as port, pytest.raises(Transient) as raised:
        _ask(port, timeout=0.5)
    assert time.monotonic() - began < 3
    assert not isinstance(raised.value, Unsuitable)


def test_its_certificate_is_verified_as_the_servers(papers: Papers) -> None:
    """docs/settings.md: CA_FILE."""
    with answering(at_once(_whole(b"{}")), tls=papers.server()) as port:
        with_hint = pytest.raises(Unsuitable, match="SYNCD_ARCHIVES__MAIN__CA_FILE")
        with with_hint:
            _ask(port, scheme="https", place=ARCHIVE)
        assert getattr(_ask(port, scheme="https", ca_file=str(papers.ca)), "status", 0) == 200


def test_the_systems_authorities_count_although_the_server_itself_speaks_no_tls(
    papers: Papers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A FHIR server or Orthanc by http in the house, tokens from a cloud by https."""
    monkeypatch.setenv("SSL_CERT_FILE", str(papers.ca))
    with answering(at_once(_whole(b"{}")), tls=papers.server()) as port:
        asking = Asking(GiverConnection(url="http://fhir.test/r4", place=Place()))
        assert asking("GET", f"https://127.0.0.1:{port}/token", headers={}).status == 200
