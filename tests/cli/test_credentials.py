"""From settings to credentials that change while syncd runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from syncd.auth.client import SecretClient
from syncd.auth.credentials import Granted, TokenFile
from syncd.auth.key_client import KeyClient
from syncd.auth.keys import new_key, private_set
from syncd.cli.wiring import authorizations
from syncd.errors import ConfigurationError
from syncd.settings import load
from syncd.settings.shown import shown_settings
from tests.settings.given import ENOUGH

ARCHIVE, AUTH = "SYNCD_ARCHIVES__MAIN__", "SYNCD_FHIR__AUTH__"
KEY = new_key()
SECRET = {f"{AUTH}KIND": "oauth2", f"{AUTH}CLIENT_ID": "us", f"{AUTH}CLIENT_SECRET": "planted"}


@pytest.fixture
def smart(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "keys.json"
    file.write_text(private_set([KEY]))
    return {f"{AUTH}KIND": "smart", f"{AUTH}CLIENT_ID": "us", f"{AUTH}PRIVATE_KEY_FILE": str(file)}


def _made(environ: Mapping[str, str]) -> tuple[object, object]:
    found = authorizations(load(environ={**ENOUGH, **environ}))
    return found.fhir, found.archives["main"]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {f"{AUTH}TOKEN": "planted"},
        {f"{AUTH}KIND": "basic", f"{AUTH}USERNAME": "us", f"{AUTH}PASSWORD": "planted"},
        {f"{ARCHIVE}TOKEN": "planted"},
        {f"{ARCHIVE}USERNAME": "us", f"{ARCHIVE}PASSWORD": "planted"},
    ],
)
def test_what_never_changes_is_part_of_the_connection(environ: dict[str, str]) -> None:
    assert _made(environ) == (None, None)


def test_a_token_file_serves_both_servers(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("planted")
    fhir, archive = _made({f"{AUTH}TOKEN_FILE": str(file), f"{ARCHIVE}AUTH__TOKEN_FILE": str(file)})
    for one in (fhir, archive):
        assert isinstance(one, TokenFile)
        assert one.headers() == {"Authorization": "Bearer planted"}


def test_smart_asks_for_system_scopes_with_its_key(smart: dict[str, str]) -> None:
    fhir, _ = _made({**smart, f"{AUTH}KEY_ID": KEY.kid, f"{AUTH}AUDIENCE": "https://issuer.example"})
    assert isinstance(fhir, Granted)
    grant = fhir.tokens._grant
    assert isinstance(grant.client, KeyClient)
    assert (grant.client.kid, grant.client.audience, grant.audience) == (KEY.kid, "https://issuer.example", "")
    assert (grant.base_url, grant.endpoint) == (ENOUGH["SYNCD_FHIR__URL"], "")
    assert "ImagingStudy" in {need.resource_type for need in grant.needs}


def test_client_credentials_ask_for_what_is_set() -> None:
    there = {
        "CLIENT_ID": "us",
        "CLIENT_SECRET": "planted",
        "TOKEN_URL": "https://login.example/token/?p=1",
        "KIND": "oauth2",
    }
    archive = {f"{ARCHIVE}AUTH__{name}": value for name, value in there.items()}
    fhir, made = _made({**SECRET, f"{AUTH}CLIENT_AUTH": "post", f"{AUTH}AUDIENCE": "api", f"{AUTH}SCOPE": "a b", **archive})
    assert isinstance(fhir, Granted) and isinstance(made, Granted)
    of_fhir, of_archive = fhir.tokens._grant, made.tokens._grant
    assert isinstance(of_fhir.client, SecretClient) and isinstance(of_archive.client, SecretClient)
    assert (of_fhir.client.method, of_archive.client.method) == ("client_secret_post", "")
    assert (of_fhir.audience, of_fhir.scope, of_fhir.needs) == ("api", "a b", ())
    assert (of_archive.endpoint, of_archive.base_url, of_archive.needs) == ("https://login.example/token/?p=1", "", ())
    assert of_archive.place.setting("CLIENT_ID") == f"{ARCHIVE}AUTH__CLIENT_ID"


@pytest.mark.parametrize(("content", "why"), [("hunter2", "is neither"), (private_set([KEY]), "holds no key of the kid")])
def test_a_key_that_cannot_sign_is_wrong_with_the_settings(smart: dict[str, str], content: str, why: str) -> None:
    """Exit 2 at the start, and not a pause at the first study."""
    Path(smart[f"{AUTH}PRIVATE_KEY_FILE"]).write_text(content)
    with pytest.raises(ConfigurationError, match=f"{AUTH}PRIVATE_KEY: {why}") as raised:
        _made({**smart, f"{AUTH}KEY_ID": "another"})
    assert "hunter2" not in str(raised.value)


def test_nothing_secret_is_shown(smart: dict[str, str]) -> None:
    """RULES S1: `repr`, and what `config show` prints."""
    key = KEY.private["d"]
    given = [{**SECRET}, {**smart, f"{AUTH}PRIVATE_KEY": private_set([KEY])}]
    given[1].pop(f"{AUTH}PRIVATE_KEY_FILE")
    for environ in given:
        settings = load(environ={**ENOUGH, **environ})
        fhir = authorizations(settings).fhir
        assert isinstance(fhir, Granted)
        said = f"{settings!r} {shown_settings(settings)!r} {fhir!r} {fhir.tokens!r} {fhir.tokens._grant!r}"
        assert "planted" not in said
        assert key not in said
