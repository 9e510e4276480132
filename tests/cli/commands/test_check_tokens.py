"""`syncd check` of tokens and of our own certificates: what was asked for and granted, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from syncd.auth.client import SecretClient
from syncd.auth.credentials import Granted
from syncd.auth.exchange import Answer
from syncd.auth.place import Place
from syncd.auth.scopes import Need
from syncd.auth.tokens import Grant, Tokens
from syncd.cli.commands import findings
from tests.auth.giver import ENDPOINT, Giver, dated, token_answer
from tests.authorization import papers

NOW = 1_790_000_000.0
OF = f"for the FHIR server, from {ENDPOINT}: "
NEEDS = (Need(resource_type="ImagingStudy", rights="crus"), Need(resource_type="Patient", rights="rs"))


def _said_of(answer: Answer, **how: Any) -> list[str]:
    place = Place()
    client = SecretClient(client_id="syncd", secret=lambda: "planted", place=place)
    grant = Grant(**{"place": place, "client": client, "base_url": "https://fhir.example.org/r4", "needs": NEEDS, **how})
    tokens = Tokens(grant, ask=Giver(answers=[answer]), clock=lambda: NOW)
    return [f"{line.mark.value} {line.text}" for line in findings._tokens(Granted(tokens, place=place))]


def test_all_that_was_asked_for_is_granted() -> None:
    asked = "asked for system/ImagingStudy.crus system/Patient.rs"
    assert _said_of(token_answer()) == [f"ok {OF}{asked}: all of it granted; lives 300 s"]


def test_what_was_not_granted_is_a_warning() -> None:
    _, warning = _said_of(token_answer(scope="system/Patient.rs"))
    assert warning.startswith(f"warn {OF}not granted: system/ImagingStudy.crus: have it allowed there")


def test_a_token_that_says_little_is_told_so() -> None:
    (line,) = _said_of(token_answer(expires_in=None), needs=())
    assert line == f"ok {OF}asked for no scope by name: granted nothing that it names; it does not say how long it lives"


@pytest.mark.parametrize(("ahead", "side"), [(90.0, "ahead of"), (-90.0, "behind")])
def test_a_clock_that_differs_is_a_warning(monkeypatch: pytest.MonkeyPatch, ahead: float, side: str) -> None:
    monkeypatch.setattr(findings, "_now", lambda: NOW)
    *_, warning = _said_of(Answer(status=200, headers=dated(NOW + ahead), body=token_answer().body))
    assert warning == f"warn {OF}its clock is 90 s {side} this machine's: set both by NTP"


def test_tokens_that_everybody_can_read_are_a_warning() -> None:
    *_, warning = _said_of(token_answer(), endpoint="http://login.example.org/token", scope="a")
    assert "not by https" in warning


@pytest.mark.parametrize(
    ("days", "told"),
    [(-1.0, "BAD S: {file} expired 1.0 days ago"), (5.0, "warn S: {file} expires in 5.0 days"), (40.0, ""), (None, "")],
)
def test_a_certificate_that_ends_is_told(tmp_path: Path, days: float | None, told: str) -> None:
    """A server that refuses it often only hangs up."""
    file = None
    if days is not None:
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        ends = now + timedelta(days=days, minutes=1 if days > 0 else 0)
        made = papers._signed("syncd", key, by=key, begins=now - timedelta(days=9), ends=ends)
        file = papers._kept(tmp_path / "client.pem", made)
    lines = [f"{line.mark.value} {line.text}" for line in findings._certificate("S", file)]
    assert (lines[0] if lines else "").startswith(told.format(file=file))
    assert bool(lines) is bool(told)
