"""Real Orthanc and real HAPI without containers: what the demo and the tests run against where there is no engine.

    with Orthanc(OrthancConfig(directory=Path("data/orthanc"), users={"demo": "secret"})) as archive:
        print(archive.base_url, archive.version)

The difficulty is to be sure of whom one talks to: ports are shared by everything on the machine, so an Orthanc is known
by the name that it was given, and HAPI by the line in its own log. Nothing but the standard library is imported.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.native.process import ServerProcess, StartFailed, fetch, program

__all__ = ["Hapi", "HapiConfig", "Orthanc", "OrthancConfig", "StartFailed", "basic_authorization", "installed_orthanc"]

DICOMWEB_PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
"""Where the Debian package orthanc-dicomweb puts it (a path inside the chroot, where there is one)."""

HAPI_JAR = Path(__file__).parent / "hapi-host" / "target" / "hapi-host.jar"

STARTS_FAST = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Halves HAPI's start on two cores (35 s → 16 s) at the cost of its top speed: for a benchmark give none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrthancConfig:
    """`root` is a chroot that holds the program; `directory` then lies below it. Port 0 means any free one.

    Without `users` there is no authentication. `dicom_port` None leaves the DICOM server off: nothing here needs it, and
    it would listen on every interface. `options` are further Orthanc settings, which win over ours.
    """

    directory: Path
    root: Path | None = None
    binary: str = "Orthanc"
    http_port: int = 0
    dicom_port: int | None = None
    stable_age: int = 60
    """Seconds without a new instance after which Orthanc calls a study stable (its own default)."""
    users: Mapping[str, str] = field(default_factory=dict)
    overwrite: bool = False
    dicomweb: bool = True
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


class Orthanc(ServerProcess):
    """One Orthanc with a storage directory of its own, which survives `kill`, `stop` and `restart`."""

    name = "Orthanc"
    advice = "Is it installed (apt-get install orthanc orthanc-dicomweb)?"
    ready_within = 60.0

    def __init__(self, config: OrthancConfig) -> None:
        super().__init__(directory=config.directory.resolve(), port=config.http_port)
        self.config = config
        self.system: Mapping[str, Any] = {}
        """What `GET /system` answered when it became ready."""
        self._name = config.name or f"syncd-{uuid.uuid4().hex[:12]}"
        self._root = config.root.resolve() if config.root else None
        if self._root and not self.directory.is_relative_to(self._root):
            raise StartFailed(f"Orthanc: {self.directory} must lie below the chroot {self._root}")

    @property
    def version(self) -> str:
        return str(self.system.get("Version", ""))

    @property
    def authorization(self) -> Mapping[str, str]:
        """The header that lets a request in, as the first of the registered users."""
        return next((basic_authorization(*user) for user in self.config.users.items()), {})

    def command(self) -> Sequence[str]:
        file = self.directory / "orthanc.json"
        file.write_text(json.dumps(self.settings(), indent=2), encoding="utf-8")
        file.chmod(0o600)
        program = (self.config.binary, self._seen_from_inside(file))
        return ("chroot", str(self._root), *program) if self._root else program

    def settings(self) -> dict[str, Any]:
        """Orthanc's configuration file."""
        config = self.config
        return {
            "Name": self._name,
            "StorageDirectory": self._seen_from_inside(self.directory / "storage"),
            "IndexDirectory": self._seen_from_inside(self.directory / "storage"),
            "HttpPort": self.port,
            "HttpBindAddresses": ["127.0.0.1"],
            "RemoteAccessAllowed": False,
            "DicomServerEnabled": config.dicom_port is not None,
            "DicomPort": config.dicom_port or 4242,
            "StableAge": config.stable_age,
            "AuthenticationEnabled": bool(config.users),
            "RegisteredUsers": dict(config.users),
            "OverwriteInstances": config.overwrite,
            "Plugins": [DICOMWEB_PLUGIN] if config.dicomweb else [],
            "DicomWeb": {"Enable": config.dicomweb, "Root": "/dicom-web/"},
            **config.options,
        }

    def is_ready(self) -> bool:
        body = fetch(f"{self.url}/system", headers=self.authorization)
        if body is None:
            return False
        try:
            system = json.loads(body)
        except ValueError:
            return False
        if not isinstance(system, dict) or system.get("Name") != self.settings()["Name"]:
            return False
        self.system = system
        return True

    def _seen_from_inside(self, path: Path) -> str:
        return "/" + str(path.relative_to(self._root)) if self._root else str(path)


def basic_authorization(username: str, password: str) -> Mapping[str, str]:
    """The header of HTTP Basic authentication, in UTF-8 (RFC 7617)."""
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


def installed_orthanc(*, root: Path | None = None, binary: str = "Orthanc") -> str:
    """The version of the Orthanc installed here, or in the chroot `root`; empty if there is none that runs."""
    if root is None:
        command = [program(binary) or binary, "--version"]
    else:
        command = [program("chroot") or "chroot", str(root.resolve()), binary, "--version"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return ""
    found = re.search(r"\d+\.\d+\.\d+", said.stdout)
    return found.group() if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HapiConfig:
    """`fhir` is dstu2, r4, r4b or r5. Without `durable` the data are in memory, and a restart finds an empty server.

    `directory` holds the log, and the database of a durable one. Port 0 means any free one.
    """

    directory: Path
    fhir: str = "r4"
    port: int = 0
    durable: bool = False
    validate: bool = False
    """Refuse resources that fail validation."""
    ids: str = "client"
    """`server`: refuse ids that clients choose."""
    heap: str = "1g"
    jar: Path = HAPI_JAR
    java: str = "java"
    java_options: Sequence[str] = STARTS_FAST


class Hapi(ServerProcess):
    """One HAPI FHIR JPA server on H2."""

    name = "HAPI"
    advice = "Is it built (python3 -m scripts.set_up demo), and are there 1.5 GB of memory left?"
    ready_within = 240.0
    asked_every = 0.25
    ends_within = 60.0
    """A durable database is closed in order, and set-up's first run writes the class archive while it ends."""

    def __init__(self, config: HapiConfig) -> None:
        super().__init__(directory=config.directory.resolve(), port=config.port)
        self.config = config

    @property
    def base_url(self) -> str:
        return f"{self.url}/fhir"

    @property
    def class_archive(self) -> Path:
        """The JVM's archive of HAPI's loaded classes: with it the start takes 10 s instead of 16."""
        return self.config.jar.with_suffix(".jsa")

    def command(self) -> Sequence[str]:
        config = self.config
        if not config.jar.exists():
            raise StartFailed(f"HAPI: {config.jar} is not there. {self.advice}")
        options = [f"-Xmx{config.heap}", *config.java_options, f"-Dfhir={config.fhir}", f"-Dport={self.port}"]
        if self.class_archive.exists():
            options.append(f"-XX:SharedArchiveFile={self.class_archive}")
        if config.durable:
            options.append(f"-Ddb=jdbc:h2:file:{self.directory / 'database'};WRITE_DELAY=0")
        if config.validate:
            options.append("-Dvalidate=true")
        if config.ids != "client":
            options.append(f"-Dids={config.ids}")
        return (config.java, *options, "-jar", str(config.jar))

    def is_ready(self) -> bool:
        if f"HAPI {self.config.fhir} ready on {self.port}" not in self.log_text():
            return False
        return fetch(f"{self.base_url}/metadata", timeout=60.0) is not None
