"""The packages of the second FHIR server: exact versions, held to their SHA-512, from no address."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scripts import set_up
from scripts.set_up import MEDPLUM_LOCK
from scripts.steps import carry_out

LOCK = json.loads(MEDPLUM_LOCK.read_text(encoding="utf-8"))
NAMED = json.loads(MEDPLUM_LOCK.with_name("package.json").read_text(encoding="utf-8"))
INSTALLED = {name.removeprefix("node_modules/"): one for name, one in LOCK["packages"].items() if name}


def test_the_lock_names_no_address() -> None:
    """npm takes each package from the registry that a machine is configured with; `npm install --package-lock-only
    --omit-lockfile-registry-resolved` writes it so."""
    text = MEDPLUM_LOCK.read_text(encoding="utf-8") + MEDPLUM_LOCK.with_name("package.json").read_text(encoding="utf-8")
    assert "://" not in text and "resolved" not in text


def test_every_package_is_held_to_a_version_and_a_sha_512() -> None:
    """`npm ci` refuses what does not fit, and a lock that does not fit package.json."""
    assert {name: INSTALLED[name]["version"] for name in NAMED["dependencies"]} == NAMED["dependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", one["version"]) for one in INSTALLED.values())
    assert all(re.fullmatch(r"sha512-[\w+/]{86}==", one["integrity"]) for one in INSTALLED.values())
    assert {one["license"] for one in INSTALLED.values()} <= {"Apache-2.0", "MIT"}


def test_they_are_installed_once_without_running_their_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set-up: a second run reuses; half an installation is begun anew."""
    ran: list[list[str]] = []

    def run(command: list[str], *, directory: Path) -> None:
        assert {file.name for file in directory.iterdir()} == {"package.json", "package-lock.json"}
        ran.append(command)

    monkeypatch.setattr(set_up, "WORK", tmp_path)
    monkeypatch.setattr(set_up, "run", run)
    (tmp_path / "medplum").mkdir()
    (tmp_path / "medplum" / "half").touch()
    for _ in range(2):
        assert carry_out(set_up._second_fhir_server())
    assert [command[:3] for command in ran] == [["npm", "ci", "--ignore-scripts"]]
