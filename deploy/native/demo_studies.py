"""What the demo sends, and what it sees: real DICOM files into Orthanc, ImagingStudies out of HAPI.

The pydicom package ships about 70 files and a DICOMDIR tree of many modalities, some with dirty values and some that are
not DICOM at all: Orthanc refuses those, which is part of the picture. What is seen is read from HAPI itself, uncached
(it keeps a search's answer for 60 s otherwise); only why a study is parked is asked of syncd.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pydicom.data
import requests

from deploy.native.demo_places import DemoFailed
from deploy.native.process import fetch

TIMEOUT = 60

ACCEPTED, KNOWN, REFUSED = "accepted", "already there", "refused (not, or not valid, DICOM)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One study of the archive as HAPI has it now; `status` is `waiting` until there is a resource."""

    uid: str
    link: str
    status: str = "waiting"
    date: str = ""
    modalities: str = ""
    series: int = 0
    instances: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """All studies, and what syncd says: its readiness, which studies it parked and why, how many are to be looked at."""

    studies: tuple[Seen, ...]
    readiness: str = ""
    parked: Mapping[str, str] = field(default_factory=dict)
    pending: int = 0

    def count(self, status: str) -> int:
        return sum(one.status == status for one in self.studies)

    @property
    def settled(self) -> bool:
        """Whether every study is published as available, or parked, and syncd owes nothing (a parked one may be pending)."""
        published = all(one.status == "available" or one.uid in self.parked for one in self.studies)
        return bool(self.studies) and published and self.pending <= len(self.parked)


def files() -> list[Path]:
    """The files that the pydicom package ships for its own tests."""
    folder = Path(pydicom.data.__file__).parent / "test_files"
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    if not found:
        raise DemoFailed(f"no files in {folder}: install the pydicom package anew")
    return found


class Sender:
    """Sends every file, one request each, in a thread of its own, so that the studies can be watched meanwhile."""

    def __init__(self, url: str, *, auth: tuple[str, str]) -> None:
        self._url, self._auth = url, auth
        self._files = files()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sends")
        self._stopped = threading.Event()
        self._outcomes: Counter[str] = Counter()
        self._sending: Future[None] | None = None

    def __enter__(self) -> Self:
        self._sending = self._executor.submit(self._send)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._executor.shutdown()

    @property
    def total(self) -> int:
        return len(self._files)

    @property
    def sent(self) -> int:
        return self._outcomes.total()

    @property
    def done(self) -> bool:
        """Whether every file was sent; raises what kept it from being sent."""
        if self._sending is None or not self._sending.done():
            return False
        self._sending.result()
        return True

    @property
    def words(self) -> str:
        return ", ".join(f"{count} {outcome}" for outcome, count in self._outcomes.most_common())

    def _send(self) -> None:
        with requests.Session() as session:
            session.trust_env, session.auth = False, self._auth
            for file in self._files:
                if self._stopped.is_set():
                    return
                self._outcomes[self._outcome(session, file=file)] += 1
        if not self._outcomes[ACCEPTED]:
            raise DemoFailed("Orthanc took none of the files")

    def _outcome(self, session: requests.Session, *, file: Path) -> str:
        try:
            answer = session.post(f"{self._url}/instances", data=file.read_bytes(), timeout=TIMEOUT)
        except requests.RequestException as error:
            raise DemoFailed(f"{file.name} could not be sent to Orthanc: {type(error).__name__}") from error
        if answer.status_code in (400, 404):
            return REFUSED
        if not answer.ok:
            raise DemoFailed(f"Orthanc answered {answer.status_code} to {file.name}")
        return KNOWN if answer.json().get("Status") == "AlreadyStored" else ACCEPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the three servers answer."""

    orthanc: str
    auth: tuple[str, str]
    dicomweb: str
    fhir: str
    syncd: str


class Watch:
    """Looks at the three servers, as a person with a browser could."""

    def __init__(self, places: Places, *, ask_parked: Callable[[], Mapping[str, str]]) -> None:
        self._orthanc, self._fhir, self._syncd = places.orthanc, places.fhir, places.syncd
        self._ask_parked = ask_parked
        self._parked_numbers: Mapping[str, int] = {}
        self._parked_studies: Mapping[str, str] = {}
        self._session = requests.Session()
        self._session.trust_env = False
        self._auth = places.auth

    def look(self) -> Sight:
        """One look, from the archive's list of studies to syncd's own words."""
        listed = self._json(f"{self._orthanc}/studies?expand", auth=self._auth)
        uids = dict.fromkeys(str(one["MainDicomTags"]["StudyInstanceUID"]) for one in listed)
        known = {str(resource["id"]): resource for resource in self._resources()}
        seen = (self._seen(uid, known.get(uid)) for uid in uids)
        facts = self._facts()
        return Sight(
            studies=tuple(sorted(seen, key=lambda one: (one.date, one.uid))),
            readiness=self._readiness(),
            parked=self._parked(facts.get("parked", {})),
            pending=int(facts.get("dirty", 0)),
        )

    def _seen(self, uid: str, resource: Mapping[str, Any] | None) -> Seen:
        link = f"{self._fhir}/ImagingStudy/{uid}"
        if resource is None:
            return Seen(uid=uid, link=link)
        codes = [str(one.get("code") or one.get("display") or "?") for one in resource.get("modality", [])]
        return Seen(
            uid=uid,
            link=link,
            status=str(resource.get("status", "")),
            date=str(resource.get("started", ""))[:10],
            modalities=" ".join(codes),
            series=int(resource.get("numberOfSeries", 0)),
            instances=int(resource.get("numberOfInstances", 0)),
        )

    def _resources(self) -> Iterator[dict[str, Any]]:
        elements = "status,started,modality,numberOfSeries,numberOfInstances"
        url: str | None = f"{self._fhir}/ImagingStudy?_elements={elements}&_count=200"
        while url:
            page = self._json(url, headers={"Cache-Control": "no-cache", "Accept": "application/fhir+json"})
            yield from (entry["resource"] for entry in page.get("entry", []))
            url = next((link["url"] for link in page.get("link", []) if link["relation"] == "next"), None)

    def _readiness(self) -> str:
        try:
            return self._session.get(f"{self._syncd}/readyz", timeout=TIMEOUT).text.strip()
        except requests.RequestException:
            return "syncd does not answer"

    def _facts(self) -> Mapping[str, Any]:
        body = fetch(f"{self._syncd}/api/status")
        facts: Mapping[str, Any] = json.loads(body)["studies"] if body else {}
        return facts

    def _parked(self, numbers: Mapping[str, int]) -> Mapping[str, str]:
        """The page knows numbers only; the command, which takes a second, is asked when they have changed."""
        if numbers != self._parked_numbers:
            self._parked_studies = self._ask_parked()
            self._parked_numbers = dict(numbers)
        return self._parked_studies

    def _json(self, url: str, **options: Any) -> Any:
        try:
            answer = self._session.get(url, timeout=TIMEOUT, **options)
            answer.raise_for_status()
            return answer.json()
        except (requests.RequestException, ValueError) as error:
            raise DemoFailed(f"{url.partition('?')[0]} cannot be read: {type(error).__name__}") from error
