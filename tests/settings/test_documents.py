"""What operators read about settings is generated, complete, and true."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from scripts.generate_docs import GENERATED, ROOT, main, stale
from syncd.settings import load
from syncd.settings.catalogue import CATALOGUE, NAME
from syncd.settings.document import settings_page, toml_template

SETTING = re.compile(r"#?([a-z0-9_]+) = .+")


@pytest.mark.parametrize("name", GENERATED)
def test_generated_files_are_fresh(name: str) -> None:
    """Run `python scripts/generate_docs.py` when this fails."""
    assert (ROOT / name).read_text(encoding="utf-8") == GENERATED[name]()


def test_a_stale_file_is_noticed(tmp_path: Path) -> None:
    """Freshness is checked by content."""
    for name, text in GENERATED.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text(), encoding="utf-8")
    assert stale(tmp_path) == []
    (tmp_path / "docs/settings.md").write_text("old")
    (tmp_path / "docs/metrics.md").unlink()
    assert stale(tmp_path) == ["docs/settings.md", "docs/metrics.md"]


def test_the_checkout_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    """What `--check` says."""
    assert main(["--check"]) == 0
    assert "up to date" in capsys.readouterr().out


def test_the_commented_file_is_enough_as_it_is(tmp_path: Path) -> None:
    """docs/settings.md, `config init`: only what is required is switched on."""
    file = tmp_path / "syncd.toml"
    file.write_text(toml_template(), encoding="utf-8")
    settings = load(environ={}, config_file=file)
    set_there = {path for path, source in settings.origins.items() if source != "default"}
    assert set_there == {("archives", "main", "url"), ("fhir", "url")}


def test_the_commented_file_names_every_setting() -> None:
    """docs/settings.md: a commented file with all of them."""
    everything = "\n".join(re.sub(r"^#(?=[a-z0-9_]+ = )", "", line) for line in toml_template().splitlines())
    content = tomllib.loads(everything)
    for setting in CATALOGUE:
        block = content
        for part in setting.path[:-1]:
            block = block["main" if part == NAME else part]
        assert setting.path[-1] in block


DEFAULTED = [setting for setting in CATALOGUE if setting.default_text and " " not in setting.default_text]


def test_the_defaults_in_the_commented_file_are_the_defaults(tmp_path: Path) -> None:
    """docs/settings.md: switching a line on without changing it changes nothing."""
    names = {(setting.path[-2:-1], setting.path[-1]) for setting in DEFAULTED}
    lines, block = [], ()
    for line in toml_template().splitlines():
        if line.startswith("["):
            name = line.strip("[]").split(".")[-1]
            block = (NAME if name == "main" else name,)
        match = SETTING.fullmatch(line)
        lines.append(line.removeprefix("#") if match and (block, match[1]) in names else line)
    file = tmp_path / "on.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    switched_on = load(environ={"HOME": "/h"}, config_file=file)
    assert len(switched_on.origins) == len(DEFAULTED) + len(["archive", "fhir server", "ledger"])
    file.write_text(toml_template(), encoding="utf-8")
    assert switched_on.model_dump() == load(environ={"HOME": "/h"}, config_file=file).model_dump()


def test_the_page_has_every_setting_with_its_meaning() -> None:
    """Unit, default and why."""
    page = settings_page()
    for setting in CATALOGUE:
        assert len(setting.text) > 20
        assert f"| `{setting.variable}` | {setting.form} |" in page


@pytest.mark.parametrize(
    "variable, form, default",
    [
        ("SYNCD_FHIR__TIMEOUT", "duration", "60s"),
        ("SYNCD_POLICY__SWEEP_INTERVAL", "duration", "15min"),
        ("SYNCD_FHIR__VERIFY_TLS", "true or false", "true"),
        ("SYNCD_WEB__BIND", "host:port", "127.0.0.1:8053"),
        ("SYNCD_POLICY__PATIENT", "create, match, logical", "create"),
    ],
)
def test_the_page_says_the_contracts_defaults(variable: str, form: str, default: str) -> None:
    """docs/settings.md."""
    assert f"| `{variable}` | {form} | `{default}` |" in settings_page()
