"""The floor: what a study costs the two servers, and next to nothing else: `python -m benchmarks.floor JOB`.

Six archive calls (the header, what the series are, all instances at once, their number, the tags of one instance of each
series, the header again) and one PUT for each study, whatever syncd learns to share; a further call for each further
series. No mapping, no ledger, no lookup, and the cheapest client that Python has: `http.client`, connections kept, four
threads. What is sent are the bytes of syncd's own ImagingStudies under ids of their own, made before the clock runs.
Without reads the same is what the FHIR server alone takes.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

THREADS = 4
"""As many as syncd's FHIR__CONCURRENCY by default."""
KEPT = 0.9
"""Seconds an idle connection is used again: Orthanc closes it after 1 s."""
_FHIR_JSON = "application/fhir+json"
WRITES = {"Content-Type": _FHIR_JSON, "Accept": _FHIR_JSON, "Prefer": "return=minimal", "If-Match": 'W/"0"'}
"""Create only, as syncd's first write of a study."""
_UID = re.compile(rb"(1\.2\.276\.0\.7230010\.3\.99\.)1\d{6}(\.1\d{7})")


Item = TypeVar("Item")


class Refused(RuntimeError):
    """A server did not answer as it should; the floor would be none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to do: `archive` is None where nothing is read; `bodies` are sent one after the other, a study each."""

    fhir: str
    bodies: Sequence[bytes]
    archive: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the archive: the authorization."""
    studies: Sequence[str] | None = None
    """The Orthanc ids of those that are read; all that there are, if not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Studies, seconds from the first call to the last answer, calls to each server."""

    studies: int
    seconds: float
    archive_calls: int
    fhir_calls: int


class Turns(Generic[Item]):
    """One iterator for several threads."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)
        self._one = threading.Lock()

    def __iter__(self) -> Turns[Item]:
        return self

    def __next__(self) -> Item:
        with self._one:
            return next(self._items)


class Connection:
    """One server, kept open; a connection that the server closed while it was idle is opened again."""

    def __init__(self, url: str, *, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self.path = parts.path.rstrip("/")
        self.calls = 0
        self._headers = dict(headers)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=300)
        self._used = 0.0

    def ask(self, method: str, path: str, *, body: bytes | None = None) -> bytes:
        """The body of a 200 or 201. Raises `Refused`."""
        if time.monotonic() - self._used > KEPT:
            self._connection.close()
        self._connection.request(method, self.path + path, body=body, headers=self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        self._used = time.monotonic()
        self.calls += 1
        if answer.status not in (200, 201):
            raise Refused(f"{method} was answered {answer.status}: {content[:200]!r}")
        return content

    def close(self) -> None:
        self._connection.close()


def carry_out(job: Job) -> Done:
    """Do it with `THREADS` threads. Raises `Refused`."""
    studies = _studies(job)
    named = [(json.loads(body)["id"], body) for body in job.bodies]
    work = [(study, name, body) for study, (name, body) in zip(studies, named, strict=False)]
    turns = Turns(work)
    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        calls = list(pool.map(lambda _: _work(job, turns), range(THREADS)))
    seconds = time.perf_counter() - began
    to_archive, to_fhir = (sum(numbers) for numbers in zip(*calls, strict=True))
    return Done(studies=len(work), seconds=seconds, archive_calls=to_archive, fhir_calls=to_fhir)


def read_study(archive: Connection, study: str) -> None:
    """Six calls of a study with one series, one more for each further one (docs/orthanc.md, 1.10.1)."""
    archive.ask("GET", f"/studies/{study}?short")
    json.loads(archive.ask("GET", f"/studies/{study}/series?short"))
    wanted = {"Resources": [study], "Level": "Instance", "Metadata": True, "Short": True}
    instances = json.loads(archive.ask("POST", "/tools/bulk-content", body=json.dumps(wanted).encode()))
    json.loads(archive.ask("GET", f"/studies/{study}/statistics"))
    for instance in representatives(instances):
        json.loads(archive.ask("GET", f"/instances/{instance}/tags?short"))
    json.loads(archive.ask("GET", f"/studies/{study}?short"))


def representatives(instances: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The first instance of each series."""
    seen: set[str] = set()
    for instance in instances:
        if instance["ParentSeries"] not in seen:
            seen.add(instance["ParentSeries"])
            yield instance["ID"]


def renamed(body: bytes, *, run: int) -> bytes:
    """The same bytes under UIDs of another run (benchmarks/site/shapes.py): as long, and never met."""
    return _UID.sub(rb"\g<1>1%06d\g<2>" % run, body)


def _work(job: Job, turns: Turns[tuple[str, str, bytes]]) -> tuple[int, int]:
    archive, fhir = _archive(job), Connection(job.fhir, headers=WRITES)
    with contextlib.closing(archive), contextlib.closing(fhir):
        for study, name, body in turns:
            if study:
                read_study(archive, study)
            fhir.ask("PUT", f"/ImagingStudy/{name}", body=body)
    return archive.calls, fhir.calls


def _studies(job: Job) -> Sequence[str]:
    if job.archive is None:
        return [""] * len(job.bodies)
    if job.studies is not None:
        return job.studies
    with contextlib.closing(_archive(job)) as archive:
        found: list[str] = json.loads(archive.ask("GET", "/studies"))
    return found


def _archive(job: Job) -> Connection:
    return Connection(job.archive or job.fhir, headers=job.headers)


def main(arguments: Sequence[str]) -> int:
    """`JOB` is a JSON file of addresses and headers, beside it `bodies`: a line each. Prints what was done as JSON."""
    file = Path(arguments[0])
    told = json.loads(file.read_text(encoding="utf-8"))
    bodies = (file.parent / told.pop("bodies")).read_bytes().splitlines()
    done = carry_out(Job(bodies=bodies, **told))
    print(json.dumps({name: getattr(done, name) for name in Done.__slots__}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
