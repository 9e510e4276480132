"""The packages of servers that Node runs: exact versions, held to their SHA-512, from no address."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scripts import set_up
from scripts.set_up import AUTHORIZATION_LOCK, MEDPLUM_LOCK
from scripts.steps import carry_out

LOCKS = {file.parent.name: file for file in (MEDPLUM_LOCK, AUTHORIZATION_LOCK)}


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_the_lock_names_no_address(lock: Path) -> None:
    """npm takes each package from the registry that a machine is configured with; `npm install --package-lock-only
    --omit-lockfile-registry-resolved` writes it so, but for whom to thank for a package, which is taken out."""
    text = lock.read_text(encoding="utf-8") + lock.with_name("package.json").read_text(encoding="utf-8")
    assert "://" not in text and "resolved" not in text


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_every_package_is_held_to_a_version_and_a_sha_512(lock: Path) -> None:
    """`npm ci` refuses what does not fit, and a lock that does not fit package.json."""
    installed = {name.removeprefix("node_modules/"): one for name, one in _read(lock)["packages"].items() if name}
    wanted = _read(lock.with_name("package.json"))["dependencies"]
    assert {name: installed[name]["version"] for name in wanted} == wanted
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", one["version"]) for one in installed.values())
    assert all(re.fullmatch(r"sha512-[\w+/]{86}==", one["integrity"]) for one in installed.values())
    assert {one["license"] for one in installed.values()} <= {"Apache-2.0", "MIT", "ISC"}


@pytest.mark.parametrize("name", LOCKS)
def test_they_are_installed_once_without_running_their_scripts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Set-up: a second run reuses; half an installation is begun anew."""
    ran: list[list[str]] = []

    def run(command: list[str], *, directory: Path) -> None:
        assert {file.name for file in directory.iterdir()} == {"package.json", "package-lock.json"}
        ran.append(command)

    monkeypatch.setattr(set_up, "WORK", tmp_path)
    monkeypatch.setattr(set_up, "run", run)
    (tmp_path / name).mkdir()
    (tmp_path / name / "half").touch()
    for _ in range(2):
        assert carry_out({"medplum": set_up._second_fhir_server, "authorization": set_up._authorization_server}[name]())
    assert [command[:3] for command in ran] == [["npm", "ci", "--ignore-scripts"]]
