"""Where values come from, and which of them wins (docs/settings.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.settings import load, sources
from tests.settings.given import ENOUGH, problems

TIMEOUT = "SYNCD_FHIR__TIMEOUT"


def write(file: Path, *, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_what_is_enough_is_an_archive_and_a_fhir_server() -> None:
    """docs/settings.md: everything else has a default."""
    settings = load(environ=ENOUGH)
    assert list(settings.archives) == ["main"]
    assert (settings.fhir.timeout, settings.web.bind, settings.policy.sweep_interval) == (60.0, "127.0.0.1:8053", 900.0)


def test_each_source_wins_over_the_next(empty_machine: Path) -> None:
    """docs/settings.md: command line > environment > settings file > secret files > defaults."""
    secrets = empty_machine / "secrets"
    write(secrets / TIMEOUT, text="4s\n")
    file = write(empty_machine / "some.toml", text='[fhir]\ntimeout = "3s"\n')
    environ = {**ENOUGH, "SYNCD_SECRETS_DIR": str(secrets)}
    sources_and_values = [
        (load(environ=environ), 4.0, f"secret file {secrets / TIMEOUT}"),
        (load(environ=environ, config_file=file), 3.0, f"file {file}"),
        (load(environ={**environ, TIMEOUT: "2s"}, config_file=file), 2.0, "environment"),
        (load(environ={**environ, TIMEOUT: "2s"}, config_file=file, overrides={"FHIR__TIMEOUT": "1s"}), 1.0, "command line"),
    ]
    for settings, seconds, source in sources_and_values:
        assert (settings.fhir.timeout, settings.origins["fhir", "timeout"]) == (seconds, source)
    assert ("fhir", "concurrency") not in load(environ=environ).origins


def test_the_settings_file_is_the_named_one_or_that_of_the_working_directory(empty_machine: Path) -> None:
    """docs/settings.md: `--config FILE`, else SYNCD_CONFIG, else config/syncd.toml if it is there."""
    write(empty_machine / "config" / "syncd.toml", text='[log]\nlevel = "debug"\n')
    named = write(empty_machine / "named.toml", text='[log]\nlevel = "error"\n')
    given = write(empty_machine / "given.toml", text='[log]\nlevel = "warning"\n')
    environ = {**ENOUGH, "SYNCD_CONFIG": str(named)}
    assert load(environ=ENOUGH).log.level == "debug"
    assert load(environ=environ).log.level == "error"
    assert load(environ=environ, config_file=given).log.level == "warning"


def test_a_whole_installation_fits_into_the_settings_file(empty_machine: Path) -> None:
    """docs/settings.md: what the environment can say, TOML can say, with tables for mappings."""
    file = write(
        empty_machine / "whole.toml",
        text="""
installation_id = "north"
[archives.ct_lab]
url = "https://pacs.example.org/orthanc/"
verify_tls = false
issuers = { "Hospital A" = "urn:oid:2.999.1" }
[fhir]
url = "https://fhir.example.org/r4"
concurrency = 2
[fhir.headers]
X-Tenant = "radiology"
""",
    )
    settings = load(environ={}, config_file=file)
    archive = settings.archives["ct_lab"]
    assert (archive.url, archive.verify_tls) == ("https://pacs.example.org/orthanc", False)
    assert archive.issuers == {"Hospital A": "urn:oid:2.999.1"}
    assert settings.fhir.headers["X-Tenant"].get_secret_value() == "radiology"
    assert (settings.installation_id, settings.fhir.concurrency) == ("north", 2)


def test_a_mapping_of_a_stronger_source_replaces_a_weaker_one(empty_machine: Path) -> None:
    """docs/settings.md: a value has one origin; two half mappings would have none."""
    file = write(empty_machine / "a.toml", text='[archives.main.issuers]\n"A" = "urn:oid:2.999.1"\n')
    issuers = '{"B": "urn:oid:2.999.2"}'
    settings = load(environ={**ENOUGH, "SYNCD_ARCHIVES__MAIN__ISSUERS": issuers}, config_file=file)
    assert settings.archives["main"].issuers == {"B": "urn:oid:2.999.2"}


@pytest.mark.parametrize("name", ["SYNCD_WEB__TOKEN", "syncd_web__token", "Syncd_Web__Token"])
def test_a_secret_file_is_named_as_its_variable_in_any_case(empty_machine: Path, name: str) -> None:
    """docs/settings.md: secret files in SYNCD_SECRETS_DIR; their last line break is not part of the secret."""
    write(empty_machine / "s" / name, text="t0k/en\r\n")
    token = load(environ={**ENOUGH, "SYNCD_SECRETS_DIR": str(empty_machine / "s")}).web.token
    assert token is not None
    assert token.get_secret_value() == "t0k/en"


def test_secret_folders_are_asked_in_order(empty_machine: Path) -> None:
    """docs/settings.md: SYNCD_SECRETS_DIR, /run/secrets, $CREDENTIALS_DIRECTORY."""
    for folder, text in (("ours", "1s"), ("run-secrets", "2s"), ("credentials", "3s")):
        write(empty_machine / folder / TIMEOUT, text=text)
    write(empty_machine / "credentials" / "SYNCD_LOG__LEVEL", text="error")
    both = {**ENOUGH, "CREDENTIALS_DIRECTORY": str(empty_machine / "credentials")}
    assert load(environ=both).fhir.timeout == 2.0
    assert load(environ=both).log.level == "error"
    assert load(environ={**both, "SYNCD_SECRETS_DIR": str(empty_machine / "ours")}).fhir.timeout == 1.0


def test_other_programs_secrets_are_not_ours(empty_machine: Path) -> None:
    """docs/settings.md: an unknown secret *of ours* is an error; /run/secrets belongs to everybody."""
    write(empty_machine / "run-secrets" / "POSTGRES_PASSWORD", text="x")
    (empty_machine / "run-secrets" / "SYNCD_FOLDER").mkdir()
    assert list(load(environ=ENOUGH).archives) == ["main"]


def test_a_variable_can_name_a_file(empty_machine: Path) -> None:
    """docs/settings.md: `<VARIABLE>_FILE`, as strong as the environment; CA_FILE, TOKEN_FILE are settings themselves."""
    file = write(empty_machine / "token", text="abc\n")
    who = {"SYNCD_FHIR__AUTH__KIND": "basic", "SYNCD_FHIR__AUTH__USERNAME": "syncd"}
    named = {"SYNCD_FHIR__AUTH__PASSWORD_FILE": str(file), "SYNCD_FHIR__CA_FILE": str(file)}
    settings = load(environ={**ENOUGH, **who, **named})
    assert settings.fhir.auth.password is not None
    assert settings.fhir.auth.password.get_secret_value() == "abc"
    assert settings.fhir.ca_file == file
    assert settings.origins["fhir", "auth", "password"] == f"environment, file {file}"


def test_a_value_given_twice_by_one_source_is_a_mistake(empty_machine: Path) -> None:
    """docs/settings.md: nobody can tell which of the two would win."""
    file = write(empty_machine / "token", text="abc\n")
    variable = "SYNCD_ARCHIVES__MAIN__PASSWORD"
    lines = problems({f"{variable}_FILE": str(file), variable: "def", "SYNCD_ARCHIVES__MAIN__USERNAME": "us"})
    assert lines == [f"{variable}_FILE (environment, file {file}): is given twice, also as {variable}; keep one"]


def test_an_empty_variable_counts_as_not_set() -> None:
    """docs/settings.md: `${TOKEN:-}` in a compose file gives an empty text where there is none."""
    assert load(environ={**ENOUGH, "SYNCD_WEB__TOKEN": ""}).web.token is None
    assert problems({"SYNCD_FHIR__URL": ""})[0].startswith("SYNCD_FHIR__URL (not set): is missing")


@pytest.mark.parametrize(
    "variable, value",
    [
        ("SYNCD_SERVICE_HOST", "10.0.0.1"),
        ("SYNCD_SERVICE_PORT_HTTP", "8053"),
        ("SYNCD_PORT", "tcp://10.0.0.1:8053"),
        ("SYNCD_PORT_8053_TCP_ADDR", "10.0.0.1"),
    ],
)
def test_a_kubernetes_service_named_syncd_does_no_harm(variable: str, value: str) -> None:
    """docs/settings.md: an unknown variable is an error, but these were named by Kubernetes."""
    assert list(load(environ={**ENOUGH, variable: value}).archives) == ["main"]
    assert problems({"SYNCD_PORT": "8053"})[0].startswith("SYNCD_PORT (environment): is no setting")


def test_other_variables_are_not_read() -> None:
    """docs/settings.md: only SYNCD_* is ours."""
    assert load(environ={**ENOUGH, "FHIR__URL": "nonsense", "LOG__LEVEL": "nonsense"}).log.level == "info"


def test_the_ledger_lies_where_the_machine_keeps_state(empty_machine: Path) -> None:
    """docs/settings.md, LEDGER__URL: $STATE_DIRECTORY, else /var/lib/syncd if writable, else ~/.local/state/syncd."""
    environ = {**ENOUGH, "HOME": "/home/someone"}
    assert load(environ=environ).ledger.place == "/home/someone/.local/state/syncd/ledger.db"
    sources.SYSTEM_STATE.mkdir()
    assert load(environ=environ).ledger.place == f"{sources.SYSTEM_STATE}/ledger.db"
    assert load(environ={**environ, "STATE_DIRECTORY": "/s/syncd:/s/b"}).ledger.url == "sqlite:////s/syncd/ledger.db"


@pytest.mark.parametrize(
    "text, told",
    [
        (b"[fhir\n", "is no TOML at line 1, column 6"),
        (b"url = '\xff'", "is not UTF-8"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_an_unreadable_settings_file_is_named(empty_machine: Path, text: bytes | None, told: str) -> None:
    """A wrong value is told with what to write instead."""
    file = empty_machine / "x.toml"
    if text is not None:
        file.write_bytes(text)
    assert problems({}, config_file=file) == [f"--config (command line): the settings file {file} {told}"]
    assert problems({"SYNCD_CONFIG": str(file)}) == [f"SYNCD_CONFIG (environment): the settings file {file} {told}"]


@pytest.mark.parametrize(
    "content, told",
    [
        (b"\n", "the file is empty"),
        (b"\xff\xfe", "the file is not UTF-8"),
        (b"x" * 70_000, "the file is too large to hold one value"),
    ],
)
def test_an_unusable_secret_file_is_named(empty_machine: Path, content: bytes, told: str) -> None:
    """The content is not repeated (RULES S1)."""
    file = write(empty_machine / "s" / "SYNCD_WEB__TOKEN", text="")
    file.write_bytes(content)
    lines = problems({"SYNCD_SECRETS_DIR": str(file.parent)})
    assert lines == [f"SYNCD_WEB__TOKEN (secret file {file}): {told}"]


def test_a_secrets_folder_that_is_not_there_is_named(empty_machine: Path) -> None:
    """A wrong value is told with what to write instead."""
    lines = problems({"SYNCD_SECRETS_DIR": "/not/there"})
    assert lines == ["SYNCD_SECRETS_DIR (environment): /not/there is no folder"]


def test_archives_are_in_the_order_of_the_file_then_by_name(empty_machine: Path) -> None:
    """RULES C8, "then settings' order": whatever else is said of them, and where."""
    secrets = empty_machine / "secrets"
    write(secrets / "SYNCD_ARCHIVES__ALPHA__PASSWORD", text="p")
    blocks = "".join(f'[archives.{name}]\nurl = "http://{name}"\n' for name in ("zeta", "beta"))
    file = write(empty_machine / "some.toml", text=blocks)
    environ = {
        **ENOUGH,
        "SYNCD_SECRETS_DIR": str(secrets),
        "SYNCD_ARCHIVES__ALPHA__URL": "http://alpha",
        "SYNCD_ARCHIVES__ALPHA__USERNAME": "u",
        "SYNCD_ARCHIVES__BETA__POLL_INTERVAL": "2s",
    }
    assert list(load(environ=environ, config_file=file).archives) == ["zeta", "beta", "alpha", "main"]
