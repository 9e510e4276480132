"""What the oracle reads of Orthanc: every instance's file, its header parsed by pydicom, and its SOP class by REST.

One GET per instance, deliberately: the slow way is the way that cannot share a mistake with bulk answers. Orthanc keeps
the values of the first stored instance of a study or series and never says which instance that was; so where the files
of one study disagree, Orthanc's own main tags decide between the values that the files really have.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pydicom
import requests
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from tests import oracle_values as values

TIMEOUT = 60

_KEPT_OF_STUDY = ("StudyDate", "StudyTime", "StudyDescription", "StudyID", "AccessionNumber", "ReferringPhysicianName")
_KEPT_OF_PATIENT = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")
_KEPT_OF_SERIES = ("SeriesDate", "SeriesTime", "SeriesDescription", "SeriesNumber", "Modality", "ProtocolName")
KEPT = frozenset({*_KEPT_OF_STUDY, *_KEPT_OF_PATIENT, *_KEPT_OF_SERIES})
"""Main tags of every Orthanc version: where one is not told, the first stored instance had none."""


class Unreadable(Exception):
    """A server did not give the oracle what it asked for: nothing can be said about equality."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    uid: str
    sop_class: str
    number: int | None
    header: Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    uid: str
    instances: tuple[Instance, ...]
    """By number, absent ones last, then UID: the first one is the representative (RULES A7)."""
    main: dict[str, Any]

    @property
    def representative(self) -> Dataset:
        return self.instances[0].header

    def first_stored(self, tag: int) -> list[str]:
        return agreed((one.header for one in self.instances), tag, told=self.main)

    @property
    def number(self) -> int | None:
        return values.whole_number(next(iter(self.first_stored(0x00200011)), ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One Orthanc study."""

    orthanc_id: str
    uid: str
    stable: bool
    series: tuple[Series, ...]
    main: dict[str, Any]

    @property
    def headers(self) -> list[Dataset]:
        return [instance.header for series in self.series for instance in series.instances]

    def first_stored(self, tag: int) -> list[str]:
        return agreed(self.headers, tag, told=self.main)


def agreed(headers: Iterable[Dataset], tag: int, *, told: dict[str, Any]) -> list[str]:
    """A study's or series' text values: what the files say, and where they disagree the ones that Orthanc keeps."""
    candidates = list(dict.fromkeys(tuple(values.texts(header, tag)) for header in headers))
    keyword = keyword_for_tag(tag)
    if keyword not in told and keyword not in KEPT:
        return list(candidates[0])
    kept = tuple(part for raw in str(told.get(keyword, "")).split("\\") if (part := values.clean(raw)))
    return list(kept if kept in candidates else candidates[0])


class Archive:
    """Orthanc over plain REST."""

    def __init__(self, url: str, *, auth: tuple[str, str] | None) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.auth = auth
        self._session.trust_env = False

    def copies(self) -> list[Copy]:
        """Every study; the archive must be at rest while it is read."""
        before = self._json("/statistics")["CountInstances"]
        found = [self._copy(orthanc_id) for orthanc_id in self._json("/studies")]
        read = sum(len(series.instances) for copy in found for series in copy.series)
        if not before == read == self._json("/statistics")["CountInstances"]:
            raise Unreadable(f"the archive changed while it was read ({before} instances, {read} read)")
        return found

    def _copy(self, orthanc_id: str) -> Copy:
        study = self._json(f"/studies/{orthanc_id}")
        return Copy(
            orthanc_id=orthanc_id,
            uid=values.clean(study["MainDicomTags"]["StudyInstanceUID"]),
            stable=study["IsStable"],
            series=tuple(sorted(map(self._series, study["Series"]), key=by_number)),
            main={**study["PatientMainDicomTags"], **study["MainDicomTags"]},
        )

    def _series(self, orthanc_id: str) -> Series:
        series = self._json(f"/series/{orthanc_id}")
        return Series(
            uid=values.clean(series["MainDicomTags"]["SeriesInstanceUID"]),
            instances=tuple(sorted(map(self._instance, series["Instances"]), key=by_number)),
            main=series["MainDicomTags"],
        )

    def _instance(self, orthanc_id: str) -> Instance:
        file = self._get(f"/instances/{orthanc_id}/file")
        header = pydicom.dcmread(BytesIO(file.content), stop_before_pixels=True, force=True)
        told = self._get(f"/instances/{orthanc_id}/metadata/SopClassUid", missing_is_fine=True)
        return Instance(
            uid=values.text(header, 0x00080018),
            sop_class=values.clean(told.text) if told.ok else "",
            number=values.whole_number(values.text(header, 0x00200013)),
            header=header,
        )

    def _json(self, path: str) -> Any:
        return self._get(path).json()

    def _get(self, path: str, *, missing_is_fine: bool = False) -> requests.Response:
        try:
            answer = self._session.get(self._url + path, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise Unreadable(f"Orthanc cannot be read: {type(error).__name__} at {path}") from error
        if not answer.ok and not (missing_is_fine and answer.status_code == 404):
            raise Unreadable(f"Orthanc answered {answer.status_code} at {path}")
        return answer


def by_number(one: Instance | Series) -> tuple[bool, int, str]:
    """Sorts by (number, absent ones last, then UID)."""
    return one.number is None, one.number or 0, one.uid
