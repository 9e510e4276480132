"""Everything that is wrong is said at once, by name and source, with a suggestion and without a secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.settings import BadSettings, load
from syncd.settings.catalogue import CATALOGUE, path_of
from syncd.settings.shown import shown_settings
from tests.settings.given import ENOUGH, problems

ARCHIVE = "SYNCD_ARCHIVES__MAIN__"
AUTH = "SYNCD_FHIR__AUTH__"


def test_all_problems_of_all_sources_are_in_one_message(tmp_path: Path) -> None:
    """All problems in one message, naming each setting, its source and a suggestion."""
    file = tmp_path / "bad.toml"
    text = '[fhir]\ntimeout = 60\nverison = "r4"\n[polcy]\npatient = "create"\nmore = 1\n'  # codespell:ignore
    file.write_text(text, encoding="utf-8")
    secret = tmp_path / "s" / "SYNCD_WEB__TOKN"
    secret.parent.mkdir()
    secret.write_text("x")
    environ = {
        "SYNCD_SECRETS_DIR": str(secret.parent),
        "SYNCD_LOG__LEVEL": "loud",
        "SYNCD_WEB__BIND": "0.0.0.0:80",
        "SYNCD_ARCHIVES__MAIN__USERNAME": "u",
    }
    with pytest.raises(BadSettings) as refused:
        load(config_file=file, environ=environ, overrides={"FHIR__CONCURENCY": 3})
    assert set(str(refused.value).splitlines()) == {
        "FHIR__CONCURENCY (command line): is no setting; did you mean FHIR__CONCURRENCY?",
        "SYNCD_LOG__LEVEL (environment): `loud` is none of debug, info, warning, error",
        f"fhir.timeout (file {file}): has no unit; write 60s",
        f"fhir.verison (file {file}): is no setting; did you mean fhir.version?",  # codespell:ignore
        f"polcy (file {file}): is no setting; did you mean policy?",  # codespell:ignore
        f"SYNCD_WEB__TOKN (secret file {secret}): is no setting; did you mean SYNCD_WEB__TOKEN?",
        "SYNCD_ARCHIVES__MAIN__URL (not set): is missing; for instance SYNCD_ARCHIVES__MAIN__URL=http://127.0.0.1:8042",
        "SYNCD_FHIR__URL (not set): is missing; for instance SYNCD_FHIR__URL=http://127.0.0.1:8080/fhir",
        "SYNCD_ARCHIVES__MAIN__PASSWORD (not set): is missing: SYNCD_ARCHIVES__MAIN__USERNAME needs it",
        "SYNCD_WEB__TOKEN (not set): is missing: SYNCD_WEB__BIND listens on another address than loopback; "
        "set a token, or listen on 127.0.0.1",
    }


def test_nothing_set_names_both_servers() -> None:
    """A missing setting is named with an example."""
    with pytest.raises(BadSettings) as refused:
        load(environ={})
    assert [problem.name for problem in refused.value.problems] == ["SYNCD_ARCHIVES__<NAME>__URL", "SYNCD_FHIR__URL"]


CONTRADICTIONS = [
    (
        {"SYNCD_ARCHIVES__FHIR__URL": "http://127.0.0.1:8042"},
        "SYNCD_ARCHIVES__FHIR__URL (environment): the archive's name is not allowed: it stands for the FHIR server",
    ),
    ({f"{ARCHIVE}CLIENT_CERT": "{pem}"}, f"{ARCHIVE}CLIENT_KEY (not set): is missing: {ARCHIVE}CLIENT_CERT needs it"),
    ({"SYNCD_FHIR__CLIENT_KEY": "{pem}"}, "SYNCD_FHIR__CLIENT_CERT (not set): is missing: SYNCD_FHIR__CLIENT_KEY needs it"),
    ({f"{ARCHIVE}CA_FILE": "{pem}", f"{ARCHIVE}VERIFY_TLS": "no"}, f"{ARCHIVE}CA_FILE (environment): is of no use"),
    ({f"{ARCHIVE}TOKEN": "t", f"{ARCHIVE}USERNAME": "u"}, f"{ARCHIVE}TOKEN (environment): excludes {ARCHIVE}USERNAME"),
    ({f"{ARCHIVE}PASSWORD": "p"}, f"{ARCHIVE}USERNAME (not set): is missing: {ARCHIVE}PASSWORD needs it"),
    ({f"{AUTH}KIND": "bearer"}, f"{AUTH}TOKEN (not set): is missing: FHIR__AUTH__KIND bearer needs it"),
    (
        {f"{AUTH}TOKEN": "t", f"{AUTH}KIND": "none"},
        f"{AUTH}TOKEN (environment): is never used, for FHIR__AUTH__KIND is none; set {AUTH}KIND to bearer, or remove it",
    ),
    (
        {f"{AUTH}TOKEN": "t", f"{AUTH}TOKEN_FILE": "{token}"},
        f"{AUTH}TOKEN_FILE (environment): excludes {AUTH}TOKEN; keep one",
    ),
    (
        {f"{AUTH}KIND": "oauth2", f"{AUTH}CLIENT_ID": "us"},
        f"{AUTH}CLIENT_SECRET (not set): is missing: FHIR__AUTH__KIND oauth2 needs it",
    ),
    (
        {f"{AUTH}KIND": "smart", f"{AUTH}CLIENT_ID": "us"},
        f"{AUTH}PRIVATE_KEY_FILE (not set): is missing: FHIR__AUTH__KIND smart needs it",
    ),
    (
        {f"{AUTH}KIND": "smart", f"{AUTH}CLIENT_ID": "u", f"{AUTH}PRIVATE_KEY": "k", f"{AUTH}PRIVATE_KEY_FILE": "{pem}"},
        f"{AUTH}PRIVATE_KEY (environment): excludes {AUTH}PRIVATE_KEY_FILE; keep one",
    ),
    (
        {f"{AUTH}SCOPE": "system/*.rs"},
        f"{AUTH}SCOPE (environment): is never used, for FHIR__AUTH__KIND is none; set {AUTH}KIND to oauth2 or smart",
    ),
    (
        {f"{ARCHIVE}AUTH__KIND": "oauth2", f"{ARCHIVE}AUTH__CLIENT_ID": "u", f"{ARCHIVE}AUTH__CLIENT_SECRET": "s"},
        f"{ARCHIVE}AUTH__TOKEN_URL (not set): is missing: ARCHIVES__MAIN__AUTH__KIND oauth2 needs it",
    ),
    (
        {f"{ARCHIVE}AUTH__KIND": "bearer", f"{ARCHIVE}AUTH__TOKEN_FILE": "{token}", f"{ARCHIVE}PASSWORD": "p"},
        f"{ARCHIVE}PASSWORD (environment): is never used, for ARCHIVES__MAIN__AUTH__KIND is bearer; set",
    ),
    (
        {f"{ARCHIVE}AUTH__TOKEN_FILE": "{token}", f"{ARCHIVE}USERNAME": "u"},
        f"{ARCHIVE}AUTH__TOKEN_FILE (environment): excludes {ARCHIVE}USERNAME",
    ),
    (
        {f"{ARCHIVE}AUTH__CLIENT_ID": "u"},
        f"{ARCHIVE}AUTH__CLIENT_ID (environment): is never used, for ARCHIVES__MAIN__AUTH__KIND is none; set",
    ),
    (
        {f"{AUTH}KIND": "bearer", f"{AUTH}TOKEN": "t", "SYNCD_FHIR__HEADERS": '{"authorization": "x"}'},
        "SYNCD_FHIR__HEADERS (environment): sets Authorization, which FHIR__AUTH__KIND bearer sets too; keep one",
    ),
    (
        {"SYNCD_WEB__TOKEN": "t", "SYNCD_WEB__TOKEN_FILE": "{token}"},
        "SYNCD_WEB__TOKEN_FILE (environment): excludes SYNCD_WEB__TOKEN; keep one",
    ),
    ({"SYNCD_WEB__BIND": "pacs:8053"}, "SYNCD_WEB__TOKEN (not set): is missing: SYNCD_WEB__BIND listens on another"),
    (
        {"SYNCD_POLICY__BODY_STRUCTURE": "yes", "SYNCD_FHIR__VERSION": "r4b"},
        "SYNCD_POLICY__BODY_STRUCTURE (environment): has no place in FHIR r4b",
    ),
    (
        {"SYNCD_POLICY__PROFILE": "mado", "SYNCD_FHIR__VERSION": "r5"},
        "SYNCD_POLICY__PROFILE (environment): is mado, which is written in r4, but FHIR__VERSION is r5",
    ),
    (
        {"SYNCD_POLICY__PROFILE": "eu", "SYNCD_FHIR__VERSION": "r6"},
        "SYNCD_POLICY__PROFILE (environment): is eu, which is written in r4 and r5, but FHIR__VERSION is r6",
    ),
    (
        {f"{ARCHIVE}RETRIEVE_LOCATION_UID": "2.999.1"},
        f"{ARCHIVE}RETRIEVE_LOCATION_UID (environment): is never used, for POLICY__PROFILE is not mado",
    ),
    (
        {"SYNCD_POLICY__PROFILE": "mado", "SYNCD_POLICY__SERVICE_REQUEST": "match"},
        "SYNCD_POLICY__SERVICE_REQUEST (environment): is match, but IHE MADO names an order by its identifier only",
    ),
]


@pytest.mark.parametrize("environ, told", CONTRADICTIONS)
def test_settings_that_contradict_each_other_are_refused(tmp_path: Path, environ: dict[str, str], told: str) -> None:
    """docs/settings.md: what no single value can tell (RULES S3 for the token)."""
    pem = tmp_path / "some.pem"
    pem.write_text("-")
    token = tmp_path / "token"
    token.write_text("t\n")
    files = {"{pem}": str(pem), "{token}": str(token)}
    lines = problems({name: files.get(value, value) for name, value in environ.items()})
    assert len(lines) == 1
    assert lines[0].startswith(told)


def test_basic_needs_both_of_its_fields_and_names_both() -> None:
    """All problems at once."""
    names = [line.split()[0] for line in problems({f"{AUTH}KIND": "basic"})]
    assert names == [f"{AUTH}USERNAME", f"{AUTH}PASSWORD"]


@pytest.mark.parametrize(
    "environ",
    [
        {"SYNCD_WEB__BIND": "0.0.0.0:80", "SYNCD_WEB__TOKEN": "t"},
        {"SYNCD_WEB__BIND": "0.0.0.0:80", "SYNCD_WEB__TOKEN_FILE": "{token}"},
        {f"{AUTH}KIND": "BASIC", f"{AUTH}USERNAME": "u", f"{AUTH}PASSWORD": "p"},
        {f"{ARCHIVE}TOKEN": "t"},
        {f"{ARCHIVE}TOKEN": "t", f"{ARCHIVE}AUTH__KIND": "bearer"},
        {f"{AUTH}TOKEN": "t"},
        {f"{AUTH}KIND": "oauth2", f"{AUTH}CLIENT_ID": "us", f"{AUTH}CLIENT_SECRET": "s", f"{AUTH}CLIENT_AUTH": "Post"},
        {f"{AUTH}KIND": "smart", f"{AUTH}CLIENT_ID": "us", f"{AUTH}PRIVATE_KEY": "two\nlines", f"{AUTH}KEY_ID": "k"},
        {"SYNCD_POLICY__PROFILE": "mado", f"{ARCHIVE}RETRIEVE_LOCATION_UID": "2.999.1", "SYNCD_FHIR__VERSION": "R4"},
        {"SYNCD_POLICY__PROFILE": "eu", "SYNCD_FHIR__VERSION": "auto"},
        {"SYNCD_POLICY__PROFILE": "eu", "SYNCD_POLICY__SERVICE_REQUEST": "match"},
        {"SYNCD_FHIR__HEADERS": '{"Authorization": "Custom x"}'},
        {"SYNCD_POLICY__BODY_STRUCTURE": "yes", "SYNCD_FHIR__VERSION": "r5"},
        {"SYNCD_POLICY__BODY_STRUCTURE": "yes"},
        {"SYNCD_POLICY__BODY_STRUCTURE": "off", "SYNCD_FHIR__VERSION": "r4"},
    ],
)
def test_settings_that_complete_each_other_are_accepted(tmp_path: Path, environ: dict[str, str]) -> None:
    """docs/settings.md: the other side of the contradictions."""
    token = tmp_path / "token"
    token.write_text("t\n")
    given = {name: str(token) if value == "{token}" else value for name, value in environ.items()}
    assert list(load(environ={**ENOUGH, **given}).archives) == ["main"]


@pytest.mark.parametrize("name", ["FHIR__BUNDLE_ENTRIES", "FHIR__BUNDLE_INSTANCES", "WEB__THUMBNAILS"])
def test_a_setting_of_a_later_version_says_so(tmp_path: Path, name: str) -> None:
    """docs/settings.md: a setting exists only once it works."""
    told = "this version does not have this setting yet; remove it"
    assert problems({f"SYNCD_{name}": "x"}) == [f"SYNCD_{name} (environment): {told}"]
    key = name.lower().replace("__", ".")
    file = tmp_path / "later.toml"
    file.write_text(f'{key} = "x"\n')
    assert problems({}, config_file=file) == [f"{key} (file {file}): {told}"]


@pytest.mark.parametrize(
    "text, told",
    [
        ("config = 'x'", "config (file {file}): can only be set in the environment; use SYNCD_CONFIG"),
        ("[archives]\nurl = 'x'", "archives.url (file {file}): is no archive; give each archive a table of its own:"),
        ("fhir = 'x'", "fhir (file {file}): is no setting"),
        ("[fhir]\ntoken = 'x'", "fhir.token (file {file}): is no setting; did you mean fhir.auth.token?"),
        ("[archives.main]\nulr = 'x'", "archives.main.ulr (file {file}): is no setting; did you mean archives.main.url?"),
        ("[fhir]\nconcurrency = [1]", "fhir.concurrency (file {file}): the value cannot be used; write a whole number"),
        ("[archives.main]\nusername = 1", "archives.main.username (file {file}): `1` cannot be used; write text, in quotes"),
    ],
)
def test_a_wrong_key_in_the_file_is_told_where_it_stands(tmp_path: Path, text: str, told: str) -> None:
    """A wrong value is told with what to write instead."""
    file = tmp_path / "x.toml"
    file.write_text(text)
    assert any(line.startswith(told.replace("{file}", str(file))) for line in problems({}, config_file=file))


def test_a_variable_that_resembles_nothing_points_to_the_list() -> None:
    """Every problem comes with what to do."""
    assert problems({"SYNCD_QQQQ": "x"}) == [
        "SYNCD_QQQQ (environment): is no setting; see `syncd config init` for all of them"
    ]


VARIABLES = [setting.variable.replace("<NAME>", "MAIN") for setting in CATALOGUE]


@settings(deadline=None)
@given(variable=st.sampled_from(VARIABLES), data=st.data())
def test_every_misspelt_variable_gets_a_suggestion(variable: str, data: st.DataObject) -> None:
    """A misspelt setting comes with a suggestion: one letter lost, doubled, swapped or replaced."""
    start = len("SYNCD_ARCHIVES__MAIN__") if "ARCHIVES" in variable else len("SYNCD_")
    at = data.draw(st.integers(start, len(variable) - 2))
    typo = data.draw(
        st.sampled_from(
            [
                variable[:at] + variable[at + 1 :],
                variable[:at] + variable[at] + variable[at:],
                variable[:at] + variable[at + 1] + variable[at] + variable[at + 2 :],
                variable[:at] + data.draw(st.sampled_from("ABXYZ_")) + variable[at + 1 :],
            ]
        )
    )
    if path_of(typo) is None:
        told = [line for line in problems({typo: "5"}) if line.startswith(f"{typo} (environment): is no setting")]
        assert told
        assert f"did you mean {variable}?" in told[0]


SECRETS = [
    {"SYNCD_FHIR__URL": "http://user:HUNTER2@h/fhir"},
    {"SYNCD_FHIR__HEADERS": '{"X-Key": "HUNTER2'},
    {"SYNCD_FHIR__HEADERS": '{"Host": "HUNTER2"}'},
    {"SYNCD_FHIR__HEADERS": '["HUNTER2"]'},
    {f"{ARCHIVE}TOKEN": "HUNTER2 HUNTER2"},
    {f"{ARCHIVE}PASSWORD": "HUNTER2"},
    {f"{AUTH}PASSWROD": "HUNTER2"},  # codespell:ignore
    {f"{AUTH}KIND": "bearer", f"{AUTH}TOKEN": "HUNTER2\n"},
    {"SYNCD_WEB__BIND": "user:HUNTER2@0.0.0.0:1"},
    {"SYNCD_LEDGER__URL": "postgresql://u:HUNTER2@db"},
    {"SYNCD_LEDGER__URL": "postgresql://u:HUNTER2@db:HUNTER2/x"},
    {"SYNCD_LEDGER__URL": "postgresql://u:HUNTER2@[db/x"},
]


@pytest.mark.parametrize("environ", SECRETS)
def test_no_refusal_repeats_a_secret(environ: dict[str, str]) -> None:
    """RULES S1: no secret in exception messages."""
    with pytest.raises(BadSettings) as refused:
        load(environ={**ENOUGH, **environ})
    assert "HUNTER2" not in f"{refused.value}{refused.value!r}{refused.value.problems}"
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_settings_can_be_printed_without_their_secrets() -> None:
    """RULES S1: a settings object may end up in a traceback."""
    environ = {f"{ARCHIVE}TOKEN": "HUNTER2", "SYNCD_WEB__TOKEN": "HUNTER2", "SYNCD_FHIR__HEADERS": '{"X": "HUNTER2"}'}
    environ["SYNCD_LEDGER__URL"] = "postgresql://syncd:HUNTER2@db/syncd?sslmode=require"
    settings = load(environ={**ENOUGH, **environ})
    assert "HUNTER2" not in f"{settings!r}{settings}{settings.model_dump()}{settings.ledger.url}{settings.ledger.place}"
    assert settings.ledger.place == "postgresql://syncd:••••@db/syncd?sslmode=require"
    shown = {one.variable: one.value for one in shown_settings(settings)}
    assert shown["SYNCD_LEDGER__URL"] == settings.ledger.place
