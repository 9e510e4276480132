"""What a request carries, and what is done with a 401."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syncd.auth.credentials import Granted, TokenFile
from syncd.auth.exchange import Answer
from syncd.auth.place import Place
from syncd.auth.secret_file import SecretFile
from syncd.auth.tokens import Grant, Tokens
from syncd.errors import TargetPaused
from tests.auth.giver import BASE, ENDPOINT, Giver, error_answer, token_answer
from tests.auth.test_tokens import OLD, KeyClient, private_set

FHIR = Place()


def _granted(giver: Giver) -> Granted:
    client = KeyClient(client_id="syncd", keys=lambda: private_set([OLD]), place=FHIR)
    return Granted(Tokens(Grant(place=FHIR, client=client, base_url=BASE), ask=giver), place=FHIR)


def _in_file(file: Path) -> TokenFile:
    return TokenFile(SecretFile(file, setting="TOKEN_FILE", place=FHIR), place=FHIR)


def test_a_token_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    credentials = _in_file(file)
    assert credentials.headers() == {"Authorization": "Bearer first"}
    assert credentials.refused() is False
    file.write_text("second\n")
    os.utime(file, ns=(1, 1))
    assert credentials.refused() is True
    assert credentials.headers() == {"Authorization": "Bearer second"}


@pytest.mark.parametrize("meanwhile", ["gone", "empty", "a folder"])
def test_a_file_that_is_just_being_replaced_counts_as_it_was(tmp_path: Path, meanwhile: str) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    credentials = _in_file(file)
    credentials.headers()
    file.unlink()
    if meanwhile == "empty":
        file.touch()
    elif meanwhile == "a folder":
        file.mkdir()
    assert credentials.headers() == {"Authorization": "Bearer first"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"\xff\xfe", "is empty, or no text"),
        (b"x" * 70_000, "is empty, or no text"),
        (b"two words", "a blank"),
        (b"two\nlines", "a blank"),
    ],
)
def test_a_file_without_a_token_pauses_and_names_the_setting(tmp_path: Path, content: bytes | None, why: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(TargetPaused, match=f"^SYNCD_FHIR__AUTH__TOKEN_FILE: .*{why}") as raised:
        _in_file(file).headers()
    assert "words" not in str(raised.value)


def test_a_refused_token_is_replaced_once() -> None:
    """Revoked, or over by the FHIR server's clock; what is refused later is replaced, too."""
    credentials = _granted(Giver(answers=[token_answer(value) for value in "abc"]))
    seen = []
    for _ in range(3):
        seen.append(credentials.headers()["Authorization"])
        credentials.headers()
        assert credentials.refused()
    assert seen == ["Bearer a", "Bearer b", "Bearer c"]


def test_the_token_of_another_thread_is_no_second_refusal() -> None:
    """Who was told late that the old token is over simply takes the new one."""
    credentials = _granted(Giver(answers=[token_answer(value) for value in "abc"]))
    credentials.headers()
    assert credentials.refused()
    credentials.headers()
    credentials.tokens.forget("b")
    credentials.tokens.current()
    assert credentials.refused()
    assert credentials.headers() == {"Authorization": "Bearer c"}


def test_a_fresh_token_that_is_refused_tells_for_whom_it_is() -> None:
    values = [OLD.sign({"aud": "https://another.example.org", "jti": number}) for number in range(4)]
    credentials = _granted(Giver(answers=[token_answer(value) for value in values]))
    for _ in range(2):
        credentials.headers()
        assert credentials.refused()
        credentials.headers()
        with pytest.raises(TargetPaused) as raised:
            credentials.refused()
        told = f"it is for https://another.example.org, from {ENDPOINT}: check SYNCD_FHIR__AUTH__AUDIENCE"
        assert told in str(raised.value)
        assert not [value for value in values if value in str(raised.value)]


def test_nothing_prints_what_it_holds(tmp_path: Path) -> None:
    """RULES S1: `repr`, messages and the whole chain of causes."""
    file = tmp_path / "token"
    file.write_text("planted-token")
    giver = Giver(answers=[token_answer("planted-token")])
    granted = _granted(giver)
    held = [
        _in_file(file),
        SecretFile(file, setting="TOKEN_FILE", place=FHIR),
        granted,
        granted.tokens,
        granted.tokens.current(),
        giver.answers[0],
    ]
    assert [one for one in held if "planted" in repr(one)] == []
    refused = _granted(
        Giver(answers=[error_answer("invalid_client"), Answer(status=200, body={"access_token": "planted ."})])
    )
    for _ in range(2):
        with pytest.raises(TargetPaused) as raised:
            refused.headers()
        refused.tokens._failed_at = 0.0
        cause: BaseException | None = raised.value
        while cause is not None:
            assert "planted" not in repr(cause) and "eyJ" not in repr(cause)
            cause = cause.__cause__ or cause.__context__
