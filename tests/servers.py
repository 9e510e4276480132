"""The real servers of the tests: one fixture, two ways.

Where a container engine answers, the published images are started by testcontainers; otherwise the native servers of
`deploy.native`. A test sees neither: it gets an `Archive` (Orthanc) or a `FhirServer` (HAPI) that it can kill, start
again and talk to past any client of ours. The difficulty is what a machine cannot run: that raises `Unavailable` with
the reason, which the fixture turns into a skip that is listed (and fails in CI).
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from deploy.native.servers import (
    HAPI_JAR,
    Hapi,
    HapiConfig,
    Orthanc,
    OrthancConfig,
    basic_authorization,
    installed_orthanc,
)
from tests import medplum
from tests.planted import ORTHANC_PASSWORD

VERSIONS = ("1.10.1", "1.12.7")
"""Both must be supported (docs/orthanc.md): Debian bookworm's, and trixie's in a chroot. Other patch levels are accepted."""

ROOT = Path(__file__).resolve().parent.parent
TRIXIE = Path(os.environ.get("TEST_TRIXIE", ROOT / ".work" / "trixie"))
"""A folder made by debootstrap with the second Orthanc (`make test` as root makes it)."""

TELLING = ("Version", "ApiVersion", "DatabaseVersion", "Capabilities")
"""What the end of a run shows of `/system`."""

USERNAME, PASSWORD = "syncd-test", ORTHANC_PASSWORD
"""Authentication is on, so that credentials are exercised everywhere."""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_seen: dict[str, str] = {}


class Unavailable(Exception):
    """This machine cannot run that server; the message says why and what would help."""


class Process(Protocol):
    """What native servers and containers have in common."""

    @property
    def url(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    def start(self) -> Any: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def remove(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Any HTTP answer, refusals included. Header names are in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Site:
    """A running server and plain HTTP to it. Data and port survive `kill`, `stop`, `start` and `restart`."""

    def __init__(self, process: Process, *, headers: Mapping[str, str] | None = None) -> None:
        self.process = process
        self._headers = dict(headers or {})

    @property
    def url(self) -> str:
        return self.process.url

    @property
    def base_url(self) -> str:
        return self.process.base_url

    def start(self) -> None:
        self.process.start()

    def stop(self) -> None:
        self.process.stop()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()

    def restart(self) -> None:
        self.process.stop()
        self.process.start()

    def discard(self) -> None:
        """Kill it and delete what it stored."""
        self.process.remove()

    def request(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """`path` is below `base_url`, or a whole URL. Every status is an answer; URLError means there was none."""
        address = path if path.startswith("http") else self.base_url + "/" + path.lstrip("/")
        asked = urllib.request.Request(address, data=body, method=method, headers={**self._headers, **(headers or {})})
        try:
            with _direct.open(asked, timeout=120) as answer:
                return _reply(answer)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return _reply(refusal)

    def get(self, path: str) -> Any:
        """The JSON at `path`; AssertionError for anything but 200."""
        return self._expected(self.request("GET", path, headers={"Accept": "application/json"}), what=path)

    def _expected(self, reply: Reply, *, what: str) -> Any:
        assert 200 <= reply.status < 300, f"{what}: {reply.status} {reply.body[:300]!r}"
        return reply.json if reply.body else None


class Archive(Site):
    """A real Orthanc. `username` and `password` let a client in."""

    username = USERNAME
    password = PASSWORD

    def __init__(self, process: Process) -> None:
        super().__init__(process, headers=basic_authorization(USERNAME, PASSWORD))
        system = self.get("/system")
        self.version: str = system["Version"]
        _seen[self.version] = json.dumps({name: system.get(name) for name in TELLING}, sort_keys=True)

    def post(self, path: str, body: Any) -> Any:
        """`body` as JSON; a string is sent as it is."""
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        return self._expected(self.request("POST", path, body=data), what=path)

    def put(self, path: str, body: bytes = b"") -> Any:
        reply = self.request("PUT", path, body=body)
        assert reply.status == 200, f"{path}: {reply.status}"
        return reply.body

    def delete(self, path: str) -> None:
        assert self.request("DELETE", path).status == 200, path

    def upload(self, dicom: bytes) -> dict[str, Any] | None:
        """Orthanc's answer (`Status`, `ID`, `ParentSeries`, `ParentStudy`, …); None if it refuses the file."""
        reply = self.request("POST", "/instances", body=dicom)
        if reply.status != 200:
            return None
        answer: dict[str, Any] = reply.json
        return answer

    def upload_all(self, files: Iterable[bytes]) -> list[dict[str, Any]]:
        """The answers for those that were taken, in order."""
        return [answer for answer in map(self.upload, files) if answer]

    def study_ids(self, study_uid: str) -> list[str]:
        """The Orthanc ids of the studies that hold this StudyInstanceUID."""
        return sorted(found["ID"] for found in self.post("/tools/lookup", study_uid) if found["Type"] == "Study")

    def last_change(self) -> int:
        """The highest number the change feed ever gave (docs/orthanc.md: `Last` of an empty page)."""
        last: int = self.get("/changes?since=9000000000000&limit=1")["Last"]
        return last

    def wait_stable(self, orthanc_id: str, *, timeout: float = 60.0) -> None:
        """Wait until Orthanc calls this study stable."""
        wait_until(lambda: self.get(f"/studies/{orthanc_id}")["IsStable"], timeout=timeout, what="stable")

    def clear(self) -> None:
        """Delete every patient; the change feed's counter goes on."""
        for patient in self.get("/patients"):
            self.delete(f"/patients/{patient}")


class FhirServer(Site):
    """A real HAPI or Medplum; paths are below its base URL (`ImagingStudy/1.2.3`)."""

    def put(self, path: str, resource: Mapping[str, Any], *, headers: Mapping[str, str] | None = None) -> Reply:
        return self.request("PUT", path, body=json.dumps(resource).encode(), headers={**_FHIR_JSON, **(headers or {})})

    def post(self, path: str, resource: Mapping[str, Any]) -> Reply:
        return self.request("POST", path, body=json.dumps(resource).encode(), headers=_FHIR_JSON)

    def history(self, path: str) -> list[dict[str, Any]]:
        """The versions of one resource, oldest first; a deleted version is an entry without `resource`."""
        entries: list[dict[str, Any]] = self.get(f"{path}/_history?_count=1000").get("entry", [])
        return entries[::-1]

    def search(self, path: str) -> list[dict[str, Any]]:
        """The resources of all pages, uncached."""
        found: list[dict[str, Any]] = []
        address = path
        while address:
            reply = self.request("GET", address, headers={"Cache-Control": "no-cache"})
            bundle = self._expected(reply, what=path)
            found += [entry["resource"] for entry in bundle.get("entry", [])]
            address = next((link["url"] for link in bundle.get("link", []) if link["relation"] == "next"), "")
        return found

    def errors_in(self, resource: Mapping[str, Any]) -> list[str]:
        """What `$validate` calls an error or fatal, empty for a valid resource."""
        issues = self.post(f"{resource['resourceType']}/$validate", resource).json["issue"]
        return [issue["diagnostics"] for issue in issues if issue["severity"] in ("error", "fatal")]


_FHIR_JSON = {"Content-Type": "application/fhir+json"}


def start_orthanc(
    version: str,
    *,
    stable_age: int = 1,
    overwrite: bool = False,
    dicomweb: bool = True,
    options: Mapping[str, Any] | None = None,
) -> Archive:
    """An Orthanc of its own, with authentication. Raises Unavailable. End it with its `discard`."""
    settings = {"OverwriteInstances": overwrite, **(options or {})}
    if engine_answers():
        from tests.containers import orthanc_container

        return Archive(orthanc_container(version, stable_age=stable_age, dicomweb=dicomweb, options=settings).start())
    root = _where_installed(version)
    below = root.resolve() / "srv" if root else None
    config = OrthancConfig(
        directory=Path(tempfile.mkdtemp(prefix="syncd-test-orthanc-", dir=below)),
        root=root,
        stable_age=stable_age,
        users={USERNAME: PASSWORD},
        dicomweb=dicomweb,
        options=settings,
    )
    return Archive(Orthanc(config).start())


def start_hapi(*, fhir: str = "r4", durable: bool = False, validate: bool = False, ids: str = "client") -> FhirServer:
    """A HAPI of its own; `durable` keeps the data over `restart`. Raises Unavailable. End it with its `discard`.

    One that insists on `ids` of the server's is always a native one."""
    if ids == "client" and engine_answers():
        from tests.containers import hapi_container

        return FhirServer(hapi_container(fhir=fhir, durable=durable, validate=validate).start())
    if not HAPI_JAR.exists() or shutil.which("java") is None:
        raise Unavailable("HAPI is not built here: run `make test` (it installs Java and Maven, and builds it)")
    directory = Path(tempfile.mkdtemp(prefix="syncd-test-hapi-"))
    return FhirServer(Hapi(HapiConfig(directory=directory, fhir=fhir, durable=durable, validate=validate, ids=ids)).start())


def start_medplum() -> FhirServer:
    """A Medplum of its own, R4, in memory. Raises Unavailable. End it with its `discard`."""
    if not medplum.is_installed() or shutil.which("node") is None:
        raise Unavailable("Medplum's router is not installed here: run `make test` (it installs Node and the packages)")
    return FhirServer(medplum.Medplum(directory=Path(tempfile.mkdtemp(prefix="syncd-test-medplum-")), port=0).start())


def wait_until(holds: Any, *, timeout: float = 60.0, what: str = "", every: float = 0.1) -> None:
    """Ask until `holds()` is true; AssertionError after `timeout`. For states that no event announces."""
    pause = threading.Event()
    for _ in range(int(timeout / every)):
        if holds():
            return
        pause.wait(every)
    raise AssertionError(f"not {what or 'so'} within {timeout} s")


def versions_seen() -> Mapping[str, str]:
    """Version → what `/system` answered, of every Orthanc that was talked to in this session."""
    return dict(_seen)


@functools.cache
def engine_answers() -> bool:
    """Whether a container engine answers a ping. `TEST_SERVERS=native` says not to ask.

    Asked by another process: the client library leaves its sockets open when nobody answers.
    """
    if os.environ.get("TEST_SERVERS") == "native":
        return False
    ping = "import docker; docker.from_env(timeout=5).ping()"
    return subprocess.run([sys.executable, "-c", ping], capture_output=True, timeout=60).returncode == 0


@functools.cache
def _where_installed(version: str) -> Path | None:
    """The chroot that holds this version, or None for the machine itself. Raises Unavailable."""
    series = version.rsplit(".", 1)[0]
    here = installed_orthanc()
    if here.startswith(series):
        return None
    if TRIXIE.exists() and installed_orthanc(root=TRIXIE).startswith(series):
        return TRIXIE
    because = "root and debootstrap make it with `make test`" if series == "1.12" else "Debian bookworm has it"
    raise Unavailable(f"no Orthanc {version} on this machine (apt's is {here or 'not installed'}): {because}")


def _reply(answer: Any) -> Reply:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Reply(status=answer.status, body=answer.read(), headers=headers)
