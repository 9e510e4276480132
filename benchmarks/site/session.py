"""The real servers of a benchmark: one HAPI for the session, an Orthanc for each content, installations of syncd between
them.

A HAPI takes half a minute to start and longer to become fast, so it is started once and warmed; what is written to it
has ids that it never met, arm by arm in turns, so that its growing hits all of them alike. Its options are its own:
those that let the tests' HAPI start quickly cost it speed. Everything started ends with the session, also after a
failure or Ctrl-C.
"""

from __future__ import annotations

import http.client
import itertools
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.floor import Turns
from benchmarks.site import shapes
from benchmarks.site.program import Installation
from benchmarks.site.shapes import Shape
from deploy.native.servers import HAPI_JAR, Hapi, HapiConfig, OrthancConfig, StartFailed, installed_orthanc
from deploy.native.servers import Orthanc as OrthancProcess
from tests.servers import PASSWORD, TRIXIE, USERNAME, VERSIONS, Archive, FhirServer, Unavailable

UPLOADS = 4
"""Files sent to an Orthanc at a time."""
STABLE_AGE = 1
HAPI_HEAP = "3g"
HAPI_READY_WITHIN = 900.0
"""Seconds: half a minute on a machine that has nothing else to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """An Orthanc and the run that fills it."""

    archive: Archive
    shape: Shape
    run: int


class Session:
    """Servers, started when they are first asked for; used as a context, which ends them all."""

    def __init__(self, *, say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)) -> None:
        self.say = say
        self._stack = ExitStack()
        self._hapi: FhirServer | None = None
        self._numbers = itertools.count(1)
        self.folder = Path()
        self.versions: dict[str, str] = {}
        """Name → version of each server that was started."""

    def __enter__(self) -> Session:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="syncd-bench-")))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    @property
    def hapi(self) -> FhirServer:
        """The session's HAPI R4. Raises `Unavailable`."""
        if self._hapi is None:
            self._hapi = self._started_hapi()
        return self._hapi

    def _started_hapi(self) -> FhirServer:
        if not HAPI_JAR.exists() or shutil.which("java") is None:
            raise Unavailable("HAPI is not built here: python3 -m scripts.set_up test")
        self.say("starting HAPI (half a minute, or more)")
        config = HapiConfig(directory=self.new_folder("hapi"), heap=HAPI_HEAP, java_options=())
        process = Hapi(config)
        process.ready_within = HAPI_READY_WITHIN
        self._stack.callback(process.remove)
        hapi = FhirServer(process.start())
        software = hapi.get("metadata").get("software", {})
        self.versions[str(software.get("name", "HAPI"))] = str(software.get("version", "?"))
        return hapi

    def orthanc(self, version: str = VERSIONS[0], **options: Any) -> Archive:
        """A new, empty Orthanc. Raises `Unavailable`. `discard` ends it before the session does."""
        root = _root_of(version)
        below = root.resolve() / "srv" if root else None
        config = OrthancConfig(
            directory=Path(tempfile.mkdtemp(prefix="syncd-bench-orthanc-", dir=below)),
            root=root,
            stable_age=STABLE_AGE,
            users={USERNAME: PASSWORD},
            dicomweb=False,
            options=options,
        )
        process = OrthancProcess(config)
        self._stack.callback(process.remove)
        archive = Archive(process.start())
        self.versions["Orthanc"] = ", ".join(
            sorted({archive.version, *filter(None, self.versions.get("Orthanc", "").split(", "))})
        )
        return archive

    def filled(self, shape: Shape, *, version: str = VERSIONS[0]) -> Content:
        """A new Orthanc with studies that nobody met, all of them stable."""
        return self.further(self.orthanc(version), shape)

    def further(self, archive: Archive, shape: Shape) -> Content:
        """More studies that nobody met, all of them stable."""
        content = Content(archive=archive, shape=shape, run=shapes.new_run())
        began = time.perf_counter()
        upload(archive, shapes.files(shape, run=content.run))
        wait_stable(archive)
        self.say(f"  {shape} in Orthanc {archive.version} ({time.perf_counter() - began:.0f} s)")
        return content

    def installation(self, archive: Archive, *, fhir: str = "", **settings: str) -> Installation:
        """A new syncd between this archive and the session's HAPI; `settings` are variables without the prefix."""
        name = f"bench{next(self._numbers)}"
        block = f"SYNCD_ARCHIVES__{name.upper()}__"
        variables: Mapping[str, str] = {
            f"{block}URL": archive.url,
            f"{block}USERNAME": archive.username,
            f"{block}PASSWORD": archive.password,
            f"{block}PUBLIC_DICOMWEB_URL": f"https://pacs.example/{name}/dicom-web",
            f"{block}PATIENT_ID_SYSTEM": f"urn:example:{name}",
            "SYNCD_FHIR__URL": fhir or self.hapi.base_url,
            **{f"SYNCD_{setting}": value for setting, value in settings.items()},
        }
        return Installation(directory=self.new_folder(name), name=name, variables=variables)

    def new_folder(self, name: str) -> Path:
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))
        folder.chmod(0o700)
        return folder


def upload(archive: Archive, files: Iterable[bytes]) -> None:
    """Send files on a few connections at once. Raises AssertionError for one that is refused three times."""

    def send(part: Iterable[bytes]) -> None:
        sender = Sender(archive)
        for file in part:
            sender.send(file)

    shared = Turns(files)
    with ThreadPoolExecutor(UPLOADS) as pool:
        list(pool.map(send, [shared] * UPLOADS))


class Sender:
    """A connection to an Orthanc that stays open."""

    def __init__(self, archive: Archive) -> None:
        self._to = archive.url.removeprefix("http://")
        self._headers = dict(archive._headers)
        self._connection = http.client.HTTPConnection(self._to, timeout=120)

    def send(self, file: bytes) -> None:
        """Rarely Orthanc refuses one of several that arrive in a study at once; a modality sends it again."""
        for _ in range(3):
            try:
                self._connection.request("POST", "/instances", body=file, headers=self._headers)
                answer = self._connection.getresponse()
                answer.read()
            except (http.client.HTTPException, OSError):
                self._connection.close()
                continue
            if answer.status == 200:
                return
        raise AssertionError("Orthanc refused a file three times")


def wait_stable(archive: Archive, *, timeout: float = 120.0) -> None:
    """Wait until the archive has said of each of its studies that it is stable: of the last one in particular."""
    deadline = time.monotonic() + timeout
    while not all(study["IsStable"] for study in archive.get("/studies?expand")):
        assert time.monotonic() < deadline, f"studies are not stable after {timeout:g} s"
        time.sleep(0.5)


def _root_of(version: str) -> Path | None:
    """The chroot that holds this Orthanc, or None for the machine itself. Raises `Unavailable`."""
    series = version.rsplit(".", 1)[0]
    if installed_orthanc().startswith(series):
        return None
    if TRIXIE.exists() and installed_orthanc(root=TRIXIE).startswith(series):
        return TRIXIE
    raise Unavailable(f"no Orthanc {version} on this machine: python3 -m scripts.set_up test")


def cores() -> int:
    return len(os.sched_getaffinity(0))


__all__ = ["Content", "Session", "StartFailed", "Unavailable", "cores", "upload", "wait_stable"]
