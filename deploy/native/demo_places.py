"""Where the demo lives: its folder, its ports, its settings and its password; one demo at a time in one checkout.

Everything is below `.work/demo` and on loopback. The difficulty is the second run: a port that somebody else holds must
not end the demo unless it was asked for by name, data of the run before must not be taken for today's, and what was
expensive (the virtual environment, HAPI's build) must not be done again.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.native.process import port_is_free

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".work" / "demo"
USER = "demo"
ARCHIVE = "orthanc"
STABLE_AGE = 3
"""Seconds: long enough to see `registered`, short enough to wait for `available`."""

PORTS = {"DEMO_ORTHANC_PORT": 18042, "DEMO_HAPI_PORT": 18080, "DEMO_SYNCD_PORT": 18053}
"""Variable and default of each server's port."""

_CONFIG = """\
# Written by the demo, for this run only. The password is in the folder that SYNCD_SECRETS_DIR names.
[archives.{archive}]
url = "{orthanc}"
username = "{user}"
public_dicomweb_url = "{dicomweb}"
settle_after = "2s"

[fhir]
url = "{fhir}"

[ledger]
url = "sqlite:///{ledger}"

[web]
bind = "127.0.0.1:{port}"
"""


class DemoFailed(Exception):
    """A step did not succeed; the message says what happened and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    orthanc: int
    hapi: int
    syncd: int
    notices: tuple[str, ...] = ()


def chosen_ports(environment: Mapping[str, str]) -> Ports:
    """A named port is taken or refused; a default that is taken gives way to the next free one, with a notice."""
    taken: list[int] = []
    notices: list[str] = []
    for variable, default in PORTS.items():
        port = _named(variable, environment[variable], taken=taken) if environment.get(variable) else default
        while not environment.get(variable) and (port in taken or not port_is_free(port)):
            port += 1
        if port != default and not environment.get(variable):
            notices.append(f"port {default} is taken, {port} is used instead ({variable} chooses another)")
        taken.append(port)
    return Ports(orthanc=taken[0], hapi=taken[1], syncd=taken[2], notices=tuple(notices))


def _named(variable: str, text: str, *, taken: list[int]) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise DemoFailed(f"{variable}={text} is no port: give a number from 1 to 65535, or leave it unset")
    port = int(text)
    if port in taken or not port_is_free(port):
        raise DemoFailed(f"{variable}: port {port} is taken; stop what listens there, choose another, or leave it unset")
    return port


@contextmanager
def only_demo() -> Iterator[None]:
    """Holds the lock of this checkout's demo; the kernel lets go of it however the demo ends."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise DemoFailed(f"another demo runs in this checkout (process {holder}); end it with Ctrl-C first") from error
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def cleared() -> bool:
    """Takes away what a run before left (archive, ledger, secrets, logs); whether there was anything."""
    found = [path for path in FOLDER.iterdir() if path.name != "lock"]
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return bool(found)


def new_password() -> str:
    """This run's password for Orthanc, in a file that only its owner reads and never on a command line."""
    password = secrets.token_urlsafe(18)
    folder = FOLDER / "secrets"
    folder.mkdir(mode=0o700)
    file = folder / f"SYNCD_ARCHIVES__{ARCHIVE.upper()}__PASSWORD"
    file.touch(mode=0o600)
    file.write_text(password, encoding="utf-8")
    return password


def written_config(*, orthanc: str, dicomweb: str, fhir: str, port: int) -> dict[str, str]:
    """Writes syncd's settings file; the variables that point a syncd command to this demo."""
    config = FOLDER / "syncd.toml"
    ledger = FOLDER / "ledger.db"
    text = _CONFIG.format(
        archive=ARCHIVE, orthanc=orthanc, user=USER, dicomweb=dicomweb, fhir=fhir, ledger=ledger, port=port
    )
    config.write_text(text, encoding="utf-8")
    return {"SYNCD_CONFIG": str(config), "SYNCD_SECRETS_DIR": str(FOLDER / "secrets")}
