"""The pages, asked over HTTP of a real uvicorn (docs/operation.md, Health)."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

import pytest
import requests
from structlog.testing import capture_logs

from syncd.errors import LedgerUnavailable
from syncd.web.failures import AT_MOST, WITHIN
from syncd.web.guard import SECURITY_HEADERS, allowed_hosts
from syncd.web.status import SHAPE
from tests.listening import hear
from tests.planted import WEB_TOKEN
from tests.web.facts import SetFacts, served


def get(url: str, **headers: str) -> requests.Response:
    answer = requests.get(url, headers=headers, timeout=10)
    hear(url, answer.text)
    return answer


def test_livez_fails_only_when_a_restart_would_help() -> None:
    """docs/operation.md, Health: other servers' troubles do not restart us."""
    facts = SetFacts(reasons=("the FHIR server does not answer",), broken=LedgerUnavailable())
    with served(facts) as url:
        assert (get(f"{url}/livez").status_code, get(f"{url}/livez").text) == (200, "ok\n")
        facts.living = False
        assert get(f"{url}/livez").status_code == 503


def test_readyz_says_why_not_in_one_line_each() -> None:
    """docs/operation.md, Health: reasons in words."""
    facts = SetFacts()
    with served(facts) as url:
        assert (get(f"{url}/readyz").status_code, get(f"{url}/readyz").text) == (200, "ok\n")
        facts.reasons = ("archive main cannot be reached", "the FHIR server refuses the token")
        refused = get(f"{url}/readyz")
        assert refused.status_code == 503
        assert refused.text.splitlines() == list(facts.reasons)
        assert get(f"{url}/readyz?verbose").text.splitlines() == [
            "archive main: bootstrapping (first start)",
            "FHIR server: ok",
            *facts.reasons,
        ]


def test_what_cannot_be_read_is_a_reason() -> None:
    """docs/operation.md, Health: told in our own words (RULES S1)."""
    with served(SetFacts(broken=LedgerUnavailable("the disk is full"))) as url:
        for page in ("readyz", "api/status"):
            answer = get(f"{url}/{page}")
            assert (answer.status_code, answer.text) == (503, "the disk is full\n")


def test_a_mistake_of_ours_shows_nothing_of_its_data(caplog: pytest.LogCaptureFixture) -> None:
    """RULES S1: an exception's text may hold anything."""
    caplog.set_level(logging.CRITICAL)
    with served(SetFacts(broken=KeyError("DOE^JANE"))) as url:
        answer = get(f"{url}/readyz")
        assert (answer.status_code, answer.json()) == (500, {"error": "internal error"})
        assert SECURITY_HEADERS.items() <= {name.lower(): value for name, value in answer.headers.items()}.items()


def paths(document: Mapping[str, Any], prefix: str = "") -> set[str]:
    """Every field of a document by its path."""
    found: set[str] = set()
    for key, value in document.items():
        found |= paths(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"}
    return found


def test_the_status_has_the_documented_shape() -> None:
    """docs/status.md: `--json` gives a stable, documented shape."""
    with served(SetFacts(reasons=("paused",))) as url:
        document = get(f"{url}/api/status").json()
    names = {".main.": ".<name>.", ".available": ".<status>", ".refused": ".<reason>", ".excluded": ".<state>"}
    names |= {".Provenance.": ".<kind>.", "fhir.waiting": "<sink>.waiting", "fhir.given_up": "<sink>.given_up"}
    names |= {"found.gone": "found.<kind>", "found.missing": "found.<kind>"}
    found = {re.sub("|".join(map(re.escape, names)), lambda match: names[match[0]], path) for path in paths(document)}
    assert found == set(SHAPE)
    assert document["ready"] is False
    assert document["studies"]["oldest_mark_at"] == "2023-11-14T22:14:00+00:00"


@pytest.mark.parametrize(
    "credential, status",
    [
        (f"Bearer {WEB_TOKEN}", 200),
        (f"bearer {WEB_TOKEN}", 200),
        ("Bearer wrong", 401),
        (f"Bearer {WEB_TOKEN}2", 401),
        (f"Basic {WEB_TOKEN}", 401),
        (WEB_TOKEN, 401),
        ("Bearer", 401),
        ("", 401),
    ],
)
def test_the_api_asks_for_the_token_where_one_is_set(credential: str, status: int) -> None:
    """RULES S3; docs/operation.md, Health: `/api/…`: the token, where one is set."""
    with served(SetFacts(), token=WEB_TOKEN) as url:
        answer = get(f"{url}/api/status", Authorization=credential)
        assert answer.status_code == status
        assert ("www-authenticate" in answer.headers) is (status == 401)
        assert WEB_TOKEN not in answer.text


@pytest.mark.parametrize("page", ["livez", "readyz", "metrics"])
def test_health_and_metrics_need_no_credential(page: str) -> None:
    """docs/operation.md, Health: no credential."""
    with served(SetFacts(), token=WEB_TOKEN) as url:
        assert get(f"{url}/{page}").status_code == 200


@pytest.mark.parametrize(
    "host, status",
    [
        ("localhost:8053", 200),
        ("127.0.0.1", 200),
        ("[::1]:1", 200),
        ("LOCALHOST", 200),
        ("evil.example.org", 421),
        ("127.0.0.1.evil.example.org", 421),
        ("evil@127.0.0.1", 421),
        ("127.0.0.1/x", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
def test_only_our_own_host_names_are_answered(host: str, status: int) -> None:
    """RULES S3: DNS rebinding lets a foreign page ask under a name of its own."""
    with served(SetFacts()) as url:
        answer = get(f"{url}/api/status", Host=host)
        assert answer.status_code == status
        assert ("archives" in answer.text) is (status == 200)


def test_on_another_address_than_loopback_the_token_protects() -> None:
    """RULES S3: our names are not known there, and the token is required by the settings."""
    assert allowed_hosts("0.0.0.0") == ("*",)
    with served(SetFacts(), bind="0.0.0.0:0", token=WEB_TOKEN) as url:
        assert get(f"{url}/livez", Host="syncd.hospital.example:8053").status_code == 200
        assert get(f"{url}/api/status", Host="syncd.hospital.example:8053").status_code == 401


@pytest.mark.parametrize("page", ["livez", "readyz", "metrics", "api/status", "nothing"])
def test_every_answer_carries_the_security_headers(page: str) -> None:
    """RULES S3: strict CSP, no sniffing, nothing stored."""
    with served(SetFacts()) as url:
        for host in ("127.0.0.1", "evil.example.org"):
            headers = {name.lower(): value for name, value in get(f"{url}/{page}", Host=host).headers.items()}
            assert SECURITY_HEADERS.items() <= headers.items()
            assert "server" not in headers


@pytest.mark.parametrize(
    "method, page, status", [("GET", "nothing", 404), ("POST", "livez", 405), ("DELETE", "api/status", 405)]
)
def test_what_is_not_there_is_refused_as_json(method: str, page: str, status: int) -> None:
    """docs/operation.md, Health: nothing here changes anything (RULES S3)."""
    with served(SetFacts()) as url:
        answer = requests.request(method, f"{url}/{page}", timeout=10)
        assert answer.status_code == status
        assert set(answer.json()) == {"error"}


@pytest.mark.parametrize(
    "headers, status",
    [
        ({}, 200),
        ({"Origin": "http://{host}"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, 403),
        ({"Origin": "https://evil.example.org"}, 403),
        ({"Origin": "http://{host}.evil.example.org"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_page_of_another_origin_may_not_ask(headers: Mapping[str, str], status: int) -> None:
    """RULES S3: what a browser says of who asks, the page cannot forge."""
    with served(SetFacts()) as url:
        host = url.removeprefix("http://")
        answer = get(f"{url}/api/status", **{name: value.format(host=host) for name, value in headers.items()})
        assert answer.status_code == status
        assert ("archives" in answer.text) is (status == 200)


def test_who_guesses_the_token_is_not_listened_to() -> None:
    """RULES S3: not even to the right one, else guessing would go on; told once, without what was guessed."""
    with capture_logs() as logs, served(SetFacts(), token=WEB_TOKEN) as url:
        assert get(f"{url}/api/status").status_code == 401, "nothing was guessed"
        guessed = [get(f"{url}/api/status", Authorization=f"Bearer {n}").status_code for n in range(AT_MOST)]
        assert guessed == [401] * AT_MOST
        answer = get(f"{url}/api/status", Authorization=f"Bearer {WEB_TOKEN}")
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= WITHIN
        assert get(f"{url}/livez").status_code == 200
    assert [line["address"] for line in logs if line["event"] == "web_tokens_refused"] == ["127.0.0.1"]
