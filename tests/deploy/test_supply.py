"""What is handed on with syncd: its licences, the list of its packages, and what is known against them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from shutil import copy, copytree, ignore_patterns
from typing import Any
from urllib.parse import urlsplit
from zipfile import ZipFile

import pytest

from scripts import supply
from scripts.set_up import SUPPLY_TOOLS

ROOT = Path(__file__).parents[2]
PINNED = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE))
PERMISSIVE = {"Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0"}
"""Licences that ask for their text to be kept and for nothing else (PSF-2.0: of Python's own sources)."""
WEAK = {"LGPL-3.0-only", "MPL-2.0"}
"""Those that ask something of the package itself, not of a program that imports it: NOTICE names each such package."""
ELSEWHERE = {"colorama", "tzdata"}
"""Locked for other systems than Linux, never installed by us (BSD-3-Clause, Apache-2.0)."""
SAID = {"BSD license": "BSD", "ISC License": "ISC", "Apache Software License": "Apache-2.0", "MIT License": "MIT"}
"""What older metadata call a licence."""

tools = pytest.mark.skipif(not (SUPPLY_TOOLS / ".installed").exists(), reason="python3 -m scripts.set_up supply was not run")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """The package as it would be published, built of a copy by the set-up's own setuptools, without a download."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        copy(ROOT / name, folder)
    copytree(ROOT / "syncd", folder / "syncd", ignore=ignore_patterns("__pycache__"))
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    command = [sys.executable, "-W", "error::DeprecationWarning:setuptools", "-c", build, str(folder)]
    built = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stderr
    (file,) = folder.glob("*.whl")
    return ZipFile(file)


def test_the_package_carries_its_licence_and_what_it_owes_to_others(wheel: ZipFile) -> None:
    """PEP 639: the expression, and the files beside it."""
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = wheel.read(name).decode()
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert "\nClassifier: License" not in metadata
    assert "\nClassifier: Intended Audience :: Healthcare Industry\n" in metadata
    for file in ("LICENSE", "NOTICE", "syncd/mapping/NOTICE"):
        assert f"\nLicense-File: {file}\n" in metadata
        assert wheel.read(name.replace("METADATA", f"licenses/{file}")) == (ROOT / file).read_bytes()


def test_the_package_holds_its_data_and_no_tests(wheel: ZipFile) -> None:
    """What a module reads beside itself is there; nothing but syncd is."""
    names = wheel.namelist()
    assert {"syncd/py.typed", "syncd/mapping/anatomic_regions.json", "syncd/mapping/NOTICE"} <= set(names)
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"syncd"}


def test_every_data_table_of_others_is_told() -> None:
    """NOTICE: what is in this repository without being ours."""
    told = (ROOT / "NOTICE").read_text(encoding="utf-8")
    tables = [file.relative_to(ROOT).as_posix() for file in (ROOT / "syncd").rglob("*.json")]
    assert tables
    assert [table for table in tables if table not in told] == []


@pytest.mark.parametrize("name", sorted(PINNED))
def test_its_licence_goes_with_apache_2(name: str) -> None:
    """Each dependency at run time may be used by a program under Apache-2.0, and NOTICE names those that ask for more."""
    try:
        licences = licences_of(name)
    except PackageNotFoundError:
        assert name in ELSEWHERE
        return
    assert licences, "no licence is told"
    assert licences <= PERMISSIVE | WEAK
    if not licences & PERMISSIVE:
        told = (ROOT / "NOTICE").read_text(encoding="utf-8")
        assert re.search(rf"^- .*\b{name}\b.*: {'|'.join(licences)}", told, re.MULTILINE)


def licences_of(name: str) -> set[str]:
    """What the installed package says of itself; of an expression with OR each choice, of one with AND all."""
    metadata = distribution(name).metadata
    classifiers = [one.rsplit(" :: ", 1)[1] for one in metadata.get_all("Classifier", []) if one.startswith("License :: ")]
    said = metadata.get("License-Expression") or metadata.get("License") or " AND ".join(classifiers)
    return {SAID.get(one.strip("() "), one.strip("() ")) for one in re.split(r" AND | OR ", said)}


# -- the list ------------------------------------------------------------------------------------------------------------


def test_the_list_has_what_is_locked_with_what_is_known_of_it() -> None:
    """Of an installed package of the same version licence and dependencies, of the lock the hashes; nothing of tests."""
    link = {"type": "distribution", "url": "https://index.test/", "hashes": [{"alg": "SHA-256", "content": "00"}]}
    names = {"fhir-core": "1.0", "other": "2.0", "windows": "3.0"}
    pinned = {
        "components": [
            {"bom-ref": f"L{name}", "name": name, "version": version, "description": "line", "externalReferences": [link]}
            for name, version in names.items()
        ],
        "dependencies": [{"ref": f"L{name}"} for name in names],
    }
    installed = {
        "metadata": {"component": {"bom-ref": "root"}},
        "components": [
            {"bom-ref": "core", "name": "Fhir_Core", "version": "1.0", "licenses": ["BSD"]},
            {"bom-ref": "other", "name": "other", "version": "2.1", "licenses": ["MIT"]},
            {"bom-ref": "pytest", "name": "pytest", "version": "9", "licenses": ["MIT"]},
        ],
        "dependencies": [
            {"ref": "root", "dependsOn": ["core", "other", "pytest"]},
            {"ref": "pytest", "dependsOn": ["core"]},
        ],
    }
    merged = supply.merge(pinned, installed)
    core, other, windows = merged["components"]
    assert (core["name"], core["licenses"], core["externalReferences"]) == ("Fhir_Core", ["BSD"], [link])
    assert (other["version"], other.get("licenses")) == ("2.0", None)
    assert windows["externalReferences"] == [link] and "description" not in windows
    assert {one["ref"]: one["dependsOn"] for one in merged["dependencies"]} == {
        "root": ["core"], "Lother": [], "Lwindows": [],
    }  # fmt: skip


@pytest.mark.real
@tools
def test_make_sbom_lists_every_package_with_hash_and_licence(tmp_path: Path) -> None:
    """CycloneDX, valid by its own schema, without a connection, and without a word of this machine."""
    file = tmp_path / "sbom.cdx.json"
    assert supply.write_sbom(file) == 0
    text = file.read_text(encoding="utf-8")
    document = json.loads(text)
    assert (document["bomFormat"], document["metadata"]["component"]["name"]) == ("CycloneDX", "syncd")
    listed = {re.sub(r"[-_.]+", "-", one["name"]).lower(): one for one in document["components"]}
    assert {name: one["version"] for name, one in listed.items()} == PINNED
    hashes = {name: [link.get("hashes") for link in one["externalReferences"]] for name, one in listed.items()}
    assert [name for name, given in hashes.items() if not any(given)] == []
    assert {name for name, one in listed.items() if not one.get("licenses")} == ELSEWHERE
    assert str(ROOT) not in text and str(Path.home()) not in text
    assert [host for host in _indexes() if host in text] == []


def _indexes() -> set[str]:
    """Hosts of the package indexes that this machine is set up with."""
    said = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], stdin=subprocess.DEVNULL, capture_output=True, text=True
    ).stdout
    return {urlsplit(url).netloc for url in re.findall(r"https?://[^\s']+", said)} - {"pypi.org"}


# -- the audit -----------------------------------------------------------------------------------------------------------

LOCKED = f"idna==3.20 --hash=sha256:{'0' * 64}\nh11==0.16.0 --hash=sha256:{'1' * 64}\n"


def test_a_package_that_nobody_was_asked_about_is_not_without_weaknesses() -> None:
    """pip-audit ends well where its service knew none of the packages."""
    told = supply.read({"dependencies": [{"name": "idna", "skip_reason": "not found"}]})
    assert (told.weak, told.silent) == ({}, {"idna": "not found"})
    assert supply.read({"dependencies": []}).silent


@contextmanager
def advising(answers: dict[str, Any]) -> Iterator[str]:
    """The address of an advisory service (OSV's API) that says this of the packages."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(answers.get(asked["package"]["name"], {})).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


WEAKNESS = {
    "id": "TEST-2026-1",
    "summary": "A weakness",
    "affected": [
        {
            "package": {"name": "h11", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "0.17"}]}],
        }
    ],
}


@pytest.mark.real
@tools
@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        ({}, 0, "0 packages with known weaknesses, 0 that could not be asked about"),
        ({"h11": {"vulns": [WEAKNESS]}}, supply.FOUND, "h11 0.16.0: TEST-2026-1 (mended in 0.17)"),
    ],
    ids=["none", "one"],
)
def test_make_audit_tells_known_weaknesses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answers: dict[str, Any], code: int, said: str
) -> None:
    """With pip-audit itself, and a service of ours."""
    lock = tmp_path / "requirements.txt"
    lock.write_text(LOCKED, encoding="utf-8")
    with advising(answers) as url:
        assert supply.audit(lock, "--vulnerability-service", "osv", "--osv-url", url) == code
    assert said in capsys.readouterr().out


@pytest.mark.real
@tools
def test_make_audit_is_not_green_where_nobody_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its own exit code, and words."""
    lock = tmp_path / "requirements.txt"
    lock.write_text(LOCKED, encoding="utf-8")
    assert supply.audit(lock, "--vulnerability-service", "osv", "--osv-url", "http://127.0.0.1:1/") == supply.NOT_ASKED
    assert "NOT AUDITED" in capsys.readouterr().out
