"""The pages keep what they promise: commands, settings, make targets, links and reasons are those of this version.

what an operator reads must not go stale. Each test reads the pages as they are, and the source that they tell of.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from deploy.native import demo_places
from syncd.cli.exits import Exit
from syncd.model.words import ParkedReason
from syncd.settings import catalogue, load, sources
from tests.docs import pages

README = pages.ROOT / "README.md"
HOSTS = {"127.0.0.1:8042", "127.0.0.1:18042", "127.0.0.1:18053", "127.0.0.1:18080"}
HOSTS |= {"orthanc:8042", "fhir:8080", "pacs.example.org", "fhir.example.org", "example.org", "www.w3.org", "nema.org"}
HOSTS |= {"snomed.info", "loinc.org", "radlex.org", "unitsofmeasure.org", "www.nlm.nih.gov", "ncicb.nci.nih.gov"}
HOSTS |= {"dicom.nema.org", "hl7.org", "terminology.hl7.org", "www.cms.gov", "hl7.eu", "profiles.ihe.net"}
"""Hosts that pages and pictures may name: this machine's, made-up ones, the name space of SVG, and those in the names of
code systems and guides (docs/mapping.md, docs/profiles.md)."""
SOMEBODYS = ("/home/", "/root/", "/tmp/", "/var/tmp/", f"{pages.ROOT}/")
"""Folders that are one person's or one machine's."""
TOOLS = {"python3", "sqlite3", "createuser", "createdb", "docker", "echo", "export", "/opt/syncd/bin/pip"}
"""Programs of others in the examples, whose options are not ours to check."""


def settings_blocks() -> list[pages.Block]:
    """The TOML of settings; that of a package is tried by tests/loop/test_hooks.py."""
    return [block for block in pages.blocks("toml") if "[project]" not in block.text]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory and a machine without settings of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "DOCKER_SECRETS", tmp_path / "run-secrets")
    monkeypatch.setattr(sources, "SYSTEM_STATE", tmp_path / "var-lib-syncd")
    return tmp_path


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    """A block of another language would be an example that nobody runs; tests/loop/test_hooks.py runs Python."""
    assert pages.languages() <= {"sh", "console", "toml", "text", "python"}
    assert pages.blocks("sh") and pages.blocks("console") and pages.blocks("toml")


@pytest.mark.parametrize("line", pages.shell_lines())
def test_what_is_to_be_typed_exists(line: str) -> None:
    """README.md: every command, option and make target of the examples."""
    for command in pages.words(line):
        variables = [word for word in command if re.fullmatch(r"[A-Z_]+=.*", word) and command[0] != "export"]
        program, *arguments = command[len(variables) :]
        if program == "syncd":
            assert pages.wrong_with(arguments) == ""
        elif program == "make":
            assert set(arguments) <= make_targets()
            assert {word.partition("=")[0] for word in variables} <= {"ONCE", *demo_places.PORTS}
        else:
            assert program in TOOLS


@pytest.mark.parametrize("command", pages.inline_commands(*pages.PAGES))
def test_a_command_named_in_the_text_exists_with_its_options(command: str) -> None:
    """README.md, Commands: a command exists only once it works, and the pages name no other."""
    assert pages.wrong_with(command.split()[1:], names_only=True) == ""


@pytest.mark.parametrize("wrong", ["syncd audits", "syncd resync --deep", "syncd archive drop main", "syncd render"])
def test_a_command_that_does_not_exist_would_be_noticed(wrong: str) -> None:
    """The check itself: commands of later versions, and one without its argument, are refused."""
    assert pages.wrong_with(wrong.split()[1:]) != ""


def test_the_readme_names_every_command() -> None:
    """README.md, Commands: what `syncd --help` shows stands in the README."""
    named = pages.inline_commands(README)
    tree = pages.command_tree()
    leaves = [name for name, command in tree.items() if not hasattr(command, "commands")]
    assert len(leaves) >= 9
    assert [name for name in leaves if not any(one.startswith(f"syncd {name}") for one in named)] == []


def test_the_readme_tells_every_exit_code() -> None:
    """README.md, Commands: the exit codes, each in bold."""
    text = pages.text_of(README)
    assert [code for code in Exit if f"**{int(code)}**" not in text] == []


@pytest.mark.parametrize("block", settings_blocks(), ids=lambda block: block.page)
def test_a_settings_file_of_the_examples_loads(block: pages.Block, elsewhere: Path) -> None:
    """docs/settings.md: the examples are valid as they stand, with the password that they leave to a secret file."""
    file = elsewhere / "syncd.toml"
    file.write_text(block.text, encoding="utf-8")
    settings = load(config_file=file, environ={"SYNCD_ARCHIVES__MAIN__PASSWORD": "of-a-secret-file"})
    assert settings.archives["main"].url
    assert settings.archives["main"].issuers


def test_the_variables_of_the_examples_are_settings(elsewhere: Path) -> None:
    """docs/settings.md: the exported variables load together; a file that one of them names is made here."""
    exported = dict(re.findall(r"^export (SYNCD_\w+)=(\S+)$", "\n".join(pages.shell_lines()), re.MULTILINE))
    given = {name: value for name, value in exported.items() if name.removeprefix("SYNCD_") not in ("CONFIG", "SECRETS_DIR")}
    secret = elsewhere / "secret"
    secret.write_text("of-a-secret-file", encoding="utf-8")
    settings = load(environ={name: str(secret) if name.endswith("_FILE") else value for name, value in given.items()})
    assert len(given) >= 4
    assert settings.fhir.url == exported["SYNCD_FHIR__URL"]


def test_every_variable_in_the_text_is_a_setting() -> None:
    """docs/settings.md: no page names a setting that this version does not have, with `_FILE` behind it or not."""
    named = {name for page in pages.PAGES for name in re.findall(r"`(SYNCD_[A-Z0-9_<>]+)`", pages.text_of(page))}
    elsewhere = {f"SYNCD_{name}" for name in catalogue.ENVIRONMENT_ONLY} | {"SYNCD_SERVICE_HOST"}
    general = {setting.variable for setting in catalogue.CATALOGUE}
    values = {name: name.removesuffix("_FILE") for name in named - elsewhere}
    unknown = [
        name
        for name, value in values.items()
        if not {name, value} & general and catalogue.path_of(name) is None and catalogue.path_of(value) is None
    ]
    assert len(named) > 20
    assert unknown == []


def test_every_parked_reason_stands_in_the_troubleshooting_table() -> None:
    """README.md, Troubleshooting: each reason with its meaning and what to do, and none that does not exist."""
    rows = re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \| ([^|]+) \|$", pages.text_of(README), re.MULTILINE)
    assert sorted(reason for reason, _, _ in rows) == sorted(ParkedReason)
    assert all(means.strip() and do.strip() for _, means, do in rows)


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link names a file of this repository, and a heading that is there."""
    for link in pages.links(page):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists() and target.is_relative_to(pages.ROOT), link
        assert not anchor or anchor in pages.anchors(target), link


def test_pages_and_pictures_name_only_hosts_and_folders_that_everybody_has() -> None:
    """What a reader cannot have (a server of somebody's, a path of somebody's machine) belongs into no page."""
    files = [*pages.PAGES, *(pages.ROOT / "docs").glob("*.svg")]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    assert set(re.findall(r"https?://([^/\s\"`)<,]+)", text)) <= HOSTS
    assert [folder for folder in SOMEBODYS if folder in text] == []


@pytest.mark.parametrize("picture", sorted((pages.ROOT / "docs").glob("*.svg")), ids=lambda picture: picture.name)
def test_a_picture_is_whole_and_used(picture: Path) -> None:
    """A picture is well-formed, fetches nothing from elsewhere, and stands in the README."""
    text = picture.read_text(encoding="utf-8")
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert not re.search(r"(href|src|url)\s*[=(]\s*[\"']?https?:", text)
    assert f"docs/{picture.name}" in pages.text_of(README)


def test_the_capture_is_of_a_run_that_agreed() -> None:
    """A real terminal capture, of a command that this version has and that ended with 0."""
    captures = [block.text for block in pages.blocks("console") if "make demo" in block.text]
    assert len(captures) == 1
    assert captures[0].startswith("$ ONCE=1 make demo")
    assert "the two sides agree" in captures[0]
    assert captures[0].endswith("exit 0")


def make_targets() -> set[str]:
    """What can be made, as the Makefile says."""
    found = re.search(r"^\.PHONY: (.+)$", (pages.ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    return set(found.group(1).split()) if found else set()
