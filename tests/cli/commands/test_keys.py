"""`syncd keys`: key pairs are made, shown without their private half, exchanged, and never lost."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey
from typer.testing import CliRunner

from syncd.auth.keys import read_keys
from syncd.cli.app import app

RUNNER = CliRunner()


def _ask(*arguments: str, expect: int = 0) -> str:
    done = RUNNER.invoke(app, ["keys", *arguments])
    assert done.exit_code == expect, done.output
    return done.output


def _shown(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_ask("show", str(file)))["keys"]
    return found


def test_a_new_key_file_is_its_owners_only(tmp_path: Path) -> None:
    file = tmp_path / "new" / "keys.json"
    said = _ask("new", str(file))
    (key,) = read_keys(file.read_text())
    assert (key.algorithm, stat.S_IMODE(file.stat().st_mode)) == ("ES384", 0o600)
    assert key.kid in said and "syncd keys show" in said
    assert sorted(os.listdir(file.parent)) == ["keys.json"]


def test_what_is_shown_is_public(tmp_path: Path) -> None:
    """RFC 7517: no private member."""
    file = tmp_path / "keys.json"
    _ask("new", str(file), "--algorithm", "rs384")
    _ask("new", str(file))
    rsa, ec = _shown(file)
    assert rsa.keys() == {"kty", "n", "e", "kid", "alg", "use", "key_ops"}
    assert ec.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use", "key_ops"}


def test_an_exchange_has_two_keys_and_then_one(tmp_path: Path) -> None:
    """Rotation: the old one signs until it is dropped; mode and content of the file stay."""
    file = tmp_path / "keys.json"
    _ask("new", str(file))
    file.chmod(0o640)
    (old,) = _shown(file)
    said = _ask("new", str(file))
    assert f"{old['kid']} goes on signing" in said
    first, second = _shown(file)
    assert first == old
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert f"{second['kid']} signs" in _ask("drop", old["kid"], str(file))
    assert _shown(file) == [second]


def test_the_last_key_and_a_stranger_are_not_dropped(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    _ask("new", str(file))
    before = file.read_bytes()
    (only,) = _shown(file)
    assert "the only key" in _ask("drop", only["kid"], str(file), expect=2)
    assert "holds no key other, only" in _ask("drop", "other", str(file), expect=2)
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"hunter2", b"\xff", b'{"keys": []}'])
def test_what_is_no_key_file_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(content)
    for command in ("new", "show"):
        assert "hunter2" not in _ask(command, str(file), expect=2)
    assert file.read_bytes() == content


def test_a_pem_file_takes_a_second_key_as_a_set(tmp_path: Path) -> None:
    """Its key goes on signing under the thumbprint that it had."""
    file = tmp_path / "key.pem"
    key = ECKey.generate_key("P-384")
    file.write_bytes(key.as_pem(private=True))
    _ask("new", str(file))
    assert _shown(file)[0]["kid"] == key.thumbprint()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be written" in _ask("new", str(tmp_path / "file" / "keys.json"), expect=2)


def test_the_file_of_the_settings_is_meant_where_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_ARCHIVES__MAIN__URL", "http://127.0.0.1:1")
    monkeypatch.setenv("SYNCD_FHIR__URL", "http://127.0.0.1:1")
    monkeypatch.chdir(tmp_path)
    assert "which key file?" in _ask("show", expect=2)
    file = tmp_path / "keys.json"
    _ask("new", str(file))
    for name, value in {"KIND": "smart", "CLIENT_ID": "us", "PRIVATE_KEY_FILE": str(file)}.items():
        monkeypatch.setenv(f"SYNCD_FHIR__AUTH__{name}", value)
    assert json.loads(_ask("show")) == {"keys": _shown(file)}
