"""One way to TLS for both clients (RULES S3); over real sockets."""

from __future__ import annotations

import ssl

import pytest

from syncd.errors import ConfigurationError, Unreachable, Unsuitable
from syncd.publish.http import FhirConnection
from tests.http.conftest import Papers
from tests.http.rims import RIMS, SETTINGS
from tests.http.sick import HEAD, answering, at_once

ANSWER = at_once(HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}")


@pytest.mark.parametrize("rim", RIMS)
def test_a_certificate_of_a_named_authority_is_taken(rim: str, papers: Papers) -> None:
    """docs/settings.md: CA_FILE."""
    with answering(ANSWER, tls=papers.server()) as port:
        RIMS[rim](f"https://127.0.0.1:{port}", ca_file=str(papers.ca))()


@pytest.mark.parametrize("rim", RIMS)
def test_one_that_nobody_vouches_for_is_refused_with_the_setting_that_helps(rim: str, papers: Papers) -> None:
    """The operator must act."""
    with answering(ANSWER, tls=papers.server()) as port, pytest.raises(Unsuitable, match=f"{SETTINGS[rim]}CA_FILE"):
        RIMS[rim](f"https://127.0.0.1:{port}")()


@pytest.mark.parametrize("rim", RIMS)
def test_one_of_another_host_is_refused(rim: str, papers: Papers) -> None:
    """The name counts, not only the authority."""
    with answering(ANSWER, tls=papers.server()) as port, pytest.raises(Unsuitable, match="certificate"):
        RIMS[rim](f"https://localhost:{port}", ca_file=str(papers.ca))()


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("rim", RIMS)
def test_a_site_may_turn_that_off(rim: str, papers: Papers) -> None:
    """docs/settings.md: VERIFY_TLS."""
    with answering(ANSWER, tls=papers.server()) as port:
        RIMS[rim](f"https://localhost:{port}", verify_tls=False)()


@pytest.mark.parametrize("rim", RIMS)
def test_a_client_certificate_is_shown(rim: str, papers: Papers) -> None:
    """docs/settings.md: CLIENT_CERT, CLIENT_KEY."""
    with answering(ANSWER, tls=papers.server(wants_client=True)) as port:
        shown = {"client_cert": str(papers.certificate), "client_key": str(papers.key)}
        RIMS[rim](f"https://127.0.0.1:{port}", ca_file=str(papers.ca), **shown)()


@pytest.mark.parametrize("rim", RIMS)
def test_a_server_without_tls_is_asked_about(rim: str) -> None:
    """https:// to a port that speaks http."""
    with answering(at_once(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port, pytest.raises(Unreachable, match="speak https"):
        RIMS[rim](f"https://127.0.0.1:{port}")()


@pytest.mark.parametrize("rim", RIMS)
@pytest.mark.parametrize("word", ["ca_file", "client_cert", "client_key"])
def test_a_file_that_cannot_be_used_ends_the_start(rim: str, word: str, papers: Papers) -> None:
    """Not a study's first request; and nobody is asked for the password of a key."""
    wrong = {
        "ca_file": {"ca_file": str(papers.key)},
        "client_cert": {"client_cert": "/does/not/exist.pem"},
        "client_key": {"client_cert": str(papers.certificate), "client_key": str(papers.locked_key)},
    }[word]
    with pytest.raises(ConfigurationError, match=f"{SETTINGS[rim]}{word.upper()}"):
        RIMS[rim]("https://127.0.0.1:1", **wrong)


def test_tls_is_1_2_or_later() -> None:
    """RFC 8996 deprecates what was before."""
    assert FhirConnection(url="https://host").tls().minimum_version is ssl.TLSVersion.TLSv1_2


def test_where_no_certificate_is_shown_none_is_trusted() -> None:
    """docs/decisions/imports.md: the system's authorities are not loaded for an address that is not https."""
    context = FhirConnection(url="http://host").tls()
    assert (context.verify_mode, context.check_hostname, context.get_ca_certs()) == (ssl.CERT_REQUIRED, True, [])
    assert FhirConnection(url="HTTPS://host").tls().get_ca_certs() != []
