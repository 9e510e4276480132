"""`syncd config show|init` (README.md, Commands)."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from syncd.cli.commands.config import app
from syncd.settings import load, sources
from syncd.settings.document import toml_template

ENOUGH = {"SYNCD_ARCHIVES__MAIN__URL": "http://127.0.0.1:8042", "SYNCD_FHIR__URL": "http://127.0.0.1:8080/fhir"}


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "DOCKER_SECRETS", tmp_path / "run-secrets")
    for name, value in ENOUGH.items():
        monkeypatch.setenv(name, value)


def test_show_tells_value_and_source() -> None:
    """README.md: values with their source."""
    lines = CliRunner().invoke(app, ["show"]).stdout.splitlines()
    assert "SYNCD_FHIR__URL = http://127.0.0.1:8080/fhir  # environment" in lines
    assert "SYNCD_ARCHIVES__MAIN__SETTLE_AFTER = 30s  # default" in lines
    assert "SYNCD_WEB__TOKEN = (unset)  # default" in lines


def test_show_never_tells_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """README.md: redacted (RULES S1); also headers, whose values may be keys."""
    monkeypatch.setenv("SYNCD_WEB__TOKEN", "HUNTER2")
    monkeypatch.setenv("SYNCD_FHIR__HEADERS", '{"X-Key": "HUNTER2"}')
    for arguments in (["show"], ["show", "--json"]):
        shown = CliRunner().invoke(app, arguments)
        assert shown.exit_code == 0
        assert "HUNTER2" not in shown.output
        assert shown.output.count("•••• (set)") == 2


def test_show_as_json_has_a_stable_shape() -> None:
    """README.md: `--json` gives a stable, documented shape."""
    document = json.loads(CliRunner().invoke(app, ["show", "--json"]).stdout)
    by_name = {setting["variable"]: setting for setting in document["settings"]}
    assert by_name["SYNCD_ARCHIVES__MAIN__POLL_INTERVAL"] == {
        "variable": "SYNCD_ARCHIVES__MAIN__POLL_INTERVAL",
        "value": "1s",
        "source": "default",
        "secret": False,
    }


def test_show_is_a_table_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """README.md: people get tables on a terminal; an address in brackets is no markup."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("SYNCD_WEB__BIND", "[::1]:8053")
    shown = CliRunner().invoke(app, ["show"]).stdout
    assert "━" in shown
    assert "[::1]:8053" in shown


def test_show_of_wrong_settings_tells_all_of_them_and_exits_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """README.md: every problem at once, exit 2."""
    monkeypatch.setenv("SYNCD_LOG__LEVEL", "loud")
    monkeypatch.setenv("SYNCD_FIHR__URL", "x")
    result = CliRunner().invoke(app, ["show"])
    assert result.exit_code == 2
    assert "SYNCD_LOG__LEVEL" in result.stderr
    assert "did you mean SYNCD_FHIR__URL?" in result.stderr
    assert result.stdout == ""


def test_init_writes_a_file_that_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """README.md: a commented file; private, because a password may be added."""
    assert CliRunner().invoke(app, ["init"]).exit_code == 0
    file = Path("config/syncd.toml")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for name in ENOUGH:
        monkeypatch.delenv(name)
    assert load().origins["fhir", "url"] == "file config/syncd.toml"


def test_init_overwrites_only_when_told(tmp_path: Path) -> None:
    """README.md: somebody's settings are not lost."""
    file = tmp_path / "mine.toml"
    file.write_text("mine")
    refused = CliRunner().invoke(app, ["init", str(file)])
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert file.read_text() == "mine"
    assert CliRunner().invoke(app, ["init", str(file), "--force"]).exit_code == 0
    assert file.read_text(encoding="utf-8") == toml_template()


def test_init_can_print() -> None:
    """README.md: to read, or to put elsewhere."""
    assert CliRunner().invoke(app, ["init", "-"]).stdout == toml_template()
    assert not Path("config").exists()


def test_init_into_an_impossible_place_says_so(tmp_path: Path) -> None:
    """README.md: exit 2 and the reason, no traceback."""
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(app, ["init", str(tmp_path / "file" / "x.toml")])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
