"""Plain HTTP to an archive under test, and what a test may do to the archive itself.

Nothing of syncd speaks here: a contract is about the server, so it is read by requests alone.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import requests

from tests.dicom import make_instance

HUGE = 9_000_000_000_000
PATIENCE = 20.0
"""Seconds until something that the server does by itself must have happened; StableAge is 2 s."""

Entry = Mapping[str, Any]


class ArchiveUnderTest(Protocol):
    """An Orthanc, real or not, that a contract may kill and wipe."""

    version: str
    url: str
    credentials: tuple[str, str]

    def let_time_pass(self) -> None:
        """A moment, far shorter than StableAge: waited on the real one, jumped on the fake."""

    def kill_and_restart(self) -> None: ...

    def wipe(self) -> None:
        """Lose index and storage, keep address and configuration."""

    def sibling(self, *, overwrites: bool = False) -> ArchiveUnderTest:
        """Another, empty archive of the same version; `overwrites`: with the setting OverwriteInstances."""


class ArchiveClient:
    """One session with an archive, with UIDs that no other test uses."""

    def __init__(self, server: ArchiveUnderTest) -> None:
        self.server = server
        self.modern = server.version.startswith("1.12")
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = server.credentials
        self._studies = itertools.count(1)
        self._root = f"2.25.{uuid.uuid4().int >> 40}"

    def close(self) -> None:
        """Delete everything: what is gone becomes stable no more, so the next test's feed is its own."""
        for patient in self.get("/patients"):
            self.delete(f"/patients/{patient}")
        self._session.close()

    def without_password(self) -> requests.Response:
        return requests.get(f"{self.server.url}/system", timeout=30)

    def ask(self, method: str, path: str, *, json: Any = None, data: bytes | str | None = None) -> requests.Response:
        return self._session.request(method, self.server.url + path, json=json, data=data, timeout=30)

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])
        return answer.json()

    def post(self, path: str, body: Any) -> Any:
        text = body if isinstance(body, str) else None
        answer = self.ask("POST", path, json=None if text is not None else body, data=text)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])
        return answer.json()

    def delete(self, path: str) -> Any:
        answer = self.ask("DELETE", path)
        assert answer.status_code == 200, (path, answer.status_code)
        return answer

    def new_uid(self) -> str:
        return f"{self._root}.{next(self._studies)}"

    def upload(self, study_uid: str, *, series: int = 1, number: int = 1, **tags: Any) -> dict[str, Any]:
        """One instance; the answer of Orthanc."""
        series_uid = f"{study_uid}.{series}"
        file = make_instance(
            study_uid=study_uid,
            series_uid=series_uid,
            sop_uid=f"{series_uid}.{number}",
            number=number,
            **{"SeriesNumber": series, "patient_id": f"P-{study_uid[-20:]}", **tags},
        )
        answer = self.ask("POST", "/instances", data=file)
        assert answer.status_code == 200, answer.text
        stored: dict[str, Any] = answer.json()
        return stored

    # -- the feed ------------------------------------------------------------------------------------------------

    def page(self, since: int, *, limit: int = 10_000, more: str = "") -> dict[str, Any]:
        answer: dict[str, Any] = self.get(f"/changes?since={since}&limit={limit}{more}")
        return answer

    def high_water(self) -> int:
        return int(self.page(HUGE, limit=1)["Last"])

    def changes(self, since: int) -> list[Entry]:
        page = self.page(since)
        assert page["Done"]
        found: list[Entry] = page["Changes"]
        return found

    def types_of(self, since: int, *ids: str) -> list[str]:
        """The change types since then, of these resources if any are named, in order."""
        return [one["ChangeType"] for one in self.changes(since) if not ids or one["ID"] in ids]

    def wait_until(self, holds: Callable[[], bool], *, what: str) -> None:
        for _ in range(int(PATIENCE / 0.05)):
            if holds():
                return
            self.server.let_time_pass()
        raise AssertionError(f"{what} did not come within {PATIENCE} s")

    def wait_stable(self, study: str, *, since: int) -> None:
        """Until the feed says StableStudy, and all that belongs to it was written after it."""

        def settled() -> bool:
            entries = self.changes(since)
            stable = [one["Seq"] for one in entries if (one["ChangeType"], one["ID"]) == ("StableStudy", study)]
            patient = [one["Seq"] for one in entries if one["ChangeType"] == "StablePatient"]
            series = {one["ID"] for one in entries if one["ChangeType"] == "StableSeries"}
            cached = {one["ID"] for one in entries if one["ChangeType"] == "UpdatedAttachment"}
            return bool(stable and patient and patient[-1] > stable[-1] and (series <= cached or not self.modern))

        self.wait_until(settled, what=f"StableStudy of {study}")

    def wait_for_the_next_second(self, *, after: str) -> None:
        """Until the archive's clock, of one second resolution, is past `after`."""
        self.wait_until(lambda: self.ask("GET", "/tools/now").text > after, what="the next second")
