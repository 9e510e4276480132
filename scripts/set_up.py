"""Sets up what the demo, the checks and the tests need: `python3 -m scripts.set_up demo|check|test|supply`.

Every step looks first at what exists and uses it again; a step that fails names itself and what to do. Whoever runs it
twice pays for it once. Only the standard library is imported: at the beginning there is nothing else.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from deploy.native.process import program
from deploy.native.servers import HAPI_JAR, STARTS_FAST, Hapi, HapiConfig, StartFailed, installed_orthanc
from scripts.apt_sources import debian_mirror
from scripts.packages import COMPOSE, DEBOOTSTRAP, FAKETIME, NODE, POSTGRESQL, SERVERS, VENV, install
from scripts.steps import ROOT, WORK, Step, StepFailed, carry_out, run

VENV_DIRECTORY = ROOT / ".venv"
PYTHON = VENV_DIRECTORY / "bin" / "python"
PIP_INSTALL = ("-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check")
SUPPLY_TOOLS = WORK / "audit"
"""Where the programs of scripts/supply.py are: nothing that syncd or its tests import."""
TRIXIE = WORK / "trixie"
MEDPLUM_LOCK = ROOT / "tests" / "medplum" / "package-lock.json"
AUTHORIZATION_LOCK = ROOT / "tests" / "authorization" / "package-lock.json"
SECOND_ORTHANC = "trixie"
"""The Debian release whose Orthanc (1.12) is the second one of the tests."""


def main(mode: str) -> int:
    """0 if everything that `mode` needs is there."""
    began = time.monotonic()
    steps = STEPS[mode]()
    for step in steps:
        if not carry_out(step):
            return 1
    print(f"set-up: ready ({time.monotonic() - began:.1f} s)", flush=True)
    return 0


def _demo_steps() -> list[Step]:
    return [
        install("Python", VENV),
        install("Orthanc, Java, Maven", *SERVERS),
        _venv("requirements.txt"),
        _hapi(),
        _classes(),
    ]


def _check_steps() -> list[Step]:
    return [install("Python", VENV), _venv("requirements-dev.txt")]


def _test_steps() -> list[Step]:
    return [
        install("Python", VENV),
        install("Orthanc, Java, Maven", *SERVERS),
        install("PostgreSQL, for the ledger", POSTGRESQL, optional=True),
        install("docker-compose, to parse docker-compose.yml", COMPOSE, optional=True),
        install("faketime, to set the clock of a daemon", FAKETIME, optional=True),
        _venv("requirements-dev.txt"),
        _hapi(),
        _classes(),
        *_second_orthanc(),
        install("Node, for the second FHIR server", *NODE, optional=True),
        _second_fhir_server(),
        _authorization_server(),
        _supply_tools(),
    ]


def _supply_steps() -> list[Step]:
    return [*_check_steps(), _supply_tools()]


STEPS: dict[str, Callable[[], list[Step]]] = {
    "demo": _demo_steps,
    "check": _check_steps,
    "test": _test_steps,
    "supply": _supply_steps,
}


def _venv(lock: str) -> Step:
    """A virtual environment with exactly what the lock names; the one for development also serves the demo."""
    stamp = VENV_DIRECTORY / f".{lock}.installed"
    wanted = _digest(ROOT / lock, ROOT / "pyproject.toml") + sys.version
    larger = VENV_DIRECTORY / ".requirements-dev.txt.installed"
    wanted_of_larger = _digest(ROOT / "requirements-dev.txt", ROOT / "pyproject.toml") + sys.version

    def is_done() -> bool:
        return PYTHON.exists() and (_read(stamp) == wanted or _read(larger) == wanted_of_larger)

    def do() -> None:
        if not PYTHON.exists() or sys.version not in _read(stamp) + _read(larger):
            run([sys.executable, "-m", "venv", "--clear", str(VENV_DIRECTORY)])
        run([str(PYTHON), *PIP_INSTALL, "--require-hashes", "--requirement", lock])
        run([str(PYTHON), *PIP_INSTALL, "--no-deps", "--no-build-isolation", "--editable", "."])
        stamp.write_text(wanted, encoding="utf-8")

    return Step(
        name=f"virtual environment from {lock}",
        is_done=is_done,
        do=do,
        advice="is the package index reachable? `make clean` and try again; behind a proxy set HTTPS_PROXY",
    )


def _supply_tools() -> Step:
    lock = ROOT / "requirements-audit.txt"
    stamp = SUPPLY_TOOLS / ".installed"
    wanted = _digest(lock) + sys.version

    def do() -> None:
        run([sys.executable, "-m", "venv", "--clear", str(SUPPLY_TOOLS)])
        run([str(SUPPLY_TOOLS / "bin/python"), *PIP_INSTALL, "--require-hashes", "--no-deps", "--requirement", str(lock)])
        stamp.write_text(wanted, encoding="utf-8")

    return Step(
        name="the programs of make sbom and make audit",
        is_done=lambda: _read(stamp) == wanted,
        do=do,
        advice="their tests are skipped without them; is the package index reachable?",
        optional=True,
    )


def _hapi() -> Step:
    home = HAPI_JAR.parent.parent
    stamp = HAPI_JAR.with_suffix(".built")
    wanted = _digest(home / "pom.xml", *sorted(path for path in (home / "src").rglob("*") if path.is_file()))

    def do() -> None:
        run(["mvn", "--batch-mode", "--no-transfer-progress", "--quiet", "package"], directory=home)
        stamp.write_text(wanted, encoding="utf-8")

    return Step(
        name="HAPI from its Maven artifacts",
        is_done=lambda: HAPI_JAR.exists() and _read(stamp) == wanted,
        do=do,
        advice="is the Maven repository reachable? Behind a proxy, Maven wants it in ~/.m2/settings.xml",
    )


def _classes() -> Step:
    """The archive of HAPI's classes, written by the JVM when a first run ends: every later start takes half the time."""
    stamp = HAPI_JAR.with_suffix(".jsa.stamp")
    archive = HAPI_JAR.with_suffix(".jsa")

    def wanted() -> str:
        java = subprocess.run(["java", "-version"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return f"{java.stderr}{HAPI_JAR}{_read(HAPI_JAR.with_suffix('.built'))}"

    def do() -> None:
        archive.unlink(missing_ok=True)
        options = (*STARTS_FAST, f"-XX:ArchiveClassesAtExit={archive}")
        try:
            with Hapi(HapiConfig(directory=WORK / "first-hapi", java_options=options)):
                pass
        except StartFailed as error:
            raise StepFailed(str(error)) from error
        shutil.rmtree(WORK / "first-hapi", ignore_errors=True)
        stamp.write_text(wanted(), encoding="utf-8")

    return Step(
        name="HAPI's first start",
        is_done=lambda: _read(stamp) == wanted(),
        do=do,
        advice="HAPI needs about 1.5 GB of memory",
    )


def _second_orthanc() -> list[Step]:
    """Orthanc 1.12 in a chroot beside Debian bookworm's 1.10, unless this machine's own is that one."""
    if os.geteuid() != 0:
        print("set-up: the second Orthanc: left out (it lives in a chroot, which only root can make)")
        return []
    make = Step(
        name="the second Orthanc (debootstrap)",
        is_done=lambda: bool(installed_orthanc(root=TRIXIE)) or installed_orthanc().startswith("1.12."),
        do=_debootstrap,
        advice="the tests of Orthanc 1.12 are skipped without it",
        optional=True,
    )
    return [install("debootstrap", DEBOOTSTRAP, optional=True), make]


def _second_fhir_server() -> Step:
    """Medplum's router."""
    return _npm(
        "the second FHIR server (npm)", MEDPLUM_LOCK, lacking="the tests of another FHIR server than HAPI are skipped"
    )


def _authorization_server() -> Step:
    """oidc-provider."""
    return _npm(
        "the authorization server (npm)", AUTHORIZATION_LOCK, lacking="the tests of tests/real/test_oauth.py are skipped"
    )


def _npm(name: str, lock: Path, *, lacking: str) -> Step:
    """Packages at the versions of the lock, each of which npm holds to its SHA-512; no package's script is run."""
    named = (lock.with_name("package.json"), lock)
    place = WORK / lock.parent.name
    stamp = place / ".installed"
    wanted = _digest(*named)

    def do() -> None:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for file in named:
            shutil.copy(file, place)
        run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], directory=place)
        stamp.write_text(wanted, encoding="utf-8")

    return Step(
        name=name,
        is_done=lambda: _read(stamp) == wanted,
        do=do,
        advice=f"{lacking} without it; is npm's registry reachable?",
        optional=True,
    )


def _debootstrap() -> None:
    mirror = debian_mirror()
    if not mirror:
        raise StepFailed("the apt sources of this machine name no Debian archive to take it from")
    debootstrap = program("debootstrap")
    if debootstrap is None:
        raise StepFailed("debootstrap is not installed")
    partial = WORK / "trixie.partial"
    shutil.rmtree(partial, ignore_errors=True)
    WORK.mkdir(exist_ok=True)
    script = Path("/usr/share/debootstrap/scripts") / SECOND_ORTHANC
    run(
        [
            debootstrap,
            "--variant=minbase",
            "--include=orthanc,orthanc-dicomweb",
            SECOND_ORTHANC,
            str(partial),
            mirror,
            *([] if script.exists() else [str(script.with_name("sid"))]),
        ],
        environment={**os.environ, **_apt_proxy()},
    )
    shutil.rmtree(TRIXIE, ignore_errors=True)
    partial.rename(TRIXIE)


def _apt_proxy() -> dict[str, str]:
    """debootstrap fetches by itself: the proxy that apt is configured with is handed on."""
    said = subprocess.run(
        ["apt-config", "shell", "proxy", "Acquire::http::Proxy"], capture_output=True, text=True, stdin=subprocess.DEVNULL
    ).stdout
    proxy = said.partition("=")[2].strip().strip("'")
    return {"http_proxy": proxy} if urllib.parse.urlsplit(proxy).scheme.startswith("http") else {}


def _digest(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest() + "\n"


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in STEPS:
        sys.exit(f"usage: python3 -m scripts.set_up {'|'.join(STEPS)}")
    sys.exit(main(sys.argv[1]))
