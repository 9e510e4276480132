"""The Debian packages: what is missing is installed, as root or by sudo; what is there is left alone.

An Orthanc service that its package starts (on machines with systemd) is not touched: everything here uses other ports.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from deploy.native.process import program
from deploy.native.servers import DICOMWEB_PLUGIN
from scripts.steps import Step, StepFailed, run

OLDEST_JAVA = 17


class Package(NamedTuple):
    name: str
    is_there: Callable[[], bool]


def _runs(*command: str) -> bool:
    try:
        return subprocess.call(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def _java_is_new_enough() -> bool:
    return _runs("javac", "--release", str(OLDEST_JAVA), "-version")


def _venv_package() -> str:
    """Debian splits venv off; the package of another Python than the system's is named after its version."""
    is_systems = Path("/usr/bin/python3").exists() and Path(sys.executable).resolve() == Path("/usr/bin/python3").resolve()
    return "python3-venv" if is_systems else f"python3.{sys.version_info[1]}-venv"


VENV = Package(_venv_package(), lambda: _runs(sys.executable, "-c", "import venv, ensurepip"))
SERVERS = (
    Package("orthanc", lambda: program("Orthanc") is not None),
    Package("orthanc-dicomweb", lambda: Path(DICOMWEB_PLUGIN).exists()),
    Package("default-jdk-headless", _java_is_new_enough),
    Package("maven", lambda: program("mvn") is not None),
)
NODE = (
    Package("nodejs", lambda: program("node") is not None),
    Package("npm", lambda: program("npm") is not None),
)
POSTGRESQL = Package("postgresql", lambda: any(Path("/usr/lib/postgresql").glob("1[5-9]/bin/initdb")))
COMPOSE = Package("docker-compose", lambda: program("docker-compose") is not None)
FAKETIME = Package("faketime", lambda: program("faketime") is not None)
DEBOOTSTRAP = Package("debootstrap", lambda: program("debootstrap") is not None)


def install(title: str, *wanted: Package, optional: bool = False) -> Step:
    """The step that brings these packages."""
    return Step(
        name=f"packages ({title})",
        is_done=lambda: not _missing(wanted),
        do=lambda: _apt_install(_missing(wanted)),
        advice=f"install by hand, as root: apt-get install {' '.join(package.name for package in wanted)}",
        optional=optional,
    )


def _missing(wanted: tuple[Package, ...]) -> list[str]:
    return [package.name for package in wanted if not package.is_there()]


def _apt_install(names: list[str]) -> None:
    if shutil.which("apt-get") is None:
        raise StepFailed(f"missing: {' '.join(names)}; this machine has no apt-get (Debian or Ubuntu is expected)")
    apt = [*_as_root(), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "-o", "DPkg::Lock::Timeout=300"]
    try:
        run([*apt, "update"])
    except StepFailed as error:  # one unreachable third-party source must not stop what the others have
        print(f"set-up: apt-get update complained, going on:\n{error}")
    run([*apt, "install", "--no-install-recommends", *names])


def _as_root() -> list[str]:
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        raise StepFailed("this needs root, and there is no sudo")
    return ["sudo"] if sys.stdin and sys.stdin.isatty() else ["sudo", "-n"]
